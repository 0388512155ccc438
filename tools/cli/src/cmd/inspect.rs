use std::path::PathBuf;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use fixie_compiler::cost::{self, Cost};
use fixie_compiler::metadata::{Layer, Metadata};
use fixie_compiler::plan::PlanEntry;
use fixie_compiler::reduce::Reduction;
use fixie_compiler::session::{Network, PortInfo};
use fixie_compiler::target::Target;
use fixie_format::{Image, Opcode, Section};
use serde::Serialize;

use crate::diagnostics::{Context, Failure};
use crate::{output, plan_picture, table};

/// Show what an image holds: layers, shapes, scales, bytes, and the memory plan.
#[derive(Debug, Args)]
pub struct Cmd {
    /// The image.
    #[arg(value_name = "MODEL.fixie")]
    image: PathBuf,
    /// The core to estimate the cost of an inference for; by default that which the image is made
    /// for, or a Cortex-M4.
    #[arg(long, value_parser = core_parser())]
    core: Option<Target>,
    /// The clock to estimate the time of an inference at: 64MHz or 64e6.
    #[arg(long, value_name = "HERTZ", value_parser = hertz)]
    clock: Option<f64>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

fn core_parser() -> impl TypedValueParser<Value = Target> {
    let names = cost::cores().map(Target::name);
    PossibleValuesParser::new(names).try_map(|name| name.parse::<Target>())
}

/// `64MHz`, `64M` or `64e6`.
fn hertz(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix("Hz").unwrap_or(text);
    let (digits, unit) = match number.strip_suffix('M') {
        Some(digits) => (digits, 1e6),
        None => number.strip_suffix('k').map_or((number, 1.0), |digits| (digits, 1e3)),
    };
    let hertz = digits.trim().parse().ok().map(|number: f64| number * unit);
    hertz.filter(|hertz| *hertz >= 1.0 && hertz.is_finite()).ok_or("as in `64MHz`".to_owned())
}

/// All there is to say.
#[derive(Debug, Serialize)]
struct Inspection<'a> {
    file: String,
    format_version: String,
    /// Everything of the metadata but the names of the ports; `null` in stripped images.
    target: Option<String>,
    compiler: Option<&'a str>,
    source_sha256: Option<&'a str>,
    calibration_sha256: Option<&'a str>,
    image_bytes: usize,
    data_bytes: usize,
    metadata_bytes: usize,
    arena_bytes: usize,
    floor_bytes: Option<usize>,
    macs: Option<u64>,
    reduction: Option<Reduction>,
    /// What an inference costs, estimated.
    cost: Option<Cost>,
    kernels: Vec<&'static str>,
    inputs: &'a [PortInfo],
    outputs: &'a [PortInfo],
    states: usize,
    layers: Option<Vec<Row<'a>>>,
    plan: Option<&'a [PlanEntry]>,
}

/// A layer and the kernel that computes it.
#[derive(Debug, Serialize)]
struct Row<'a> {
    #[serde(flatten)]
    layer: &'a Layer,
    kernel: &'static str,
}

impl<'a> Row<'a> {
    fn all(metadata: &'a Metadata, image: &Image<'_>) -> Vec<Self> {
        let kernel = |index| image.opcode(index).map_or("?", |opcode| opcode.name());
        let row = |(index, layer)| Self { layer, kernel: kernel(index) };
        metadata.layers.iter().enumerate().map(row).collect()
    }
}

impl Cmd {
    pub fn run(self) -> Result<(), Failure> {
        let network = Network::load(&self.image)
            .context(|| format!("cannot read the image {}", self.image.display()))?;
        let inspection = Inspection::of(&network, &self);
        output::report(self.json, &inspection, Inspection::render)
    }
}

impl<'a> Inspection<'a> {
    fn of(network: &'a Network, cmd: &Cmd) -> Self {
        let image = network.image();
        let (major, minor) = image.version();
        let kernels = Opcode::ALL.iter().filter(|&&op| image.op_set().contains(op));
        let metadata = network.metadata();
        Self {
            file: cmd.image.display().to_string(),
            format_version: format!("{major}.{minor}"),
            target: metadata.map(|m| m.target.to_string()),
            compiler: metadata.map(|m| m.compiler.as_str()),
            source_sha256: metadata.map(|m| m.source_sha256.as_str()),
            calibration_sha256: metadata.and_then(|m| m.calibration_sha256.as_deref()),
            image_bytes: image.bytes().len(),
            data_bytes: image.section(Section::Data).len(),
            metadata_bytes: image.section(Section::Metadata).len(),
            arena_bytes: image.arena_len(),
            floor_bytes: metadata.map(|m| m.floor_bytes),
            macs: metadata.map(Metadata::macs),
            reduction: metadata.and_then(|m| m.reduction),
            cost: metadata.and_then(|m| {
                let made_for = || cost::cores().find(|core| *core == m.target);
                let core = cmd.core.or_else(made_for).unwrap_or(Target::CortexM4);
                cost::cost(m, core, cmd.clock)
            }),
            kernels: kernels.map(|op| op.name()).collect(),
            inputs: network.inputs(),
            outputs: network.outputs(),
            states: image.state_count(),
            layers: metadata.map(|m| Row::all(m, &image)),
            plan: metadata.map(|m| m.plan.as_slice()),
        }
    }

