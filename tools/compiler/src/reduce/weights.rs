//! Reading and replacing the integer weights of convolutions and matrix products.

use ndarray::{Array1, ArrayD};

use crate::ir::{Constant, Graph, Node, Quant, Tensor, TensorId};
use crate::quantize::accumulator;
use crate::quantize::requant;

/// The integers of a constant.
pub(super) fn integers(graph: &Graph, id: TensorId) -> Option<&ArrayD<i32>> {
    match &graph.tensor(id).constant {
        Some(Constant::Integer(values)) => Some(values),
        _ => None,
    }
}

/// The weights `[out_c, in_c / groups, ..]` of a node.
pub(super) fn of_node<'g>(graph: &'g Graph, node: &Node) -> Option<&'g ArrayD<i32>> {
    integers(graph, *node.inputs.get(1)?)
}

/// The bias of a node, zeros if it has none.
pub(super) fn bias(graph: &Graph, node: &Node) -> Option<Vec<i32>> {
    match node.inputs.get(2) {
        Some(&id) => Some(integers(graph, id)?.iter().copied().collect()),
        None => Some(vec![0; of_node(graph, node)?.shape()[0]]),
    }
}

/// For each output channel whether its bias enters the image as it is, rather than moved to what the
/// accumulator holds. Then the same sum of bias and products gives the same result, however it is
/// divided between them, as long as that does not increase the largest sum.
pub(super) fn has_exact_bias(graph: &Graph, node: &Node) -> Option<Vec<bool>> {
    let channels = accumulator::channels(graph, node)?;
    let (requant, _) = requant::convolution(&channels).ok()?;
    let limit = requant::accumulator_limit(requant.shift);
    Some(channels.iter().map(|channel| channel.max_abs_acc() <= limit).collect())
}

/// Replaces the weights of a node; they keep their scales. A new tensor, since another node may read
/// the old one.
pub(super) fn set_weights(graph: &mut Graph, index: usize, values: ArrayD<i32>) {
    let old = graph.tensor(graph.nodes[index].inputs[1]);
    let tensor = Tensor { constant: Some(Constant::Integer(values)), ..old.clone() };
    graph.nodes[index].inputs[1] = graph.add_tensor(tensor);
}

/// Replaces the bias of a node, or gives it one.
pub(super) fn set_bias(graph: &mut Graph, index: usize, values: Vec<i32>) {
    let node = &graph.nodes[index];
    let weights = graph.tensor(node.inputs[1]);
    let (name, quant) = match node.inputs.get(2) {
        Some(&id) => (graph.tensor(id).name.clone(), graph.tensor(id).quant.clone()),
        None => (format!("{}/bias", weights.name), bias_quant(graph, node)),
    };
    let tensor = Tensor {
        name,
        shape: vec![values.len()],
        constant: Some(Constant::Integer(Array1::from(values).into_dyn())),
        quant,
    };
    let id = graph.add_tensor(tensor);
    let inputs = &mut graph.nodes[index].inputs;
    inputs.truncate(2);
    inputs.push(id);
}

/// A bias counts in units of input scale · weight scale.
fn bias_quant(graph: &Graph, node: &Node) -> Option<Quant> {
    let input = graph.tensor(node.inputs[0]).quant.as_ref()?;
    let weights = graph.tensor(node.inputs[1]).quant.as_ref()?;
    let scales = weights.scales.iter().map(|&scale| input.scale() * scale).collect();
    Some(Quant { scales, zero_point: 0, axis: weights.axis, bits: 32 })
}
