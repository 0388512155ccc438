//! The options of `convert` that make it search, and what the search found.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use fixie_compiler::compile::{Options, Progress as Calibration};
use fixie_compiler::data::Dataset;
use fixie_compiler::onnx::Model;
use fixie_compiler::quantize::Levels;
use fixie_compiler::search::{Event, Found, Limits, Measure, Point, Report, SearchError, search};

use crate::progress::Progress;
use crate::{output, table};

/// With any of these the grids of all layers are searched for.
#[expect(clippy::struct_field_names, reason = "the fields are named as the flags are")]
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Search")]
pub struct Budget {
    /// Bytes that the image may have: 24576 or 24K. The most accurate image within it is made.
    #[arg(long, value_name = "BYTES", value_parser = super::convert::bytes)]
    flash_budget: Option<usize>,
    /// Points of accuracy (or hundredths of the area under the ROC curve) that may be lost against
    /// the original: on the given samples and, as far as these can tell, on others. Without
    /// --flash-budget the smallest image within it is made.
    #[arg(long, value_name = "POINTS", value_parser = points)]
    max_loss: Option<f64>,
    /// Labelled samples that accuracy is measured on, as for `eval`; without them agreement with the
    /// original on the calibration samples counts.
    #[arg(long, value_name = "SET.npz")]
    pub data: Option<PathBuf>,
}

fn points(text: &str) -> Result<f64, String> {
    let points = text.parse().ok().filter(|points: &f64| (0.0..=100.0).contains(points));
    points.ok_or_else(|| "a number of points, 0 to 100".to_owned())
}

impl Budget {
    /// What to search for; `None` if nothing is asked for.
    pub fn limits(&self) -> Option<Limits> {
        let limits = Limits {
            flash_bytes: self.flash_budget,
            loss: self.max_loss.map(|points| points / 100.0),
        };
        limits.ask_for_something().then_some(limits)
    }
}

/// Searches, with bars. An interrupt ends it with what was found so far.
pub fn search_with_progress(
    model: &Model,
    calibration: &Dataset,
    data: Option<&Dataset>,
    choice: (&Options, Limits),
) -> Result<Found, SearchError> {
    let bar = Progress::bar("calibrating", calibration.len());
    output::interrupt_means_early_end();
    search(model, calibration, data, choice, &mut |event| {
        let (what, done, total) = match event {
            Event::Calibrated(Calibration::Calibrated { done, total }) => {
                ("calibrating", done, total)
            }
            Event::Probed { done, total } => ("probing layers", done, total),
            Event::Tried { done, total } => ("trying networks", done, total),
        };
        bar.now(what.to_owned());
        bar.reach_of(done, total);
        !output::early_end()
    })
}

/// The networks that were tried.
pub fn frontier(report: &Report) -> String {
    let whole = report.frontier.first().map_or(1, |point| point.image_bytes) as f64;
    let rows = report.frontier.iter().enumerate().map(|(index, point)| {
        [
            if index == report.chosen { "→".to_owned() } else { String::new() },
            table::count(point.image_bytes as u64),
            format!("{:.2}", point.image_bytes as f64 / whole),
            format!("{:.2}", 100.0 * point.score),
            format!("{:+.2}", 100.0 * point.loss),
            point.sqnr_db.map_or("–".to_owned(), |ratio| format!("{ratio:.1}")),
            format!("{:+.2}", 100.0 * point.expected_loss),
            table::count(point.macs),
            grids(point),
        ]
    });
    let header = ["", "#bytes", "#×", "#score", "#loss", "#SQNR dB", "#expected", "#MACs", "grids"];
    let mut text = table::table(header, rows.collect());
    let of_one = match report.measure {
        Measure::Auc => String::new(),
        _ => {
            format!(", each of {} samples is {:.2}", report.samples, 100.0 / report.samples as f64)
        }
    };
    let origin = format!(
        "\n\n{} in points; the original has {:.2}{of_one}{}\n",
        report.measure,
        100.0 * report.original,
        if report.complete { "" } else { "; the search was interrupted" }
    );
    text += &origin;
    text
}

/// How many layers have which grid: `±7 ×4`.
fn grids(point: &Point) -> String {
    let mut counts: BTreeMap<Levels, usize> = BTreeMap::new();
    point.layers.values().for_each(|&levels| *counts.entry(levels).or_default() += 1);
    let name = |levels: Levels| match levels.to_string() {
        palette if palette.starts_with("palette") => palette,
        _ => format!("±{}", levels.largest()),
    };
    let counts: Vec<_> =
        counts.iter().map(|(&levels, count)| format!("{} ×{count}", name(levels))).collect();
    if counts.is_empty() { "8 bits".to_owned() } else { counts.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_are_points() {
        assert_eq!(points("0.7"), Ok(0.7));
        for wrong in ["", "-1", "101", "nan", "x"] {
            assert!(points(wrong).is_err(), "{wrong}");
        }
    }
}
