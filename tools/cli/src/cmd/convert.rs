use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use fixie_compiler::calibrate::Calibrator;
use fixie_compiler::compile::{Compiled, Options, Progress as Event, compile};
use fixie_compiler::data::Dataset;
use fixie_compiler::lower::{Compress, Inputs};
use fixie_compiler::metadata::Metadata;
use fixie_compiler::onnx::{ImportOptions, Model};
use fixie_compiler::plan::Optimize;
use fixie_compiler::reduce::Reduction;
use fixie_compiler::search::{Found, Limits, Report};
use fixie_compiler::session::Network;
use fixie_compiler::target::Target;
use serde::Serialize;

use super::budget::{self, Budget};
use super::quantization::Quantization;
use crate::diagnostics::{Context, Failure};
use crate::output::{self, OutputFile};
use crate::progress::Progress;
use crate::table;

/// Compile an ONNX model into an image.
///
/// A float model is quantised with calibration data: some dozens of typical samples, without labels.
/// A model that is quantised already (QDQ or `QOperator` form) keeps its scales and needs none.
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
#[derive(Debug, Args)]
pub struct Cmd {
    /// The trained model.
    #[arg(value_name = "MODEL.onnx")]
    model: PathBuf,
    /// Where the image goes.
    #[arg(short, long, value_name = "MODEL.fixie")]
    output: PathBuf,
    /// Calibration samples: a data file as for `eval`.
    #[arg(long, value_name = "DATA.npz")]
    calib: Option<PathBuf>,
    /// The core whose kernels the weights are ordered for; every image runs on every core.
    #[arg(long, value_parser = target_parser(), default_value = Target::default().name())]
    target: Target,
    /// How activation ranges follow from the samples: minmax, percentile, percentile:P, mse or
    /// entropy.
    #[arg(long, value_name = "METHOD", default_value_t)]
    calibrator: Calibrator,
    /// Short for `--calibrator percentile:P`.
    #[arg(long, value_name = "P", value_parser = percentile, conflicts_with = "calibrator")]
    percentile: Option<Calibrator>,
    /// Even out the channels between layers before they are quantised (cross-layer equalisation).
    #[arg(long)]
    equalize: bool,
    /// Choose the range of the scores in front of a softmax by the probabilities.
    #[arg(long)]
    tune_logits: bool,
    #[command(flatten)]
    quantization: Quantization,
    #[command(flatten)]
    budget: Budget,
    /// What the memory plan may spend instructions on: latency (nothing), balanced (a smaller arena
    /// where it is cheap), ram (the smallest arena) or size (as balanced, with the smallest image).
    #[arg(long, value_name = "GOAL", default_value_t)]
    optimize: Optimize,
    /// Spend just as many instructions as bring the arena under this many bytes: 24576 or 24K.
    #[arg(long, value_name = "BYTES", value_parser = bytes, conflicts_with = "optimize")]
    ram_budget: Option<usize>,
    /// The shape of an input with symbolic dimensions: NAME=1,3,32,32. May be repeated.
    #[arg(long, value_name = "NAME=SHAPE", value_parser = shape)]
    shape: Vec<(String, Vec<usize>)>,
    /// An output that is the next run's input, kept in the arena: OUT=IN. May be repeated.
    #[arg(long, value_name = "OUT=IN", value_parser = state)]
    state: Vec<(String, String)>,
    /// Keep channels that the outputs do not depend on. Without them the outputs are the same.
    #[arg(long)]
    no_reduce: bool,
    /// Have the application give the inputs row by row while the network runs, as a camera delivers
    /// them: no memory is needed for all of them at a time.
    #[arg(long)]
    input_rows: bool,
    /// Make weights and other constants smaller: packed (those of few bits, a few instructions each),
    /// coded (entropy coded, some 23 instructions each), smallest (either) or none. The outputs are the
    /// same; it takes scratch memory. A search packs with `--optimize latency`, otherwise it codes.
    #[arg(
        long, value_name = "HOW", default_value_t, default_missing_value = "smallest",
        num_args = 0..=1, require_equals = true
    )]
    compress: Compress,
    /// Leave names, scales of layers and provenance out of the image.
    #[arg(long)]
    strip: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// What was made.
