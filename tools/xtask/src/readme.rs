//! `cargo xtask readme`: the tables of figures in README.md, made from the checked-in figures.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use fixie_emulator::{BOARDS, Board};

use crate::figures::{Figures, Table};
use crate::models;
use crate::process::root;

/// What the incumbent executes, by model and board.
const INCUMBENT: &str = include_str!("../incumbent.toml");

/// Rewrite the tables of figures in README.md from tests/budgets.toml
///
/// The tables stand between lines `<!-- figures: TABLE -->` and `<!-- end of figures -->`; TABLE is
/// `instructions` (cores and models) or the name of a board (bytes of each model there).
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
        let name = rest.strip_suffix(" -->").with_context(|| format!("malformed: {line}"))?;
        result.push_str(&match name {
            "instructions" => instructions(table)?,
            board => bytes(Board::find(board)?, table)?,
        });
        lines
            .find(|line| *line == CLOSING)
            .with_context(|| format!("'{line}' is not followed by '{CLOSING}'"))?;
        result.push_str(CLOSING);
        result.push('\n');
    }
    Ok(result)
}

/// Executed instructions of every model on every core, and what that is of the incumbent's.
fn instructions(table: &Table) -> Result<String> {
    let incumbent: HashMap<String, HashMap<String, u64>> =
        toml::from_str(INCUMBENT).context("tools/xtask/incumbent.toml")?;
    let models = measured(table)?;
    let mut text =
        format!("| core | {} |\n|---|{}\n", models.join(" | "), "--:|".repeat(models.len()));
    for board in BOARDS {
        let _ = write!(text, "| {} ", board.core);
        for model in &models {
            let Some(figures) = find(table, model, board) else {
                text.push_str("| – ");
                continue;
            };
            let _ = write!(text, "| {} ", grouped(figures.instructions));
            if let Some(theirs) = incumbent.get(model).and_then(|model| model.get(board.name)) {
                let share = figures.instructions as f64 / *theirs as f64;
                let _ = write!(text, "({share:.2}×) ");
            }
        }
        text.push_str("|\n");
    }
    Ok(text)
}

/// Bytes of every model on one board.
fn bytes(board: &Board, table: &Table) -> Result<String> {
    let mut text =
        String::from("| model | arena | stack | code | image |\n|---|--:|--:|--:|--:|\n");
    for model in measured(table)? {
        let Some(figures) = find(table, &model, board) else { continue };
        let Figures { arena_bytes, stack_bytes, code_bytes, image_bytes, .. } = *figures;
        let row = [arena_bytes, stack_bytes, code_bytes, image_bytes].map(grouped);
        let _ = writeln!(text, "| {model} | {} |", row.join(" | "));
    }
    Ok(text)
}

/// The models that have figures, in the order of the table of models.
fn measured(table: &Table) -> Result<Vec<String>> {
    let mut names = models::names()?;
    names.retain(|name| table.rows.keys().any(|(model, _)| model == name));
    Ok(names)
}

fn find<'t>(table: &'t Table, model: &str, board: &Board) -> Option<&'t Figures> {
    table.rows.get(&(model.to_owned(), board.name.to_owned()))
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
            instructions: 769_771,
            cycles_estimate: None,
            macs: 1_000_000,
            arena_bytes: 2048,
            stack_bytes: 300,
            code_bytes: 12_000,
            image_bytes: 999,
        };
        let key = ("kws".to_owned(), "cortex-m4".to_owned());
        Table { compiler: String::new(), rows: [(key, figures)].into() }
    }

    #[test]
    fn a_table_replaces_what_was_between_the_markers() {
        let text = "before\n<!-- figures: cortex-m4 -->\nold\n<!-- end of figures -->\nafter\n";
        let once = rewrite(text, &table()).unwrap();
        assert!(once.starts_with("before\n<!-- figures: cortex-m4 -->\n| model |"), "{once}");
        assert!(once.contains("| kws | 2,048 | 300 | 12,000 | 999 |\n"), "{once}");
        assert!(once.ends_with("|\n<!-- end of figures -->\nafter\n") && !once.contains("old"));
        assert_eq!(rewrite(&once, &table()).unwrap(), once);
    }

    #[test]
    fn instructions_are_compared_with_the_incumbents() {
        let text = "<!-- figures: instructions -->\n<!-- end of figures -->\n";
        let text = rewrite(text, &table()).unwrap();
        assert!(text.contains("| core | kws |\n|---|--:|\n"), "{text}");
        assert!(text.contains("| Cortex-M4F | 769,771 (0.10×) |\n"), "{text}");
        assert!(text.contains("| Cortex-M7 | – |\n"), "{text}");
    }

    #[test]
    fn an_open_or_unknown_table_is_an_error() {
        assert!(rewrite("<!-- figures: instructions -->\n", &table()).is_err());
        let unknown = "<!-- figures: cortex-m9 -->\n<!-- end of figures -->\n";
        assert!(rewrite(unknown, &table()).is_err());
    }
}
