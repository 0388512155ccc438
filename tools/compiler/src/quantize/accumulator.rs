//! What the accumulators of a convolution or matrix product start from, and are scaled by.

use ndarray::Axis;

use super::requant::{Channel, weight_swing};
use crate::ir::{Constant, Graph, Node};

/// The output channels of a quantised node. Their biases take the input's zero point,
/// `bias − zero_point · Σw`, so that no kernel subtracts it.
///
/// `None` if the node's weights or bias are no integers, or a tensor is not quantised.
pub fn channels(graph: &Graph, node: &Node) -> Option<Vec<Channel>> {
    let quant = |input: usize| graph.tensor(*node.inputs.get(input)?).quant.as_ref();
    let integers = |input: usize| match graph.tensor(*node.inputs.get(input)?).constant.as_ref()? {
        Constant::Integer(values) => Some(values),
        Constant::Real(_) => None,
    };
    let (input, weight_quant) = (quant(0)?, quant(1)?);
    let output = graph.tensor(node.output).quant.as_ref()?;
    let weights = integers(1)?;
    let biases: Vec<i32> = match node.inputs.get(2) {
        Some(_) => integers(2)?.iter().copied().collect(),
        None => vec![0; *weights.shape().first()?],
    };
    let channels = weights.axis_iter(Axis(0)).zip(biases).enumerate().map(|(n, (row, bias))| {
        let sum: i64 = row.iter().map(|&w| i64::from(w)).sum();
        Channel {
            ratio: f64::from(input.scale()) * f64::from(weight_quant.scale_at(n))
                / f64::from(output.scale()),
            bias: i64::from(bias) - i64::from(input.zero_point) * sum,
            swing: weight_swing(row.iter().copied(), input.limit()),
            saturation: 2 * output.limit(),
        }
    });
    Some(channels.collect())
}
