//! Layers of random shapes, strides, paddings, dilations and groups: every packing of the weights
//! gives the same bytes, and these are what the layer computes in real numbers.

use fixie_compiler::compile::Options;
use fixie_compiler::ir::{Conv, Graph, Node, Op, Pool, Quant, TensorId};
use fixie_compiler::lower::Compress;
use fixie_compiler::quantize::quantize;
use fixie_compiler::target::Target;
use fixie_tests::layers::Reals;
use fixie_tests::random::{Random, check_images, with_random_grid};
use proptest::collection::vec;
use proptest::prelude::*;

/// One spatial axis of a sliding window.
#[derive(Clone, Copy, Debug)]
struct Axis {
    kernel: usize,
    stride: usize,
    dilation: usize,
    before: usize,
    after: usize,
    input: usize,
}

impl Axis {
    /// A single pixel.
    const POINT: Self = Self { kernel: 1, stride: 1, dilation: 1, before: 0, after: 0, input: 1 };

    fn reach(self) -> usize {
        self.dilation * (self.kernel - 1) + 1
    }

    fn output(self) -> usize {
        (self.before + self.input + self.after - self.reach()) / self.stride + 1
    }
}

/// An axis in which every window sees some of the input.
fn axis() -> impl Strategy<Value = Axis> {
    (1..=5usize, 1..=3usize, 1..=3usize, any::<(u8, u8)>(), 0..8usize).prop_map(
        |(kernel, stride, dilation, (before, after), beyond)| {
            let pad = |random: u8| usize::from(random) % kernel;
            let (before, after) = (pad(before), pad(after));
            let input = dilation * (kernel - 1) + 1 + beyond;
            Axis { kernel, stride, dilation, before, after, input }
        },
    )
}

fn axes() -> impl Strategy<Value = Vec<Axis>> {
    vec(axis(), 1..=2)
}

/// Scales, zero points and a clamp.
#[derive(Clone, Debug)]
struct Numbers {
    seed: u64,
    input: Quant,
    /// Output range, of the largest magnitude that occurs.
    fill: f32,
    output_zero: i8,
    clamp: Option<(f32, f32)>,
}

fn numbers() -> impl Strategy<Value = Numbers> {
    let clamp = prop_oneof![
        Just(None),
        Just(Some((0.0, f32::INFINITY))),
        Just(Some((0.0, 6.0))),
        (-2.0..0.0f32, 0.0..2.0f32).prop_map(Some),
    ];
    (any::<u64>(), 0.001..0.1f32, any::<(i8, i8)>(), 0.02..1.5f32, clamp).prop_map(
        |(seed, scale, (zero, output_zero), fill, clamp)| Numbers {
            seed,
            input: Quant::per_tensor(scale, zero.into()),
            fill,
            output_zero,
            clamp,
        },
    )
}

/// A graph of one operator on `x`, with constants; `magnitude` is the largest possible output.
fn layer(
    op: Op,
    (shape, output): (&[usize], &[usize]),
    constants: Vec<Reals>,
    magnitude: f32,
    numbers: &Numbers,
) -> Graph {
    let mut graph = Graph::default();
    let x = graph.add_activation("x", shape);
    let y = graph.add_activation("y", output);
    graph.tensor_mut(x).quant = Some(numbers.input.clone());
    let scale = numbers.fill * magnitude.max(0.01) / 127.0;
    graph.tensor_mut(y).quant = Some(match op {
        // A maximum is one of the inputs.
        Op::MaxPool(_) => numbers.input.clone(),
        _ => Quant::per_tensor(scale, numbers.output_zero.into()),
    });
    let constants = constants.into_iter().map(|value| graph.add_constant("constant", value));
    let inputs: Vec<TensorId> = [x].into_iter().chain(constants).collect();
    graph.nodes = vec![Node { name: "layer".into(), op, inputs, output: y, clamp: numbers.clamp }];
    (graph.inputs, graph.outputs) = (vec![x], vec![y]);
    graph
}

/// The largest magnitude that an input can have.
fn largest(quant: &Quant) -> f32 {
    let end = |q: i32| quant.dequantize(q, 0).abs() as f32;
    end(-128).max(end(127))
}

/// The largest output of a linear layer: of any row of weights, with its bias.
fn linear_magnitude(weights: &Reals, bias: Option<&Reals>, input: &Quant) -> f32 {
    let row = |(n, row): (usize, ndarray::ArrayViewD<'_, f32>)| {
        let sum: f32 = row.iter().map(|w| w.abs()).sum();
        sum * largest(input) + bias.map_or(0.0, |bias| bias[[n]].abs())
    };
    weights.outer_iter().enumerate().map(row).fold(0.0, f32::max)
}

