//! The whole way from a model to an image.

use std::collections::HashSet;
use std::io;

use fixie_format::op::packed::PACKED;
use ndarray::ArrayD;
use thiserror::Error;

use crate::calibrate::{Activations, CalibrateError, Calibrator, Observations, Ranges, logits};
use crate::data::Dataset;
use crate::ir::{Graph, eval_all};
use crate::lower::program::Program;
use crate::lower::{Codable, Compress, Inputs, LowerError, lower};
use crate::metadata::{Metadata, Provenance};
use crate::onnx::{ImportError, Model, Reference};
use crate::pack::pack;
use crate::passes::{PassError, equalize, simplify};
use crate::plan::{Optimize, Plan, plan, turn};
use crate::quantize::{QuantizeError, QuantizeOptions, quantize};
use crate::reduce::{Reduction, reduce};
use crate::session::{Network, SessionError};
use crate::target::Target;

/// What a user may choose.
#[expect(clippy::struct_excessive_bools, reason = "each is a choice of its own")]
#[derive(Clone, Debug)]
pub struct Options {
    /// The core to pack weights for.
    pub target: Target,
    /// How ranges follow from calibration data.
    pub calibrator: Calibrator,
    /// Even out the channels between layers first (cross-layer equalisation).
    pub equalize: bool,
    /// Choose the range of the logits by the probabilities that follow from them.
    pub tune_logits: bool,
    /// How weights are quantised.
    pub quantize: QuantizeOptions,
    /// Remove what the outputs do not depend on. They stay the same byte for byte.
    pub reduce: bool,
    /// How weights, biases and multipliers are made smaller, where that saves bytes.
    pub compress: Compress,
    /// What the memory plan may spend instructions on.
    pub optimize: Optimize,
    /// How the application gives the inputs.
    pub inputs: Inputs,
    /// Leave the metadata out of the image.
    pub strip: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            target: Target::default(),
            calibrator: Calibrator::default(),
            equalize: false,
            tune_logits: false,
            quantize: QuantizeOptions::default(),
            reduce: true,
            compress: Compress::None,
            optimize: Optimize::default(),
            inputs: Inputs::default(),
            strip: false,
        }
    }
}

impl Options {
    /// The default choices for a core.
    pub fn for_target(target: Target) -> Self {
        let multipliers = target.multipliers();
        let quantize = QuantizeOptions { multipliers, ..QuantizeOptions::default() };
        Self { target, quantize, ..Self::default() }
    }
}

/// How far a compilation has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The float model has run on `done` of `total` calibration samples.
    Calibrated {
        /// Samples seen.
        done: usize,
        /// Samples in the set.
        total: usize,
    },
}

/// An image and what is known of it.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// The image.
    pub image: Vec<u8>,
    /// Names, layers, memory plan. Also in the image, unless it was stripped.
    pub metadata: Metadata,
    /// The quantised graph, which the image computes.
    pub graph: Graph,
}

