//! `cargo xtask quantization`: what every method of quantisation does to every model, as a table.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use serde::Deserialize;
use tempfile::TempDir;

use crate::models::{self, Model, fixie, output};
use crate::process::root;

/// Write tools/compiler/QUANTIZATION.md: score, size and cost of the models with every method
///
/// Models without calibration or evaluation data are left out, and so are those that are not here.
#[derive(Args)]
pub struct Command {
    /// Only the model of this name
    #[arg(long)]
    model: Option<String>,
    /// Print the tables instead
    #[arg(long)]
    print: bool,
}

/// The methods: what the table calls them, and the arguments of `convert`.
const METHODS: [(&str, &[&str]); 21] = [
    ("8 bits, min-max", &[]),
    ("percentile", &["--calibrator", "percentile"]),
    ("MSE ranges", &["--calibrator", "mse"]),
    ("entropy ranges (Migacz 2017)", &["--calibrator", "entropy"]),
    ("logit ranges (Nagel et al. 2021)", &["--tune-logits"]),
    ("equalisation (Nagel et al. 2019)", &["--equalize"]),
    ("bias correction (Nagel et al. 2019)", &["--bias-correction"]),
    ("GPTQ (Frantar et al. 2022)", &["--rounding", "gptq"]),
    ("GPTQ, bias correction", &["--rounding", "gptq", "--bias-correction"]),
    ("16-bit activations where they gain most", &["--activations-16", "auto"]),
    ("16-bit activations", &["--activations-16", "all"]),
    (
        "16-bit activations, GPTQ, bias correction",
        &["--activations-16", "all", "--rounding", "gptq", "--bias-correction"],
    ),
    ("4 bits, nearest", &["--weight-bits", "4"]),
    (
        "4 bits, GPTQ, bias correction, MSE scales",
        &["--weight-bits", "4", "--rounding", "gptq", "--bias-correction", "--weight-scale", "mse"],
    ),
    (
        "±5, the same",
        &[
            "--weight-bits",
            "levels:5",
            "--rounding",
            "gptq",
            "--bias-correction",
            "--weight-scale",
            "mse",
        ],
    ),
    (
        "3 bits, the same",
        &["--weight-bits", "3", "--rounding", "gptq", "--bias-correction", "--weight-scale", "mse"],
    ),
    (
        "4 bits, GPTQ, MSE scales, packed",
        &["--weight-bits", "4", "--rounding", "gptq", "--weight-scale", "mse", "--compress=packed"],
    ),
    (
        "palette of 16, the same",
        &[
            "--weight-bits",
            "palette:16",
            "--rounding",
            "gptq",
            "--weight-scale",
            "mse",
            "--compress=packed",
        ],
    ),
    (
        "a tenth of the blocks zero (Frantar et al. 2022), GPTQ, bias correction",
        &["--prune", "0.1", "--rounding", "gptq", "--bias-correction"],
    ),
    (
        "a quarter of the blocks zero, the same",
        &["--prune", "0.25", "--rounding", "gptq", "--bias-correction"],
    ),
    (
        "half of the blocks zero, the same",
        &["--prune", "0.5", "--rounding", "gptq", "--bias-correction"],
    ),
];

/// Losses that a search is asked to stay within, in points.
const SEARCHES: [&str; 4] = ["0.7", "1", "1.2", "2"];

/// What the table says where there is no figure.
const NONE: &str = "–";

/// The part of `eval --json` that is used.
#[derive(Deserialize)]
struct Evaluation {
    accuracy: Option<f64>,
    auc: Option<f64>,
    original_accuracy: Option<f64>,
    original_auc: Option<f64>,
    agreement: Option<f64>,
    sqnr_db: Option<f64>,
}

/// The part of `inspect --json` that is used.
#[derive(Deserialize)]
struct Inspection {
    image_bytes: usize,
    layers: Vec<Layer>,
    cost: Cost,
}

#[derive(Deserialize)]
struct Layer {
    weights: Option<Weights>,
}

#[derive(Deserialize)]
struct Weights {
    count: usize,
    entropy_bits: f64,
}

#[derive(Deserialize)]
struct Cost {
    instructions_estimate: u64,
}

