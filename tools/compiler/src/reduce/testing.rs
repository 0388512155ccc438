//! Small quantised graphs for the passes' tests.

use ndarray::{Array1, ArrayD, Dimension, IxDyn};

use super::{Reduction, evaluate, reduce};
use crate::ir::{Constant, Conv, Graph, Node, Op, Pool, Quant, Tensor, TensorId};

/// The zero point of every activation.
pub(super) const ZERO: i32 = -5;
/// The scale of every activation.
const SCALE: f32 = 0.1;
/// The scale of weights: accumulators are 64 times as fine as activations.
const WEIGHT_SCALE: f32 = 1.0 / 64.0;

/// A quantised graph under construction; tensors are named after operator and position.
#[derive(Default)]
pub(super) struct Net {
    pub(super) graph: Graph,
}

impl Net {
    pub(super) fn input(&mut self, shape: &[usize]) -> TensorId {
        let id = self.activation(format!("x{}", self.graph.inputs.len()), shape);
        self.graph.inputs.push(id);
        id
    }

    fn activation(&mut self, name: String, shape: &[usize]) -> TensorId {
        let id = self.graph.add_activation(name, shape);
        self.graph.tensor_mut(id).quant = Some(Quant::per_tensor(SCALE, ZERO));
        id
    }

    pub(super) fn node(&mut self, op: Op, inputs: &[TensorId], shape: &[usize]) -> TensorId {
        let name = format!("{}{}", op.name(), self.graph.nodes.len() + 1);
        let output = self.activation(name.clone(), shape);
        let inputs = inputs.to_vec();
        self.graph.nodes.push(Node { name, op, inputs, output, clamp: None });
        output
    }

    /// A node that keeps its first input's shape.
    pub(super) fn alike(&mut self, op: Op, inputs: &[TensorId]) -> TensorId {
        let shape = self.shape(inputs[0]);
        self.node(op, inputs, &shape)
    }

    /// Clamps what the last node computes to real values of zero and more.
    pub(super) fn relu(&mut self) {
        let last = self.graph.nodes.last_mut().unwrap();
        last.clamp = Some((0.0, f32::INFINITY));
    }

    pub(super) fn integers(&mut self, values: ArrayD<i32>, quant: Quant) -> TensorId {
        self.graph.add_tensor(Tensor {
            name: format!("c{}", self.graph.tensors.len()),
            shape: values.shape().to_vec(),
            constant: Some(Constant::Integer(values)),
            quant: Some(quant),
        })
    }

    /// A constant operand.
    pub(super) fn operand(&mut self, values: ArrayD<i32>) -> TensorId {
        self.integers(values, Quant::per_tensor(SCALE, ZERO))
    }

    /// A convolution of `[1, C, H, W]`; the number of groups follows from the weights.
    pub(super) fn conv(
        &mut self,
        x: TensorId,
        weights: ArrayD<i32>,
        bias: &[i32],
        padding: usize,
    ) -> TensorId {
        let (shape, taps) = (self.shape(x), weights.shape().to_vec());
        let extent = |axis: usize| shape[axis] + 2 * padding - taps[axis] + 1;
        let out_shape = [1, taps[0], extent(2), extent(3)];
        let conv = Conv {
            kernel: taps[2..].to_vec(),
            strides: vec![1; 2],
            dilations: vec![1; 2],
            pads_before: vec![padding; 2],
            pads_after: vec![padding; 2],
            groups: shape[1] / taps[1],
        };
        let inputs = self.sum_inputs(x, weights, bias);
        self.node(Op::Conv(conv), &inputs, &out_shape)
    }

    /// A 1×1 convolution with a row of weights per output channel.
    pub(super) fn pointwise<const N: usize>(
        &mut self,
        x: TensorId,
        weights: &[[i32; N]],
        bias: &[i32],
    ) -> TensorId {
        self.conv(x, matrix(weights, &[1, 1]), bias, 0)
    }

    /// A 3×3 depthwise convolution that multiplies the middle by `weights`, and adds the border.
    pub(super) fn depthwise(&mut self, x: TensorId, weights: &[i32], bias: &[i32]) -> TensorId {
        let middle =
            |index: IxDyn| if (index[2], index[3]) == (1, 1) { weights[index[0]] } else { 1 };
        let weights = ArrayD::from_shape_fn(IxDyn(&[weights.len(), 1, 3, 3]), middle);
        self.conv(x, weights, bias, 1)
    }

    /// A matrix product.
    pub(super) fn dense(&mut self, x: TensorId, weights: ArrayD<i32>, bias: &[i32]) -> TensorId {
        let mut shape = self.shape(x);
        *shape.last_mut().unwrap() = weights.shape()[0];
        let inputs = self.sum_inputs(x, weights, bias);
        self.node(Op::Dense, &inputs, &shape)
    }

