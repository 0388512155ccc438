//! Removes channels that no output depends on.
//!
//! A channel is alive if it must stay ([`pinned`]), or if an output channel that is alive has a
//! weight other than zero for it, or if a channel that it is linked with is alive. What is left has
//! no way to the model's outputs.

use std::collections::HashMap;

use super::channels::Channels;
use super::classes::Classes;
use super::narrow::{Kept, narrow};
use super::pinned::pinned;
use super::relation::Relation;
use super::weights;
use crate::ir::{Graph, Node, TensorId};

/// Runs the pass; tells whether it removed anything.
pub(super) fn run(graph: &mut Graph) -> bool {
    graph.compact();
    let channels = Channels::of(graph);
    let kept = kept(graph, &channels);
    narrow(graph, &channels, &kept);
    graph.compact();
    !kept.is_empty()
}

/// The channels that are alive, of every tensor which has others.
fn kept(graph: &Graph, channels: &Channels) -> Kept {
    let mut alive = Alive::new(graph, channels);
    for channel in pinned(graph, channels) {
        alive.mark(channel);
    }
    let tensors = || (0..graph.tensors.len()).map(TensorId);
    // A tensor without any element does not exist: one channel stays, whatever it holds.
    for id in tensors() {
        let mut range = channels.range(id);
        if !range.clone().any(|channel| alive.is(channel)) {
            range.next().into_iter().for_each(|channel| alive.mark(channel));
        }
    }
    let mut kept = Kept::new();
    for id in tensors() {
        let range = channels.range(id);
        let channels: Vec<usize> =
            (0..range.len()).filter(|&channel| alive.is(range.start + channel)).collect();
        if channels.len() < range.len() {
            kept.insert(id, channels);
        }
    }
    kept
}

/// Which channels are alive, class by class.
struct Alive {
    classes: Classes,
    /// Whether the class with this number is alive.
    marked: Vec<bool>,
    /// For each class the channels that its members' weights are for.
    needs: HashMap<usize, Vec<usize>>,
}

impl Alive {
    fn new(graph: &Graph, channels: &Channels) -> Self {
        let classes = Classes::of(graph, channels);
        let mut needs: HashMap<usize, Vec<usize>> = HashMap::new();
        for (node, relation) in channels.nodes(graph) {
            if *relation == (Relation::Sum { by_channel: true }) {
                for (output, input) in weighted(graph, node) {
                    let class = classes.class(channels.number(node.output, output));
                    needs.entry(class).or_default().push(channels.number(node.inputs[0], input));
                }
            }
        }
        Self { classes, marked: vec![false; channels.len()], needs }
    }

    fn is(&self, channel: usize) -> bool {
        self.marked[self.classes.class(channel)]
    }

    fn mark(&mut self, channel: usize) {
        let mut pending = vec![channel];
        while let Some(channel) = pending.pop() {
            let class = self.classes.class(channel);
            if !self.marked[class] {
                self.marked[class] = true;
                pending.extend(self.needs.remove(&class).unwrap_or_default());
            }
        }
    }
}

/// Pairs of an output channel and an input channel that it has a weight for.
fn weighted(graph: &Graph, node: &Node) -> Vec<(usize, usize)> {
    let Some(weights) = weights::of_node(graph, node) else {
        return Vec::new();
    };
    let of_output = |(output, row): (usize, ndarray::ArrayViewD<'_, i32>)| {
        let inputs = row.outer_iter().enumerate().filter(|(_, taps)| taps.iter().any(|&w| w != 0));
        inputs.map(|(input, _)| (output, input)).collect::<Vec<_>>()
    };
    weights.outer_iter().enumerate().flat_map(of_output).collect()
}

#[cfg(test)]
mod tests {
    use ndarray::{ArrayD, IxDyn};

    use super::super::testing::{Net, matrix, outputs, shapes, values};
    use super::*;
    use crate::ir::{Constant, Op, SliceAxis, Tensor};

    /// Runs the pass alone, which must leave the outputs as they are.
    fn without_dead(mut graph: Graph) -> Graph {
        let before = outputs(&graph);
        run(&mut graph);
        graph.validate().unwrap();
        assert_eq!(outputs(&graph), before);
        assert!(!run(&mut graph), "the second time there is nothing left");
        graph
    }

