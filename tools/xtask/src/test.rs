//! `cargo xtask test`: everything that must hold before a change is taken.

mod harness;
mod stages;

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::Args;
use clap::builder::PossibleValuesParser;

use stages::{STAGES, Stage, Verdict};

/// Check formatting, lints, documentation, tests, firmware and fuzz targets
///
/// All stages run even if one fails; the summary at the end says which failed, and why, and which
/// could not run here.
#[derive(Args)]
pub struct Command {
    /// Leave out what needs firmware, emulators or minutes
    #[arg(long)]
    quick: bool,

    /// Run only this stage; may be given more than once
    #[arg(long, value_name = "STAGE", value_parser = stage_names())]
    only: Vec<String>,
}

fn stage_names() -> PossibleValuesParser {
    STAGES.iter().map(|stage| stage.name).collect::<Vec<_>>().into()
}

/// A stage that was run, or could not be.
struct Entry {
    stage: &'static Stage,
    outcome: Result<Verdict>,
    took: Duration,
}

impl Command {
    pub fn run(&self) -> Result<()> {
        let entries: Vec<_> =
            STAGES.iter().filter(|stage| self.selects(stage)).map(execute).collect();
        let failed = entries.iter().filter(|entry| entry.outcome.is_err()).count();
        println!("\nsummary");
        entries.iter().for_each(Entry::print);
        if failed > 0 {
            bail!("{failed} of {} stages failed", entries.len());
        }
        Ok(())
    }

    fn selects(&self, stage: &Stage) -> bool {
        if self.only.is_empty() {
            stage.is_quick || !self.quick
        } else {
            self.only.iter().any(|name| name == stage.name)
        }
    }
}

fn execute(stage: &'static Stage) -> Entry {
    println!("\n{}: {}", stage.name, stage.about);
    let started = Instant::now();
    let outcome = (stage.run)();
    if outcome.is_err() {
        eprintln!("{} failed", stage.name);
    }
    Entry { stage, outcome, took: started.elapsed() }
}

impl Entry {
    fn print(&self) {
        let verdict = match &self.outcome {
            Ok(Verdict::Passed) => "passed".to_owned(),
            Ok(Verdict::PassedWithout(what)) => format!("passed, but NOT RUN: {what}"),
            Ok(Verdict::NotRun(reason)) => format!("NOT RUN: {reason}"),
            Err(error) => format!("FAILED: {error:#}"),
        };
        println!("  {:<10} {:>6.1} s  {verdict}", self.stage.name, self.took.as_secs_f64());
    }
}
