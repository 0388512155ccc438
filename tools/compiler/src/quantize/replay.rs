//! What the layers see on calibration data, in the float graph and in the quantised one.
//!
//! The two run side by side, node by node: when a layer is quantised, all layers before it are, and
//! their errors are part of its inputs. Bias correction and rounding both start from here.
//!
//! Sums run in single precision, and samples are added up in their order: the result does not
//! depend on the number of threads.

use std::collections::HashMap;

use ndarray::{Array1, Array2, ArrayD, Axis, concatenate};
use rayon::prelude::*;

use super::levels::has_real_weights;
use crate::data::Dataset;
use crate::ir::{Graph, Node, Patches, Tensor, TensorId, eval_node};

/// What the values of all samples may take.
const MEMORY: usize = 1 << 29;
/// Samples whose patches are one matrix.
const CHUNK: usize = 8;

type Values = HashMap<TensorId, ArrayD<f32>>;

/// The values of one sample that later nodes read.
struct Sample {
    float: Values,
    /// Rounded to the integers of their tensors.
    quantised: Values,
}

/// Calibration samples on their way through a graph.
pub(super) struct Replay {
    samples: Vec<Sample>,
}

/// The inputs of a layer: a column of its window at an output position is one observation.
pub(super) struct LayerInputs {
    float: Vec<Patches>,
    quantised: Vec<Patches>,
}

/// First and second moments of the inputs of one channel group; vectors are as long as a row of its
/// weights.
pub(super) struct Moments {
    /// Mean in the float graph.
    pub(super) float_mean: Array1<f64>,
    /// Mean in the quantised graph.
    pub(super) mean: Array1<f64>,
    /// `E[x · xᵀ]` in the quantised graph; `None` if it was not asked for.
    pub(super) second: Option<Array2<f64>>,
}

impl Replay {
    /// At the first node of a graph whose activations are quantised; `None` if there is no sample
    /// or no layer with real weights.
    pub(super) fn new(graph: &Graph, data: &Dataset) -> Option<Self> {
        graph.nodes.iter().find(|node| has_real_weights(graph, node))?;
        let activations = graph.tensors.iter().filter(|tensor| tensor.constant.is_none());
        let largest = activations.map(Tensor::len).max()?;
        // A node's input and output, in both graphs.
        let fit = MEMORY / (4 * size_of::<f32>() * largest.max(1));
        let count = data.len().min(fit.max(1));
        let sample = |place: usize| {
            let inputs = data.sample(place * data.len() / count);
            let float: Values = graph.inputs.iter().copied().zip(inputs).collect();
            let rounded = |(&id, values): (&TensorId, &ArrayD<f32>)| (id, round(graph, id, values));
            let quantised = float.iter().map(rounded).collect();
            Sample { float, quantised }
        };
        (count > 0).then(|| Self { samples: (0..count).map(sample).collect() })
    }

    /// What a convolution or matrix product sees; `None` for other operators.
    pub(super) fn inputs(&self, graph: &Graph, node: &Node) -> Option<LayerInputs> {
        let (id, shape) = (node.inputs[0], &graph.tensor(node.output).shape);
        let of = |values: &Values| Patches::new(&node.op, values.get(&id)?, shape);
        Some(LayerInputs {
            float: self.samples.iter().map(|s| of(&s.float)).collect::<Option<_>>()?,
            quantised: self.samples.iter().map(|s| of(&s.quantised)).collect::<Option<_>>()?,
        })
    }

    /// Passes the node at `index`, which `float` became.
    pub(super) fn advance(&mut self, graph: &Graph, index: usize, float: &Node) {
        let node = &graph.nodes[index];
        let done = |id: &&TensorId| !graph.nodes[index + 1..].iter().any(|n| n.inputs.contains(id));
        let done: Vec<TensorId> = node.inputs.iter().filter(done).copied().collect();
        self.samples.par_iter_mut().for_each(|sample| {
            let output = eval_node(graph, float, &sample.float);
            sample.float.insert(node.output, output);
            let output = eval_node(graph, node, &sample.quantised);
            sample.quantised.insert(node.output, round(graph, node.output, &output));
            for id in &done {
                sample.float.remove(id);
                sample.quantised.remove(id);
            }
        });
    }
}

/// What the integers of a tensor hold of these values.
fn round(graph: &Graph, id: TensorId, values: &ArrayD<f32>) -> ArrayD<f32> {
    match &graph.tensor(id).quant {
        Some(quant) => values.mapv(|x| quant.dequantize(quant.quantize(x.into(), 0), 0) as f32),
        None => values.clone(),
    }
}

impl LayerInputs {
    /// The moments of each group.
    pub(super) fn moments(&self, second: bool) -> Vec<Moments> {
        let groups = self.quantised.first().map_or(0, Patches::groups);
        (0..groups).into_par_iter().map(|group| self.moments_of(group, second)).collect()
    }

    fn moments_of(&self, group: usize, second: bool) -> Moments {
        let chunks = self.float.par_chunks(CHUNK).zip(self.quantised.par_chunks(CHUNK));
        let sums = chunks.map(|(float, quantised)| {
            let (float, quantised) = (joined(float, group), joined(quantised, group));
            let square = second.then(|| quantised.dot(&quantised.t()));
            (float.ncols(), row_sums(&float), row_sums(&quantised), square)
        });
        let sums: Vec<_> = sums.collect();
        let count: usize = sums.iter().map(|(count, ..)| count).sum();
        let scale = 1.0 / count.max(1) as f64;
        let mut sums = sums.into_iter();
        let (_, mut float_mean, mut mean, square) =
            sums.next().unwrap_or_else(|| (0, Array1::zeros(0), Array1::zeros(0), None));
        let mut second = square.map(|square| square.mapv(f64::from));
        for (_, float, quantised, square) in sums {
            float_mean += &float;
            mean += &quantised;
            if let (Some(second), Some(square)) = (&mut second, square) {
                second.zip_mut_with(&square, |sum, &x| *sum += f64::from(x));
            }
        }
        Moments {
            float_mean: float_mean * scale,
            mean: mean * scale,
            second: second.map(|second| second * scale),
        }
    }
}

/// The patches of several samples side by side.
fn joined(samples: &[Patches], group: usize) -> Array2<f32> {
    let patches: Vec<Array2<f32>> = samples.iter().map(|sample| sample.group(group)).collect();
    let views: Vec<_> = patches.iter().map(|patches| patches.view()).collect();
    concatenate(Axis(1), &views).unwrap_or_else(|error| panic!("{error}"))
}

fn row_sums(matrix: &Array2<f32>) -> Array1<f64> {
    matrix.outer_iter().map(|row| row.iter().map(|&x| f64::from(x)).sum()).collect()
}
