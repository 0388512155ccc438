//! Tables and numbers for people.

use std::fmt::{Display, Write};

use comfy_table::{CellAlignment, LineStyle, Table, TableStyle};
use fixie_compiler::reduce::Reduction;

/// Longest name that is shown whole.
const NAME_WIDTH: usize = 36;

/// A line under the header and nothing else.
const STYLE: TableStyle =
    TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// A table with a header; columns whose heading starts with `#` are numbers, set to the right.
pub fn table<const N: usize>(header: [&str; N], rows: Vec<[String; N]>) -> String {
    let mut table = Table::new();
    table.load_style(STYLE);
    table.set_header(header.map(|heading| heading.trim_start_matches('#')));
    for (column, heading) in table.column_iter_mut().zip(header) {
        if heading.starts_with('#') {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.add_rows(rows);
    table.trim_fmt()
}

/// One line per key and value.
pub fn facts<K: Display, V: Display>(facts: impl IntoIterator<Item = (K, V)>) -> String {
    facts.into_iter().fold(String::new(), |mut text, (key, value)| {
        writeln!(text, " {key:<12} {value}").expect("a string takes any text");
        text
    })
}

/// A number with its thousands apart: `1,234,567`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// What a reduction saved.
pub fn reduction(saved: &Reduction) -> String {
    format!(
        "{} of {} channels, {} MACs and {} weights: the outputs do not depend on them",
        count(saved.channels_removed as u64),
        count(saved.channels_before as u64),
        count(saved.macs_before - saved.macs_after),
        count((saved.weights_before - saved.weights_after) as u64),
    )
}

/// A shape: `1×32×32×3`.
pub fn shape(extents: &[usize]) -> String {
    let extents: Vec<_> = extents.iter().map(usize::to_string).collect();
    if extents.is_empty() { "scalar".to_owned() } else { extents.join("×") }
}

/// A name, its middle left out where it is too long: exporters put the meaning at both ends.
pub fn name(name: &str) -> String {
    let chars: Vec<_> = name.chars().collect();
    if chars.len() <= NAME_WIDTH {
        return name.to_owned();
    }
    let head = (NAME_WIDTH - 1) / 2;
    let tail = NAME_WIDTH - 1 - head;
    let head: String = chars[..head].iter().collect();
    let tail: String = chars[chars.len() - tail..].iter().collect();
    format!("{head}…{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_apart() {
        let numbers = [0, 999, 1_000, 12_345, 1_234_567].map(count);
        assert_eq!(numbers, ["0", "999", "1,000", "12,345", "1,234,567"]);
    }

    #[test]
    fn long_names_keep_both_ends() {
        assert_eq!(name("conv1"), "conv1");
        let long = "functional_1/block_7/depthwise_conv2d_3/BiasAdd:0";
        let short = name(long);
        assert_eq!(short.chars().count(), NAME_WIDTH);
        assert!(short.starts_with("functional_1/") && short.ends_with("/BiasAdd:0"), "{short}");
        assert_eq!(name(&"é".repeat(40)).chars().count(), NAME_WIDTH);
    }

    #[test]
    fn numbers_are_set_to_the_right() {
        let text =
            table(["name", "#bytes"], vec![["a".into(), count(5)], ["b".into(), count(1234)]]);
        let ends: Vec<_> = text.lines().map(|line| line.trim_end().chars().count()).collect();
        assert!(text.contains("1,234") && ends[2] == ends[3], "{text}");
    }
}