    fn sum_inputs(&mut self, x: TensorId, weights: ArrayD<i32>, bias: &[i32]) -> [TensorId; 3] {
        let rows = weights.shape()[0];
        let scales = |scale: f32| vec![scale; rows];
        let quant = Quant { scales: scales(WEIGHT_SCALE), zero_point: 0, axis: Some(0), bits: 8 };
        let weights = self.integers(weights, quant.clone());
        let quant = Quant { scales: scales(SCALE * WEIGHT_SCALE), bits: 32, ..quant };
        let bias = self.integers(Array1::from(bias.to_vec()).into_dyn(), quant);
        [x, weights, bias]
    }

    /// Gives the weights of the last node other scales.
    pub(super) fn scale_weights(&mut self, scales: &[f32]) {
        let inputs = &self.graph.nodes.last().unwrap().inputs;
        let (weights, bias) = (inputs[1], inputs[2]);
        for (id, unit) in [(weights, 1.0), (bias, SCALE)] {
            let quant = self.graph.tensor_mut(id).quant.as_mut().unwrap();
            quant.scales = scales.iter().map(|scale| scale * unit).collect();
        }
    }

    pub(super) fn shape(&self, id: TensorId) -> Vec<usize> {
        self.graph.tensor(id).shape.clone()
    }

    pub(super) fn finish(mut self, outputs: &[TensorId]) -> Graph {
        self.graph.outputs = outputs.to_vec();
        self.graph.validate().unwrap();
        self.graph
    }
}

/// Rows of weights, each of them for a window of the given extents in which only the first place
/// counts.
pub(super) fn matrix<const N: usize>(rows: &[[i32; N]], window: &[usize]) -> ArrayD<i32> {
    let shape = [&[rows.len(), N], window].concat();
    let first = |index: IxDyn| {
        let places = (2..index.ndim()).map(|axis| index[axis]);
        if places.sum::<usize>() == 0 { rows[index[0]][index[1]] } else { 0 }
    };
    ArrayD::from_shape_fn(IxDyn(&shape), first)
}

/// A square pooling window without padding.
pub(super) fn pool(extent: usize) -> Pool {
    Pool {
        kernel: vec![extent; 2],
        strides: vec![extent; 2],
        dilations: vec![1; 2],
        pads_before: vec![0; 2],
        pads_after: vec![0; 2],
    }
}

/// Numbers without a pattern (xorshift64*).
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// A number below `bound`.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % bound
    }

    pub(super) fn bytes(&mut self, shape: &[usize]) -> ArrayD<i8> {
        ArrayD::from_shape_simple_fn(IxDyn(shape), || self.below(256) as u8 as i8)
    }
}

/// What a graph computes from a few inputs: random ones, and the extremes.
pub(super) fn outputs(graph: &Graph) -> Vec<Vec<ArrayD<i32>>> {
    let mut random = Random::new(7);
    let shapes = graph.inputs.iter().map(|id| graph.tensor(*id).shape.clone());
    let shapes: Vec<Vec<usize>> = shapes.collect();
    let fill = |value: i8| {
        shapes.iter().map(|shape| ArrayD::from_elem(IxDyn(shape), value)).collect::<Vec<_>>()
    };
    let mut samples = vec![fill(i8::MIN), fill(i8::MAX), fill(ZERO as i8)];
    samples.extend((0..5).map(|_| shapes.iter().map(|shape| random.bytes(shape)).collect()));
    samples.iter().map(|inputs| evaluate::run(graph, inputs).unwrap()).collect()
}

/// Reduces a graph and checks that its outputs remain the same.
pub(super) fn reduced(mut graph: Graph) -> (Graph, Reduction) {
    let before = outputs(&graph);
    let reduction = reduce(&mut graph);
    graph.validate().unwrap();
    assert_eq!(outputs(&graph), before);
    (graph, reduction)
}

/// The operators' names in order.
pub(super) fn ops(graph: &Graph) -> Vec<&'static str> {
    graph.nodes.iter().map(|node| node.op.name()).collect()
}

/// Shapes of the nodes' outputs in order.
pub(super) fn shapes(graph: &Graph) -> Vec<&[usize]> {
    graph.nodes.iter().map(|node| &graph.tensor(node.output).shape[..]).collect()
}

/// The integers of input `input` of node `index`.
pub(super) fn values(graph: &Graph, index: usize, input: usize) -> Vec<i32> {
    let constant = &graph.tensor(graph.nodes[index].inputs[input]).constant;
    let Some(Constant::Integer(values)) = constant else { panic!("no integers") };
    values.iter().copied().collect()
}
