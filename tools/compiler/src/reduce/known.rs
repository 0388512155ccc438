//! Channels that can take one value only.
//!
//! A weighted sum is bounded by its bias and its weights. Where the lowest and the highest sum that
//! any input could give are requantised and clamped to the same integer, that is the channel's
//! value: because its weights are zero, or too small to matter, or because the clamp always cuts it
//! off. Padding counts as one more value that the input may have.
//!
//! Through other nodes, a constant channel is followed by running the node.

use fixie_kernels::requantize;
use ndarray::{ArrayD, Axis};

use super::channels::Channels;
use super::evaluate;
use super::relation::{Link, Relation, activations};
use super::weights;
use crate::ir::{Graph, Node, Op, Tensor, TensorId};
use crate::quantize::accumulator;
use crate::quantize::requant;

/// The value of every channel that has only one, by its number.
pub(super) fn known(graph: &Graph, channels: &Channels) -> Vec<Option<i32>> {
    let mut analysis = Analysis {
        graph,
        channels,
        known: vec![None; channels.len()],
        bounds: graph.tensors.iter().map(representable).collect(),
    };
    for index in 0..graph.nodes.len() {
        analysis.node(index);
    }
    analysis.known
}

/// Smallest and largest integer.
type Bounds = (i32, i32);

fn representable(tensor: &Tensor) -> Bounds {
    tensor.quant.as_ref().map_or((i32::MIN, i32::MAX), crate::ir::Quant::range)
}

struct Analysis<'a> {
    graph: &'a Graph,
    channels: &'a Channels,
    /// By channel number.
    known: Vec<Option<i32>>,
    /// What the elements of each tensor lie between.
    bounds: Vec<Bounds>,
}

impl Analysis<'_> {
    fn node(&mut self, index: usize) {
        let node = &self.graph.nodes[index];
        self.bounds[node.output.0] = self.output_bounds(node);
        let found = match (&node.op, self.channels.relation(index)) {
            (_, Relation::Opaque) => Vec::new(),
            (Op::Conv(_) | Op::Dense, _) => self.sums(node).unwrap_or_default(),
            (_, Relation::Linked(links)) => self.followed(node, links),
            (_, Relation::Sum { .. }) => Vec::new(),
        };
        for (channel, value) in found {
            let number = self.channels.number(node.output, channel);
            self.known[number] = Some(value);
        }
    }

    /// What a fused clamp leaves of the output's range; what only moves keeps its input's.
    fn output_bounds(&self, node: &Node) -> Bounds {
        let Some(quant) = &self.graph.tensor(node.output).quant else {
            return self.bounds[node.output.0];
        };
        let (min, max) = node.integer_bounds(quant);
        if node.op.moves_only() {
            let (low, high) = self.bounds[node.inputs[0].0];
            return (low.clamp(min, max), high.clamp(min, max));
        }
        (min, max)
    }

    /// The constant outputs of a convolution or matrix product; `None` if it is not in integers.
    fn sums(&self, node: &Node) -> Option<Vec<(usize, i32)>> {
        let channels = accumulator::channels(self.graph, node)?;
        let (requant, biases) = requant::convolution(&channels).ok()?;
        let (min, max) = self.bounds[node.output.0];
        let zero = self.graph.tensor(node.output).quant.as_ref()?.zero_point;
        let weights = weights::of_node(self.graph, node)?;
        let inputs = self.input_bounds(node)?;
        let (in_group, groups) = (weights.shape()[1], inputs.len() / weights.shape()[1].max(1));
        let out_group = (channels.len() / groups.max(1)).max(1);
        let constant = |(n, row): (usize, ndarray::ArrayViewD<'_, i32>)| {
            let group = inputs.get(n / out_group * in_group..)?;
            let mut sum = (i64::from(biases[n]), i64::from(biases[n]));
            for (taps, &(low, high)) in row.outer_iter().zip(group) {
                for &w in taps {
                    let ends = (i64::from(w) * i64::from(low), i64::from(w) * i64::from(high));
                    sum = (sum.0 + ends.0.min(ends.1), sum.1 + ends.0.max(ends.1));
                }
            }
            // No sum leaves 32 bits, as `requant::convolution` has checked.
            let result = |sum: i64| {
                let scaled = requantize(sum as i32, requant.multipliers[n], requant.shift);
                (zero + scaled).clamp(min, max)
            };
            (result(sum.0) == result(sum.1)).then(|| (n, result(sum.0)))
        };
        Some(weights.outer_iter().enumerate().filter_map(constant).collect())
    }

    /// The bounds of every channel that a convolution or matrix product reads, padding included.
    fn input_bounds(&self, node: &Node) -> Option<Vec<Bounds>> {
        let x = node.inputs[0];
        let tensor = self.graph.tensor(x);
        let (axis, padded) = match &node.op {
            Op::Conv(conv) => (1, conv.is_padded()),
            _ => (tensor.shape.len() - 1, false),
        };
        let zero_point = tensor.quant.as_ref()?.zero_point;
        let by_channel = self.channels.axis(x) == Some(axis);
        let bounds = |channel: usize| {
            let known = by_channel.then(|| self.known[self.channels.number(x, channel)]).flatten();
            let (low, high) = known.map_or(self.bounds[x.0], |value| (value, value));
            if padded { (low.min(zero_point), high.max(zero_point)) } else { (low, high) }
        };
        Some((0..tensor.shape[axis]).map(bounds).collect())
    }

    /// The constant outputs of a node whose linked inputs are constant: it runs once, with anything
    /// in the other channels, since no constant output depends on them.
    fn followed(&self, node: &Node, links: &[Link]) -> Vec<(usize, i32)> {
        let Some(axis) = self.channels.axis(node.output) else {
            return Vec::new();
        };
        let candidates = self.candidates(node, links);
        if candidates.is_empty() {
            return Vec::new();
        }
        let Some(output) = evaluate::node(self.graph, node, |id| self.filled(id)) else {
            return Vec::new();
        };
        let uniform = |channel: usize| {
            let part = output.index_axis(Axis(axis), channel);
            let first = *part.first()?;
            part.iter().all(|&value| value == first).then_some((channel, first))
        };
        candidates.into_iter().filter_map(uniform).collect()
    }

    /// Outputs all of whose inputs are known.
    fn candidates(&self, node: &Node, links: &[Link]) -> Vec<usize> {
        let outputs = self.channels.range(node.output).len();
        // A constant is known; so is every linked channel that has one value.
        let mut candidates = vec![true; outputs];
        for (input, _) in activations(self.graph, node) {
            let mut linked = vec![false; outputs];
            for link in links.iter().filter(|link| link.input == input) {
                let (from, _) = self.channels.linked(node, link);
                linked[link.to] = true;
                candidates[link.to] &= self.known[from].is_some();
            }
            let joins = matches!(node.op, Op::Concat { .. });
            // A part of a concatenation does not touch the others; else, it is broadcast.
            candidates.iter_mut().zip(linked).for_each(|(known, linked)| *known &= linked || joins);
        }
        (0..outputs).filter(|&channel| candidates[channel]).collect()
    }

    /// A tensor that has the known values where there are any.
    fn filled(&self, id: TensorId) -> ArrayD<i8> {
        let mut values = ArrayD::zeros(self.graph.tensor(id).shape.clone());
        let Some(axis) = self.channels.axis(id) else {
            return values;
        };
        for (part, channel) in values.axis_iter_mut(Axis(axis)).zip(self.channels.range(id)) {
            let mut part = part;
            part.fill(self.known[channel].unwrap_or(0) as i8);
        }
        values
    }
}