#[derive(Debug, Serialize)]
struct Summary {
    output: String,
    target: Target,
    image_bytes: usize,
    arena_bytes: usize,
    /// The most bytes alive at one moment: no plan for this order of layers needs less.
    floor_bytes: usize,
    macs: u64,
    layers: usize,
    weight_bytes: usize,
    /// The layers that compute activations of 16 bits.
    layers_16: Vec<String>,
    /// What the reductions saved; `null` if that is nothing.
    reduction: Option<Reduction>,
    /// The networks that a search tried; `null` without one.
    search: Option<Report>,
    source_sha256: String,
    calibration_sha256: Option<String>,
}

fn target_parser() -> impl TypedValueParser<Value = Target> {
    PossibleValuesParser::new(Target::ALL.map(Target::name)).try_map(|name| name.parse::<Target>())
}

fn percentile(text: &str) -> Result<Calibrator, String> {
    let calibrator = format!("percentile:{text}").parse::<Calibrator>();
    calibrator.map_err(|_| "a number above 50, at most 100".to_owned())
}

/// `NAME=1,3,32,32`; the name may contain `=`.
fn shape(text: &str) -> Result<(String, Vec<usize>), String> {
    let wanted = || "as in `input=1,3,32,32`".to_owned();
    let (name, extents) = text.rsplit_once('=').ok_or_else(wanted)?;
    let extents = extents.split(',').map(|extent| extent.trim().parse());
    let extents: Vec<usize> = extents.collect::<Result<_, _>>().map_err(|_| wanted())?;
    if extents.contains(&0) {
        return Err("every extent must be at least 1".to_owned());
    }
    Ok((name.to_owned(), extents))
}

/// `24576` or `24K`
pub fn bytes(text: &str) -> Result<usize, String> {
    let (number, unit) = match text.strip_suffix(['K', 'k']) {
        Some(number) => (number, 1024),
        None => (text, 1),
    };
    let bytes = number.parse::<usize>().ok().and_then(|number| number.checked_mul(unit));
    bytes.filter(|&bytes| bytes > 0).ok_or_else(|| "as in `24576` or `24K`".to_owned())
}

/// `OUT=IN`
fn state(text: &str) -> Result<(String, String), String> {
    let (output, input) = text.split_once('=').ok_or("as in `output=input`")?;
    Ok((output.to_owned(), input.to_owned()))
}

impl Cmd {
    pub fn run(self) -> Result<(), Failure> {
        let output = OutputFile::at(&self.output)?;
        let model = load_model(&self.model, &self.shape, &self.state)?;
        let calibration =
            self.calib.as_deref().map(|path| load_data("calibrate", path, &model)).transpose()?;
        let options = Options {
            target: self.target,
            calibrator: self.percentile.unwrap_or(self.calibrator),
            equalize: self.equalize,
            tune_logits: self.tune_logits,
            quantize: self.quantization.options(self.target)?,
            reduce: !self.no_reduce,
            compress: self.compress,
            optimize: self.ram_budget.map_or(self.optimize, Optimize::Within),
            inputs: if self.input_rows { Inputs::ByRows } else { Inputs::Whole },
            strip: self.strip,
        };
        let what = || format!("cannot convert {}", self.model.display());
        let (compiled, search) = match self.budget.limits() {
            None => {
                let compiled = compile_with_progress(&model, calibration.as_ref(), &options);
                (compiled.context(what)?, None)
            }
            Some(limits) => {
                let found = self.search(&model, calibration.as_ref(), (&options, limits))?;
                (found.compiled, Some(found.report))
            }
        };
        output.write(&compiled.image)?;
        let summary = Summary::of(&compiled, &self.output, search)?;
        if self.json {
            output::print_json(&summary)
        } else {
            let frontier = summary.search.as_ref().map(budget::frontier);
            let frontier = frontier.map_or(String::new(), |table| table + "\n");
            output::print(frontier + &summary.render(calibration.is_some()))
        }
    }

    fn search(
        &self,
        model: &Model,
        calibration: Option<&Dataset>,
        choice: (&Options, Limits),
    ) -> Result<Found, Failure> {
        let what = || format!("cannot convert {} within the budget", self.model.display());
        let Some(calibration) = calibration else {
            let cause = "a search needs calibration samples";
            return Err(Failure::new(what(), cause).help("give --calib DATA.npz"));
        };
        let data =
            self.budget.data.as_deref().map(|path| load_data("search", path, model)).transpose()?;
        budget::search_with_progress(model, calibration, data.as_ref(), choice).context(what)
    }
}

