//! Small networks of random layers: every packing of the weights and every plan of the memory, with
//! rings of rows or without, gives the same bytes, and these are what the layers compute in real
//! numbers.

use std::collections::BTreeMap;

use fixie_compiler::calibrate::{Range, Ranges};
use fixie_compiler::compile::{Options, assemble};
use fixie_compiler::ir::{Conv, Graph, Node, Op, Pool, TensorId, eval};
use fixie_compiler::lower::Compress;
use fixie_compiler::metadata::Provenance;
use fixie_compiler::plan::Optimize;
use fixie_compiler::quantize::{QuantizeOptions, WideLayers, quantize};
use fixie_compiler::target::Target;
use fixie_tests::random::{Random, check_images, with_random_grid};
use proptest::collection::vec;
use proptest::prelude::*;

/// A layer that is appended to what is there.
#[derive(Clone, Copy, Debug)]
enum Layer {
    Conv {
        outputs: usize,
        window: Square,
    },
    Depthwise(Square),
    MaxPool(Square),
    AvgPool(Square),
    /// A depthwise 3×3 convolution that keeps the size of the image, and a pointwise one: both can
    /// write over what they read.
    Separable {
        outputs: usize,
    },
    /// A pointwise convolution and the sum of its output and its input.
    Residual,
}

/// A square window, its padding on all sides.
#[derive(Clone, Copy, Debug)]
struct Square {
    kernel: usize,
    stride: usize,
    pad: usize,
}

/// The window of a pointwise convolution.
const POINT: Square = Square { kernel: 1, stride: 1, pad: 0 };

impl Square {
    fn output(self, input: usize) -> Option<usize> {
        Some((input + 2 * self.pad).checked_sub(self.kernel)? / self.stride + 1)
    }
}

fn square() -> impl Strategy<Value = Square> {
    (1..=3usize, 1..=2usize, 0..=1usize).prop_map(|(kernel, stride, pad)| Square {
        kernel,
        stride,
        pad: pad.min(kernel - 1),
    })
}

fn layer() -> impl Strategy<Value = Layer> {
    prop_oneof![
        4 => (1..=10usize, square()).prop_map(|(outputs, window)| Layer::Conv { outputs, window }),
        3 => square().prop_map(Layer::Depthwise),
        1 => square().prop_map(Layer::MaxPool),
        1 => square().prop_map(Layer::AvgPool),
        3 => (1..=10usize).prop_map(|outputs| Layer::Separable { outputs }),
        2 => Just(Layer::Residual),
    ]
}

/// A graph under construction.
struct Builder {
    graph: Graph,
    random: Random,
    last: TensorId,
}

impl Builder {
    fn new(channels: usize, (height, width): (usize, usize), seed: u64) -> Self {
        let mut graph = Graph::default();
        let last = graph.add_activation("x", &[1, channels, height, width]);
        graph.inputs = vec![last];
        Self { graph, random: Random(seed), last }
    }

    /// Appends a node that reads `inputs`; every other one is followed by a rectifier.
    fn push(&mut self, op: Op, inputs: Vec<TensorId>, shape: &[usize]) {
        let count = self.graph.nodes.len();
        let name = format!("n{count}");
        let output = self.graph.add_activation(&name, shape);
        let rectified = count.is_multiple_of(2) && op != Op::Reshape;
        let clamp = rectified.then_some((0.0, f32::INFINITY));
        self.graph.nodes.push(Node { name, op, inputs, output, clamp });
        self.last = output;
    }

    /// Appends a layer, unless what is there is too small for it.
    fn append(&mut self, layer: Layer) {
        let shape = self.graph.tensor(self.last).shape.clone();
        let (channels, x) = (shape[1], self.last);
        let sized = |outputs: usize, window: Square| {
            Some(vec![1, outputs, window.output(shape[2])?, window.output(shape[3])?])
        };
        match layer {
            Layer::Conv { outputs, window } => {
                if let Some(shape) = sized(outputs, window) {
                    self.convolve(window, 1, &shape);
                }
            }
            Layer::Depthwise(window) => {
                if let Some(shape) = sized(channels, window) {
                    self.convolve(window, channels, &shape);
                }
            }
            Layer::MaxPool(window) => {
                if let Some(shape) = sized(channels, window) {
                    self.push(Op::MaxPool(pool(window)), vec![x], &shape);
                }
            }
            Layer::AvgPool(window) => {
                if let Some(shape) = sized(channels, window) {
                    let op = Op::AvgPool { pool: pool(window), count_padding: false };
                    self.push(op, vec![x], &shape);
                }
            }
            Layer::Separable { outputs } => {
                self.convolve(Square { kernel: 3, stride: 1, pad: 1 }, channels, &shape);
                self.convolve(POINT, 1, &[1, outputs, shape[2], shape[3]]);
            }
            Layer::Residual => {
                self.convolve(POINT, 1, &shape);
                self.push(Op::Add, vec![self.last, x], &shape);
            }
        }
    }