    #[test]
    fn unread_channels_lose_their_weights_on_both_sides() {
        let mut net = Net::default();
        let x = net.input(&[1, 2, 3, 3]);
        let a = net.pointwise(x, &[[1, 2], [3, 4], [5, 6]], &[10, 20, 30]);
        let b = net.pointwise(a, &[[7, 0, 8], [9, 0, 10]], &[0, 0]);
        let graph = without_dead(net.finish(&[b]));
        assert_eq!(shapes(&graph), [[1, 2, 3, 3], [1, 2, 3, 3]]);
        assert_eq!(values(&graph, 0, 1), [1, 2, 5, 6]);
        assert_eq!(values(&graph, 0, 2), [10, 30]);
        assert_eq!(values(&graph, 1, 1), [7, 8, 9, 10]);
        let quant = graph.tensor(graph.nodes[0].inputs[1]).quant.as_ref().unwrap();
        assert_eq!(quant.scales.len(), 2);
    }

    #[test]
    fn what_only_dead_channels_read_is_dead() {
        let mut net = Net::default();
        let x = net.input(&[1, 1, 2, 2]);
        let a = net.pointwise(x, &[[1], [2], [3]], &[0; 3]);
        let b = net.depthwise(a, &[5, 6, 7], &[1, 2, 3]);
        let c = net.pointwise(b, &[[1, 0, 0], [0, 1, 2]], &[0; 2]);
        let d = net.pointwise(c, &[[4, 0]], &[0]);
        let graph = without_dead(net.finish(&[d]));
        assert_eq!(shapes(&graph), [[1, 1, 2, 2]; 4]);
        assert_eq!(values(&graph, 0, 1), [1]);
        assert_eq!(values(&graph, 1, 2), [1]);
    }

    #[test]
    fn a_sum_loses_a_channel_where_all_operands_can() {
        let sum = |also_output: bool| {
            let mut net = Net::default();
            let x = net.input(&[1, 2, 2, 2]);
            let a = net.pointwise(x, &[[1, 2], [3, 4], [5, 6]], &[0; 3]);
            let b = net.pointwise(x, &[[6, 5], [4, 3], [2, 1]], &[0; 3]);
            let sum = net.alike(Op::Add, &[a, b]);
            let c = net.pointwise(sum, &[[0, 1, 2]], &[0]);
            let outputs = if also_output { vec![a, c] } else { vec![c] };
            net.finish(&outputs)
        };
        assert_eq!(shapes(&without_dead(sum(false)))[..3], [[1, 2, 2, 2]; 3]);
        assert_eq!(shapes(&without_dead(sum(true)))[..3], [[1, 3, 2, 2]; 3]);
    }

    #[test]
    fn parts_of_a_concatenation_shrink_on_their_own() {
        let mut net = Net::default();
        let x = net.input(&[1, 1, 2, 2]);
        let a = net.pointwise(x, &[[1], [2]], &[0; 2]);
        let b = net.pointwise(x, &[[3], [4], [5]], &[0; 3]);
        let c = net.operand(ArrayD::from_shape_fn(IxDyn(&[1, 2, 2, 2]), |i| i[1] as i32));
        let joined = net.node(Op::Concat { axis: 1 }, &[a, c, b], &[1, 7, 2, 2]);
        let d = net.pointwise(joined, &[[1, 0, 0, 2, 3, 0, 4]], &[0]);
        let graph = without_dead(net.finish(&[d]));
        let expected = [[1, 1, 2, 2], [1, 2, 2, 2], [1, 4, 2, 2], [1, 1, 2, 2]];
        assert_eq!(shapes(&graph), expected);
        assert_eq!(values(&graph, 2, 1), [1; 4]);
        assert_eq!(values(&graph, 3, 1), [1, 2, 3, 4]);
    }

    #[test]
    fn a_flattened_channel_goes_with_all_its_places() {
        let mut net = Net::default();
        let x = net.input(&[1, 1, 1, 2]);
        let a = net.pointwise(x, &[[1], [2], [3]], &[0; 3]);
        let b = net.node(Op::Reshape, &[a], &[1, 6]);
        // The second channel is used in no place, the third in one.
        let c = net.dense(b, matrix(&[[1, 2, 0, 0, 0, 3]], &[]), &[0]);
        let graph = without_dead(net.finish(&[c]));
        assert_eq!(shapes(&graph), [&[1, 2, 1, 2][..], &[1, 4], &[1, 1]]);
        assert_eq!(values(&graph, 2, 1), [1, 2, 0, 3]);
    }