fn load_model(
    path: &Path,
    shapes: &[(String, Vec<usize>)],
    states: &[(String, String)],
) -> Result<Model, Failure> {
    let options = ImportOptions { shapes: shapes.to_vec(), states: states.to_vec() };
    Model::load(path, &options).context(|| format!("cannot convert {}", path.display()))
}

fn load_data(what: &str, path: &Path, model: &Model) -> Result<Dataset, Failure> {
    Dataset::load(path, model.inputs()).context(|| format!("cannot {what} with {}", path.display()))
}

/// Compiles, with a bar for the calibration.
pub fn compile_with_progress(
    model: &Model,
    calibration: Option<&Dataset>,
    options: &Options,
) -> Result<Compiled, fixie_compiler::compile::CompileError> {
    let progress = Progress::bar("calibrating", calibration.map_or(0, Dataset::len));
    compile(model, calibration, options, &mut |Event::Calibrated { done, .. }| {
        progress.reach(done);
    })
}

impl Summary {
    fn of(compiled: &Compiled, output: &Path, search: Option<Report>) -> Result<Self, Failure> {
        let network = Network::new(&compiled.image).context(|| "cannot read the image back")?;
        let metadata = &compiled.metadata;
        Ok(Self {
            output: output.display().to_string(),
            target: metadata.target,
            image_bytes: compiled.image.len(),
            arena_bytes: network.image().arena_len(),
            floor_bytes: metadata.floor_bytes,
            macs: metadata.macs(),
            layers: metadata.layers.len(),
            weight_bytes: metadata.layers.iter().map(|layer| layer.weight_bytes).sum(),
            layers_16: wide_layers(metadata),
            reduction: metadata.reduction,
            search,
            source_sha256: metadata.source_sha256.clone(),
            calibration_sha256: metadata.calibration_sha256.clone(),
        })
    }

    fn render(&self, had_calibration: bool) -> String {
        let bytes = |n: usize| table::count(n as u64);
        let mut facts = vec![
            ("wrote", format!("{} for {}", self.output, self.target)),
            (
                "flash",
                format!(
                    "{} bytes, {} of them weights",
                    bytes(self.image_bytes),
                    bytes(self.weight_bytes)
                ),
            ),
            (
                "RAM",
                format!(
                    "{} bytes arena; the largest moment needs {}",
                    bytes(self.arena_bytes),
                    bytes(self.floor_bytes)
                ),
            ),
            ("MACs", format!("{} in {} layers", table::count(self.macs), self.layers)),
        ];
        if !self.layers_16.is_empty() {
            facts.push(("16 bits", self.layers_16.join(", ")));
        }
        facts.extend(self.reduction.map(|saved| ("left out", table::reduction(&saved))));
        if had_calibration && self.calibration_sha256.is_none() {
            let note = "the model is quantised already: the calibration data was not needed";
            facts.push(("note", note.to_owned()));
        }
        table::facts(facts)
    }
}

/// The names of the layers that compute activations of 16 bits.
fn wide_layers(metadata: &Metadata) -> Vec<String> {
    let wide = metadata.layers.iter().filter(|layer| layer.output.wide_bits.is_some());
    wide.map(|layer| layer.name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_have_a_name_and_extents() {
        assert_eq!(shape("x=1,3,8"), Ok(("x".to_owned(), vec![1, 3, 8])));
        assert_eq!(shape("a=b=1"), Ok(("a=b".to_owned(), vec![1])));
        for wrong in ["x", "x=", "x=1,,2", "x=1,-1", "x=1,0", "x=a"] {
            assert!(shape(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn bytes_may_be_in_thousands() {
        assert_eq!([bytes("24576"), bytes("24K")], [Ok(24576), Ok(24576)]);
        for wrong in ["", "K", "0", "-1", "1M", "99999999999999999999K"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn percentiles_are_in_range() {
        assert_eq!(percentile("99.9"), Ok(Calibrator::Percentile { percentile: 99.9 }));
        for wrong in ["50", "101", "x", "99:9"] {
            assert!(percentile(wrong).is_err(), "{wrong}");
        }
    }
}
