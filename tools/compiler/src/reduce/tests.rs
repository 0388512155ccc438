//! Random networks, with and without the reductions.

use ndarray::{ArrayD, Axis, IxDyn};
use proptest::prelude::*;

use super::testing::{Net, Random, pool, reduced};
use crate::ir::{Graph, Op, SliceAxis, TensorId, Unary};

/// A step of a random network on `[1, C, H, W]`.
#[derive(Clone, Copy, Debug)]
enum Layer {
    Conv { channels: usize, kernel: usize, padding: usize },
    Depthwise { multiplier: usize },
    Grouped,
    Function,
    Slopes,
    Factors,
    MaxPool,
    AvgPool,
    Residual,
    Joined,
    Part,
    Turned,
}

fn layer() -> impl Strategy<Value = (Layer, bool, u64)> {
    let conv = (1..7usize, 0..3usize).prop_map(|(channels, shape)| {
        let (kernel, padding) = [(1, 0), (3, 1), (2, 0)][shape];
        Layer::Conv { channels, kernel, padding }
    });
    let others = prop::sample::select(vec![
        Layer::Depthwise { multiplier: 1 },
        Layer::Depthwise { multiplier: 2 },
        Layer::Grouped,
        Layer::Function,
        Layer::Slopes,
        Layer::Factors,
        Layer::MaxPool,
        Layer::AvgPool,
        Layer::Residual,
        Layer::Joined,
        Layer::Part,
        Layer::Turned,
    ]);
    (prop_oneof![conv, others], any::<bool>(), any::<u64>())
}

/// Weights as training leaves them behind: rows and columns of zeros, rows that are alike.
struct Trained {
    weights: ArrayD<i32>,
    bias: Vec<i32>,
    scales: Vec<f32>,
}

impl Trained {
    fn new(random: &mut Random, shape: &[usize]) -> Self {
        let mut weights = ArrayD::from_shape_simple_fn(IxDyn(shape), || {
            if random.below(3) == 0 { 0 } else { random.below(101) as i32 - 50 }
        });
        for input in 0..shape[1] {
            if random.below(4) == 0 {
                weights.index_axis_mut(Axis(1), input).fill(0);
            }
        }
        let mut bias =
            |_| [0, 700, -700, 20_000, -20_000][random.below(5)] + random.below(50) as i32;
        let bias = (0..shape[0]).map(&mut bias).collect();
        let scales = (0..shape[0]).map(|_| [0.01, 0.02, 0.6][random.below(3)]).collect();
        let mut trained = Self { weights, bias, scales };
        for row in 0..shape[0] {
            match random.below(4) {
                0 => trained.weights.index_axis_mut(Axis(0), row).fill(0),
                1 if row > 0 => trained.repeat(row),
                _ => {}
            }
        }
        trained
    }

    /// Makes a row equal to the one before it.
    fn repeat(&mut self, row: usize) {
        let twin = self.weights.index_axis(Axis(0), row - 1).to_owned();
        self.weights.index_axis_mut(Axis(0), row).assign(&twin);
        self.bias[row] = self.bias[row - 1];
        self.scales[row] = self.scales[row - 1];
    }

    fn conv(self, net: &mut Net, x: TensorId, padding: usize) -> TensorId {
        let output = net.conv(x, self.weights, &self.bias, padding);
        net.scale_weights(&self.scales);
        output
    }
}

fn conv(
    net: &mut Net,
    random: &mut Random,
    x: TensorId,
    shape: &[usize],
    padding: usize,
) -> TensorId {
    Trained::new(random, shape).conv(net, x, padding)
}

