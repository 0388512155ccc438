//! What it costs to round the weights of one layer to a coarser grid, all others being as fine as
//! they can be.
//!
//! The network's outputs on calibration samples are compared with those of the finely quantised
//! network: probabilities by their Kullback-Leibler divergence, anything else by the mean square of
//! the differences. Both are quadratic in small errors, and errors of different layers are about
//! independent, so that what several coarse layers cost together is about the sum.

use ndarray::{ArrayD, ArrayView1, Axis};

use super::replay::{Replay, Run};
use super::{
    Levels, QuantizeError, QuantizeOptions, Rounding, WeightStatistics, levels,
    quantize_activations, quantize_constants, weights,
};
use crate::calibrate::Ranges;
use crate::data::Dataset;
use crate::ir::{Constant, Graph, Node, Op, TensorId};

/// Samples on which outputs are compared.
pub(super) const SAMPLES: usize = 48;
/// Probabilities are taken to be at least this: 8-bit ones end in zeros.
const LEAST_PROBABILITY: f64 = 1.0 / 1024.0;

/// A layer with a coarser grid.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    /// The name of its node.
    pub layer: String,
    /// The grid.
    pub levels: Levels,
    /// How far outputs are off on average.
    pub harm: f64,
    /// The weights of channels in which there are any.
    pub weights: WeightStatistics,
}

/// Tries each of these grids in each layer of a graph, as [`quantize`](super::quantize) takes it.
///
/// `progress` is called after each layer with how many of how many are done; it returns whether to
/// go on, and if it does not, the layers so far are returned.
///
/// # Errors
///
/// As [`quantize`](super::quantize).
pub fn probe(
    graph: &Graph,
    ranges: Option<&Ranges>,
    samples: &Dataset,
    (options, grids): (&QuantizeOptions, &[Levels]),
    progress: &mut dyn FnMut(usize, usize) -> bool,
) -> Result<Vec<Probe>, QuantizeError> {
    let mut open = graph.clone();
    quantize_activations(&mut open, ranges, options)?;
    // The same nodes and tensors, and more constants.
    let mut fine = open.clone();
    quantize_constants(&mut fine, Some(samples), options)?;
    let mut replay = Replay::new(&open, samples);
    let mut run = Run::new(&fine, samples, SAMPLES, true);
    let outputs = outputs(&fine, run.clone(), 0);
    let is_open = |node: &Node| levels::has_real_weights(&open, node);
    // Of which one layer at a time is changed.
    let mut coarse = fine.clone();
    let total = open.nodes.iter().filter(|node| is_open(node)).count();
    let mut probes = Vec::new();
    let mut done = 0;
    for (index, float) in open.nodes.iter().enumerate() {
        if is_open(float) {
            let second = options.rounding == Rounding::Gptq;
            let moments = replay.as_ref().and_then(|replay| replay.moments(&fine, float, second));
            let inputs =
                moments.map(|moments| weights::Inputs::new(&fine, float, moments, options));
            let inputs = inputs.unwrap_or_default();
            for &levels in grids {
                coarse.nodes[index] = float.clone();
                weights::quantize(&mut coarse, index, (options, levels), &inputs)?;
                let changed = self::outputs(&coarse, run.clone(), index);
                probes.push(Probe {
                    layer: float.name.clone(),
                    levels,
                    harm: harm(&fine, &outputs, &changed),
                    weights: statistics(&coarse, index),
                });
                coarse.tensors.truncate(fine.tensors.len());
            }
            coarse.nodes[index] = fine.nodes[index].clone();
            done += 1;
            if !progress(done, total) {
                break;
            }
        }
        if let Some(replay) = &mut replay {
            replay.advance(&fine, index, float);
        }
        run.advance(&fine, index, &fine.nodes[index]);
    }
    Ok(probes)
}

/// Of each output of the network its values, sample by sample.
pub(super) type Outputs = Vec<Vec<ArrayD<f32>>>;

/// Runs the rest of a graph, from the node at `first`.
pub(super) fn outputs(graph: &Graph, mut run: Run, first: usize) -> Outputs {
    for index in first..graph.nodes.len() {
        run.advance(graph, index, &graph.nodes[index]);
    }
    graph.outputs.iter().map(|&id| run.values(id).cloned().collect()).collect()
}

/// The mean over samples and outputs.
pub(super) fn harm(graph: &Graph, fine: &Outputs, coarse: &Outputs) -> f64 {
    let of_output = |(&id, (fine, coarse)): (&TensorId, (&Vec<_>, &Vec<_>))| {
        let axis = probability_axis(graph, id);
        let pairs = fine.iter().zip(coarse);
        let sum: f64 = match axis {
            Some(axis) => pairs.map(|(a, b)| divergence(a, b, axis)).sum(),
            None => pairs.map(|(a, b)| mean_square(a, b)).sum(),
        };
        sum / fine.len().max(1) as f64
    };
    graph.outputs.iter().zip(fine.iter().zip(coarse)).map(of_output).sum()
}

/// The axis along which a tensor holds probabilities that sum up to 1.
fn probability_axis(graph: &Graph, id: TensorId) -> Option<usize> {
    match graph.producer(id).map(|index| &graph.nodes[index].op) {
        Some(Op::Softmax { axis }) => Some(*axis),
        _ => None,
    }
}

/// `Σ p · ln(p / q)`.
fn divergence(p: &ArrayD<f32>, q: &ArrayD<f32>, axis: usize) -> f64 {
    let pairs = p.lanes(Axis(axis)).into_iter().zip(q.lanes(Axis(axis)));
    let of_lane = |(p, q): (ArrayView1<f32>, ArrayView1<f32>)| -> f64 {
        let at_least = |x: f32| f64::from(x).max(LEAST_PROBABILITY);
        let sum = |values: &ArrayView1<f32>| -> f64 { values.iter().map(|&x| at_least(x)).sum() };
        let (of_p, of_q) = (sum(&p), sum(&q));
        let terms = p.iter().zip(q).map(|(&p, &q)| (at_least(p) / of_p, at_least(q) / of_q));
        terms.map(|(p, q)| p * (p / q).ln()).sum()
    };
    pairs.map(of_lane).sum()
}

fn mean_square(a: &ArrayD<f32>, b: &ArrayD<f32>) -> f64 {
    let squares = a.iter().zip(b).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2));
    squares.sum::<f64>() / a.len().max(1) as f64
}

/// Of the weights of a node, without channels that were left with none.
fn statistics(graph: &Graph, index: usize) -> WeightStatistics {
    let weights = graph.tensor(graph.nodes[index].inputs[1]);
    let Some(Constant::Integer(integers)) = &weights.constant else {
        return WeightStatistics::of(&[]);
    };
    let rows = integers.axis_iter(Axis(0)).filter(|row| row.iter().any(|&w| w != 0));
    WeightStatistics::of(rows.flat_map(IntoIterator::into_iter))
}

#[cfg(test)]
mod tests {
    use ndarray::arr2;

    use super::*;

    #[test]
    fn the_divergence_of_probabilities() {
        let (p, q) = (arr2(&[[0.5f32, 0.5]]).into_dyn(), arr2(&[[0.75f32, 0.25]]).into_dyn());
        let expected = 0.5 * (0.5f64 / 0.75).ln() + 0.5 * (0.5f64 / 0.25).ln();
        assert!((divergence(&p, &q, 1) - expected).abs() < 1e-9);
        assert_eq!(divergence(&p, &p, 1), 0.0);
        assert_eq!(mean_square(&p, &q), 0.0625);
    }
}