/// Quantises a layer's weights and compares the packings of some cores, whatever their coding.
fn check(mut graph: Graph, seed: u64) -> Result<(), TestCaseError> {
    let options = with_random_grid(&graph, seed);
    quantize(&mut graph, None, None, &options)
        .map_err(|error| TestCaseError::fail(error.to_string()))?;
    let targets = [Target::Generic, Target::CortexM3, Target::CortexM4];
    let images: Vec<Options> = targets
        .into_iter()
        .flat_map(|target| {
            [Compress::None, Compress::Coded, Compress::Packed].map(|compress| Options {
                target,
                compress,
                ..Options::default()
            })
        })
        .collect();
    check_images(&graph, &images, seed)
}

fn column(axes: &[Axis], entry: impl Fn(Axis) -> usize) -> Vec<usize> {
    axes.iter().map(|&axis| entry(axis)).collect()
}

fn shape(channels: usize, axes: &[Axis], extent: impl Fn(Axis) -> usize) -> Vec<usize> {
    [1, channels].into_iter().chain(column(axes, extent)).collect()
}

fn convolution(
    axes: &[Axis],
    groups: usize,
    (inputs, outputs): (usize, usize),
    with_bias: bool,
    numbers: &Numbers,
) -> Graph {
    let conv = Conv {
        kernel: column(axes, |axis| axis.kernel),
        strides: column(axes, |axis| axis.stride),
        dilations: column(axes, |axis| axis.dilation),
        pads_before: column(axes, |axis| axis.before),
        pads_after: column(axes, |axis| axis.after),
        groups,
    };
    let mut random = Random(numbers.seed);
    let kernel = [&[groups * outputs, inputs][..], &conv.kernel].concat();
    let weights = random.reals(&kernel);
    let bias = with_bias.then(|| random.reals(&[groups * outputs]));
    let magnitude = linear_magnitude(&weights, bias.as_ref(), &numbers.input);
    let shapes = (
        &shape(groups * inputs, axes, |axis| axis.input)[..],
        &shape(groups * outputs, axes, Axis::output)[..],
    );
    let constants = [weights].into_iter().chain(bias).collect();
    layer(Op::Conv(conv), shapes, constants, magnitude, numbers)
}

fn pool(axes: &[Axis]) -> Pool {
    Pool {
        kernel: column(axes, |axis| axis.kernel),
        strides: column(axes, |axis| axis.stride),
        dilations: column(axes, |axis| axis.dilation),
        pads_before: column(axes, |axis| axis.before),
        pads_after: column(axes, |axis| axis.after),
    }
}

proptest! {
    // A failure prints the case itself.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn convolutions(
        axes in axes(), groups in 1..=3usize, channels in (1..=9usize, 1..=7usize), bias: bool,
        numbers in numbers(),
    ) {
        check(convolution(&axes, groups, channels, bias, &numbers), numbers.seed)?;
    }

    #[test]
    fn depthwise_convolutions(
        mut axes in axes(), column in prop::bool::weighted(0.25), channels in 2..=11usize,
        multiplier in 1..=3usize, bias: bool, numbers in numbers(),
    ) {
        if column {
            axes = vec![axes[0], Axis::POINT];
        }
        check(convolution(&axes, channels, (1, multiplier), bias, &numbers), numbers.seed)?;
    }

    #[test]
    fn matrix_products(
        lead in vec(1..=4usize, 0..=2), features in (1..=70usize, 1..=9usize), bias: bool,
        numbers in numbers(),
    ) {
        let mut random = Random(numbers.seed);
        let weights = random.reals(&[features.1, features.0]);
        let bias = bias.then(|| random.reals(&[features.1]));
        let magnitude = linear_magnitude(&weights, bias.as_ref(), &numbers.input);
        let with = |last: usize| [&[1], &lead[..], &[last]].concat();
        let shapes = (&with(features.0)[..], &with(features.1)[..]);
        let constants = [weights].into_iter().chain(bias).collect();
        check(layer(Op::Dense, shapes, constants, magnitude, &numbers), numbers.seed)?;
    }

    #[test]
    fn pools(
        axes in axes(), channels in 1..=9usize, kind in 0..3u8, numbers in numbers(),
    ) {
        let op = match kind {
            0 => Op::MaxPool(pool(&axes)),
            _ => Op::AvgPool { pool: pool(&axes), count_padding: kind == 1 },
        };
        let (from, to) = (shape(channels, &axes, |a| a.input), shape(channels, &axes, Axis::output));
        let magnitude = largest(&numbers.input);
        check(layer(op, (&from, &to), vec![], magnitude, &numbers), numbers.seed)?;
    }
}