impl Command {
    pub fn run(&self) -> Result<()> {
        let (models, missing) = models::available()?;
        let wanted = |model: &&Model| self.model.as_ref().is_none_or(|name| *name == model.name);
        let mut text = String::from(
            "# Figures of quantisation\n\n\
             Written by `cargo xtask quantization`; images are for a Cortex-M4. \"Entropy\" is that of \
             order 0 of the weights on coarser grids than 8 bits, in bits per weight; instructions \
             are `inspect`'s estimate, which leaves out that 16-bit activations take 1.5 to 4 times \
             as many, and weights of layers that skip zeros 1.25 to 1.5 times.\n",
        );
        for model in models.iter().filter(wanted) {
            if let Some((calibration, evaluation)) = model.data()? {
                eprintln!("{}", model.name);
                text += &table(model, &calibration, &evaluation)?;
            }
        }
        if !missing.is_empty() {
            eprintln!("not here: {}", missing.join(", "));
        }
        if self.print {
            print!("{text}");
            return Ok(());
        }
        let path = root().join("tools/compiler/QUANTIZATION.md");
        fs::write(&path, text).with_context(|| path.display().to_string())
    }
}

fn table(model: &Model, calibration: &Path, evaluation: &Path) -> Result<String> {
    let directory = TempDir::new()?;
    let image = directory.path().join("model.fixie");
    let mut text = format!(
        "\n## {}\n\n| method | score | float | agreement | SQNR | image | entropy | instructions |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|\n",
        model.name
    );
    for (name, arguments) in METHODS {
        convert(model, calibration, &image, arguments)?;
        text += &row(name, &image, evaluation)?;
    }
    for loss in SEARCHES {
        let data = evaluation.display().to_string();
        let arguments = ["--max-loss", loss, "--data", &data, "--optimize", "size"];
        match convert(model, calibration, &image, &arguments) {
            Ok(()) => text += &row(&format!("search, {loss} points"), &image, evaluation)?,
            Err(error) => eprintln!("{}: search within {loss} points: {error}", model.name),
        }
    }
    Ok(text)
}

fn convert(model: &Model, calib: &Path, image: &Path, arguments: &[&str]) -> Result<()> {
    let mut command = fixie()?;
    command.arg("convert").arg(model.onnx_path()?).arg("--calib").arg(calib);
    command.args(["--target", "cortex-m4", "--output"]).arg(image).args(arguments);
    output(&mut command).map(|_| ())
}

fn row(name: &str, image: &Path, evaluation: &Path) -> Result<String> {
    let mut command = fixie()?;
    command.arg("eval").arg(image).arg("--data").arg(evaluation).arg("--json");
    let scores: Evaluation = serde_json::from_slice(&output(&mut command)?)?;
    let mut command = fixie()?;
    command.arg("inspect").arg(image).arg("--json");
    let inspection: Inspection = serde_json::from_slice(&output(&mut command)?)?;
    let weights = || inspection.layers.iter().filter_map(|layer| layer.weights.as_ref());
    let count: usize = weights().map(|weights| weights.count).sum();
    let bits: f64 = weights().map(|weights| weights.count as f64 * weights.entropy_bits).sum();
    let entropy = match count {
        0 => NONE.to_owned(),
        _ => format!("{:.2}", bits / count as f64),
    };
    let score = |accuracy: Option<f64>, auc: Option<f64>| {
        let accuracy = accuracy.map(|share| format!("{:.2} %", 100.0 * share));
        accuracy.or(auc.map(|area| format!("{area:.4}"))).unwrap_or_else(|| NONE.to_owned())
    };
    let decibels = scores.sqnr_db.map_or(NONE.to_owned(), |ratio| format!("{ratio:.1} dB"));
    let mut row = format!("| {name} | {} ", score(scores.accuracy, scores.auc));
    let _ = writeln!(
        row,
        "| {} | {} | {decibels} | {} | {entropy} | {} |",
        score(scores.original_accuracy, scores.original_auc),
        score(scores.agreement, None),
        inspection.image_bytes,
        inspection.cost.instructions_estimate
    );
    Ok(row)
}

impl Model {
    /// The calibration set, and the evaluation set beside it, if there are both.
    fn data(&self) -> Result<Option<(PathBuf, PathBuf)>> {
        let Some(calibration) = self.calib_path()? else { return Ok(None) };
        let evaluation = calibration.with_file_name("eval.npz");
        Ok(evaluation.exists().then_some((calibration, evaluation)))
    }
}