/// Why a model has no image.
#[derive(Debug, Error)]
pub enum CompileError {
    /// The model cannot be read or holds something that Fixie lacks.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// The graph cannot be brought into the compiler's form.
    #[error(transparent)]
    Pass(#[from] PassError),
    /// The calibration data cannot be used.
    #[error(transparent)]
    Calibrate(#[from] CalibrateError),
    /// A tensor cannot be quantised.
    #[error(transparent)]
    Quantize(#[from] QuantizeError),
    /// No kernel does what a node asks for.
    #[error(transparent)]
    Lower(#[from] LowerError),
    /// No plan fits the memory.
    #[error(
        "the smallest arena that was found has {needed} bytes, {budget} may be used: inputs that are \
         given row by row (`--input-rows`) or a smaller model may need less"
    )]
    RamBudget {
        /// Bytes of the smallest arena that was found.
        needed: usize,
        /// Bytes that may be used.
        budget: usize,
    },
    /// The metadata cannot be written.
    #[error("the metadata cannot be written: {0}")]
    Metadata(#[from] io::Error),
    /// The runtime refuses the image: a defect of the compiler.
    #[error("the runtime refuses the image that was made; please report this with the model")]
    Refused(#[source] SessionError),
}

/// A model on its way: all that is done before weights become integers.
#[derive(Clone, Debug)]
pub struct Calibrated {
    /// The simplified graph, equalised if that was asked for.
    pub graph: Graph,
    /// The ranges of the activations that the model does not quantise itself; `None` if it does all.
    pub ranges: Option<Ranges>,
    /// SHA-256 of the ONNX file, in hexadecimal.
    source_sha256: String,
    /// SHA-256 of the calibration samples, where they were needed.
    calibration_sha256: Option<String>,
}

/// Compiles a model. Calibration data is needed unless the model is already quantised.
///
/// # Errors
///
/// [`CompileError`] names what is in the way and what to do.
pub fn compile(
    model: &Model,
    calibration: Option<&Dataset>,
    options: &Options,
    progress: &mut dyn FnMut(Progress),
) -> Result<Compiled, CompileError> {
    prepare(model, calibration, options, progress)?.finish(calibration, options)
}

/// The first part of [`compile`]: reads and simplifies the graph, and finds the ranges of its
/// activations.
///
/// # Errors
///
/// [`CompileError`] names what is in the way and what to do.
pub fn prepare(
    model: &Model,
    calibration: Option<&Dataset>,
    options: &Options,
    progress: &mut dyn FnMut(Progress),
) -> Result<Calibrated, CompileError> {
    let mut graph = model.graph()?;
    simplify(&mut graph)?;
    let equalized = options.equalize && equalize(&mut graph) > 0;
    let mut ranges = match calibration {
        Some(data) => {
            let reference = (!equalized).then(|| model.reference()).transpose()?;
            calibrate(&graph, data, reference.as_ref(), options.calibrator, progress)?
        }
        None => None,
    };
    if let (Some(ranges), Some(data), true) = (&mut ranges, calibration, options.tune_logits) {
        logits::tune(&graph, ranges, data);
    }
    let calibration_sha256 = ranges.as_ref().and(calibration).map(|data| data.sha256().to_owned());
    let source_sha256 = model.source_sha256().to_owned();
    Ok(Calibrated { graph, ranges, source_sha256, calibration_sha256 })
}

impl Calibrated {
    /// The second part of [`compile`]. `samples` are what rounding looks at.
    ///
    /// # Errors
    ///
    /// [`CompileError`] names what is in the way and what to do.
    pub fn finish(
        &self,
        samples: Option<&Dataset>,
        options: &Options,
    ) -> Result<Compiled, CompileError> {
        let mut graph = self.graph.clone();
        quantize(&mut graph, self.ranges.as_ref(), samples, &options.quantize)?;
        let reduction = options.reduce.then(|| reduce(&mut graph)).filter(Reduction::is_something);
        let provenance = Provenance {
            source_sha256: self.source_sha256.clone(),
            calibration_sha256: self.calibration_sha256.clone(),
            reduction,
        };
        assemble(graph, provenance, options)
    }
}

/// The last part of [`compile`]: from a quantised graph to its image.
///
/// # Errors
///
/// [`CompileError`] where no kernel does what a node asks for.
pub fn assemble(
    graph: Graph,
    provenance: Provenance,
    options: &Options,
) -> Result<Compiled, CompileError> {
    let (mut program, mut plan) = schedule(&graph, options)?;
    if let Optimize::Within(budget) = options.optimize
        && plan.arena_len > budget
    {
        return Err(CompileError::RamBudget { needed: plan.arena_len, budget });
    }
    turn(&mut program, &mut plan);
    let metadata = Metadata::describe(&graph, &program, &plan, (provenance, options.target));
    let packed = if options.strip { Vec::new() } else { metadata.pack()? };
    let image = pack(program, &plan, packed);
    Network::new(&image).map_err(CompileError::Refused)?;
    Ok(Compiled { image, metadata, graph })
}

/// The operators and their plan, with the fewest bytes of constants. Of operators that run in several
/// steps they are only packed: to decode them again for every few rows would take too long. Where size
/// comes first they are coded before there are steps, of which the plan then makes fewer.
fn schedule(graph: &Graph, options: &Options) -> Result<(Program, Plan), LowerError> {
    let lower = |codable: &Codable| lower(graph, options.target, options.inputs, codable);
    let program = lower(&Codable::default())?;
    let plain = plan(&program, options.optimize);
    let mut steps = vec![0; program.ops.len()];
    plain.steps.iter().for_each(|step| steps[step.op] += 1);
    let size = |program: &Program| program.ops.iter().map(|op| op.weight_bytes).sum::<usize>();
    let mut smallest = (program, plain);
    for &coding in options.compress.codings() {
        let any = coding == PACKED || options.optimize == Optimize::Size;
        let ops = (0..steps.len()).filter(|&op| any || steps[op] == 1).collect();
        let program = lower(&Codable { coding, ops })?;
        if size(&program) < size(&smallest.0) {
            let plan = plan(&program, options.optimize);
            smallest = (program, plan);
        }
    }
    Ok(smallest)
}

/// The ranges of the activations that the model does not quantise itself; `None` if it does all.
///
/// The model itself is run as `reference`; a graph that holds other values runs as it is.
fn calibrate(
    graph: &Graph,
    data: &Dataset,
    reference: Option<&Reference>,
    calibrator: Calibrator,
    progress: &mut dyn FnMut(Progress),
) -> Result<Option<Ranges>, CompileError> {
    let open = graph.tensors.iter().filter(|t| t.constant.is_none() && t.quant.is_none());
    let names: HashSet<&str> = open.map(|tensor| tensor.name.as_str()).collect();
    if names.is_empty() {
        return Ok(None);
    }
    let total = data.len();
    let mut report = |done| progress(Progress::Calibrated { done, total });
    let run = |sample: usize| match reference {
        Some(reference) => reference.run_all(&data.sample(sample)),
        None => Ok(named_values(graph, &data.sample(sample))),
    };
    let observed = Observations::collect(&names, total, run, &mut report)?;
    Ok(Some(observed.ranges(calibrator)))
}

fn named_values(graph: &Graph, inputs: &[ArrayD<f32>]) -> Activations {
    let values = eval_all(graph, inputs);
    values.into_iter().map(|(id, value)| (graph.tensor(id).name.clone(), value)).collect()
}
