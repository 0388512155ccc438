mod compare;

use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use fixie_compiler::data::Dataset;
use fixie_compiler::digest::Digest;
use fixie_compiler::session::{Network, SessionError};
use fixie_device::bench::crc32;
use fixie_device::firmware::BENCH;
use fixie_device::{BenchReport as DeviceReport, Contents, Firmware, Plan};
use fixie_emulator::{BOARDS, BenchReport, BenchRequest, Board, Layer, Stage};
use ndarray::{ArrayD, IxDyn};

use self::compare::{Comparison, Figures};
use crate::connection::{Part, ProbeArguments, building};
use crate::diagnostics::{Context, Failure};
use crate::progress::Progress;
use crate::{output, table};

/// Run an image on an emulated core and count its instructions, layer by layer; or on a board and
/// count its cycles.
///
/// With --target the bench firmware is built with the image inside and runs in QEMU: counts are exact
/// and repeatable, cycles an estimate. With --chip firmware and image are flashed through a debug
/// probe, and the cycles are those of the chip's own counter. Either way the outputs are compared with
/// this computer's.
///
/// With --compare two images, or reports that --json printed of them (by another version of Fixie,
/// say), are set side by side.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  fixie bench digits.fixie --target cortex-m4\n  \
    fixie bench digits.fixie --chip nrf52840-dk\n      with the board connected by the USB cable of \
    its debug probe; `fixie chips` lists boards\n  \
    fixie bench digits.fixie --chip microbit --probe emulated\n      the same without a board")]
pub struct Cmd {
    /// The image.
    #[arg(value_name = "MODEL.fixie", required_unless_present = "compare")]
    image: Option<PathBuf>,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    probe: ProbeArguments,
    /// Compare two images, on the core of --target, or saved reports.
    #[arg(long, num_args = 2, value_names = ["A", "B"], conflicts_with_all = ["image", "hot", "chip"])]
    compare: Option<Vec<PathBuf>>,
    /// Samples to run, as for `run`; without them one input of zeros.
    #[arg(long, value_name = "X.npy")]
    input: Option<PathBuf>,
    /// Also list the functions in which the instructions are spent.
    #[arg(long, conflicts_with = "chip")]
    hot: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Where the image runs.
#[derive(Debug, Args)]
#[group(multiple = false)]
struct Place {
    /// The emulated core.
    #[arg(long, value_parser = board_parser())]
    target: Option<&'static Board>,
    /// The board, or the chip on it.
    #[arg(long)]
    chip: Option<String>,
}

fn board_parser() -> impl TypedValueParser<Value = &'static Board> {
    let names = BOARDS.iter().map(|board| board.name);
    PossibleValuesParser::new(names).try_map(|name| Board::find(&name))
}

impl Cmd {
    pub fn run(self) -> Result<(), Failure> {
        if let Some([before, after]) = self.compare.as_deref() {
            let comparison = Comparison::new(self.figures(before)?, self.figures(after)?)?;
            return output::report(self.json, &comparison, Comparison::render);
        }
        let missing = || Failure::new("nothing to measure", "no image is named");
        let image = self.image.as_deref().ok_or_else(missing)?;
        if let Some(chip) = &self.place.chip {
            let network = load(image)?;
            let samples = samples(self.input.as_deref(), &network)?;
            let report = self.measure_on_chip(&network, image, chip, &samples)?;
            return output::report(self.json, &report, render_cycles);
        }
        output::report(self.json, &self.report(image)?, render)
    }

    /// Measures an image on an emulated core.
    fn report(&self, image: &Path) -> Result<BenchReport, Failure> {
        let network = load(image)?;
        let samples = samples(self.input.as_deref(), &network)?;
        let board = self.place.target.ok_or_else(|| {
            Failure::new("cannot measure", "neither a core nor a board is named")
                .help("say which one by --target or --chip")
        })?;
        measure(&network, board, &samples, self.hot)
    }

