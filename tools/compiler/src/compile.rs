//! The whole way from a model to an image.

use std::collections::HashSet;
use std::io;

use thiserror::Error;

use crate::calibrate::{CalibrateError, Calibrator, Observations, Ranges};
use crate::data::Dataset;
use crate::ir::Graph;
use crate::lower::{Inputs, LowerError, lower};
use crate::metadata::{Metadata, Provenance};
use crate::onnx::{ImportError, Model};
use crate::pack::pack;
use crate::passes::{PassError, simplify};
use crate::plan::{Optimize, plan};
use crate::quantize::{QuantizeError, QuantizeOptions, quantize};
use crate::reduce::{Reduction, reduce};
use crate::session::{Network, SessionError};
use crate::target::Target;

/// What a user may choose.
#[derive(Clone, Debug)]
pub struct Options {
    /// The core to pack weights for.
    pub target: Target,
    /// How ranges follow from calibration data.
    pub calibrator: Calibrator,
    /// How weights are quantised.
    pub quantize: QuantizeOptions,
    /// Remove what the outputs do not depend on. They stay the same byte for byte.
    pub reduce: bool,
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
            quantize: QuantizeOptions::default(),
            reduce: true,
            optimize: Optimize::default(),
            inputs: Inputs::default(),
            strip: false,
        }
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
        "the smallest arena that was found has {needed} bytes, {budget} may be used: with \
         `--input-rows` it may be smaller"
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
    let mut graph = model.graph()?;
    simplify(&mut graph)?;
    let ranges = match calibration {
        Some(data) => calibrate(model, &graph, data, options, progress)?,
        None => None,
    };
    quantize(&mut graph, ranges.as_ref(), calibration, &options.quantize)?;
    let reduction = options.reduce.then(|| reduce(&mut graph)).filter(Reduction::is_something);
    let provenance = Provenance {
        source_sha256: model.source_sha256().to_owned(),
        calibration_sha256: ranges.and(calibration).map(|data| data.sha256().to_owned()),
        reduction,
    };
    assemble(graph, provenance, options)
}

/// The second half of [`compile`]: from a quantised graph to its image.
///
/// # Errors
///
/// [`CompileError`] where no kernel does what a node asks for.
pub fn assemble(
    graph: Graph,
    provenance: Provenance,
    options: &Options,
) -> Result<Compiled, CompileError> {
    let program = lower(&graph, options.target, options.inputs)?;
    let plan = plan(&program, options.optimize);
    if let Optimize::Within(budget) = options.optimize
        && plan.arena_len > budget
    {
        return Err(CompileError::RamBudget { needed: plan.arena_len, budget });
    }
    let metadata = Metadata::describe(&graph, &program, &plan, (provenance, options.target));
    let packed = if options.strip { Vec::new() } else { metadata.pack()? };
    let image = pack(program, &plan, packed);
    Network::new(&image).map_err(CompileError::Refused)?;
    Ok(Compiled { image, metadata, graph })
}

/// The ranges of the activations that the model does not quantise itself; `None` if it does all.
fn calibrate(
    model: &Model,
    graph: &Graph,
    data: &Dataset,
    options: &Options,
    progress: &mut dyn FnMut(Progress),
) -> Result<Option<Ranges>, CompileError> {
    let open = graph.tensors.iter().filter(|t| t.constant.is_none() && t.quant.is_none());
    let names: HashSet<&str> = open.map(|tensor| tensor.name.as_str()).collect();
    if names.is_empty() {
        return Ok(None);
    }
    let reference = model.reference()?;
    let total = data.len();
    let run = |sample: usize| reference.run_all(&data.sample(sample));
    let mut report = |done| progress(Progress::Calibrated { done, total });
    let observed = Observations::collect(&names, total, run, &mut report)?;
    Ok(Some(observed.ranges(options.calibrator)))
}
