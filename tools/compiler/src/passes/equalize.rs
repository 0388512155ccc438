//! Cross-layer equalisation: evens out the channels between two layers.
//!
//! Between two convolutions or matrix products with nothing but a rectifier in between, a channel
//! can be scaled by any `s > 0` and back by `1 / s`: `max(0, x / s) · s = max(0, x)`. Nagel et al.
//! 2019 (arXiv 1906.04721, section 4.1) choose `s = √(r₁ · r₂) / r₂`, with `r` the largest weights of
//! the channel on either side, which makes these equal, and repeat that for all pairs of layers
//! until nothing changes. A depthwise convolution is both at once: what it reads and what it writes
//! can be scaled.
//!
//! The network's outputs stay the same but for rounding in single precision. The tensor in between
//! holds other values than the model's, and gets a new name.

use ndarray::{Array1, ArrayD, ArrayViewD, Axis};

use super::rewrite::{set_bias, set_weights};
use crate::ir::{Constant, Graph, Node, Op, TensorId};

/// Rounds over all pairs.
const ROUNDS: usize = 40;
/// A channel whose largest weight is this little of its layer's, on either side, is left alone: it
/// is as good as dead, and would be blown up.
const NEGLIGIBLE: f64 = 1e-3;
/// Scales nearer to 1 than this are left out.
const TOLERANCE: f64 = 1e-3;

/// Equalises all pairs of layers that allow it. Returns how many pairs changed.
pub fn equalize(graph: &mut Graph) -> usize {
    let pairs: Vec<Pair> = (0..graph.nodes.len()).filter_map(|i| Pair::from(graph, i)).collect();
    let mut changed = vec![false; pairs.len()];
    for _ in 0..ROUNDS {
        let mut done = true;
        for (pair, changed) in pairs.iter().zip(&mut changed) {
            let scales = pair.scales(graph);
            if scales.iter().any(|s| (s - 1.0).abs() > TOLERANCE) {
                pair.scale(graph, &scales);
                (*changed, done) = (true, false);
            }
        }
        if done {
            break;
        }
    }
    let changed: Vec<_> = pairs.iter().zip(changed).filter(|(_, changed)| *changed).collect();
    for (pair, _) in &changed {
        let tensor = graph.tensor_mut(pair.between);
        tensor.name.push_str("/equalized");
    }
    graph.compact();
    changed.len()
}

/// Two layers and the tensor that only they share.
struct Pair {
    first: usize,
    second: usize,
    between: TensorId,
}

impl Pair {
    /// The pair whose first layer is the node with this index.
    fn from(graph: &Graph, first: usize) -> Option<Self> {
        let node = &graph.nodes[first];
        let between = node.output;
        let second = graph.sole_consumer(between)?;
        let homogeneous = matches!(node.clamp, None | Some((0.0, f32::INFINITY)));
        let follows = graph.nodes[second].inputs[0] == between;
        let open = graph.tensor(between).quant.is_none();
        let kept = graph.states.iter().any(|&(output, _)| output == between);
        let layers = is_real(graph, node) && is_real(graph, &graph.nodes[second]);
        (homogeneous && follows && open && !kept && layers).then_some(Self {
            first,
            second,
            between,
        })
    }

    /// What the first layer's channels are to be divided by.
    fn scales(&self, graph: &Graph) -> Vec<f64> {
        let (first, second) = (weights(graph, self.first), weights(graph, self.second));
        let channels = first.len_of(Axis(0));
        let before = first.axis_iter(Axis(0)).map(largest).collect::<Vec<f64>>();
        let after = |channel: usize| {
            let read = readers(graph, self.second, channel, channels);
            let read = read.map(|(row, column)| {
                let row = second.index_axis(Axis(0), row);
                largest(row.index_axis(Axis(0), column))
            });
            read.fold(0.0, f64::max)
        };
        let after: Vec<f64> = (0..channels).map(after).collect();
        let floor = |sizes: &[f64]| NEGLIGIBLE * sizes.iter().copied().fold(0.0, f64::max);
        let (least_before, least_after) = (floor(&before), floor(&after));
        let scale = |(before, after): (f64, f64)| {
            let alive = before > least_before && after > least_after;
            if alive { (before / after).sqrt() } else { 1.0 }
        };
        before.into_iter().zip(after).map(scale).collect()
    }

