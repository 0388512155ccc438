//! Makes constants of operands that cannot vary.
//!
//! A convolution needs no such rule: what it reads of a constant channel is in its bias already.
//! Nobody reads what computed the constant any more, and it goes.

use ndarray::{ArrayD, Axis, IxDyn};

use super::channels::Channels;
use super::known::known;
use super::relation::activations;
use crate::ir::{Constant, Graph, Node, Op, Tensor, TensorId};

/// Runs the pass; tells whether it made a constant.
pub(super) fn run(graph: &mut Graph) -> bool {
    let channels = Channels::of(graph);
    let known = known(graph, &channels);
    let mut folded = false;
    for index in 0..graph.nodes.len() {
        let node = &graph.nodes[index];
        let inputs = activations(graph, node);
        let values = inputs.map(|(input, id)| {
            let broadcast = is_broadcast(graph, node, input);
            (input, constant(graph, &channels, &known, id, broadcast))
        });
        let values: Vec<(usize, Option<Tensor>)> = values.collect();
        // If nothing varies, neither does the output, and those who read it are asked.
        if !takes_constants(&node.op) || values.iter().all(|(_, value)| value.is_some()) {
            continue;
        }
        for (input, value) in values {
            if let Some(value) = value {
                let id = graph.add_tensor(value);
                graph.nodes[index].inputs[input] = id;
                folded = true;
            }
        }
    }
    graph.compact();
    folded
}

/// Whether the operator's kernels read constants where they lie.
fn takes_constants(op: &Op) -> bool {
    matches!(op, Op::Add | Op::Sub | Op::Mul | Op::Concat { .. })
}

/// Whether one value per channel will do for an operand: another one has the output's shape.
fn is_broadcast(graph: &Graph, node: &Node, input: usize) -> bool {
    let shape = &graph.tensor(node.output).shape;
    let others = node.inputs.iter().enumerate().filter(|(other, _)| *other != input);
    matches!(node.op, Op::Add | Op::Sub | Op::Mul)
        && others.into_iter().any(|(_, id)| graph.tensor(*id).shape == *shape)
}

/// The constant that a tensor is, if all of its channels are known; of length 1 along all other axes
/// if it can be `broadcast`.
fn constant(
    graph: &Graph,
    channels: &Channels,
    known: &[Option<i32>],
    id: TensorId,
    broadcast: bool,
) -> Option<Tensor> {
    let tensor = graph.tensor(id);
    let channel_axis = channels.axis(id)?;
    let extent = |(axis, &extent): (usize, &usize)| {
        if broadcast && axis != channel_axis { 1 } else { extent }
    };
    let shape: Vec<usize> = tensor.shape.iter().enumerate().map(extent).collect();
    let mut values = ArrayD::zeros(IxDyn(&shape));
    for (mut part, channel) in values.axis_iter_mut(Axis(channel_axis)).zip(channels.range(id)) {
        part.fill(known[channel]?);
    }
    Some(Tensor { shape, constant: Some(Constant::Integer(values)), ..tensor.clone() })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Net, ops, reduced, values};
    use super::*;

    #[test]
    fn an_operand_that_cannot_vary_becomes_a_constant() {
        let mut net = Net::default();
        let x = net.input(&[1, 2, 2, 2]);
        let a = net.pointwise(x, &[[0, 0], [0, 0]], &[640, -640]);
        let b = net.pointwise(x, &[[1, 2], [3, 4]], &[0, 0]);
        let c = net.alike(Op::Add, &[b, a]);
        let (graph, _) = reduced(net.finish(&[c]));
        assert_eq!(ops(&graph), ["Conv", "Add"]);
        assert_eq!(values(&graph, 1, 1), [5, -15], "one value per channel");
    }

    #[test]
    fn a_part_of_a_concatenation_keeps_its_shape() {
        let mut net = Net::default();
        let x = net.input(&[1, 2, 1, 2]);
        let a = net.pointwise(x, &[[0, 0], [0, 0]], &[640, -640]);
        let b = net.node(Op::Concat { axis: 1 }, &[x, a], &[1, 4, 1, 2]);
        let (graph, _) = reduced(net.finish(&[b]));
        assert_eq!(ops(&graph), ["Concat"]);
        assert_eq!(values(&graph, 0, 1), [5, 5, -15, -15]);
    }

    #[test]
    fn a_constant_that_spans_the_output_does_so_still() {
        let mut net = Net::default();
        let x = net.input(&[1, 2, 2, 2]);
        let a = net.pointwise(x, &[[0, 0], [0, 0]], &[640, -640]);
        let b = net.node(Op::Mean { axes: vec![2, 3] }, &[x], &[1, 2]);
        let c = net.node(Op::Reshape, &[b], &[1, 2, 1, 1]);
        let d = net.alike(Op::Sub, &[a, c]);
        let (graph, _) = reduced(net.finish(&[d]));
        assert_eq!(ops(&graph), ["ReduceMean", "Reshape", "Sub"]);
        assert_eq!(values(&graph, 2, 0), [5, 5, 5, 5, -15, -15, -15, -15]);
    }

    #[test]
    fn what_is_constant_to_the_end_is_computed_from_one_channel() {
        let mut net = Net::default();
        let x = net.input(&[1, 2, 2, 2]);
        let a = net.pointwise(x, &[[0, 0], [0, 0]], &[640, -640]);
        let b = net.alike(Op::Add, &[a, a]);
        let c = net.pointwise(b, &[[3, 4]], &[7]);
        let (graph, reduction) = reduced(net.finish(&[c]));
        assert_eq!(ops(&graph), ["Conv", "Add", "Conv"]);
        assert_eq!(reduction.channels_removed, 1);
    }
}
