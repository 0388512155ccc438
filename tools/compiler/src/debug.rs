//! Where an image loses its accuracy, layer by layer.
//!
//! The image runs step by step (`trace`), and each layer's output is compared with two things: with
//! what the original has there, which shows how errors accumulate; and with what the original's
//! layer makes of the very inputs that the image's layer had, which shows what this layer adds by
//! itself. Instead of the original, another image can be looked at.

mod advice;

use std::collections::HashMap;

use ndarray::ArrayD;
use rayon::prelude::*;
use serde::Serialize;
use thiserror::Error;

use crate::calibrate::{Bucket, Histogram};
use crate::data::Dataset;
use crate::evaluate::Noise;
use crate::ir::{Executable, Graph, TensorId};
use crate::metadata::{Layer, MetadataError};
use crate::onnx::{ImportError, Model, Reference, ReferenceError};
use crate::passes::{PassError, simplify};
use crate::session::{Network, SessionError};
use crate::trace::{Trace, TraceError, TracedTensor, trace};

/// Buckets of the histograms.
const BUCKETS: usize = 48;

/// What an image is compared with.
pub enum Other<'a> {
    /// The model that it was made of.
    Model(&'a Model),
    /// An image of the same model.
    Image(&'a Network),
}

/// How far the values of one layer are off.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LayerErrors {
    /// Name of the node.
    pub layer: String,
    /// What it computes.
    pub op: String,
    /// Name of the tensor that it computes.
    pub tensor: String,
    /// Signal-to-noise ratio in decibels of what this layer adds: against the original's layer, fed
    /// with the same inputs. `None` against another image, and where that is not known.
    pub alone_db: Option<f64>,
    /// Signal-to-noise ratio in decibels against the other's tensor. `None` where the other has no
    /// such tensor, as of channels that were removed; infinite ratios are `null` in JSON.
    pub accumulated_db: Option<f64>,
    /// The largest magnitude among its weights.
    pub largest_weight: Option<u32>,
    /// Smallest and largest real value that the tensor can hold.
    pub range: (f64, f64),
    /// Share of the other's values that lie outside of the range.
    pub clipped: f64,
    /// The other's values.
    pub histogram: Vec<Bucket>,
    /// What is wrong and what can be done.
    pub advice: Option<String>,
}

/// Why a comparison is impossible.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DebugError {
    /// Without metadata there are no layers.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    /// The image cannot run.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The image cannot be traced.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// The model cannot be read.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// The model cannot be simplified.
    #[error(transparent)]
    Pass(#[from] PassError),
    /// The model cannot run.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
}

/// Compares an image, tensor by tensor, on all samples; layers come in their order.
///
/// Channels that a reduction removed are in no image: convert without reductions to see all layers.
///
/// # Errors
///
/// [`DebugError`].
pub fn compare(
    network: &Network,
    data: &Dataset,
    other: &Other<'_>,
    progress: &(dyn Fn(usize) + Sync),
) -> Result<Vec<LayerErrors>, DebugError> {
    let layers = &network.metadata().ok_or(MetadataError::Stripped)?.layers;
    let theirs = match other {
        Other::Model(model) => Theirs::Original(Box::new(Original::of(model)?)),
        Other::Image(image) => Theirs::Image(image),
    };
    let compare = |sample: usize| -> Result<Vec<Seen>, DebugError> {
        let inputs = data.sample(sample);
        let trace = trace_of(network, &inputs)?;
        let seen = match &theirs {
            Theirs::Image(image) => {
                let theirs = trace_of(image, &inputs)?;
                see(layers, &trace, &|name| Some(theirs.get(name)?.reals()), &HashMap::new())
            }
            Theirs::Original(original) => {
                let values = original.reference.run_all(&inputs)?;
                let fed = original.fed_with(&trace);
                see(layers, &trace, &|name| values.get(name).cloned(), &fed)
            }
        };
        progress(1);
        Ok(seen)
    };
    // A histogram for each layer and sample is much: some samples at a time. They are added up in
    // order, so that sums do not depend on the number of threads.
    let at_a_time = 2 * rayon::current_num_threads();
    let mut sums = vec![Seen::default(); layers.len()];
    for start in (0..data.len()).step_by(at_a_time) {
        let samples = start..data.len().min(start + at_a_time);
        let seen: Vec<Vec<Seen>> =
            samples.into_par_iter().map(&compare).collect::<Result<_, _>>()?;
        for sample in seen {
            sums.iter_mut().zip(sample).for_each(|(sum, seen)| sum.add(seen));
        }
    }
    let mut errors: Vec<LayerErrors> =
        layers.iter().zip(sums).map(|(layer, seen)| seen.judge(layer)).collect();
    advice::give(&mut errors);
    Ok(errors)
}

fn trace_of(network: &Network, inputs: &[ArrayD<f32>]) -> Result<Trace, DebugError> {
    let mut arena = network.arena();
    let mut session = network.session(&mut arena)?;
    session.quantize(inputs)?;
    Ok(trace(&mut session)?)
}

