//! Merges channels that are always equal.
//!
//! Two output channels with the same weights, bias and scale are equal, and stay equal through every
//! node that treats them alike. The first of them can take over the others' weights wherever they
//! are summed up, as long as the sums of weights remain within ±127; nobody then reads the others.

use std::collections::{HashMap, HashSet};

use ndarray::{ArrayD, Axis};

use super::channels::Channels;
use super::classes::Classes;
use super::pinned::pinned;
use super::relation::{Link, Relation, operand_axis};
use super::weights;
use crate::ir::{Constant, Graph, Node, Op};

/// The largest weight of the compiler's own: two of them then fit one 16-bit lane.
const LARGEST_WEIGHT: i32 = 127;

/// Runs the pass; tells whether it merged anything.
pub(super) fn run(graph: &mut Graph) -> bool {
    let channels = Channels::of(graph);
    let first = first_equals(graph, &channels);
    let classes = Classes::of(graph, &channels);
    // Channels that must stay need nobody to stand in for them.
    let pinned = pinned(graph, &channels).into_iter().map(|channel| classes.class(channel));
    let mut seen: HashSet<usize> = pinned.collect();
    let equals = Equals { channels, classes, first };
    let mut merged = false;
    for channel in 0..equals.first.len() {
        let class = equals.classes.class(channel);
        if equals.first[channel] != channel && seen.insert(class) {
            merged |= equals.merge(graph, class);
        }
    }
    merged
}

/// Which channels are equal, and which go together.
struct Equals {
    channels: Channels,
    classes: Classes,
    /// For every channel the first one of the same tensor that is always equal to it.
    first: Vec<usize>,
}

impl Equals {
    /// Gives the weights for the members of a class to their equals, wherever members are summed
    /// up. Nothing is changed, and `false` returned, unless there are weights and all can move.
    fn merge(&self, graph: &mut Graph, class: usize) -> bool {
        let mut moved = Vec::new();
        for index in 0..graph.nodes.len() {
            if *self.channels.relation(index) == (Relation::Sum { by_channel: true }) {
                match self.moved_weights(graph, &graph.nodes[index], class) {
                    Ok(Some(weights)) => moved.push((index, weights)),
                    Ok(None) => {}
                    Err(Immovable) => return false,
                }
            }
        }
        let any = !moved.is_empty();
        for (index, values) in moved {
            weights::set_weights(graph, index, values);
        }
        any
    }

    /// A node's weights after the move, `None` if there is nothing to move.
    fn moved_weights(
        &self,
        graph: &Graph,
        node: &Node,
        class: usize,
    ) -> Result<Option<ArrayD<i32>>, Immovable> {
        let mut moved = None;
        let inputs = self.channels.range(node.inputs[0]);
        for channel in inputs.clone().filter(|&channel| self.classes.class(channel) == class) {
            let old = moved.as_ref().or_else(|| weights::of_node(graph, node)).ok_or(Immovable)?;
            if is_zero(old, channel - inputs.start) {
                continue;
            }
            let first = self.first[channel];
            if self.classes.class(first) == class {
                return Err(Immovable);
            }
            let exact = weights::has_exact_bias(graph, node).ok_or(Immovable)?;
            let mut values = old.clone();
            move_column(&mut values, channel - inputs.start, first - inputs.start, &exact)?;
            moved = Some(values);
        }
        Ok(moved)
    }
}

/// A weight has nowhere to go.
struct Immovable;

/// Whether no output has a weight for an input.
fn is_zero(weights: &ArrayD<i32>, input: usize) -> bool {
    weights.index_axis(Axis(1), input).iter().all(|&w| w == 0)
}

/// Adds the weights for one input to those for another, and zeroes them.
fn move_column(
    weights: &mut ArrayD<i32>,
    from: usize,
    to: usize,
    exact: &[bool],
) -> Result<(), Immovable> {
    for (mut row, &exact) in weights.outer_iter_mut().zip(exact) {
        let source = row.index_axis(Axis(0), from).to_owned();
        if source.iter().all(|&w| w == 0) {
            continue;
        }
        let mut target = row.index_axis_mut(Axis(0), to);
        target += &source;
        if !exact || target.iter().any(|w| w.abs() > LARGEST_WEIGHT) {
            return Err(Immovable);
        }
        row.index_axis_mut(Axis(0), from).fill(0);
    }
    Ok(())
}

/// For every channel the first one of the same tensor that is always equal to it.
fn first_equals(graph: &Graph, channels: &Channels) -> Vec<usize> {
    let mut first: Vec<usize> = (0..channels.len()).collect();
    for (node, relation) in channels.nodes(graph) {
        let keys = keys(graph, channels, node, relation, &first);
        let mut known = HashMap::new();
        for (channel, key) in channels.range(node.output).zip(keys) {
            // A part of a constant, in a concatenation, is read from nowhere.
            if !key.0.is_empty() || matches!(relation, Relation::Sum { .. }) {
                first[channel] = *known.entry(key).or_insert(channel);
            }
        }
    }
    first
}

