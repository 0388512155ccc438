//! Moves what constant channels contribute to sums into the biases.
//!
//! A channel of the one value `v` adds `w · (v − zero point)` to every sum that has a weight `w` for
//! it. In a padded convolution it only does so where no padding is: there the channel must be the
//! zero point, which is what padding holds.

use ndarray::{ArrayD, Axis};

use super::channels::Channels;
use super::known::known;
use super::relation::Relation;
use super::weights;
use crate::ir::{Graph, Node, Op};

/// Runs the pass; tells whether it moved anything.
pub(super) fn run(graph: &mut Graph) -> bool {
    let channels = Channels::of(graph);
    let known = known(graph, &channels);
    let sums = (0..graph.nodes.len())
        .filter(|&index| *channels.relation(index) == Relation::Sum { by_channel: true });
    let moved = sums.filter_map(|index| {
        let node = &graph.nodes[index];
        Some((index, absorb(graph, node, &known[channels.range(node.inputs[0])])?))
    });
    let moved: Vec<(usize, Sum)> = moved.collect();
    let any = !moved.is_empty();
    for (index, sum) in moved {
        weights::set_weights(graph, index, sum.weights);
        if sum.bias_moved {
            weights::set_bias(graph, index, sum.bias);
        }
    }
    any
}

/// A node's weights and bias.
struct Sum {
    weights: ArrayD<i32>,
    bias: Vec<i32>,
    bias_moved: bool,
}

/// The node's sums without the inputs that are known; `None` if they are the same as with them.
fn absorb(graph: &Graph, node: &Node, known: &[Option<i32>]) -> Option<Sum> {
    let mut sum = Sum {
        weights: weights::of_node(graph, node)?.clone(),
        bias: weights::bias(graph, node)?,
        bias_moved: false,
    };
    let exact = weights::has_exact_bias(graph, node)?;
    let zero_point = graph.tensor(node.inputs[0]).quant.as_ref()?.zero_point;
    let padded = matches!(&node.op, Op::Conv(conv) if conv.is_padded());
    let mut absorbed = false;
    for (input, value) in known.iter().enumerate() {
        if let Some(steps) = value.map(|value| value - zero_point)
            && (steps == 0 || !padded)
        {
            absorbed |= sum.absorb(input, steps, &exact);
        }
    }
    absorbed.then_some(sum)
}

impl Sum {
    /// Takes out an input that is `steps` from its zero point, if every sum allows it.
    fn absorb(&mut self, input: usize, steps: i32, exact: &[bool]) -> bool {
        let mut bias = self.bias.clone();
        let mut any = false;
        for (n, row) in self.weights.outer_iter().enumerate() {
            let taps = row.index_axis(Axis(0), input);
            if taps.iter().all(|&w| w == 0) {
                continue;
            }
            let sum: i64 = taps.iter().map(|&w| i64::from(w)).sum();
            let moved = i64::from(bias[n]) + sum * i64::from(steps);
            match i32::try_from(moved) {
                Ok(moved) if exact[n] => bias[n] = moved,
                _ => return false,
            }
            any = true;
        }
        if any {
            self.weights.index_axis_mut(Axis(1), input).fill(0);
            self.bias_moved |= bias != self.bias;
            self.bias = bias;
        }
        any
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Net, matrix, outputs, pool, values};
    use super::*;
    use crate::ir::{TensorId, Unary};

    /// Runs the pass alone, which must leave the outputs as they are, and gives the weights and the
    /// bias of the last node.
    fn moved(net: Net, output: TensorId) -> (Vec<i32>, Vec<i32>) {
        let mut graph = net.finish(&[output]);
        let before = outputs(&graph);
        run(&mut graph);
        graph.validate().unwrap();
        assert_eq!(outputs(&graph), before);
        assert!(!run(&mut graph), "the second time there is nothing left");
        let last = graph.nodes.len() - 1;
        (values(&graph, last, 1), values(&graph, last, 2))
    }

