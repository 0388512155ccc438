//! `Relu` and `Clip` become the clamp of the node that computes their input.

use super::Pass;
use super::rewrite::{Source, absorb, compose_clamps, source};
use crate::ir::{Graph, Op, Quant, TensorId};

pub(super) const PASS: Pass = Pass { name: "fuse_activation", rewrite };

fn rewrite(graph: &mut Graph, index: usize) -> bool {
    let node = &graph.nodes[index];
    let Op::Unary(unary) = node.op else {
        return false;
    };
    let Some(bounds) = unary.as_clamp() else {
        return false;
    };
    let bounds = node.clamp.map_or(bounds, |clamp| compose_clamps(Some(bounds), clamp));
    // A clamp keeps to the grid: a rounding in between may be there if it is the same.
    let quant = graph.tensor(node.output).quant.as_ref();
    let Some(source) = clamp_source(graph, node.inputs[0], quant) else {
        return false;
    };
    let producer = &mut graph.nodes[source.node];
    producer.clamp = Some(compose_clamps(producer.clamp, bounds));
    absorb(graph, index, &source);
    true
}

/// The node that can take a clamp of `id`. The clamp of a maximum is the maximum of clamped values,
/// which need a narrower range: it goes on to what the pool reads, if it can.
fn clamp_source(graph: &Graph, id: TensorId, quant: Option<&Quant>) -> Option<Source> {
    let found = source(graph, id, None, quant)?;
    let node = &graph.nodes[found.node];
    if let (Op::MaxPool(_), None) = (&node.op, node.clamp)
        && let Some(mut further) = clamp_source(graph, node.inputs[0], quant)
    {
        further.tensors.extend(found.tensors);
        return Some(further);
    }
    takes_clamp(&node.op).then_some(found)
}

/// Whether the operator's kernel limits its results, at no cost.
fn takes_clamp(op: &Op) -> bool {
    match op {
        Op::Conv(_)
        | Op::Dense
        | Op::MaxPool(_)
        | Op::AvgPool { .. }
        | Op::Mean { .. }
        | Op::Add
        | Op::Sub
        | Op::Mul
        | Op::Unary(_) => true,
        Op::PRelu
        | Op::Softmax { .. }
        | Op::Concat { .. }
        | Op::Slice(_)
        | Op::Pad { .. }
        | Op::Reshape
        | Op::Transpose { .. }
        | Op::Resize(_)
        | Op::ArgMax { .. }
        | Op::BatchNorm { .. }
        | Op::Quantize
        | Op::Dequantize => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Net, apply, ops, pool};
    use super::*;
    use crate::ir::Unary;

    const INF: f32 = f32::INFINITY;

    fn clip(min: f32, max: f32) -> Unary {
        Unary::Clip { min, max }
    }

    #[test]
    fn clamps_join_their_producer() {
        let mut net = Net::default();
        let x = net.input(&[1, 2, 3, 3]);
        let a = net.pointwise(x, 4);
        let b = net.unary(Unary::Relu, a);
        let c = net.unary(clip(-1.0, 6.0), b);
        let mut graph = net.finish(&[c]);
        assert_eq!(apply(PASS, &mut graph), 2);
        assert_eq!(ops(&graph), ["Conv"]);
        assert_eq!(graph.nodes[0].clamp, Some((0.0, 6.0)));
        assert_eq!(graph.tensor(graph.outputs[0]).name, "Clip3");
    }

    #[test]
    fn clamps_pass_what_only_moves() {
        let mut net = Net::default();
        let x = net.input(&[1, 2, 3, 3]);
        let a = net.pointwise(x, 4);
        let b = net.transpose(a, &[0, 2, 3, 1]);
        let c = net.node(Op::Reshape, &[b], &[1, 36]);
        let d = net.unary(Unary::Relu, c);
        let mut graph = net.finish(&[d]);
        assert_eq!(apply(PASS, &mut graph), 1);
        assert_eq!(ops(&graph), ["Conv", "Transpose", "Reshape"]);
        assert_eq!(graph.nodes[0].clamp, Some((0.0, INF)));
        let names = graph.nodes.iter().map(|node| &graph.tensor(node.output).name[..]);
        let names: Vec<_> = names.collect();
        assert_eq!(names, ["Relu4/moved0", "Relu4/moved1", "Relu4"]);
    }

    #[test]
    fn clamps_of_a_maximum_go_in_front_of_it() {
        let mut net = Net::default();
        let x = net.input(&[1, 2, 4, 4]);
        let a = net.pointwise(x, 4);
        let b = net.node(Op::MaxPool(pool(2, 2)), &[a], &[1, 4, 2, 2]);
        let c = net.unary(Unary::Relu, b);
        let mut graph = net.finish(&[c]);
        apply(PASS, &mut graph);
        assert_eq!(ops(&graph), ["Conv", "MaxPool"]);
        let clamps = [0, 1].map(|node: usize| graph.nodes[node].clamp);
        assert_eq!(clamps, [Some((0.0, INF)), None]);

        let mut net = Net::default();
        let x = net.input(&[1, 2, 4, 4]);
        let b = net.node(Op::MaxPool(pool(2, 2)), &[x], &[1, 2, 2, 2]);
        let c = net.unary(Unary::Relu, b);
        let mut graph = net.finish(&[c]);
        apply(PASS, &mut graph);
        assert_eq!(graph.nodes[0].clamp, Some((0.0, INF)), "the input cannot take it");
    }

    #[test]
    fn an_empty_intersection_is_the_nearer_bound() {
        let mut net = Net::default();
        let x = net.input(&[1, 4]);
        let a = net.node(Op::Add, &[x, x], &[1, 4]);
        let b = net.unary(clip(-3.0, -1.0), a);
        let c = net.unary(Unary::Relu, b);
        let mut graph = net.finish(&[c]);
        apply(PASS, &mut graph);
        assert_eq!(graph.nodes[0].clamp, Some((0.0, 0.0)));
    }

    #[test]
    fn not_where_the_unclamped_value_is_needed() {
        let mut net = Net::default();
        let x = net.input(&[1, 4]);
        let a = net.node(Op::Add, &[x, x], &[1, 4]);
        let b = net.unary(Unary::Relu, a);
        assert_eq!(apply(PASS, &mut net.finish(&[a, b])), 0);
    }

    #[test]
    fn not_across_another_rounding() {
        let fused = |before, after| {
            let mut net = Net::default();
            let x = net.input(&[1, 4]);
            let a = net.node(Op::Add, &[x, x], &[1, 4]);
            let b = net.unary(Unary::Relu, a);
            net.graph.tensor_mut(a).quant = before;
            net.graph.tensor_mut(b).quant = after;
            apply(PASS, &mut net.finish(&[b])) == 1
        };
        let fine = || Some(Quant::per_tensor(0.1, 0));
        let coarse = || Some(Quant::per_tensor(0.5, 0));
        assert!(fused(None, coarse()));
        assert!(fused(coarse(), coarse()));
        assert!(!fused(fine(), coarse()));
        assert!(!fused(fine(), None), "how the result is rounded is not known yet");
    }
}