    fn convolve(&mut self, window: Square, groups: usize, shape: &[usize]) {
        let inputs = self.graph.tensor(self.last).shape[1] / groups;
        let weights = self.random.reals(&[shape[1], inputs, window.kernel, window.kernel]);
        let bias = self.random.reals(&shape[1..2]);
        let Pool { kernel, strides, dilations, pads_before, pads_after } = pool(window);
        let op = Op::Conv(Conv { kernel, strides, dilations, pads_before, pads_after, groups });
        let operands = [("weights", weights), ("bias", bias)];
        let constants = operands.map(|(name, value)| self.graph.add_constant(name, value));
        let inputs = [self.last].into_iter().chain(constants).collect();
        self.push(op, inputs, shape);
    }

    /// Appends a dense layer behind a flattened map.
    fn flatten(&mut self) {
        let features = self.graph.tensor(self.last).len();
        self.push(Op::Reshape, vec![self.last], &[1, features]);
        let weights = self.random.reals(&[3, features]);
        let weights = self.graph.add_constant("weights", weights);
        self.push(Op::Dense, vec![self.last, weights], &[1, 3]);
    }

    /// The ranges that random inputs give. The few sums of the last layer may all be negative, and show
    /// nothing of how large they are once they are rectified: its range is that of the sums.
    fn ranges(&mut self) -> BTreeMap<String, Range> {
        let mut open = self.graph.clone();
        if let Some(last) = open.nodes.last_mut() {
            last.clamp = None;
        }
        let shape = self.graph.tensor(self.graph.inputs[0]).shape.clone();
        let mut ranges: BTreeMap<String, Range> = BTreeMap::new();
        for _ in 0..4 {
            for (id, values) in eval(&open, &[self.random.reals(&shape)]) {
                let range = ranges.entry(open.tensor(id).name.clone()).or_default();
                let is_last = id == self.last;
                let seen =
                    |x: f32| if is_last { Range::new(-x.abs(), x.abs()) } else { Range::new(x, x) };
                *range = values.iter().fold(*range, |range, &x| range.union(seen(x)));
            }
        }
        ranges
    }

    /// The graph, its tensors quantised for these ranges, in 16 bits where `wide` says so.
    fn quantised(mut self, ranges: BTreeMap<String, Range>, wide: WideLayers) -> Graph {
        self.graph.outputs = vec![self.last];
        let ranges: Ranges = ranges.into_iter().collect();
        let options = QuantizeOptions { wide, ..with_random_grid(&self.graph, self.random.0) };
        quantize(&mut self.graph, Some(&ranges), None, &options).expect("every tensor has a range");
        self.graph
    }
}

fn pool(window: Square) -> Pool {
    Pool {
        kernel: vec![window.kernel; 2],
        strides: vec![window.stride; 2],
        dilations: vec![1; 2],
        pads_before: vec![window.pad; 2],
        pads_after: vec![window.pad; 2],
    }
}

proptest! {
    // A failure prints the case itself.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn networks(
        layers in vec(layer(), 2..=7), channels in 1..=6usize, extents in (5..=14usize, 5..=14usize),
        seed: u64, wide: bool,
    ) {
        let mut builder = Builder::new(channels, extents, seed);
        layers.into_iter().for_each(|layer| builder.append(layer));
        builder.flatten();
        let ranges = builder.ranges();
        let graph = builder.quantised(ranges, if wide { WideLayers::All } else { WideLayers::None });
        let goals = [Optimize::Latency, Optimize::Balanced, Optimize::Ram];
        let targets = [Target::Generic, Target::CortexM4];
        let images = goals.into_iter().flat_map(|optimize| targets.map(|target| (optimize, target)));
        let options: Vec<Options> = images
            .flat_map(|(optimize, target)| {
                let coding = if seed % 2 == 0 { Compress::Coded } else { Compress::Packed };
                [Compress::None, coding]
                    .map(|compress| Options { target, optimize, compress, ..Options::default() })
            })
            .collect();
        check_images(&graph, &options, seed)?;
    }
}

#[test]
fn an_output_that_sums_leave_by_far_is_named() {
    let mut builder = Builder::new(5, (8, 14), 1);
    builder.append(Layer::Separable { outputs: 6 });
    builder.flatten();
    let mut ranges = builder.ranges();
    let output = builder.graph.tensor(builder.last).name.clone();
    ranges.insert(output.clone(), Range::new(0.0, 1e-3));
    let graph = builder.quantised(ranges, WideLayers::All);
    let refused = assemble(graph, Provenance::default(), &Options::default()).unwrap_err();
    let said = refused.to_string();
    assert!(
        said.starts_with(&format!("node `{output}` (Dense): channel 0: a sum of up to")),
        "{said}"
    );
    assert!(said.contains("needs more than 32 bits"), "{said}");
}