    #[test]
    fn channels_without_weights_move_into_the_bias() {
        let mut net = Net::default();
        let x = net.input(&[1, 1, 2, 2]);
        // 640 / 64 = 10 steps from the zero point.
        let a = net.pointwise(x, &[[0], [1]], &[640, 0]);
        let b = net.pointwise(a, &[[7, 1], [-8, 1], [0, 1]], &[100, 200, 300]);
        let expected = (vec![0, 1, 0, 1, 0, 1], vec![170, 120, 300]);
        assert_eq!(moved(net, b), expected);
    }

    #[test]
    fn a_padded_sum_takes_the_zero_point_only() {
        let weights = |bias: i32| {
            let mut net = Net::default();
            let x = net.input(&[1, 1, 3, 3]);
            let a = net.pointwise(x, &[[0], [1]], &[bias, 0]);
            let b = net.conv(a, matrix(&[[7, 1]], &[3, 3]), &[100], 1);
            let (weights, bias) = moved(net, b);
            (weights[0], bias[0])
        };
        assert_eq!(weights(31), (0, 100), "rounds to the zero point");
        assert_eq!(weights(32), (7, 100), "rounds to a step more");
    }

    #[test]
    fn channels_that_the_clamp_cuts_off_are_constant() {
        let weights = |bias: i32, relu: bool| {
            let mut net = Net::default();
            let x = net.input(&[1, 1, 2, 2]);
            let a = net.pointwise(x, &[[3], [1]], &[bias, 0]);
            if relu {
                net.relu();
            }
            let b = net.pointwise(a, &[[7, 1]], &[100]);
            moved(net, b).0[0]
        };
        // The largest sum is (127 - zero point) * 3 = 396 above the bias.
        assert_eq!(weights(-396 + 31, true), 0);
        assert_eq!(weights(-396 + 32, true), 7);
        assert_eq!(weights(-396 + 31, false), 7);
        assert_eq!(weights((128 + 127) * 64, false), 0, "saturates");
    }

    #[test]
    fn constants_are_followed_through_what_treats_channels_alike() {
        let mut net = Net::default();
        let x = net.input(&[1, 1, 4, 4]);
        let a = net.pointwise(x, &[[0], [1]], &[640, 0]);
        let b = net.alike(Op::Unary(Unary::LeakyRelu { alpha: 0.5 }), &[a]);
        let c = net.alike(Op::Add, &[b, a]);
        let d = net.node(Op::MaxPool(pool(2)), &[c], &[1, 2, 2, 2]);
        let e = net.node(Op::Mean { axes: vec![2, 3] }, &[d], &[1, 2]);
        let f = net.dense(e, matrix(&[[3, 1]], &[]), &[0]);
        assert_eq!(moved(net, f), (vec![0, 1], vec![60]));
    }

    #[test]
    fn a_depthwise_layer_passes_the_zero_point_on() {
        let weights = |bias: [i32; 2]| {
            let mut net = Net::default();
            let x = net.input(&[1, 1, 3, 3]);
            let a = net.pointwise(x, &[[0], [1]], &[bias[0], 0]);
            let b = net.depthwise(a, &[5, 5], &[bias[1], 0]);
            let c = net.pointwise(b, &[[9, 1]], &[0]);
            let (weights, bias) = moved(net, c);
            (weights[0], bias[0])
        };
        assert_eq!(weights([0, 640]), (0, 90));
        assert_eq!(weights([640, 640]), (9, 0), "the border differs from the inside");
    }

    #[test]
    fn a_bias_that_does_not_fit_is_left_alone() {
        let mut net = Net::default();
        let x = net.input(&[1, 1, 2, 2]);
        let a = net.pointwise(x, &[[0], [1]], &[640, 0]);
        let b = net.pointwise(a, &[[7, 1]], &[i32::MAX - 5]);
        assert_eq!(moved(net, b), (vec![7, 1], vec![i32::MAX - 5]));
    }
}