    fn render(&self) -> String {
        let mut text = self.facts();
        text.push('\n');
        text.push_str(&ports(self.inputs, self.outputs));
        text.push_str("\n\n");
        match (&self.layers, self.plan) {
            (Some(layers), Some(plan)) => {
                text.push_str(&layer_table(layers));
                text.push_str("\n\n");
                text.push_str(&plan_picture::draw(plan, layers.len(), self.arena_bytes));
            }
            _ => text.push_str("The image was stripped: it does not name its layers."),
        }
        text.push('\n');
        text
    }

    fn facts(&self) -> String {
        let bytes = |n: usize| table::count(n as u64);
        let mut facts = vec![("image", self.file.clone()), ("format", self.format_version.clone())];
        facts.extend(self.target.clone().map(|target| ("target", target)));
        facts.extend(self.compiler.map(|version| ("compiler", version.to_owned())));
        facts.extend(self.source_sha256.map(|hash| ("source", format!("sha256 {hash}"))));
        facts.extend(self.calibration_sha256.map(|hash| ("calibration", format!("sha256 {hash}"))));
        facts.push((
            "flash",
            format!(
                "{} bytes, of which {} weights and tables, {} metadata (`--strip` leaves it out)",
                bytes(self.image_bytes),
                bytes(self.data_bytes),
                bytes(self.metadata_bytes)
            ),
        ));
        let floor = self.floor_bytes.map_or_else(String::new, |floor| {
            format!(", at least {} for this order of layers", bytes(floor))
        });
        facts.push(("arena", format!("{} bytes{floor}", bytes(self.arena_bytes))));
        facts.extend(self.macs.map(|macs| ("MACs", table::count(macs))));
        facts.extend(self.cost.iter().flat_map(describe));
        facts.extend(self.reduction.map(|saved| ("left out", table::reduction(&saved))));
        facts.push(("kernels", self.kernels.join(" ")));
        if self.states > 0 {
            facts.push(("states", self.states.to_string()));
        }
        table::facts(facts)
    }
}

/// The estimates, in lines.
fn describe(cost: &Cost) -> Vec<(&'static str, String)> {
    let time = cost.milliseconds_estimate.map_or(String::new(), |ms| format!(", {ms:.2} ms"));
    let mut lines = vec![(
        "estimate",
        format!(
            "{} instructions, {} cycles{time} on {}; `fixie bench` counts",
            table::count(cost.instructions_estimate),
            table::count(cost.cycles_estimate),
            cost.core
        ),
    )];
    if let (Some(energy), Some(source)) = (cost.microjoules_estimate, cost.power_source) {
        lines.push(("energy", format!("{energy:.0} µJ (estimate) by {source}")));
    }
    lines
}

fn ports(inputs: &[PortInfo], outputs: &[PortInfo]) -> String {
    let row = |kind: &str, port: &PortInfo| {
        let order = port.memory_order.iter().map(|&axis| port.shape[axis]).collect::<Vec<_>>();
        [
            kind.to_owned(),
            table::name(&port.name),
            table::shape(&port.shape),
            table::shape(&order),
            format!("int{}", port.bits),
            port.scale.to_string(),
            port.zero_point.to_string(),
        ]
    };
    let inputs = inputs.iter().map(|port| row("input", port));
    let outputs = outputs.iter().map(|port| row("output", port));
    table::table(
        ["", "name", "shape", "in memory", "type", "#scale", "#zero"],
        inputs.chain(outputs).collect(),
    )
}

fn layer_table(layers: &[Row<'_>]) -> String {
    let rows = layers.iter().enumerate().map(|(index, &Row { layer, kernel })| {
        [
            index.to_string(),
            table::name(&layer.name),
            layer.op.clone(),
            kernel.to_owned(),
            table::shape(&layer.output.shape),
            layer.output.scale.to_string(),
            layer.output.zero_point.to_string(),
            table::count(layer.macs),
            table::count(layer.weight_bytes as u64),
            layer.weights.map_or(String::new(), |weights| format!("±{}", weights.largest)),
            layer.weights.map_or(String::new(), |weights| format!("{:.2}", weights.entropy_bits)),
        ]
    });
    table::table(
        [
            "#", "layer", "operator", "kernel", "output", "#scale", "#zero", "#MACs", "#bytes",
            "#weights", "#entropy",
        ],
        rows.collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_have_units() {
        for (text, expected) in [("64MHz", 64e6), ("64M", 64e6), ("32768Hz", 32768.0), ("8e6", 8e6)]
        {
            assert_eq!(hertz(text), Ok(expected));
        }
        for wrong in ["", "MHz", "0", "-1MHz", "nan", "inf"] {
            assert!(hertz(wrong).is_err(), "{wrong}");
        }
    }
}
