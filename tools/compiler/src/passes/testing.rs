//! Small graphs for the passes' tests.

use ndarray::{ArrayD, IxDyn};

use super::Pass;
use crate::ir::{Conv, Graph, Node, Op, Pool, TensorId, Unary, eval};

/// A graph under construction; nodes and their outputs are named after operator and position.
#[derive(Default)]
pub(super) struct Net {
    pub(super) graph: Graph,
}

impl Net {
    pub(super) fn input(&mut self, shape: &[usize]) -> TensorId {
        let id = self.graph.add_activation(format!("x{}", self.graph.inputs.len()), shape);
        self.graph.inputs.push(id);
        id
    }

    pub(super) fn constant(&mut self, values: ArrayD<f32>) -> TensorId {
        self.graph.add_constant(format!("c{}", self.graph.tensors.len()), values)
    }

    /// A constant whose values count up from 1 in halves.
    pub(super) fn counting(&mut self, shape: &[usize]) -> TensorId {
        let len = shape.iter().product::<usize>();
        let values = (0..len).map(|i| 1.0 + i as f32 / 2.0).collect();
        self.constant(ArrayD::from_shape_vec(IxDyn(shape), values).unwrap())
    }

    pub(super) fn scalar(&mut self, value: f32) -> TensorId {
        self.constant(ArrayD::from_elem(IxDyn(&[]), value))
    }

    pub(super) fn node(&mut self, op: Op, inputs: &[TensorId], shape: &[usize]) -> TensorId {
        let name = format!("{}{}", op.name(), self.graph.nodes.len() + 1);
        let output = self.graph.add_activation(name.clone(), shape);
        let inputs = inputs.to_vec();
        self.graph.nodes.push(Node { name, op, inputs, output, clamp: None });
        output
    }

    pub(super) fn unary(&mut self, unary: Unary, x: TensorId) -> TensorId {
        let shape = self.graph.tensor(x).shape.clone();
        self.node(Op::Unary(unary), &[x], &shape)
    }

    /// A 1×1 convolution of `[1, C, H, W]` with weights that count up.
    pub(super) fn pointwise(&mut self, x: TensorId, channels: usize) -> TensorId {
        let mut shape = self.graph.tensor(x).shape.clone();
        let weights = self.counting(&[channels, shape[1], 1, 1]);
        shape[1] = channels;
        self.node(Op::Conv(window(1, 1)), &[x, weights], &shape)
    }

    pub(super) fn transpose(&mut self, x: TensorId, perm: &[usize]) -> TensorId {
        let shape = &self.graph.tensor(x).shape;
        let shape: Vec<usize> = perm.iter().map(|&axis| shape[axis]).collect();
        self.node(Op::Transpose { perm: perm.to_vec() }, &[x], &shape)
    }

    pub(super) fn finish(mut self, outputs: &[TensorId]) -> Graph {
        self.graph.outputs = outputs.to_vec();
        self.graph.validate().unwrap();
        self.graph
    }
}

/// A square window without padding.
pub(super) fn window(kernel: usize, stride: usize) -> Conv {
    Conv {
        kernel: vec![kernel; 2],
        strides: vec![stride; 2],
        dilations: vec![1; 2],
        pads_before: vec![0; 2],
        pads_after: vec![0; 2],
        groups: 1,
    }
}

/// The same window as a pool's.
pub(super) fn pool(kernel: usize, stride: usize) -> Pool {
    let Conv { kernel, strides, dilations, pads_before, pads_after, .. } = window(kernel, stride);
    Pool { kernel, strides, dilations, pads_before, pads_after }
}

/// Runs a pass, checks that the graph is valid and computes what it did before, and returns how
/// often the pass applied.
pub(super) fn apply(pass: Pass, graph: &mut Graph) -> usize {
    let before = graph.clone();
    let applied = pass.run(graph);
    assert_same(&before, graph, pass.name);
    applied
}

/// Checks that two graphs compute the same outputs for some input.
pub(super) fn assert_same(before: &Graph, after: &Graph, what: &str) {
    after.validate().unwrap();
    for (before, after) in outputs(before).iter().zip(outputs(after)) {
        let close = |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-4 * a.abs().max(1.0);
        let alike = before.shape() == after.shape() && before.iter().zip(&after).all(close);
        assert!(alike, "{what}: {before} became {after}");
    }
}

/// The outputs for some input.
fn outputs(graph: &Graph) -> Vec<ArrayD<f32>> {
    let inputs = graph.inputs.iter().map(|id| {
        let shape = IxDyn(&graph.tensor(*id).shape);
        let mut count = 0.0f32;
        ArrayD::from_shape_simple_fn(shape, || {
            count += 1.7;
            3.0 * count.sin()
        })
    });
    let values = eval(graph, &inputs.collect::<Vec<_>>());
    graph.outputs.iter().map(|id| values[id].clone()).collect()
}

/// The operators' names in order.
pub(super) fn ops(graph: &Graph) -> Vec<&'static str> {
    graph.validate().unwrap();
    graph.nodes.iter().map(|node| node.op.name()).collect()
}

/// The real values of input `input` of node `index`.
pub(super) fn values(graph: &Graph, index: usize, input: usize) -> Vec<f32> {
    let id = graph.nodes[index].inputs[input];
    graph.tensor(id).real_values().unwrap().iter().copied().collect()
}
