//! Channels that must stay, whatever they hold.

use super::channels::Channels;
use super::relation::{Relation, activations};
use crate::ir::{Graph, Node, Op, TensorId};
use crate::quantize::accumulator;
use crate::quantize::requant;

/// The numbers of all channels that cannot be removed: those of the model's ports, those that a node
/// needs as a whole, and those that other channels' arithmetic hangs on.
pub(super) fn pinned(graph: &Graph, channels: &Channels) -> Vec<usize> {
    let states = graph.states.iter().flat_map(|&(output, input)| [output, input]);
    let ports = graph.inputs.iter().chain(&graph.outputs).copied().chain(states);
    let mut pinned: Vec<usize> = ports.flat_map(|id| channels.range(id)).collect();
    for (node, relation) in channels.nodes(graph) {
        let whole = needed_whole(graph, node, relation);
        pinned.extend(whole.into_iter().flat_map(|id| channels.range(id)));
        let anchors = anchors(graph, node).into_iter();
        let range = channels.range(node.output);
        pinned.extend(anchors.filter_map(|channel| range.clone().nth(channel)));
    }
    pinned
}

/// The inputs of which a node needs every channel.
fn needed_whole(graph: &Graph, node: &Node, relation: &Relation) -> Vec<TensorId> {
    let needs = |input: usize| match relation {
        Relation::Sum { by_channel } => !by_channel && input == 0,
        Relation::Linked(links) => links.iter().all(|link| link.input != input),
        Relation::Opaque => true,
    };
    activations(graph, node).filter(|(input, _)| needs(*input)).map(|(_, id)| id).collect()
}

/// The output channels without which others would be computed differently: a node's multipliers
/// have one shift, which is that of the largest one.
fn anchors(graph: &Graph, node: &Node) -> Vec<usize> {
    match node.op {
        Op::Conv(_) | Op::Dense => {
            let Some(accumulators) = accumulator::channels(graph, node) else {
                return Vec::new();
            };
            let ratios: Vec<f64> = accumulators.iter().map(|channel| channel.ratio).collect();
            largest_if_shifted(&ratios).into_iter().collect()
        }
        Op::PRelu => slope_anchors(graph, node),
        _ => Vec::new(),
    }
}

/// The channel with the largest ratio, unless no smaller ratio could have a smaller shift.
fn largest_if_shifted(ratios: &[f64]) -> Option<usize> {
    let shift = requant::multipliers(ratios, 0).ok()?.shift;
    let magnitude = |&channel: &usize| ratios[channel].abs();
    let largest = (0..ratios.len()).max_by(|a, b| magnitude(a).total_cmp(&magnitude(b)));
    largest.filter(|_| shift > 0)
}

/// One slope per channel: the largest, if it can set the shift, and two in any case, since a single
/// slope is another kernel.
fn slope_anchors(graph: &Graph, node: &Node) -> Vec<usize> {
    let slopes = graph.tensor(node.inputs[1]).real_values().unwrap_or_default();
    if slopes.len() < 2 {
        return Vec::new();
    }
    let magnitudes: Vec<f64> = slopes.iter().map(|&slope| f64::from(slope).abs()).collect();
    let mut order: Vec<usize> = (0..magnitudes.len()).collect();
    order.sort_by(|&a, &b| magnitudes[b].total_cmp(&magnitudes[a]));
    order.truncate(2);
    order
}
