mod compare;

use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use fixie_compiler::data::Dataset;
use fixie_compiler::digest::Digest;
use fixie_compiler::session::{Network, SessionError};
use fixie_emulator::{BOARDS, BenchReport, BenchRequest, Board, Layer, Stage};
use ndarray::{ArrayD, IxDyn};

use self::compare::{Comparison, Figures};
use crate::diagnostics::{Context, Failure};
use crate::progress::Progress;
use crate::{output, table};

/// Run an image on an emulated core and count its instructions, layer by layer.
///
/// Builds the bench firmware with the image inside, runs it in QEMU, and compares its outputs with
/// this computer's. Counts are exact and repeatable; cycles are an estimate.
///
/// With `--compare A B` two images, or reports that `--json` printed of them (by another version of
/// Fixie, say), are set side by side.
#[derive(Debug, Args)]
pub struct Cmd {
    /// The image.
    #[arg(value_name = "MODEL.fixie", required_unless_present = "compare")]
    image: Option<PathBuf>,
    /// The core; not needed where two reports are compared.
    #[arg(long, value_parser = board_parser(), required_unless_present = "compare")]
    target: Option<&'static Board>,
    /// Compare two images or saved reports.
    #[arg(long, num_args = 2, value_names = ["A", "B"], conflicts_with_all = ["image", "hot"])]
    compare: Option<Vec<PathBuf>>,
    /// Samples to run, as for `run`; without them one input of zeros.
    #[arg(long, value_name = "X.npy")]
    input: Option<PathBuf>,
    /// Also list the functions in which the instructions are spent.
    #[arg(long)]
    hot: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

fn board_parser() -> impl TypedValueParser<Value = &'static Board> {
    let names = BOARDS.iter().map(|board| board.name);
    PossibleValuesParser::new(names).try_map(|name| Board::find(&name))
}

impl Cmd {
    pub fn run(self) -> Result<(), Failure> {
        if let Some([before, after]) = self.compare.as_deref() {
            let comparison = Comparison::new(self.figures(before)?, self.figures(after)?)?;
            return if self.json {
                output::print_json(&comparison)
            } else {
                output::print(comparison.render())
            };
        }
        let missing = || Failure::new("nothing to measure", "no image is named");
        let report = self.report(self.image.as_deref().ok_or_else(missing)?)?;
        if self.json { output::print_json(&report) } else { output::print(render(&report)) }
    }

    /// Measures an image.
    fn report(&self, image: &Path) -> Result<BenchReport, Failure> {
        let reading = || format!("cannot read the image {}", image.display());
        let network = Network::load(image).context(reading)?;
        let samples = samples(self.input.as_deref(), &network)?;
        let target = self.target.ok_or_else(|| {
            Failure::new("cannot measure", "no core is named").help("say which one by `--target`")
        })?;
        measure(&network, target, &samples, self.hot)
    }

    /// The figures in a report, or of an image.
    fn figures(&self, path: &Path) -> Result<Figures, Failure> {
        match Figures::load(path)? {
            Some(figures) => Ok(figures),
            None => Ok(Figures::of(&self.report(path)?)),
        }
    }
}

/// The real inputs to run.
fn samples(path: Option<&Path>, network: &Network) -> Result<Vec<Vec<ArrayD<f32>>>, Failure> {
    let Some(path) = path else {
        let zeros = network.inputs().iter().map(|port| ArrayD::zeros(IxDyn(&port.shape)));
        return Ok(vec![zeros.collect()]);
    };
    let data = Dataset::load(path, &network.data_ports())
        .context(|| format!("cannot use the input {}", path.display()))?;
    Ok((0..data.len()).map(|sample| data.sample(sample)).collect())
}