    /// The figures in a report, or of an image.
    fn figures(&self, path: &Path) -> Result<Figures, Failure> {
        match Figures::load(path)? {
            Some(figures) => Ok(figures),
            None => Ok(Figures::of(&self.report(path)?)),
        }
    }

    fn measure_on_chip(
        &self,
        network: &Network,
        image: &Path,
        chip: &str,
        samples: &[Vec<ArrayD<f32>>],
    ) -> Result<DeviceReport, Failure> {
        let what = || format!("cannot measure on {chip}");
        let part = Part::find(chip, &image.display().to_string()).context(what)?;
        let board = part.board.ok_or_else(|| {
            Failure::new(what(), "it is none of the boards that Fixie builds firmware for")
                .help("`fixie chips` lists them")
        })?;
        let (samples, outputs) = run_here(network, samples).context(what)?;
        let image = network.bytes();
        let firmware =
            building(|progress| Firmware::build(board, BENCH, progress)).context(what)?;
        let contents = Contents {
            firmware: Some(&firmware),
            image: Some(image),
            samples: &samples,
            address: None,
            board: Some(board),
        };
        let plan = Plan::new(&part.chip, &contents).context(what)?;
        let device = part.flash(&self.probe, &plan, Vec::new()).context(what)?;
        let mut device = part.start(&self.probe, device, Some(&firmware)).context(what)?;
        let layers = layers(network);
        let request = fixie_device::BenchRequest {
            firmware: &firmware,
            image,
            outputs_crc32: crc32(&outputs),
            layers: &layers,
        };
        let _progress = Progress::spinner("measuring");
        fixie_device::bench(&mut device, &request).context(what)
    }
}

fn load(image: &Path) -> Result<Network, Failure> {
    Network::load(image).context(|| format!("cannot read the image {}", image.display()))
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
    let (input, outputs) = run_here(network, samples).context(what)?;
    let mut digest = Digest::default();
    digest.update(&outputs);
    let host_sha256 = digest.finish();
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

/// The input bytes of all samples, and the output bytes that they give here.
fn run_here(
    network: &Network,
    samples: &[Vec<ArrayD<f32>>],
) -> Result<(Vec<u8>, Vec<u8>), SessionError> {
    let mut arena = network.arena();
    let mut session = network.session(&mut arena)?;
    let (mut input, mut outputs) = (Vec::new(), Vec::new());
    for sample in samples {
        input.extend(session.quantize(sample)?);
        session.run(sample)?;
        outputs.extend(session.raw_outputs()?);
    }
    Ok((input, outputs))
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

/// What is being done, in words.
pub fn describe(stage: Stage) -> String {
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

fn render_cycles(report: &DeviceReport) -> String {
    let layers = report.layers.iter().map(|layer| {
        [
            table::name(&layer.name),
            layer.op.clone(),
            table::count(layer.macs),
            table::count(layer.cycles),
            per_mac(layer.cycles, layer.macs),
        ]
    });
    let header = ["layer", "operator", "#MACs", "#cycles", "#per MAC"];
    let cycles = format!(
        "{} per inference, {} per MAC; {} to bind",
        table::count(report.cycles),
        per_mac(report.cycles, report.macs),
        table::count(report.bind_cycles)
    );
    let ram = format!(
        "{} bytes arena, {} bytes stack",
        table::count(report.arena_bytes),
        table::count(report.stack_bytes)
    );
    let flash = format!(
        "{} bytes code with all operators and the log, {} bytes image",
        table::count(report.code_bytes),
        table::count(report.image_bytes)
    );
    let outputs = format!("the same bytes as on this computer, CRC-32 {:08x}", report.output_crc32);
    let facts = table::facts([
        ("target", report.target.clone()),
        ("cycles", cycles),
        ("MACs", table::count(report.macs)),
        ("RAM", ram),
        ("flash", flash),
        ("outputs", outputs),
    ]);
    format!("{}\n\n{facts}", table::table(header, layers.collect()))
}

fn per_mac(instructions: u64, macs: u64) -> String {
    if macs == 0 { "–".to_owned() } else { format!("{:.2}", instructions as f64 / macs as f64) }
}