/// What determines an output channel: the inputs that it reads (by the first of their equals), and
/// the bits of its constants.
type Key = (Vec<usize>, Vec<u32>);

/// The keys of a node's output channels, in order; none where channels cannot be compared.
fn keys(
    graph: &Graph,
    channels: &Channels,
    node: &Node,
    relation: &Relation,
    first: &[usize],
) -> Vec<Key> {
    let outputs = channels.range(node.output).len();
    let mut inputs = vec![Vec::new(); outputs];
    let mut constants = match node.op {
        Op::Conv(_) | Op::Dense => sum_constants(graph, node).unwrap_or_default(),
        _ => operand_constants(graph, channels, node),
    };
    if constants.len() != outputs {
        return Vec::new();
    }
    match relation {
        Relation::Opaque => return Vec::new(),
        Relation::Sum { .. } => {}
        Relation::Linked(links) => {
            let ranks = ranks(links);
            for (link, rank) in links.iter().zip(ranks) {
                let (from, _) = channels.linked(node, link);
                inputs[link.to].push(first[from]);
                // A convolution's outputs may differ in place and still be equal.
                if !matches!(node.op, Op::Conv(_)) {
                    constants[link.to].push(rank);
                }
            }
        }
    }
    inputs.into_iter().zip(constants).collect()
}

/// For each link the how many-th of its input channel it is: a flattened channel has several places.
fn ranks(links: &[Link]) -> Vec<u32> {
    let mut counts: HashMap<(usize, usize), u32> = HashMap::new();
    let rank = |link: &Link| {
        let count = counts.entry((link.input, link.from)).or_default();
        *count += 1;
        *count
    };
    links.iter().map(rank).collect()
}

/// Weights, bias and scale of every output channel of a convolution or matrix product.
fn sum_constants(graph: &Graph, node: &Node) -> Option<Vec<Vec<u32>>> {
    let weights = weights::of_node(graph, node)?;
    let scales = graph.tensor(node.inputs[1]).quant.as_ref()?;
    let bias = weights::bias(graph, node)?;
    let channel = |(n, row): (usize, ndarray::ArrayViewD<'_, i32>)| {
        let own = [bias[n] as u32, scales.scale_at(n).to_bits()];
        own.into_iter().chain(row.iter().map(|&w| w as u32)).collect()
    };
    Some(weights.outer_iter().enumerate().map(channel).collect())
}

