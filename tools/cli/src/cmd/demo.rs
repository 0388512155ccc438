use clap::Args;
use fixie_compiler::compile::Options;
use fixie_compiler::data::Dataset;
use fixie_compiler::evaluate::evaluate;
use fixie_compiler::onnx::{ImportOptions, Model};
use fixie_compiler::session::{Network, SessionError};
use fixie_compiler::target::Target;
use fixie_emulator::Board;
use ndarray::ArrayD;

use super::bench;
use super::convert::compile_with_progress;
use crate::diagnostics::{Context, Failure};
use crate::{output, plan_picture, table};

/// Handwritten digits of 8×8 pixels and a small convolutional network, trained by the repository's
/// own scripts.
const MODEL: &[u8] = include_bytes!("../../../models/digits/digits.onnx");
const CALIBRATION: &[u8] = include_bytes!("../../../models/digits/calib.npz");
const EVALUATION: &[u8] = include_bytes!("../../../models/digits/eval.npz");

/// The core that the demo emulates.
const TARGET: Target = Target::CortexM4;

/// Grey levels, white to black.
const INK: [char; 5] = [' ', '░', '▒', '▓', '█'];

/// Show the whole way in under a minute: convert, evaluate, look inside, run, run on a Cortex-M4.
///
/// Needs nothing but this program; for the emulated core also the firmware's sources, QEMU and a
/// compiler for Arm (`cargo xtask setup` installs both).
#[derive(Debug, Args)]
pub struct Cmd {
    /// Leave the emulated core out.
    #[arg(long)]
    no_bench: bool,
}

impl Cmd {
    pub fn run(self) -> Result<(), Failure> {
        let model = Model::from_bytes(MODEL, &ImportOptions::default())
            .context(|| "cannot read the built-in model")?;
        let data = |bytes: &[u8], name| {
            Dataset::from_bytes(bytes.to_vec(), name, model.inputs())
                .context(|| "cannot read the built-in data")
        };
        let evaluation = data(EVALUATION, "eval.npz")?;
        let network = convert(&model, &data(CALIBRATION, "calib.npz")?)?;
        assess(&network, &evaluation)?;
        look_inside(&network)?;
        classify(&network, &evaluation)?;
        if !self.no_bench {
            emulate(&network, &evaluation.sample(0))?;
        }
        step("Yours", "fixie convert MODEL.onnx --calib DATA.npz --target cortex-m4 -o MODEL.fixie")
    }
}

/// Prints a heading and what is done under it.
fn step(title: &str, what: &str) -> Result<(), Failure> {
    const BOLD: anstyle::Style = anstyle::Style::new().bold();
    output::print(format!("{BOLD}{title}{BOLD:#}: {what}\n"))
}

fn convert(model: &Model, calibration: &Dataset) -> Result<Network, Failure> {
    let samples = calibration.len();
    step(
        "Convert",
        &format!("a float ONNX model becomes 8-bit integers, scales chosen on {samples} samples"),
    )?;
    let options = Options::for_target(TARGET);
    let compiled = compile_with_progress(model, Some(calibration), &options)
        .context(|| "cannot convert the built-in model")?;
    let network = Network::new(&compiled.image).context(|| "cannot read the image")?;
    let metadata = &compiled.metadata;
    output::print(
        table::facts([
            ("ONNX", format!("{} bytes", table::count(MODEL.len() as u64))),
            ("image", format!("{} bytes of flash", table::count(compiled.image.len() as u64))),
            ("arena", format!("{} bytes of RAM", table::count(network.image().arena_len() as u64))),
            ("MACs", table::count(metadata.macs())),
        ]) + "\n",
    )?;
    Ok(network)
}

fn assess(network: &Network, data: &Dataset) -> Result<(), Failure> {
    step("Evaluate", "what did the integers cost? The set also holds the float model's outputs")?;
    let result = evaluate(network, data, None, &|_| {}).context(|| "cannot evaluate the model")?;
    output::print(super::eval::render(&result) + "\n")
}

fn look_inside(network: &Network) -> Result<(), Failure> {
    step("Inspect", "every buffer has its place in the arena before the program is even built")?;
    let Some(metadata) = network.metadata() else {
        return Ok(());
    };
    let arena = network.image().arena_len();
    output::print(plan_picture::draw(&metadata.plan, metadata.layers.len(), arena) + "\n\n")
}

fn classify(network: &Network, data: &Dataset) -> Result<(), Failure> {
    step("Run", "one digit that the training never saw")?;
    let inputs = data.sample(0);
    let scores = scores(network, &inputs).context(|| "cannot run the model")?;
    let mut ranked: Vec<_> = scores.iter().enumerate().collect();
    ranked.sort_by(|a, b| b.1.total_cmp(a.1));
    let best = ranked.iter().take(3).map(|(digit, score)| format!("{digit} ({score:.2})"));
    let best = best.collect::<Vec<_>>().join(", ");
    let label = data.labels().map_or(String::new(), |labels| format!("; it is a {}", labels[0]));
    output::print(format!("{}\n best scores: {best}{label}\n\n", draw(&inputs)))
}

fn scores(network: &Network, inputs: &[ArrayD<f32>]) -> Result<Vec<f32>, SessionError> {
    let mut arena = network.arena();
    let mut session = network.session(&mut arena)?;
    session.run(inputs)?;
    Ok(session.outputs()?.iter().flatten().copied().collect())
}

/// The image, two characters to the pixel.
fn draw(inputs: &[ArrayD<f32>]) -> String {
    let pixels: Vec<f32> = inputs.iter().flatten().copied().collect();
    let width = pixels.len().isqrt().max(1);
    let ink = |&value: &f32| INK[((value * INK.len() as f32) as usize).min(INK.len() - 1)];
    let rows = pixels.chunks(width).map(|row| {
        let row: String = row.iter().map(ink).flat_map(|ink| [ink, ink]).collect();
        format!("   {row}")
    });
    rows.collect::<Vec<_>>().join("\n")
}

/// Runs the digit on the emulated core, where the tools for it are installed.
fn emulate(network: &Network, inputs: &[ArrayD<f32>]) -> Result<(), Failure> {
    step("Bench", "the same image on an emulated Cortex-M4, its instructions counted")?;
    let board = Board::find(TARGET.name()).context(|| "cannot emulate")?;
    match bench::measure(network, board, &[inputs.to_vec()], false) {
        Ok(report) => output::print(bench::render(&report) + "\n"),
        Err(failure) => output::print(format!(" not run: {}\n\n", failure.chain())),
    }
}
