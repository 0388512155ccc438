//! Takes channels out of a graph.

use std::collections::HashMap;

use ndarray::{ArrayD, Axis};

use super::channels::Channels;
use super::relation::{Relation, operand_axis};
use crate::ir::{Constant, Graph, Op, Quant, Tensor, TensorId};

/// The channels that stay, ascending, of every tensor which loses some.
pub(super) type Kept = HashMap<TensorId, Vec<usize>>;

/// Removes all channels but `kept` from tensors and from the constants that belong to them. Linked
/// channels must be kept or removed together, and every tensor must keep one.
pub(super) fn narrow(graph: &mut Graph, channels: &Channels, kept: &Kept) {
    for index in 0..graph.nodes.len() {
        match &graph.nodes[index].op {
            Op::Conv(_) | Op::Dense => narrow_weights(graph, channels, kept, index),
            Op::Concat { .. } => narrow_parts(graph, channels, kept, index),
            Op::Slice(_) => narrow_slice(graph, channels, kept, index),
            Op::Add | Op::Sub | Op::Mul | Op::PRelu => {
                narrow_operands(graph, channels, kept, index);
            }
            _ => {}
        }
    }
    for (id, kept) in kept {
        if let Some(axis) = channels.axis(*id) {
            graph.tensor_mut(*id).shape[axis] = kept.len();
        }
    }
}

/// Weights have a row per output channel, and a column per input channel of a group.
fn narrow_weights(graph: &mut Graph, channels: &Channels, kept: &Kept, index: usize) {
    let node = &graph.nodes[index];
    let (input, inputs) = (kept.get(&node.inputs[0]), node.inputs.clone());
    let rows = kept.get(&node.output);
    let columns = match channels.relation(index) {
        Relation::Sum { by_channel: true } => input,
        _ => None,
    };
    let mut narrowed = vec![inputs[0]];
    for (place, &id) in inputs.iter().enumerate().skip(1) {
        let mut id = id;
        if let Some(rows) = rows {
            id = select(graph, id, 0, rows);
        }
        if let (1, Some(columns)) = (place, columns) {
            id = select(graph, id, 1, columns);
        }
        narrowed.push(id);
    }
    let group_len = graph.tensor(narrowed[1]).shape[1];
    let node = &mut graph.nodes[index];
    node.inputs = narrowed;
    if let (Op::Conv(conv), Relation::Linked(_), Some(input)) =
        (&mut node.op, channels.relation(index), input)
    {
        conv.groups = input.len() / group_len;
    }
}

/// Constant operands that have a value per channel.
fn narrow_operands(graph: &mut Graph, channels: &Channels, kept: &Kept, index: usize) {
    let node = &graph.nodes[index];
    let (Some(kept), Some(axis)) = (kept.get(&node.output), channels.axis(node.output)) else {
        return;
    };
    let out_shape = graph.tensor(node.output).shape.clone();
    for (input, id) in node.inputs.clone().into_iter().enumerate() {
        let tensor = graph.tensor(id);
        let own = operand_axis(&tensor.shape, &out_shape, axis);
        if let (Some(axis), true) = (own, tensor.constant.is_some()) {
            graph.nodes[index].inputs[input] = select(graph, id, axis, kept);
        }
    }
}

/// Constant parts of a concatenation; one may vanish.
fn narrow_parts(graph: &mut Graph, channels: &Channels, kept: &Kept, index: usize) {
    let node = &graph.nodes[index];
    let (Some(kept), Some(axis)) = (kept.get(&node.output), channels.axis(node.output)) else {
        return;
    };
    let joins_channels = node.op == Op::Concat { axis };
    let mut parts = Vec::new();
    let mut start = 0;
    for id in node.inputs.clone() {
        let tensor = graph.tensor(id);
        let part = if joins_channels { start..start + tensor.shape[axis] } else { 0..usize::MAX };
        start += tensor.shape[axis];
        if tensor.constant.is_none() {
            parts.push(id);
            continue;
        }
        let of_part = kept.iter().filter(|channel| part.contains(channel));
        let of_part: Vec<usize> = of_part.map(|channel| channel - part.start).collect();
        if !of_part.is_empty() {
            parts.push(select(graph, id, axis, &of_part));
        }
    }
    graph.nodes[index].inputs = parts;
}

/// A part of the channels begins earlier if some before it are gone.
fn narrow_slice(graph: &mut Graph, channels: &Channels, kept: &Kept, index: usize) {
    let node = &mut graph.nodes[index];
    let (Op::Slice(parts), Some(axis)) = (&mut node.op, channels.axis(node.output)) else {
        return;
    };
    let part = &mut parts[axis];
    if let Some(kept) = kept.get(&node.inputs[0]) {
        part.start = kept.iter().filter(|&&channel| channel < part.start).count();
    }
    if let Some(kept) = kept.get(&node.output) {
        part.len = kept.len();
    }
}

/// Adds a constant which has only the given indices of an axis.
fn select(graph: &mut Graph, id: TensorId, axis: usize, indices: &[usize]) -> TensorId {
    let Tensor { name, constant, quant, .. } = graph.tensor(id).clone();
    let constant = constant.map(|constant| match constant {
        Constant::Real(values) => Constant::Real(values.select(Axis(axis), indices)),
        Constant::Integer(values) => Constant::Integer(values.select(Axis(axis), indices)),
    });
    let shape = match &constant {
        Some(Constant::Real(values)) => ArrayD::shape(values).to_vec(),
        Some(Constant::Integer(values)) => ArrayD::shape(values).to_vec(),
        None => graph.tensor(id).shape.clone(),
    };
    let quant = quant.map(|quant| select_scales(quant, axis, indices));
    graph.add_tensor(Tensor { name, shape, constant, quant })
}

fn select_scales(quant: Quant, axis: usize, indices: &[usize]) -> Quant {
    if quant.axis != Some(axis) || quant.scales.len() == 1 {
        return quant;
    }
    let scales = indices.iter().map(|&index| quant.scales[index]).collect();
    Quant { scales, ..quant }
}
