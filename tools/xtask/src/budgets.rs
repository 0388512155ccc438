//! `cargo xtask budgets`: the figures that are checked in against a fresh measurement.

use std::fs;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::figures::{Figures, Key, Table};
use crate::models;

/// Compare fresh figures with those in tests/budgets.toml
///
/// Counts are exact, so any difference is a change of the code or of the compiler. A figure that
/// grew fails; one that shrank asks for an update.
#[derive(Args)]
pub struct Command {
    /// Write the fresh figures to tests/budgets.toml
    #[arg(long)]
    update: bool,
}

impl Command {
    pub fn run(&self) -> Result<()> {
        let changes = compare(self.update)?;
        if changes > 0 && !self.update {
            bail!("{changes} figures differ; if that is meant, run `cargo xtask budgets --update`");
        }
        Ok(())
    }
}

/// Measures, prints what differs, and gives the number of differences.
pub fn compare(update: bool) -> Result<usize> {
    let (models, elsewhere) = models::available()?;
    let budget = Table::read()?;
    let mut fresh = Table::measure(&models)?;
    for name in &elsewhere {
        println!("{name}: NOT MEASURED, as the model is not here");
        fresh.rows.extend(budget.rows.iter().filter(|(key, _)| key.0 == *name).map(copy));
    }
    let compiler_changed = fresh.compiler != budget.compiler;
    if compiler_changed {
        println!("compiler: {} -> {}", budget.compiler, fresh.compiler);
    }
    let changes = differences(&budget, &fresh);
    for change in &changes {
        println!("{change}");
    }
    println!("{} figures of {} rows compared", count(&fresh), fresh.rows.len());
    if update {
        let path = Table::path();
        fs::write(&path, fresh.to_toml()).with_context(|| path.display().to_string())?;
    }
    Ok(changes.len() + usize::from(compiler_changed))
}

fn copy((key, figures): (&Key, &Figures)) -> (Key, Figures) {
    (key.clone(), *figures)
}

fn count(table: &Table) -> usize {
    table.rows.values().map(|figures| figures.named().count()).sum()
}

/// A line for each figure that is not the same in both, or in one of them only.
fn differences(budget: &Table, fresh: &Table) -> Vec<String> {
    let mut lines = Vec::new();
    for (key, figures) in &fresh.rows {
        let place = format!("{} on {}", key.0, key.1);
        let Some(before) = budget.rows.get(key) else {
            lines.push(format!("{place}: new"));
            continue;
        };
        for (name, after) in figures.named() {
            let before = before.named().find(|&(other, _)| other == name).map(|(_, value)| value);
            if before != Some(after) {
                lines.push(difference(&place, name, before, after));
            }
        }
    }
    let gone = budget.rows.keys().filter(|&key| !fresh.rows.contains_key(key));
    lines.extend(gone.map(|key| format!("{} on {}: gone", key.0, key.1)));
    lines
}

fn difference(place: &str, name: &str, before: Option<u64>, after: u64) -> String {
    let Some(before) = before.filter(|&before| before > 0) else {
        return format!("{place}: {name} {after}, new");
    };
    let verdict = if after > before { "WORSE" } else { "better" };
    let percent = 100.0 * (after as f64 - before as f64) / before as f64;
    format!("{place}: {name} {before} -> {after} ({percent:+.2} %, {verdict})")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(instructions: u64) -> Table {
        let figures = Figures {
            instructions,
            cycles_estimate: None,
            macs: 1,
            arena_bytes: 2,
            stack_bytes: 3,
            code_bytes: 4,
            image_bytes: 5,
        };
        let key = ("digits".to_owned(), "rv32".to_owned());
        Table { compiler: String::new(), rows: [(key, figures)].into() }
    }

    #[test]
    fn equal_tables_have_no_difference() {
        assert!(differences(&table(100), &table(100)).is_empty());
    }

    #[test]
    fn a_difference_has_a_direction() {
        let worse = differences(&table(100), &table(101));
        assert_eq!(worse, ["digits on rv32: instructions 100 -> 101 (+1.00 %, WORSE)"]);
        let better = differences(&table(200), &table(100));
        assert_eq!(better, ["digits on rv32: instructions 200 -> 100 (-50.00 %, better)"]);
    }

    #[test]
    fn rows_come_and_go() {
        assert_eq!(differences(&Table::default(), &table(1)), ["digits on rv32: new"]);
        assert_eq!(differences(&table(1), &Table::default()), ["digits on rv32: gone"]);
    }
}
