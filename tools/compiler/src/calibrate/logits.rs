//! A range for the logits that keeps the probabilities.
//!
//! What matters of the scores in front of a softmax is which is largest and by how much; the lowest
//! may be cut off. Nagel et al. 2021 (arXiv 2106.08295, section 3.1) choose the range of the last
//! layer by the cross entropy of the probabilities with and without quantisation, which is least
//! where their Kullback-Leibler divergence is.

use ndarray::{ArrayD, Axis};
use rayon::prelude::*;

use super::{Range, Ranges};
use crate::data::Dataset;
use crate::ir::{Graph, Op, Quant, TensorId, eval_all};
use crate::quantize::affine;

/// Fractions of each bound that are tried, down to a quarter.
const CANDIDATES: usize = 24;

/// Narrows the range of the logits of every softmax.
pub fn tune(graph: &Graph, ranges: &mut Ranges, samples: &Dataset) {
    let softmax = graph.nodes.iter().filter_map(|node| match node.op {
        Op::Softmax { axis } => Some((node.inputs[0], axis)),
        _ => None,
    });
    for (logits, axis) in softmax {
        let tensor = graph.tensor(logits);
        let open = tensor.quant.is_none() && tensor.constant.is_none();
        let Some(full) = ranges.get(&tensor.name).filter(|_| open) else { continue };
        let lanes = lanes(&values_of(graph, logits, samples), axis);
        ranges.set(&tensor.name, least_divergence(&lanes, full));
    }
}

fn values_of(graph: &Graph, id: TensorId, samples: &Dataset) -> Vec<ArrayD<f32>> {
    let of = |sample| eval_all(graph, &samples.sample(sample)).remove(&id);
    (0..samples.len()).into_par_iter().filter_map(of).collect()
}

/// The logits of one softmax.
struct Lane {
    logits: Vec<f64>,
    /// The logarithms of their probabilities.
    log: Vec<f64>,
}

fn lanes(logits: &[ArrayD<f32>], axis: usize) -> Vec<Lane> {
    let lanes = logits.iter().flat_map(|values| values.lanes(Axis(axis)));
    lanes
        .map(|lane| {
            let logits: Vec<f64> = lane.iter().map(|&x| x.into()).collect();
            Lane { log: log_softmax(&logits), logits }
        })
        .collect()
}

/// The full range is tried first: only what is better replaces it.
fn least_divergence(lanes: &[Lane], full: Range) -> Range {
    let fraction = |i: usize| 1.0 - 0.75 * i as f32 / CANDIDATES as f32;
    let pairs = (0..CANDIDATES * CANDIDATES).into_par_iter().map(|i| {
        let min = full.min * fraction(i / CANDIDATES);
        let range = Range { min, max: full.max * fraction(i % CANDIDATES) };
        (divergence(lanes, &affine(range)), range)
    });
    let judged: Vec<_> = pairs.collect();
    judged.into_iter().min_by(|a, b| a.0.total_cmp(&b.0)).map_or(full, |(_, range)| range)
}

/// The sum of `Σ p · ln(p / q)` with `p` the probabilities of the logits and `q` those of what is
/// left of them in 8 bits.
fn divergence(lanes: &[Lane], quant: &Quant) -> f64 {
    let rounded = |x: f64| quant.dequantize(quant.quantize(x, 0), 0);
    let of_lane = |lane: &Lane| -> f64 {
        let coarse: Vec<f64> = lane.logits.iter().map(|&x| rounded(x)).collect();
        lane.log.iter().zip(log_softmax(&coarse)).map(|(p, q)| p.exp() * (p - q)).sum()
    };
    lanes.iter().map(of_lane).sum()
}

fn log_softmax(values: &[f64]) -> Vec<f64> {
    let largest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = values.iter().map(|x| (x - largest).exp()).sum();
    values.iter().map(|x| x - largest - sum.ln()).collect()
}

#[cfg(test)]
mod tests {
    use ndarray::arr1;

    use super::*;

    #[test]
    fn what_says_nothing_is_cut_off() {
        // Between 0 and 10 the probabilities are decided, −200 is as good as −50.
        let samples: Vec<_> =
            (0..40).map(|i| arr1(&[i as f32 / 4.0, 5.0, -200.0]).into_dyn()).collect();
        let samples = lanes(&samples, 0);
        let full = Range { min: -200.0, max: 10.0 };
        let best = least_divergence(&samples, full);
        assert!(best.min > -100.0 && best.max > 9.0, "{best:?}");
        let loss = |range| divergence(&samples, &affine(range));
        assert!(loss(best) < 0.2 * loss(full), "{} {}", loss(best), loss(full));
    }

    #[test]
    fn the_divergence_is_that_of_the_probabilities() {
        let quant = Quant::per_tensor(1.0, 0);
        let logits = arr1(&[0.4f32, 0.0]).into_dyn();
        // Both become 0: one half each.
        let p = 1.0 / (1.0 + (-0.4f64).exp());
        let expected = p * (2.0 * p).ln() + (1.0 - p) * (2.0 * (1.0 - p)).ln();
        assert!((divergence(&lanes(&[logits], 0), &quant) - expected).abs() < 1e-6);
    }
}