/// What an image is compared with, ready to run.
enum Theirs<'a> {
    Original(Box<Original>),
    Image(&'a Network),
}

/// The model in two forms: as it runs, and as the compiler's graph.
struct Original {
    reference: Reference,
    graph: Graph,
}

impl Original {
    fn of(model: &Model) -> Result<Self, DebugError> {
        let mut graph = model.graph()?;
        simplify(&mut graph)?;
        Ok(Self { reference: model.reference()?, graph })
    }

    /// What each node of the original makes of the values that a trace has for its inputs, by the
    /// name of its output.
    fn fed_with(&self, trace: &Trace) -> HashMap<String, ArrayD<f32>> {
        let graph = &self.graph;
        let traced = |id: TensorId| {
            let tensor = graph.tensor(id);
            let values = trace.get(&tensor.name)?.reals();
            (values.shape() == tensor.shape).then_some(values)
        };
        let inputs = graph.inputs.iter().filter_map(|&id| Some((id, traced(id)?)));
        let mut values: HashMap<TensorId, ArrayD<f32>> = inputs.collect();
        let mut fed = HashMap::new();
        for node in &graph.nodes {
            let known =
                |id: &TensorId| graph.tensor(*id).constant.is_some() || values.contains_key(id);
            let run = || Executable::new(graph, node).run(&values);
            let output = node.inputs.iter().all(known).then(run);
            // What only moves elements has no layer, but passes the image's values on.
            let moved = output.as_ref().filter(|_| node.op.moves_only());
            let held = traced(node.output).or_else(|| moved.cloned());
            if let Some(held) = held {
                values.insert(node.output, held);
            }
            if let Some(output) = output {
                fed.insert(graph.tensor(node.output).name.clone(), output);
            }
        }
        fed
    }
}

/// What samples say about one layer.
#[derive(Clone, Debug, Default)]
struct Seen {
    alone: Noise,
    accumulated: Noise,
    values: Option<Histogram>,
    clipped: u64,
}

/// Compares all layers of a trace with the other's tensors, and with what the original's layers make
/// of the same inputs.
fn see(
    layers: &[Layer],
    trace: &Trace,
    theirs: &dyn Fn(&str) -> Option<ArrayD<f32>>,
    fed: &HashMap<String, ArrayD<f32>>,
) -> Vec<Seen> {
    let of_layer = |layer: &Layer| {
        let mut seen = Seen::default();
        let Some(ours) = trace.get(&layer.output.name) else { return seen };
        let reals = ours.reals();
        let alike = |other: &&ArrayD<f32>| other.shape() == reals.shape();
        if let Some(other) = fed.get(&layer.output.name).as_ref().filter(|other| alike(other)) {
            seen.alone.add_known(other, &reals);
        }
        if let Some(other) = theirs(&layer.output.name).as_ref().filter(alike) {
            seen.accumulated.add_known(other, &reals);
            let (low, high) = range(ours);
            let mut values = Histogram::default();
            for &value in other.iter().filter(|value| value.is_finite()) {
                values.add(value);
                seen.clipped += u64::from(!(low..=high).contains(&f64::from(value)));
            }
            seen.values = Some(values);
        }
        seen
    };
    layers.iter().map(of_layer).collect()
}

/// What a tensor can hold, half a step more on either side: what is rounded to the outermost
/// integers is not cut.
fn range(tensor: &TracedTensor) -> (f64, f64) {
    let real = |q: f64| (q - f64::from(tensor.zero_point)) * f64::from(tensor.scale);
    let (min, max) = tensor.range;
    (real(f64::from(min) - 0.5), real(f64::from(max) + 0.5))
}

impl Seen {
    fn add(&mut self, other: Self) {
        self.alone = self.alone.plus(other.alone);
        self.accumulated = self.accumulated.plus(other.accumulated);
        self.clipped += other.clipped;
        match (&mut self.values, other.values) {
            (Some(values), Some(more)) => values.merge(more),
            (values @ None, more) => *values = more,
            (Some(_), None) => {}
        }
    }

    fn judge(self, layer: &Layer) -> LayerErrors {
        let output = &layer.output;
        let real = |q: i32| f64::from(q - output.zero_point) * f64::from(output.scale);
        let (min, max) = output.integers();
        let count = self.values.as_ref().map_or(0, Histogram::len);
        LayerErrors {
            layer: layer.name.clone(),
            op: layer.op.clone(),
            tensor: output.name.clone(),
            alone_db: self.alone.ratio_db(),
            accumulated_db: self.accumulated.ratio_db(),
            largest_weight: layer.weights.map(|weights| weights.largest),
            range: (real(min), real(max)),
            clipped: self.clipped as f64 / count.max(1) as f64,
            histogram: self.values.map_or_else(Vec::new, |values| values.buckets(BUCKETS)),
            advice: None,
        }
    }
}