/// The values of constant operands that belong to each output channel. Parts of a concatenation
/// are told from each other by what they are linked with; constant ones are not compared.
fn operand_constants(graph: &Graph, channels: &Channels, node: &Node) -> Vec<Vec<u32>> {
    let out_shape = &graph.tensor(node.output).shape;
    let Some(axis) = channels.axis(node.output) else {
        return Vec::new();
    };
    let mut values = vec![Vec::new(); out_shape[axis]];
    for id in &node.inputs {
        let tensor = graph.tensor(*id);
        let own = operand_axis(&tensor.shape, out_shape, axis);
        let (Some(own), Some(constant)) = (own, &tensor.constant) else {
            continue;
        };
        for (channel, values) in values.iter_mut().enumerate() {
            match constant {
                Constant::Real(reals) => {
                    let part = reals.index_axis(Axis(own), channel);
                    values.extend(part.iter().map(|real| real.to_bits()));
                }
                Constant::Integer(integers) => {
                    let part = integers.index_axis(Axis(own), channel);
                    values.extend(part.iter().map(|&integer| integer as u32));
                }
            }
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Net, matrix, outputs, reduced, shapes, values};
    use super::*;
    use crate::ir::TensorId;

    /// Runs the pass alone, which must leave the outputs as they are, and gives the weights of the
    /// last node.
    fn merged(net: Net, output: TensorId) -> Vec<i32> {
        let mut graph = net.finish(&[output]);
        let before = outputs(&graph);
        run(&mut graph);
        graph.validate().unwrap();
        assert_eq!(outputs(&graph), before);
        assert!(!run(&mut graph), "the second time there is nothing left");
        values(&graph, graph.nodes.len() - 1, 1)
    }

    /// A convolution of three channels, and one that reads them.
    fn pair(rows: [[i32; 2]; 3], bias: [i32; 3], readers: [i32; 3]) -> Vec<i32> {
        let mut net = Net::default();
        let x = net.input(&[1, 2, 2, 2]);
        let a = net.pointwise(x, &rows, &bias);
        let b = net.pointwise(a, &[readers], &[0]);
        merged(net, b)
    }

    #[test]
    fn the_first_of_equals_takes_the_weights() {
        assert_eq!(pair([[1, 2], [3, 4], [1, 2]], [5, 6, 5], [7, 8, 9]), [16, 8, 0]);
        assert_eq!(pair([[1, 2]; 3], [5; 3], [7, 8, 9]), [24, 0, 0]);
    }

    #[test]
    fn other_weights_biases_or_scales_make_another_channel() {
        assert_eq!(pair([[1, 2], [3, 4], [1, 3]], [5, 6, 5], [7, 8, 9]), [7, 8, 9]);
        assert_eq!(pair([[1, 2], [3, 4], [1, 2]], [5, 6, 7], [7, 8, 9]), [7, 8, 9]);
        let mut net = Net::default();
        let x = net.input(&[1, 2, 2, 2]);
        let a = net.pointwise(x, &[[1, 2], [1, 2]], &[5, 5]);
        net.scale_weights(&[0.01, 0.02]);
        let b = net.pointwise(a, &[[7, 8]], &[0]);
        assert_eq!(merged(net, b), [7, 8]);
    }

    #[test]
    fn sums_of_weights_stay_within_a_byte() {
        assert_eq!(pair([[1, 2], [3, 4], [1, 2]], [5, 6, 5], [100, 8, 27]), [127, 8, 0]);
        assert_eq!(pair([[1, 2], [3, 4], [1, 2]], [5, 6, 5], [100, 8, 28]), [100, 8, 28]);
        assert_eq!(pair([[1, 2], [3, 4], [1, 2]], [5, 6, 5], [-100, 8, -28]), [-100, 8, -28]);
    }

    #[test]
    fn equals_stay_equal_where_they_are_treated_alike() {
        let mut net = Net::default();
        let x = net.input(&[1, 2, 3, 3]);
        let a = net.pointwise(x, &[[1, 2], [1, 2], [1, 2]], &[5; 3]);
        let b = net.depthwise(a, &[3, 4, 3], &[6; 3]);
        let c = net.alike(Op::Add, &[a, b]);
        let d = net.pointwise(c, &[[1, 2, 3]], &[0]);
        let (graph, _) = reduced(net.finish(&[d]));
        assert_eq!(values(&graph, 3, 1), [4, 2]);
        assert_eq!(shapes(&graph)[..3], [[1, 2, 3, 3]; 3]);
    }

    #[test]
    fn equal_channels_with_constants_of_their_own_differ() {
        let readers = |factors: [i32; 2]| {
            let mut net = Net::default();
            let x = net.input(&[1, 1, 2, 2]);
            let a = net.pointwise(x, &[[1], [1]], &[0; 2]);
            let c = net.operand(matrix(&[[factors[0]], [factors[1]]], &[1]));
            let b = net.alike(Op::Mul, &[a, c]);
            let d = net.pointwise(b, &[[7, 8]], &[0]);
            merged(net, d)
        };
        assert_eq!(readers([5, 5]), [15, 0]);
        assert_eq!(readers([5, 6]), [7, 8]);
    }

    #[test]
    fn places_of_a_flattened_channel_are_not_equal() {
        let mut net = Net::default();
        let x = net.input(&[1, 1, 1, 2]);
        let a = net.pointwise(x, &[[1], [1]], &[0; 2]);
        let b = net.node(Op::Reshape, &[a], &[1, 4]);
        let c = net.dense(b, matrix(&[[1, 2, 3, 5]], &[]), &[0]);
        assert_eq!(merged(net, c), [4, 7, 0, 0]);
    }

    #[test]
    fn constant_parts_of_a_concatenation_are_not_equal() {
        let mut net = Net::default();
        let x = net.input(&[1, 1, 1, 1]);
        let a = net.pointwise(x, &[[1], [1]], &[0; 2]);
        let c = net.operand(matrix(&[[1, 2]], &[1, 1]));
        let b = net.node(Op::Concat { axis: 1 }, &[c, a], &[1, 4, 1, 1]);
        let d = net.pointwise(b, &[[7, 8, 9, 10]], &[0]);
        assert_eq!(merged(net, d), [7, 8, 19, 0]);
    }

    #[test]
    fn outputs_of_the_model_keep_their_equals() {
        let mut net = Net::default();
        let x = net.input(&[1, 1, 2, 2]);
        let a = net.pointwise(x, &[[1], [1]], &[0; 2]);
        let b = net.pointwise(a, &[[7, 8]], &[0]);
        let mut graph = net.finish(&[a, b]);
        assert!(!run(&mut graph));
    }
}
