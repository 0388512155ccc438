//! `cargo xtask budgets`: the figures that are checked in against a fresh measurement.

use std::fs;

use anyhow::{Context, Result, bail};
use clap::Args;
use clap::builder::PossibleValuesParser;
use fixie_emulator::{BOARDS, Board};

use crate::figures::{Figures, Key, Table};
use crate::models::{self, Model};

/// Compare fresh figures with those in tests/budgets.toml
///
/// Counts are exact, so any difference is a change of the code. A figure that grew fails; one that
/// shrank asks for an update. Code and estimated cycles alone may differ by a thousandth: they
/// depend on the order and alignment of functions, and so, a little, on the folder of the sources,
/// which is in cargo's hash of a crate. Instructions, code and stack also depend on the compiler of the
/// firmware: with another one than that of the checked-in figures they are not compared.
#[derive(Args)]
pub struct Command {
    /// Write the fresh figures to tests/budgets.toml
    #[arg(long)]
    update: bool,

    /// Measure only this model; may be given more than once
    #[arg(long, value_name = "NAME")]
    model: Vec<String>,

    /// Measure only on this board; may be given more than once
    #[arg(long, value_name = "NAME", value_parser = board_names())]
    board: Vec<String>,
}

fn board_names() -> PossibleValuesParser {
    BOARDS.iter().map(|board| board.name).collect::<Vec<_>>().into()
}

impl Command {
    pub fn run(&self) -> Result<()> {
        let (mut models, mut elsewhere) = models::available()?;
        let wanted = |name: &str| self.model.is_empty() || self.model.iter().any(|one| one == name);
        models.retain(|model| wanted(&model.name));
        elsewhere.retain(|name| wanted(name));
        if models.is_empty() {
            bail!("no model of tools/xtask/models.toml has that name and is here");
        }
        let mut boards: Vec<_> = BOARDS.iter().collect();
        boards.retain(|board| self.board.is_empty() || self.board.iter().any(|b| b == board.name));
        let mut outcome = compare(&models, &boards, self.update)?;
        outcome.miss(&elsewhere);
        outcome.not_compared.iter().for_each(|what| println!("NOT COMPARED: {what}"));
        if outcome.changes > 0 && !self.update {
            bail!(
                "{} figures differ; if that is meant, run `cargo xtask budgets --update`",
                outcome.changes
            );
        }
        Ok(())
    }
}

/// What a comparison found.
#[derive(Default)]
pub struct Outcome {
    /// Figures that differ.
    pub changes: usize,
    /// What could not be compared, and why.
    pub not_compared: Vec<String>,
}

impl Outcome {
    fn miss(&mut self, models: &[String]) {
        if !models.is_empty() {
            self.not_compared.push(format!("{}, which are not here", models.join(", ")));
        }
    }
}

/// Compares everything that can be measured here.
pub fn compare_all() -> Result<Outcome> {
    let (models, elsewhere) = models::available()?;
    let mut outcome = compare(&models, &BOARDS.iter().collect::<Vec<_>>(), false)?;
    outcome.miss(&elsewhere);
    Ok(outcome)
}

/// Measures, prints what differs, and counts the differences.
fn compare(models: &[Model], boards: &[&'static Board], update: bool) -> Result<Outcome> {
    let budget = Table::read()?;
    let mut fresh = Table::measure(models, boards)?;
    println!("{} figures in {} rows measured", count(&fresh), fresh.rows.len());
    // What was not measured stays as it is.
    let is_measured = |(model, board): &Key| {
        models.iter().any(|one| one.name == *model) && boards.iter().any(|one| one.name == *board)
    };
    let others = budget.rows.iter().filter(|(key, _)| !is_measured(key));
    fresh.rows.extend(others.map(|(key, figures)| (key.clone(), *figures)));

    let changes = differences(&budget, &fresh);
    for change in &changes {
        println!("{change}");
    }
    if update {
        let path = Table::path();
        fs::write(&path, fresh.to_toml()).with_context(|| path.display().to_string())?;
    }
    let other_compiler = (fresh.compiler != budget.compiler).then(|| {
        format!(
            "instructions, code and stack, which are checked in for {}: here is {}",
            budget.compiler, fresh.compiler
        )
    });
    Ok(Outcome { changes: changes.len(), not_compared: other_compiler.into_iter().collect() })
}

fn count(table: &Table) -> usize {
    table.rows.values().map(|figures| figures.named().count()).sum()
}

/// A line for each figure that is not the same in both, or in one of them only.
fn differences(budget: &Table, fresh: &Table) -> Vec<String> {
    let mut lines = Vec::new();
    let same_compiler = budget.compiler == fresh.compiler;
    for (key, figures) in &fresh.rows {
        let place = format!("{} on {}", key.0, key.1);
        let Some(before) = budget.rows.get(key) else {
            lines.push(format!("{place}: new"));
            continue;
        };
        for (name, after) in figures.named() {
            let before = before.named().find(|&(other, _)| other == name).map(|(_, value)| value);
            let comparable = same_compiler || !Figures::by_compiler(name);
            if comparable && !before.is_some_and(|before| is_same(name, before, after)) {
                lines.push(difference(&place, name, before, after));
            }
        }
    }
    let gone = budget.rows.keys().filter(|&key| !fresh.rows.contains_key(key));
    lines.extend(gone.map(|key| format!("{} on {}: gone", key.0, key.1)));
    lines
}

fn is_same(name: &str, before: u64, after: u64) -> bool {
    let slack = if Figures::by_placement(name) { before / 1000 } else { 0 };
    before.abs_diff(after) <= slack
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
    fn a_thousandth_is_left_to_the_placement_of_code_alone() {
        assert!(is_same("code_bytes", 26_000, 26_026) && !is_same("code_bytes", 26_000, 26_027));
        assert!(!is_same("instructions", 1_000_000, 1_000_001));
        assert!(!is_same("image_bytes", 30_000, 29_999));
    }

    #[test]
    fn counts_of_another_compiler_are_not_compared() {
        let mut other = table(200);
        other.compiler = "rustc 9".to_owned();
        assert!(differences(&table(100), &other).is_empty());
        other.rows.values_mut().for_each(|figures| figures.arena_bytes += 1);
        let lines = differences(&table(100), &other);
        assert_eq!(lines, ["digits on rv32: arena_bytes 2 -> 3 (+50.00 %, WORSE)"]);
    }

    #[test]
    fn rows_come_and_go() {
        assert_eq!(differences(&Table::default(), &table(1)), ["digits on rv32: new"]);
        assert_eq!(differences(&table(1), &Table::default()), ["digits on rv32: gone"]);
    }
}