/// Runs an image on a board, and makes sure that its outputs are those of this computer.
pub fn measure(
    network: &Network,
    board: &'static Board,
    samples: &[Vec<ArrayD<f32>>],
    hot: bool,
) -> Result<BenchReport, Failure> {
    let what = || format!("cannot measure on {}", board.name);
    let (input, host_sha256) = run_here(network, samples).context(what)?;
    let image = network.image();
    let steps = (0..image.step_count()).filter_map(|index| image.step(index));
    let steps: Vec<_> = steps.map(|step| usize::from(step.op)).collect();
    let progress = Progress::spinner("starting");
    let report = fixie_emulator::bench(&BenchRequest {
        board,
        image: network.bytes(),
        input: &input,
        layers: &layers(network),
        steps: &steps,
        hot,
        progress: &|stage| progress.now(describe(stage)),
    })
    .context(what)?;
    if report.output_sha256 != host_sha256 {
        let cause = format!(
            "its output bytes differ from this computer's (sha256 {} and {host_sha256})",
            report.output_sha256
        );
        return Err(Failure::new(what(), cause).help("this is a defect of Fixie: report it"));
    }
    Ok(report)
}

/// The input bytes of all samples, and the digest of the outputs that they give here.
fn run_here(
    network: &Network,
    samples: &[Vec<ArrayD<f32>>],
) -> Result<(Vec<u8>, String), SessionError> {
    let mut arena = network.arena();
    let mut session = network.session(&mut arena)?;
    let (mut input, mut digest) = (Vec::new(), Digest::default());
    for sample in samples {
        input.extend(session.quantize(sample)?);
        session.run(sample)?;
        digest.update(&session.raw_outputs()?);
    }
    Ok((input, digest.finish()))
}

/// The operators of the image; a stripped one names only their kernels.
fn layers(network: &Network) -> Vec<Layer> {
    if let Some(metadata) = network.metadata() {
        let layers = metadata.layers.iter().map(|layer| Layer {
            name: layer.name.clone(),
            op: layer.op.clone(),
            macs: layer.macs,
        });
        return layers.collect();
    }
    let image = network.image();
    let layers = (0..image.op_count()).map(|index| Layer {
        name: format!("layer_{index}"),
        op: image.opcode(index).map_or("?", |opcode| opcode.name()).to_owned(),
        macs: 0,
    });
    layers.collect()
}

fn describe(stage: Stage) -> String {
    match stage {
        Stage::Sysroot { target } => format!("compiling core for {target} (once)"),
        Stage::Profiler => "compiling the profiler (once)".to_owned(),
        Stage::Firmware { application, board } => format!("building {application} for {board}"),
        Stage::Emulation { board } => format!("running on {board}"),
    }
}

pub fn render(report: &BenchReport) -> String {
    let estimate = |cycles: Option<u64>| cycles.map_or("–".to_owned(), table::count);
    let layers = report.layers.iter().map(|layer| {
        [
            table::name(&layer.name),
            layer.op.clone(),
            table::count(layer.macs),
            table::count(layer.instructions),
            per_mac(layer.instructions, layer.macs),
            estimate(layer.cycles_estimate),
        ]
    });
    let header = ["layer", "operator", "#MACs", "#instructions", "#per MAC", "#cycles (est.)"];
    let mut text = table::table(header, layers.collect());
    if !report.hot.is_empty() {
        let rows = report.hot.iter().map(|f| [f.name.clone(), table::count(f.instructions)]);
        text += "\n\n";
        text += &table::table(["function", "#instructions"], rows.collect());
    }
    let facts = [
        ("target", format!("{} (firmware by {})", report.target, report.compiler)),
        (
            "instructions",
            format!(
                "{} per inference, {} per MAC",
                table::count(report.instructions),
                per_mac(report.instructions, report.macs)
            ),
        ),
        ("cycles", format!("{} (estimate)", estimate(report.cycles_estimate))),
        ("MACs", table::count(report.macs)),
        (
            "RAM",
            format!(
                "{} bytes arena, {} bytes stack",
                table::count(report.arena_bytes),
                table::count(report.stack_bytes)
            ),
        ),
        (
            "flash",
            format!(
                "{} bytes code, {} bytes image",
                table::count(report.code_bytes),
                table::count(report.image_bytes)
            ),
        ),
        ("outputs", format!("the same bytes as on this computer, sha256 {}", report.output_sha256)),
    ];
    text += "\n\n";
    text + &table::facts(facts)
}

fn per_mac(instructions: u64, macs: u64) -> String {
    if macs == 0 { "–".to_owned() } else { format!("{:.2}", instructions as f64 / macs as f64) }
}
