//! Activations of 16 bits: which tensors can have them, and with which scale.
//!
//! Convolutions and matrix products read and write 16 bits, reshapes and transposes pass them on.
//! What else reads such a tensor gets a copy in 8 bits. If nothing but that reads it, it has 8 bits
//! at once.
//!
//! Sums over 16-bit elements must fit 32 bits, with a bias of up to half of them. Where the weights of
//! a layer that reads a tensor are too large or too many for that, the tensor has fewer than 16 bits,
//! held in 16.

use super::share::{self, shares};
use super::{QuantizeOptions, WeightScale};
use crate::calibrate::Range;
use crate::ir::{Constant, Graph, Node, Op, Quant, TensorId};

/// With fewer bits than this a tensor has 8.
const LEAST_BITS: u8 = 10;
/// What products with 8-bit weights may add up to, so that a bias fits beside them.
const SUM_LIMIT: f64 = (1 << 30) as f64;
/// A range that is smaller than this is nothing but zero.
const SMALLEST: f64 = 1e-20;

/// Whether an operator reads and writes elements of 16 bits.
pub(super) fn takes_wide(op: &Op) -> bool {
    op.has_weights() || matches!(op, Op::Reshape | Op::Transpose { .. })
}

/// The 16-bit quantisation of tensors that share their integers, if they shall and can have one.
pub(super) fn quant(
    graph: &Graph,
    members: &[TensorId],
    range: Range,
    options: &QuantizeOptions,
) -> Option<Quant> {
    let wanted = |id: &TensorId| {
        let layer = graph.producer(*id).map(|index| &graph.nodes[index]);
        layer.is_some_and(|node| node.op.has_weights() && options.wide.contains(&node.name))
    };
    let largest = f64::from(range.max).max(-f64::from(range.min));
    (members.iter().any(wanted) && can_be_wide(graph, members) && largest >= SMALLEST)
        .then_some(())?;
    let readers = members.iter().flat_map(|&id| graph.consumers(id));
    let layers = readers.map(|index| &graph.nodes[index]).filter(|node| node.op.has_weights());
    let sum = layers.map(|node| largest_sum(graph, node, options)).fold(0.0, f64::max);
    let fits = |bits: &u8| sum * f64::from(bits - 1).exp2() <= SUM_LIMIT;
    let bits = (LEAST_BITS..=16).rev().find(fits)?;
    let scale = largest / (f64::from(bits - 1).exp2() - 1.0);
    Some(Quant { bits, ..Quant::per_tensor(scale as f32, 0) })
}

/// Whether all who write and share these tensors take 16 bits, and somebody gains by it.
fn can_be_wide(graph: &Graph, members: &[TensorId]) -> bool {
    let op = |index: usize| &graph.nodes[index].op;
    let is_state = |id: TensorId| graph.states.iter().any(|&(o, i)| o == id || i == id);
    let written = |id: TensorId| graph.producer(id).is_some_and(|index| takes_wide(op(index)));
    let shared = |index: usize| takes_wide(op(index)) || !shares(op(index));
    let gains = |id: TensorId| {
        graph.outputs.contains(&id) || graph.consumers(id).iter().any(|&n| op(n).has_weights())
    };
    let possible = |&id: &TensorId| {
        written(id) && !is_state(id) && graph.consumers(id).into_iter().all(shared)
    };
    members.iter().all(possible) && members.iter().any(|&id| gains(id))
}

/// The most that the magnitudes of a layer's integer weights add up to, over its output channels.
fn largest_sum(graph: &Graph, node: &Node, options: &QuantizeOptions) -> f64 {
    let weights = graph.tensor(node.inputs[1]);
    let taps = (weights.len() / weights.shape[0].max(1)) as f64;
    let of_channel = |magnitudes: Vec<f64>| {
        let largest = magnitudes.iter().fold(0.0, |largest: f64, &w| largest.max(w));
        let sum: f64 = magnitudes.iter().sum();
        match weights.constant {
            Some(Constant::Real(_)) => {
                // At the finest scale that is tried; rounding moves a weight by a step at most.
                let finest = if options.weights == WeightScale::Mse { 254.0 } else { 127.0 };
                (finest * sum / largest.max(f64::MIN_POSITIVE) + taps).min(127.0 * taps)
            }
            _ => sum,
        }
    };
    let rows: Vec<Vec<f64>> = match &weights.constant {
        Some(Constant::Real(values)) => {
            let row = |row: ndarray::ArrayViewD<f32>| row.iter().map(|&w| w.abs().into()).collect();
            values.outer_iter().map(row).collect()
        }
        Some(Constant::Integer(values)) => {
            let zero = weights.quant.as_ref().map_or(0, |quant| quant.zero_point);
            let row = |row: ndarray::ArrayViewD<i32>| {
                row.iter().map(|&w| (w - zero).abs().into()).collect()
            };
            values.outer_iter().map(row).collect()
        }
        None => Vec::new(),
    };
    rows.into_iter().map(of_channel).fold(0.0, f64::max)
}

/// Gives operators that take 8 bits only a copy of a wide tensor in the integers of `narrow`.
pub(super) fn narrow_readers(graph: &mut Graph, id: TensorId, narrow: &Quant) {
    let takes = |index: &usize| takes_wide(&graph.nodes[*index].op);
    let others: Vec<usize> = graph.consumers(id).into_iter().filter(|n| !takes(n)).collect();
    let Some(&first) = others.first() else {
        return;
    };
    let copy = share::conversion(graph, id, Some(narrow), first);
    for index in others {
        // The conversion came before it.
        let inputs = graph.nodes[index + 1].inputs.iter_mut();
        inputs.filter(|input| **input == id).for_each(|input| *input = copy);
    }
}
