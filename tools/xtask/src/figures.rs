//! Measured figures: one row for each model on each board, kept in a file that is checked in.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use fixie_emulator::toolchain::Toolchain;
use fixie_emulator::{BOARDS, Board};
use rayon::prelude::*;
use serde::Deserialize;
use tempfile::TempDir;

use crate::models::{Model, fixie, output};
use crate::process::root;

/// What one inference of a model costs on a board. All are exact and the same on every machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Figures {
    /// Executed instructions in steady state.
    pub instructions: u64,
    /// Estimated cycles, where there is a model of the core.
    pub cycles_estimate: Option<u64>,
    /// Multiply-accumulates.
    pub macs: u64,
    /// RAM besides the stack.
    pub arena_bytes: u64,
    /// Deepest stack.
    pub stack_bytes: u64,
    /// Flash for code and constants, without the image.
    pub code_bytes: u64,
    /// Flash for the image.
    pub image_bytes: u64,
}

/// What the emulator's error says of a model that is too large for a board.
const DOES_NOT_FIT: &str = "does not fit";

/// A model's name and a board's.
pub type Key = (String, String);

/// All figures, with the compiler that they belong to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    /// The release of the compiler: another one may give other counts.
    pub compiler: String,
    /// The rows.
    pub rows: BTreeMap<Key, Figures>,
}

/// The file's form.
#[derive(Deserialize)]
struct File {
    compiler: String,
    #[serde(default)]
    budget: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    model: String,
    board: String,
    #[serde(flatten)]
    figures: Figures,
}

impl Table {
    /// Where the figures are checked in.
    pub fn path() -> PathBuf {
        root().join("tests/budgets.toml")
    }

    /// The figures that are checked in; an empty table if there is no file yet.
    pub fn read() -> Result<Self> {
        let path = Self::path();
        if !path.exists() {
            return Ok(Self::default());
        }
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        Self::parse(&text).with_context(|| path.display().to_string())
    }

    fn parse(text: &str) -> Result<Self> {
        let file: File = toml::from_str(text)?;
        let rows =
            file.budget.into_iter().map(|row| ((row.model, row.board), row.figures)).collect();
        Ok(Self { compiler: file.compiler, rows })
    }

    /// The file's text.
    pub fn to_toml(&self) -> String {
        let mut text = format!(
            "# Measured by `cargo xtask budgets --update`; compared by `cargo xtask budgets`.\n\
             compiler = \"{}\"\n",
            self.compiler
        );
        for ((model, board), figures) in &self.rows {
            let _ = write!(text, "\n[[budget]]\nmodel = \"{model}\"\nboard = \"{board}\"\n");
            for (name, value) in figures.named() {
                let _ = writeln!(text, "{name} = {value}");
            }
        }
        text
    }

    /// Measures models on boards. Where a model does not fit there is no row.
    pub fn measure(models: &[Model], boards: &[&'static Board]) -> Result<Self> {
        fixie()?; // built before the boards compete for the cores
        let directory = TempDir::new()?;
        let rows: Vec<_> = boards
            .par_iter()
            .map(|board| measure_board(models, board, &directory))
            .collect::<Result<_>>()?;
        Ok(Self { compiler: compiler()?, rows: rows.into_iter().flatten().collect() })
    }
}

impl Figures {
    /// Whether a figure depends on the compiler of the firmware.
    pub fn by_compiler(name: &str) -> bool {
        !matches!(name, "macs" | "arena_bytes" | "image_bytes")
    }

    /// Whether a figure depends on where the linker puts each function.
    pub fn by_placement(name: &str) -> bool {
        matches!(name, "cycles_estimate" | "code_bytes")
    }

    /// The figures with their names, in the order of the file.
    pub fn named(&self) -> impl Iterator<Item = (&'static str, u64)> {
        [
            ("instructions", Some(self.instructions)),
            ("cycles_estimate", self.cycles_estimate),
            ("macs", Some(self.macs)),
            ("arena_bytes", Some(self.arena_bytes)),
            ("stack_bytes", Some(self.stack_bytes)),
            ("code_bytes", Some(self.code_bytes)),
            ("image_bytes", Some(self.image_bytes)),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
    }
}

/// The compiler of all boards.
fn compiler() -> Result<String> {
    let releases: BTreeSet<_> = BOARDS
        .iter()
        .map(|board| Ok(Toolchain::find(board.target)?.release().to_owned()))
        .collect::<Result<_>>()?;
    Ok(releases.into_iter().collect::<Vec<_>>().join("; "))
}

/// The rows of one board, one model after the other.
fn measure_board(
    models: &[Model],
    board: &Board,
    directory: &TempDir,
) -> Result<Vec<(Key, Figures)>> {
    let mut rows = Vec::new();
    for model in models {
        let image = model.convert(board, directory)?;
        let mut command = fixie()?;
        command.arg("bench").arg(&image).args(["--target", board.name, "--json"]);
        match output(&mut command) {
            Ok(json) => {
                let figures = serde_json::from_slice(&json).context("the bench's JSON")?;
                rows.push(((model.name.clone(), board.name.to_owned()), figures));
            }
            Err(error) if error.to_string().contains(DOES_NOT_FIT) => {
                println!("{} does not fit {}", model.name, board.name);
            }
            Err(error) => return Err(error.context(format!("{} on {}", model.name, board.name))),
        }
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_read_as_it_was_written() {
        let figures = Figures {
            instructions: 7_697_717,
            cycles_estimate: Some(9_000_000),
            macs: 2_656_768,
            arena_bytes: 22_820,
            stack_bytes: 852,
            code_bytes: 46_380,
            image_bytes: 53_936,
        };
        let without_estimate = Figures { cycles_estimate: None, ..figures };
        let table = Table {
            compiler: "rustc 1.95.0".to_owned(),
            rows: BTreeMap::from([
                (("kws".to_owned(), "cortex-m4".to_owned()), figures),
                (("kws".to_owned(), "rv32".to_owned()), without_estimate),
            ]),
        };
        assert_eq!(Table::parse(&table.to_toml()).unwrap(), table);
    }
}
