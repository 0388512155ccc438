//! The stages of the test, in the order in which they run: cheap ones first.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};
use fixie_emulator::{Board, firmware};
use rayon::prelude::*;
use tempfile::TempDir;

use super::harness::test;
use crate::budgets::Outcome;
use crate::process::{cargo, output, root, run};
use crate::{budgets, models, readme, setup, size};

/// A part of the test.
pub struct Stage {
    /// What `--only` calls it.
    pub name: &'static str,
    /// What it checks.
    pub about: &'static str,
    /// Whether `--quick` includes it.
    pub is_quick: bool,
    /// Checks it.
    pub run: fn() -> Result<Verdict>,
}

/// What a stage found, if it did not fail.
pub enum Verdict {
    /// All was well.
    Passed,
    /// All that could run was well, but this could not.
    PassedWithout(String),
    /// Nothing could run, for this reason.
    NotRun(String),
}

/// All stages.
pub const STAGES: &[Stage] = &[
    Stage { name: "setup", about: "what firmware needs", is_quick: false, run: set_up },
    Stage { name: "format", about: "the layout of the source", is_quick: true, run: format },
    Stage { name: "lint", about: "clippy, warnings are errors", is_quick: true, run: lint },
    Stage { name: "docs", about: "the documentation builds", is_quick: true, run: docs },
    Stage { name: "host", about: "tests on this machine", is_quick: true, run: host },
    Stage { name: "firmware", about: "clippy, and all boards", is_quick: false, run: firmware },
    Stage { name: "size", about: "no panic, no heap on any board", is_quick: false, run: size },
    Stage { name: "emulated", about: "tests on emulated cores", is_quick: false, run: emulated },
    Stage { name: "budgets", about: "the checked-in figures", is_quick: false, run: budgets },
    Stage { name: "fuzz", about: "each fuzz target, a minute", is_quick: false, run: fuzz },
];

/// Packages whose tests run firmware.
const EMULATED: [&str; 3] = ["fixie-application-tests", "fixie-emulator", "fixie-kernels-on-core"];

/// The tests of these packages. They are chosen by name, not by package: the set of packages decides
/// which features of their dependencies are compiled, and another set would compile these anew.
const EMULATED_TESTS: [&str; 9] = [
    "bench",
    "calibration",
    "log",
    "on_core",
    "models_on_core",
    "on_device",
    "camera",
    "keyword",
    "motion",
];

/// Firmware is linted as it is compiled for one board of each architecture.
const LINTED: [&str; 2] = ["cortex-m4", "rv32"];

/// The workspaces of boards, below `firmware/boards`.
const BOARD_FAMILIES: [&str; 5] = ["esp32", "nrf51", "nrf52", "rp", "stm32"];

/// Seconds that each fuzz target runs.
const FUZZ_SECONDS: u32 = 60;

fn set_up() -> Result<Verdict> {
    setup::run()?;
    Ok(Verdict::Passed)
}

fn format() -> Result<Verdict> {
    run(&mut cargo(&["fmt", "--all", "--check"]))?;
    run(cargo(&["fmt", "--all", "--check"]).current_dir(root().join("firmware")))?;
    for family in BOARD_FAMILIES {
        let boards = root().join("firmware/boards").join(family);
        run(cargo(&["fmt", "--check"]).current_dir(boards))?;
    }
    Ok(Verdict::Passed)
}

fn lint() -> Result<Verdict> {
    run(&mut cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    Ok(Verdict::Passed)
}

fn docs() -> Result<Verdict> {
    run(cargo(&["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))?;
    readme::check()?;
    Ok(Verdict::Passed)
}

fn host() -> Result<Verdict> {
    test(&EMULATED.map(|package| ["--exclude", package]).concat())?;
    Ok(Verdict::Passed)
}

fn firmware() -> Result<Verdict> {
    let (models, _) = models::available()?;
    let model = models.first().context("there is no model to build with")?;
    let directory = TempDir::new()?;
    for name in LINTED {
        let board = Board::find(name)?;
        let image = fs::read(model.convert(board, &directory)?)?;
        firmware::lint(board, &image, &|_| {})?;
    }
    test(&["--test", "boards"])?;
    Ok(Verdict::Passed)
}

fn size() -> Result<Verdict> {
    size::check()?;
    Ok(Verdict::Passed)
}

fn emulated() -> Result<Verdict> {
    test(&EMULATED_TESTS.map(|name| ["--test", name]).concat())?;
    // Those of the command that build firmware.
    test(&["--test", "command", "--", "--ignored"])?;
    Ok(Verdict::Passed)
}

fn budgets() -> Result<Verdict> {
    let Outcome { changes, not_compared } = budgets::compare_all()?;
    if changes > 0 {
        bail!("{changes} figures differ; see `cargo xtask budgets --help`");
    }
    Ok(match &not_compared[..] {
        [] => Verdict::Passed,
        missing => Verdict::PassedWithout(missing.join("; ")),
    })
}

fn fuzz() -> Result<Verdict> {
    let fuzz = |arguments: &[&str]| {
        let mut command = Command::new("rustup");
        command.args(["run", "nightly", "cargo", "fuzz"]).args(arguments);
        command.args(["--fuzz-dir", "tests/fuzz"]).current_dir(root());
        command
    };
    let Some(targets) = output(&mut fuzz(&["list"])) else {
        let reason = "there is no nightly toolchain with cargo-fuzz; see `cargo xtask setup`";
        return Ok(Verdict::NotRun(reason.to_owned()));
    };
    run(&mut fuzz(&["build"]))?;
    let limit = format!("-max_total_time={FUZZ_SECONDS}");
    let targets: Vec<_> = targets.lines().collect();
    // As many at a time as there are cores.
    targets.par_iter().try_for_each(|target| run(fuzz(&["run", target]).args(["--", &limit])))?;
    Ok(Verdict::Passed)
}
