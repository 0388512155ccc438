use std::path::{Path, PathBuf};

use clap::Args;
use fixie_compiler::data::Dataset;
use fixie_compiler::evaluate::{Evaluation, evaluate};
use fixie_compiler::onnx::{ImportOptions, Model, Reference};
use fixie_compiler::session::Network;

use crate::diagnostics::{Context, Failure};
use crate::progress::Progress;
use crate::{output, table};

/// Measure an image's accuracy, and how close it stays to the original model.
///
/// The data file is an .npz with `x` (N samples in the layout of the model's input; the real value
/// is `x · x_scale + x_offset`, scalars that default to 1 and 0) and, optionally, `y` (N labels),
/// `ref` (the original's outputs; `ref_1` .. for further outputs) and `group` (N integers: samples
/// that are judged together). For a model with several inputs the arrays are named after them.
///
/// A model that reproduces its input and has labels 0 and 1 gets the ROC AUC of its reconstruction
/// error instead of an accuracy.
#[derive(Debug, Args)]
pub struct Cmd {
    /// The image.
    #[arg(value_name = "MODEL.fixie")]
    image: PathBuf,
    /// Samples, labels and reference outputs.
    #[arg(long, value_name = "SET.npz")]
    data: PathBuf,
    /// The original, to compare with instead of the `ref` arrays.
    #[arg(long, value_name = "MODEL.onnx")]
    reference: Option<PathBuf>,
    /// Print one JSON object with the keys `samples`, `accuracy`, `auc`, `agreement`,
    /// `believed_loss`, `sqnr_db`; `null` where the data does not say.
    #[arg(long)]
    json: bool,
}

impl Cmd {
    pub fn run(self) -> Result<(), Failure> {
        let network = Network::load(&self.image)
            .context(|| format!("cannot read the image {}", self.image.display()))?;
        let data = Dataset::load(&self.data, &network.data_ports())
            .context(|| format!("cannot use the data file {}", self.data.display()))?;
        let reference = self.reference.map(|path| load_reference(&path, &network)).transpose()?;
        let progress = Progress::bar("evaluating", data.len());
        let evaluation = evaluate(&network, &data, reference.as_ref(), &|n| progress.advance(n))
            .context(|| format!("cannot evaluate {}", self.image.display()))?;
        drop(progress);
        output::report(self.json, &evaluation, render)
    }
}

/// The float model, ready to run.
fn load_reference(path: &Path, network: &Network) -> Result<Reference, Failure> {
    let what = || format!("cannot use the reference model {}", path.display());
    load_original(path, network, what)?.reference().context(what)
}

/// The model that an image was made of; it must take what the image takes.
pub fn load_original(
    path: &Path,
    network: &Network,
    what: impl FnOnce() -> String,
) -> Result<Model, Failure> {
    let shapes = network.data_ports().into_iter().map(|port| (port.name, port.shape)).collect();
    let options = ImportOptions { shapes, ..ImportOptions::default() };
    Model::load(path, &options).context(what)
}

pub fn render(evaluation: &Evaluation) -> String {
    let percent = |share: f64| format!("{:.2}%", 100.0 * share);
    let expected_loss = evaluation.believed_loss.filter(|&loss| loss > 0.0);
    let expected_loss =
        expected_loss.map(|loss| format!("{}, by the reference's probabilities", percent(loss)));
    let figures = [
        ("samples", Some(table::count(evaluation.samples as u64))),
        ("accuracy", evaluation.accuracy.map(percent)),
        ("ROC AUC", evaluation.auc.map(|area| format!("{area:.4}"))),
        ("agreement", evaluation.agreement.map(percent)),
        ("expected loss", expected_loss),
        ("SQNR", evaluation.sqnr_db.map(|ratio| format!("{ratio:.2} dB"))),
        ("speed", evaluation.speedup.map(|times| format!("{times:.1} × the reference's, here"))),
    ];
    table::facts(figures.into_iter().filter_map(|(key, value)| Some((key, value?))))
}