    fn scale(&self, graph: &mut Graph, scales: &[f64]) {
        let mut first = weights(graph, self.first).clone();
        for (mut row, scale) in first.axis_iter_mut(Axis(0)).zip(scales) {
            row.mapv_inplace(|w| (f64::from(w) / scale) as f32);
        }
        let mut second = weights(graph, self.second).clone();
        for (channel, scale) in scales.iter().enumerate() {
            for (row, column) in readers(graph, self.second, channel, scales.len()) {
                let mut row = second.index_axis_mut(Axis(0), row);
                row.index_axis_mut(Axis(0), column).mapv_inplace(|w| (f64::from(w) * scale) as f32);
            }
        }
        if let Some(&bias) = graph.nodes[self.first].inputs.get(2) {
            let bias = graph.tensor(bias).real_values().unwrap_or_default();
            let scaled = bias.iter().zip(scales).map(|(&b, scale)| (f64::from(b) / scale) as f32);
            let bias = Constant::Real(scaled.collect::<Array1<f32>>().into_dyn());
            set_bias(graph, self.first, bias, None);
        }
        set_weights(graph, self.first, first);
        set_weights(graph, self.second, second);
    }
}

fn largest(values: ArrayViewD<'_, f32>) -> f64 {
    values.into_iter().fold(0.0, |largest, &w| f64::from(w).abs().max(largest))
}

/// Whether a node is a convolution or matrix product of real numbers.
fn is_real(graph: &Graph, node: &Node) -> bool {
    let real = |id: &TensorId| matches!(graph.tensor(*id).constant, Some(Constant::Real(_)));
    node.op.has_weights() && node.inputs[1..].iter().all(real)
}

fn weights(graph: &Graph, node: usize) -> &ArrayD<f32> {
    match &graph.tensor(graph.nodes[node].inputs[1]).constant {
        Some(Constant::Real(values)) => values,
        _ => unreachable!("pairs have real weights"),
    }
}

/// Where a node's weights `[out, in / groups, ..]` meet an input channel: all rows of its group, in
/// one column.
fn readers(
    graph: &Graph,
    node: usize,
    channel: usize,
    channels: usize,
) -> impl Iterator<Item = (usize, usize)> + use<> {
    let groups = match &graph.nodes[node].op {
        Op::Conv(conv) => conv.groups,
        _ => 1,
    };
    let rows = weights(graph, node).len_of(Axis(0)) / groups;
    let columns = channels / groups;
    let group = channel / columns;
    (group * rows..(group + 1) * rows).map(move |row| (row, channel % columns))
}

#[cfg(test)]
mod tests {
    use ndarray::ArrayD;

    use super::super::testing::{Net, assert_same, values, window};
    use super::*;
    use crate::ir::Conv;

    /// A pointwise, a depthwise and a pointwise convolution with rectifiers; channels of very
    /// different sizes.
    fn separable(clamp: Option<(f32, f32)>) -> Graph {
        let mut net = Net::default();
        let x = net.input(&[1, 2, 4, 4]);
        let a = net.pointwise(x, 3);
        let uneven = |i: usize| [0.01f32, 1.0, 30.0][i / 9 % 3] * (1.0 + (i % 9) as f32);
        let weights = ArrayD::from_shape_vec(vec![3, 1, 3, 3], (0..27).map(uneven).collect());
        let weights = net.constant(weights.unwrap());
        let depthwise = Conv { groups: 3, ..window(3, 1) };
        let b = net.node(Op::Conv(depthwise), &[a, weights], &[1, 3, 2, 2]);
        let c = net.pointwise(b, 2);
        let mut graph = net.finish(&[c]);
        graph.nodes[0].clamp = clamp;
        graph.nodes[1].clamp = clamp;
        graph
    }

    #[test]
    fn channels_become_even_and_outputs_stay() {
        let before = separable(Some((0.0, f32::INFINITY)));
        let mut graph = before.clone();
        assert_eq!(equalize(&mut graph), 2);
        assert_same(&before, &graph, "equalize");
        // Row and column of each channel have the same largest weight on both sides.
        let (pointwise, depthwise) = (values(&graph, 0, 1), values(&graph, 1, 1));
        let largest = |values: &[f32]| values.iter().fold(0.0f32, |a, b| a.max(b.abs()));
        for channel in 0..3 {
            let row = largest(&pointwise[2 * channel..2 * channel + 2]);
            let taps = largest(&depthwise[9 * channel..9 * channel + 9]);
            assert!((row / taps - 1.0).abs() < 0.01, "{row} {taps}");
        }
        let names: Vec<_> = graph.nodes.iter().map(|n| &graph.tensor(n.output).name[..]).collect();
        assert!(names[0].ends_with("/equalized") && !names[2].contains('/'), "{names:?}");
        assert_eq!(equalize(&mut graph.clone()), 0);
    }

    #[test]
    fn other_clamps_are_left_alone() {
        let mut graph = separable(Some((0.0, 6.0)));
        assert_eq!(equalize(&mut graph), 0);
        assert_eq!(graph, {
            let mut same = separable(Some((0.0, 6.0)));
            same.compact();
            same
        });
    }
}
