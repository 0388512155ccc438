//! Nodes that give back their input go.

use super::Pass;
use super::rewrite::{bypass, is_one};
use crate::ir::{Graph, Node, Op, Unary};

pub(super) const PASS: Pass = Pass { name: "remove_identity", rewrite };

fn rewrite(graph: &mut Graph, index: usize) -> bool {
    let node = &graph.nodes[index];
    node.clamp.is_none() && is_identity(graph, node) && bypass(graph, index)
}

fn is_identity(graph: &Graph, node: &Node) -> bool {
    let shape = &graph.tensor(node.inputs[0]).shape;
    match &node.op {
        Op::Unary(unary) => match *unary {
            Unary::Identity => true,
            Unary::Clip { min, max } => min == f32::NEG_INFINITY && max == f32::INFINITY,
            Unary::Affine { scale, offset } => (scale, offset) == (1.0, 0.0),
            Unary::LeakyRelu { alpha } => is_one(alpha.into()),
            Unary::Relu
            | Unary::Sigmoid
            | Unary::Tanh
            | Unary::HardSigmoid { .. }
            | Unary::HardSwish
            | Unary::Silu => false,
        },
        Op::Reshape => *shape == graph.tensor(node.output).shape,
        Op::Transpose { perm } => perm.iter().copied().eq(0..perm.len()),
        Op::Slice(axes) => axes
            .iter()
            .zip(shape)
            .all(|(axis, &extent)| axis.start == 0 && axis.len == extent && axis.step == 1),
        Op::Pad { before, after, .. } => before.iter().chain(after).all(|&pad| pad == 0),
        Op::Concat { .. } => node.inputs.len() == 1,
        Op::Mean { axes } => {
            axes.iter().all(|&axis| shape[axis] == 1) && *shape == graph.tensor(node.output).shape
        }
        Op::Resize(resize) => resize.axes.iter().zip(&shape[2..]).all(|(table, &extent)| {
            let same = |(i, at): (usize, &crate::ir::Interpolation)| {
                at.first == i && (at.weight == 0.0 || at.second == i)
            };
            table.len() == extent && table.iter().enumerate().all(same)
        }),
        Op::Conv(_)
        | Op::Dense
        | Op::MaxPool(_)
        | Op::AvgPool { .. }
        | Op::Add
        | Op::Sub
        | Op::Mul
        | Op::PRelu
        | Op::Softmax { .. }
        | Op::ArgMax { .. }
        | Op::BatchNorm { .. }
        | Op::Quantize
        | Op::Dequantize => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Net, apply, ops};
    use super::*;
    use crate::ir::{Interpolation, PadMode, Quant, Resize, SliceAxis, TensorId};

    /// One identity of each kind, and the same operator doing something.
    fn cases() -> Vec<(Op, Op)> {
        let slice = |start| {
            let all = |len| SliceAxis { start: 0, step: 1, len };
            Op::Slice(vec![all(1), SliceAxis { start, step: 1, len: 2 - start }, all(3), all(3)])
        };
        let pad = |width| Op::Pad {
            before: vec![0, 0, width, 0],
            after: vec![0; 4],
            mode: PadMode::Edge,
        };
        let resize = |shift: usize| {
            let at = |i: usize| Interpolation { first: (i + shift).min(2), second: 2, weight: 0.0 };
            let table: Vec<_> = (0..3).map(at).collect();
            Op::Resize(Resize { axes: vec![table.clone(), table] })
        };
        let affine = |scale| Op::Unary(Unary::Affine { scale, offset: 0.0 });
        let clip = |min| Op::Unary(Unary::Clip { min, max: f32::INFINITY });
        vec![
            (Op::Unary(Unary::Identity), Op::Unary(Unary::Relu)),
            (affine(1.0), affine(2.0)),
            (clip(f32::NEG_INFINITY), clip(-1.0)),
            (slice(0), slice(1)),
            (pad(0), pad(1)),
            (resize(0), resize(1)),
            (Op::Transpose { perm: vec![0, 1, 2, 3] }, Op::Transpose { perm: vec![0, 1, 3, 2] }),
        ]
    }

    fn output_shape(op: &Op) -> Vec<usize> {
        match op {
            Op::Slice(axes) => axes.iter().map(|axis| axis.len).collect(),
            Op::Pad { before, .. } => vec![1, 2, 3 + before[2], 3],
            _ => vec![1, 2, 3, 3],
        }
    }

    fn between_two_tanh(op: Op) -> Graph {
        let mut net = Net::default();
        let x = net.input(&[1, 2, 3, 3]);
        let a = net.unary(Unary::Tanh, x);
        let shape = output_shape(&op);
        let b = net.node(op, &[a], &shape);
        let c = net.unary(Unary::Tanh, b);
        net.finish(&[c])
    }

    #[test]
    fn identities_go_and_others_stay() {
        for (identity, other) in cases() {
            let mut graph = between_two_tanh(identity.clone());
            assert_eq!(apply(PASS, &mut graph), 1, "{identity:?}");
            assert_eq!(ops(&graph), ["Tanh", "Tanh"]);
            assert_eq!(apply(PASS, &mut between_two_tanh(other.clone())), 0, "{other:?}");
        }
    }

    #[test]
    fn an_output_keeps_its_name() {
        let mut net = Net::default();
        let x = net.input(&[1, 6]);
        let a = net.unary(Unary::Tanh, x);
        let b = net.node(Op::Reshape, &[a], &[1, 6]);
        let mut graph = net.finish(&[b]);
        apply(PASS, &mut graph);
        assert_eq!(ops(&graph), ["Tanh"]);
        assert_eq!(graph.tensor(graph.outputs[0]).name, "Reshape2");
    }

    #[test]
    fn a_conversion_between_two_roundings_stays() {
        let mut graph = between_two_tanh(Op::Unary(Unary::Identity));
        let (a, b) = (graph.nodes[0].output, graph.nodes[1].output);
        graph.tensor_mut(a).quant = Some(Quant::per_tensor(0.5, 0));
        graph.tensor_mut(b).quant = Some(Quant::per_tensor(0.25, 0));
        assert_eq!(apply(PASS, &mut graph), 0);
        graph.tensor_mut(a).quant = None;
        assert_eq!(apply(PASS, &mut graph), 1);
        let rounded: TensorId = graph.nodes[0].output;
        assert_eq!(graph.tensor(rounded).quant, Some(Quant::per_tensor(0.25, 0)));
    }

    #[test]
    fn a_model_that_does_nothing_keeps_one_node() {
        let mut net = Net::default();
        let x = net.input(&[1, 6]);
        let y = net.node(Op::Reshape, &[x], &[1, 6]);
        let mut graph = net.finish(&[y]);
        assert_eq!(apply(PASS, &mut graph), 0);
    }
}