    #[test]
    fn slices_begin_where_their_channels_are() {
        let mut net = Net::default();
        let x = net.input(&[1, 1, 2, 2]);
        let a = net.pointwise(x, &[[1], [2], [3], [4], [5]], &[0; 5]);
        let all = |len| SliceAxis { start: 0, step: 1, len };
        let part = SliceAxis { start: 1, step: 1, len: 3 };
        let b = net.node(Op::Slice(vec![all(1), part, all(2), all(2)]), &[a], &[1, 3, 2, 2]);
        let c = net.pointwise(b, &[[0, 1, 2]], &[0]);
        let graph = without_dead(net.finish(&[c]));
        assert_eq!(shapes(&graph), [[1, 2, 2, 2], [1, 2, 2, 2], [1, 1, 2, 2]]);
        let Op::Slice(axes) = &graph.nodes[1].op else { panic!("no slice") };
        assert_eq!(axes[1], SliceAxis { start: 0, step: 1, len: 2 });
    }

    #[test]
    fn groups_go_whole() {
        let mut net = Net::default();
        let x = net.input(&[1, 1, 2, 2]);
        let a = net.pointwise(x, &[[1], [2], [3], [4], [5], [6]], &[0; 6]);
        let rows = [[1, 2], [3, 4], [5, 6], [7, 8], [9, 10], [11, 12]];
        let b = net.conv(a, matrix(&rows, &[1, 1]), &[0; 6], 0);
        let c = net.pointwise(b, &[[0, 0, 0, 1, 0, 1]], &[0]);
        let graph = without_dead(net.finish(&[c]));
        assert_eq!(shapes(&graph)[..2], [[1, 4, 2, 2]; 2]);
        let Op::Conv(conv) = &graph.nodes[1].op else { panic!("no convolution") };
        assert_eq!(conv.groups, 2);
        assert_eq!(values(&graph, 1, 1), [5, 6, 7, 8, 9, 10, 11, 12]);
    }

    #[test]
    fn slopes_go_with_their_channels() {
        let slopes = |values: [f32; 4]| {
            let mut net = Net::default();
            let x = net.input(&[1, 1, 2, 2]);
            let a = net.pointwise(x, &[[1], [2], [3], [4]], &[0; 4]);
            let shape = IxDyn(&[4, 1, 1]);
            let s = ArrayD::from_shape_fn(shape, |index| values[index[0]]);
            let s = net.graph.add_constant("s", s);
            let b = net.alike(Op::PRelu, &[a, s]);
            let c = net.pointwise(b, &[[1, 0, 0, 0]], &[0]);
            let graph = without_dead(net.finish(&[c]));
            let Tensor { constant: Some(Constant::Real(s)), .. } =
                graph.tensor(graph.nodes[1].inputs[1])
            else {
                panic!("no slopes");
            };
            s.iter().copied().collect::<Vec<f32>>()
        };
        // Two channels stay, the one with the largest slope among them: the others' multipliers
        // depend on it.
        assert_eq!(slopes([0.5, 0.25, 0.1, 0.2]), [0.5, 0.25]);
        assert_eq!(slopes([0.5, 0.25, 3.0, 0.2]), [0.5, 3.0]);
    }

    #[test]
    fn the_channel_that_sets_the_shift_stays() {
        let rows = |scale: f32| {
            let mut net = Net::default();
            let x = net.input(&[1, 1, 2, 2]);
            let a = net.pointwise(x, &[[1], [2], [3]], &[0; 3]);
            net.scale_weights(&[0.01, scale, 0.01]);
            let b = net.pointwise(a, &[[1, 0, 0]], &[0]);
            shapes(&without_dead(net.finish(&[b])))[0][1]
        };
        assert_eq!(rows(0.4), 1);
        assert_eq!(rows(0.6), 2);
    }

    #[test]
    fn one_channel_stays_of_a_tensor_that_nobody_reads() {
        let mut net = Net::default();
        let x = net.input(&[1, 1, 2, 2]);
        let a = net.pointwise(x, &[[1], [2]], &[0; 2]);
        let b = net.pointwise(a, &[[0, 0]], &[77]);
        let graph = without_dead(net.finish(&[b]));
        assert_eq!(shapes(&graph), [[1, 1, 2, 2]; 2]);
    }
}