fn add_layer(net: &mut Net, random: &mut Random, x: TensorId, layer: Layer) -> TensorId {
    let shape = net.shape(x);
    let (c, h, w) = (shape[1], shape[2], shape[3]);
    match layer {
        Layer::Conv { channels, kernel, padding } if h + 2 * padding >= kernel => {
            conv(net, random, x, &[channels, c, kernel, kernel], padding)
        }
        Layer::Depthwise { multiplier } => conv(net, random, x, &[multiplier * c, 1, 3, 3], 1),
        Layer::Grouped if c % 2 == 0 => conv(net, random, x, &[4, c / 2, 1, 1], 0),
        Layer::Function => net.alike(Op::Unary(Unary::Tanh), &[x]),
        Layer::Slopes => {
            let mut slope = |_| random.below(30) as f32 / 20.0;
            let slopes = ArrayD::from_shape_fn(IxDyn(&[c, 1, 1]), |index| slope(index[0]));
            let slopes = net.graph.add_constant("slopes", slopes);
            net.alike(Op::PRelu, &[x, slopes])
        }
        Layer::Factors => {
            let values = random.bytes(&[c, 1, 1]).mapv(i32::from);
            let factors = net.operand(values);
            net.alike(Op::Mul, &[x, factors])
        }
        Layer::MaxPool if h > 1 => net.node(Op::MaxPool(pool(2)), &[x], &[1, c, h / 2, w / 2]),
        Layer::AvgPool if h > 1 => {
            let op = Op::AvgPool { pool: pool(2), count_padding: false };
            net.node(op, &[x], &[1, c, h / 2, w / 2])
        }
        Layer::Residual => {
            let branch = conv(net, random, x, &[c, c, 1, 1], 0);
            net.alike(Op::Add, &[x, branch])
        }
        Layer::Joined => {
            let branch = conv(net, random, x, &[2, c, 1, 1], 0);
            net.node(Op::Concat { axis: 1 }, &[branch, x], &[1, c + 2, h, w])
        }
        Layer::Part if c > 1 => {
            let all = |len| SliceAxis { start: 0, step: 1, len };
            let part = SliceAxis { start: 1, step: 1, len: c - 1 };
            net.node(Op::Slice(vec![all(1), part, all(h), all(w)]), &[x], &[1, c - 1, h, w])
        }
        Layer::Turned => net.node(Op::Transpose { perm: vec![0, 1, 3, 2] }, &[x], &[1, c, w, h]),
        // There is no room for the others.
        _ => x,
    }
}

/// A network of these layers, each with or without a rectifier, and a matrix product.
fn network(layers: &[(Layer, bool, u64)], flatten: bool) -> Graph {
    let mut net = Net::default();
    let input = net.input(&[1, 2, 6, 6]);
    let mut x = input;
    for &(layer, relu, seed) in layers {
        x = add_layer(&mut net, &mut Random::new(seed), x, layer);
        let takes_clamp = matches!(
            net.graph.nodes.last().map(|node| &node.op),
            Some(Op::Conv(_) | Op::Add | Op::Mul | Op::MaxPool(_) | Op::AvgPool { .. })
        );
        if relu && takes_clamp {
            net.relu();
        }
    }
    let shape = net.shape(x);
    let (op, channels) = if flatten {
        (Op::Reshape, shape.iter().product())
    } else {
        (Op::Mean { axes: vec![2, 3] }, shape[1])
    };
    let flat = net.node(op, &[x], &[1, channels]);
    let Trained { weights, bias, scales } =
        Trained::new(&mut Random::new(channels as u64), &[3, channels]);
    let output = net.dense(flat, weights, &bias);
    net.scale_weights(&scales);
    net.finish(&[output])
}

proptest! {
    #[test]
    fn outputs_stay_the_same(layers in prop::collection::vec(layer(), 1..9), flatten: bool) {
        reduced(network(&layers, flatten));
    }
}

#[test]
fn random_networks_have_something_to_reduce() {
    let layers = |seed| {
        let conv = |channels| Layer::Conv { channels, kernel: 1, padding: 0 };
        [(conv(6), true, seed), (Layer::Residual, true, seed + 1), (conv(4), true, seed + 2)]
    };
    let shrunk = (0..20).filter(|&seed| {
        let (_, reduction) = reduced(network(&layers(seed), true));
        reduction.macs_after < reduction.macs_before
    });
    assert!(shrunk.count() > 10);
}
