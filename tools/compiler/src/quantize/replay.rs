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
use crate::ir::{Executable, Graph, Node, Patches, Tensor, TensorId};

/// What the values of all samples may take.
const MEMORY: usize = 1 << 29;
/// Samples whose patches are one matrix.
const CHUNK: usize = 8;

type Values = HashMap<TensorId, ArrayD<f32>>;

/// Samples on their way through a graph: of each, the values that later nodes read.
#[derive(Clone)]
pub(super) struct Run {
    samples: Vec<Values>,
    /// Whether values are rounded to the integers of their tensors.
    rounds: bool,
}

/// Calibration samples on their way through the float graph and the quantised one.
pub(super) struct Replay {
    float: Run,
    quantised: Run,
}

/// The inputs of a layer: a column of its window at an output position is one observation.
struct LayerInputs {
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
    /// What rounding needs; `None` if it was not asked for.
    pub(super) second: Option<SecondMoments>,
    /// The same of two halves of the samples, where there are enough of them.
    pub(super) halves: Option<[SecondMoments; 2]>,
}

/// Second moments of the inputs `x` of the quantised graph and `y` of the float graph.
#[derive(Clone, Debug)]
pub(super) struct SecondMoments {
    /// `E[x · xᵀ]`.
    pub(super) quantised: Array2<f64>,
    /// `E[y · xᵀ]`.
    pub(super) cross: Array2<f64>,
}

impl Run {
    /// At the first node. At most `most` samples are taken, evenly from the set.
    pub(super) fn new(graph: &Graph, data: &Dataset, most: usize, rounds: bool) -> Self {
        let count = data.len().min(most.max(1));
        let sample = |place: usize| {
            let inputs = data.sample(place * data.len() / count);
            let inputs = graph.inputs.iter().copied().zip(inputs);
            let held = |(id, values)| (id, if rounds { round(graph, id, &values) } else { values });
            inputs.map(held).collect()
        };
        Self { samples: (0..count).map(sample).collect(), rounds }
    }

    /// Passes the node at `index`, which computes what `node` says. Keeps what later nodes read, and
    /// the outputs.
    pub(super) fn advance(&mut self, graph: &Graph, index: usize, node: &Node) {
        let needed = |id: &TensorId| {
            graph.outputs.contains(id)
                || graph.nodes[index + 1..].iter().any(|later| later.inputs.contains(id))
        };
        let done: Vec<TensorId> = node.inputs.iter().copied().filter(|id| !needed(id)).collect();
        let (rounds, executable) = (self.rounds, Executable::new(graph, node));
        self.samples.par_iter_mut().for_each(|values| {
            let output = executable.run(values);
            let output = if rounds { round(graph, node.output, &output) } else { output };
            values.insert(node.output, output);
            for id in &done {
                values.remove(id);
            }
        });
    }

    /// The values of a tensor, sample by sample.
    pub(super) fn values(&self, id: TensorId) -> impl Iterator<Item = &ArrayD<f32>> {
        self.samples.iter().filter_map(move |values| values.get(&id))
    }

    fn patches(&self, graph: &Graph, node: &Node) -> Option<Vec<Patches>> {
        let (id, shape) = (node.inputs[0], &graph.tensor(node.output).shape);
        let of = |values: &Values| Patches::new(&node.op, values.get(&id)?, shape);
        self.samples.iter().map(of).collect()
    }
}

impl Replay {
    /// At the first node of a graph whose activations are quantised; `None` if there is no layer
    /// with real weights.
    pub(super) fn new(graph: &Graph, data: &Dataset) -> Option<Self> {
        graph.nodes.iter().find(|node| has_real_weights(graph, node))?;
        let activations = graph.tensors.iter().filter(|tensor| tensor.constant.is_none());
        let largest = activations.map(Tensor::len).max()?;
        // A node's input and output, in both graphs.
        let most = MEMORY / (4 * size_of::<f32>() * largest.max(1));
        let run = |rounds| Run::new(graph, data, most, rounds);
        Some(Self { float: run(false), quantised: run(true) })
    }

    /// The moments of what a convolution or matrix product sees, for each of its channel groups;
    /// `None` for other operators. Second moments are there if they are asked for.
    pub(super) fn moments(&self, graph: &Graph, node: &Node, second: bool) -> Option<Vec<Moments>> {
        let (float, quantised) = (&self.float, &self.quantised);
        let inputs = LayerInputs {
            float: float.patches(graph, node)?,
            quantised: quantised.patches(graph, node)?,
        };
        Some(inputs.moments(second))
    }

    /// Passes the node at `index`, which `float` became.
    pub(super) fn advance(&mut self, graph: &Graph, index: usize, float: &Node) {
        self.float.advance(graph, index, float);
        self.quantised.advance(graph, index, &graph.nodes[index]);
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
    fn moments(&self, second: bool) -> Vec<Moments> {
        let groups = self.quantised.first().map_or(0, Patches::groups);
        (0..groups).into_par_iter().map(|group| self.moments_of(group, second)).collect()
    }

    fn moments_of(&self, group: usize, second: bool) -> Moments {
        let chunks = self.float.par_chunks(CHUNK).zip(self.quantised.par_chunks(CHUNK));
        let sums = chunks.map(|(float, quantised)| {
            Sums::of(&joined(float, group), &joined(quantised, group), second)
        });
        let sums: Vec<Sums> = sums.collect();
        let [mut even, mut odd] = [None, None];
        for (index, sums) in sums.into_iter().enumerate() {
            let half = if index % 2 == 0 { &mut even } else { &mut odd };
            *half = Some(match half.take() {
                Some(sum) => Sums::plus(sum, sums),
                None => sums,
            });
        }
        let Some(even) = even else {
            let none = Array1::zeros(0);
            return Moments { float_mean: none.clone(), mean: none, second: None, halves: None };
        };
        let halves = odd.as_ref().and_then(|odd| Some([even.second()?, odd.second()?]));
        let all = match odd {
            Some(odd) => even.plus(odd),
            None => even,
        };
        let second = all.second();
        let scale = 1.0 / all.count.max(1) as f64;
        Moments { float_mean: all.float * scale, mean: all.quantised * scale, second, halves }
    }
}

/// Sums over observations.
struct Sums {
    count: usize,
    float: Array1<f64>,
    quantised: Array1<f64>,
    products: Option<SecondMoments>,
}

impl Sums {
    fn of(float: &Array2<f32>, quantised: &Array2<f32>, second: bool) -> Self {
        let products = |matrix: &Array2<f32>| matrix.dot(&quantised.t()).mapv(f64::from);
        Self {
            count: float.ncols(),
            float: row_sums(float),
            quantised: row_sums(quantised),
            products: second
                .then(|| SecondMoments { quantised: products(quantised), cross: products(float) }),
        }
    }

    fn plus(mut self, other: Self) -> Self {
        self.count += other.count;
        self.float += &other.float;
        self.quantised += &other.quantised;
        if let (Some(sum), Some(other)) = (&mut self.products, other.products) {
            sum.quantised += &other.quantised;
            sum.cross += &other.cross;
        }
        self
    }

    fn second(&self) -> Option<SecondMoments> {
        let SecondMoments { quantised, cross } = self.products.as_ref()?;
        let scale = 1.0 / self.count.max(1) as f64;
        Some(SecondMoments { quantised: quantised * scale, cross: cross * scale })
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
