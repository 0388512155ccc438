//! `cargo xtask readme`: the tables of figures in README.md, made from the checked-in figures.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::figures::{Figures, Table};
use crate::process::root;

/// Rewrite the tables of figures in README.md from tests/budgets.toml
///
/// The tables stand between lines `<!-- figures: MODEL -->` and `<!-- end of figures -->`.
#[derive(Args)]
pub struct Command {
    /// Change nothing; fail if a table is not what it would be rewritten to
    #[arg(long)]
    check: bool,
}

const OPENING: &str = "<!-- figures: ";
const CLOSING: &str = "<!-- end of figures -->";

impl Command {
    pub fn run(&self) -> Result<()> {
        if self.check { check() } else { update() }
    }
}

/// Fails if README.md is not what it would be rewritten to.
pub fn check() -> Result<()> {
    let text = read()?;
    if rewrite(&text, &Table::read()?)? != text {
        bail!("README.md shows old figures: run `cargo xtask readme`");
    }
    Ok(())
}

fn update() -> Result<()> {
    let text = rewrite(&read()?, &Table::read()?)?;
    fs::write(path(), text).context("README.md")
}

fn path() -> PathBuf {
    root().join("README.md")
}

fn read() -> Result<String> {
    fs::read_to_string(path()).context("README.md")
}

/// The text with each table replaced.
fn rewrite(text: &str, table: &Table) -> Result<String> {
    let mut result = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        result.push_str(line);
        result.push('\n');
        let Some(rest) = line.strip_prefix(OPENING) else { continue };
        let model = rest.strip_suffix(" -->").with_context(|| format!("malformed: {line}"))?;
        result.push_str(&markdown(model, table)?);
        lines
            .find(|line| *line == CLOSING)
            .with_context(|| format!("'{line}' is not followed by '{CLOSING}'"))?;
        result.push_str(CLOSING);
        result.push('\n');
    }
    Ok(result)
}

/// The rows of one model.
fn markdown(model: &str, table: &Table) -> Result<String> {
    let mut text = String::from(
        "| core | instructions | per MAC | arena | stack | code | image |\n\
         |---|--:|--:|--:|--:|--:|--:|\n",
    );
    let rows: Vec<_> = table.rows.iter().filter(|((name, _), _)| name == model).collect();
    if rows.is_empty() {
        bail!("tests/budgets.toml has no figures of '{model}'");
    }
    // In the order of the boards, from small to large.
    for board in fixie_emulator::BOARDS {
        let row = rows.iter().find(|((_, name), _)| name == board.name);
        if let Some((_, figures)) = row {
            text.push_str(&row_of(board.core, figures));
        }
    }
    Ok(text)
}

fn row_of(core: &str, figures: &Figures) -> String {
    let mut row = format!("| {core} | {} | ", grouped(figures.instructions));
    let _ = write!(row, "{:.2} ", figures.instructions as f64 / figures.macs.max(1) as f64);
    let sizes = [figures.arena_bytes, figures.stack_bytes, figures.code_bytes, figures.image_bytes];
    for bytes in sizes {
        let _ = write!(row, "| {} ", grouped(bytes));
    }
    row.push_str("|\n");
    row
}

/// Digits in groups of three, as one reads them.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let figures = Figures {
            instructions: 1_234_567,
            cycles_estimate: None,
            macs: 1_000_000,
            arena_bytes: 2048,
            stack_bytes: 300,
            code_bytes: 12_000,
            image_bytes: 999,
        };
        let key = ("digits".to_owned(), "cortex-m4".to_owned());
        Table { compiler: String::new(), rows: [(key, figures)].into() }
    }

    #[test]
    fn a_table_replaces_what_was_between_the_markers() {
        let text = "before\n<!-- figures: digits -->\nold\n<!-- end of figures -->\nafter\n";
        let once = rewrite(text, &table()).unwrap();
        assert!(once.starts_with("before\n<!-- figures: digits -->\n| core |"), "{once}");
        assert!(once.contains("| Cortex-M4F | 1,234,567 | 1.23 | 2,048 | 300 | 12,000 | 999 |\n"));
        assert!(once.ends_with("|\n<!-- end of figures -->\nafter\n") && !once.contains("old"));
        assert_eq!(rewrite(&once, &table()).unwrap(), once);
    }

    #[test]
    fn an_open_or_unknown_table_is_an_error() {
        assert!(rewrite("<!-- figures: digits -->\n", &table()).is_err());
        let unknown = "<!-- figures: letters -->\n<!-- end of figures -->\n";
        assert!(rewrite(unknown, &table()).is_err());
    }
}
