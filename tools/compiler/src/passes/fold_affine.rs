//! Factors and summands per channel, or for all, become part of the neighbouring weights.
//!
//! Behind a convolution or matrix product: `s · (W·x + b) + t = (s·W)·x + (s·b + t)`. Before one:
//! `W·(s·x + t) + b = (s·W)·x + (b + t · ΣW)`, where no padding adds zeros that are not `s·0 + t`.

use ndarray::{Array1, Axis};

use super::Pass;
use super::rewrite::{
    Source, absorb, compose_clamps, constant_operand, per_channel, scale_channels, set_bias,
    set_weights, source,
};
use crate::ir::{Constant, Graph, Node, Op, TensorId, Unary};

pub(super) const PASS: Pass = Pass { name: "fold_affine", rewrite };

fn rewrite(graph: &mut Graph, index: usize) -> bool {
    match graph.nodes[index].op {
        Op::Add | Op::Sub | Op::Mul | Op::Unary(Unary::Affine { .. }) => {
            take_integer_bias(graph, index) || fold_behind(graph, index)
        }
        Op::Conv(_) | Op::Dense => fold_before(graph, index),
        _ => false,
    }
}

/// `scale · x + shift`, per channel of an axis or for all.
pub(super) struct Affine {
    pub(super) x: TensorId,
    /// `None`: one value for all.
    pub(super) axis: Option<usize>,
    pub(super) scale: Vec<f64>,
    pub(super) shift: Vec<f64>,
}

/// Reads a node as [`Affine`], its clamp apart.
pub(super) fn as_affine(graph: &Graph, node: &Node) -> Option<Affine> {
    if let Op::Unary(Unary::Affine { scale, offset }) = node.op {
        let (scale, shift) = (vec![scale.into()], vec![offset.into()]);
        return Some(Affine { x: node.inputs[0], axis: None, scale, shift });
    }
    let (x, constant, constant_first) = constant_operand(graph, node)?;
    let shape = &graph.tensor(node.output).shape;
    if *shape != graph.tensor(x).shape {
        return None;
    }
    let operand = per_channel(graph, constant, shape)?;
    let (axis, c) = (operand.axis, operand.values);
    let all = |value: f64| vec![value; c.len()];
    let (scale, shift) = match (&node.op, constant_first) {
        (Op::Add, _) => (all(1.0), c),
        (Op::Sub, false) => (all(1.0), c.iter().map(|c| -c).collect()),
        (Op::Sub, true) => (all(-1.0), c),
        (Op::Mul, _) => {
            let shift = all(0.0);
            (c, shift)
        }
        _ => return None,
    };
    Some(Affine { x, axis, scale, shift })
}

fn fold_behind(graph: &mut Graph, index: usize) -> bool {
    let Some(affine) = as_affine(graph, &graph.nodes[index]) else {
        return false;
    };
    let Some(source) = source(graph, affine.x, affine.axis, None) else {
        return false;
    };
    let reaches = affine.axis.is_none() || source.is_channel_axis(graph);
    if !reaches || !scale_channels(graph, source.node, &affine.scale, &affine.shift) {
        return false;
    }
    let clamp = graph.nodes[index].clamp;
    if let Some(clamp) = clamp {
        let node = &mut graph.nodes[source.node];
        node.clamp = Some(compose_clamps(node.clamp, clamp));
    }
    absorb(graph, index, &source);
    true
}

/// A quantised model spells the bias of a matrix product as an addition of 32-bit integers: they
/// become the bias as they are.
fn take_integer_bias(graph: &mut Graph, index: usize) -> bool {
    let Some((source, bias)) = integer_bias(graph, &graph.nodes[index]) else {
        return false;
    };
    let tensor = graph.tensor(bias).clone();
    let Some(Constant::Integer(values)) = tensor.constant else {
        return false;
    };
    let quant = tensor.quant.map(|mut quant| {
        quant.axis = quant.axis.map(|_| 0);
        quant
    });
    let values = values.iter().copied().collect::<Array1<i32>>().into_dyn();
    set_bias(graph, source.node, Constant::Integer(values), quant);
    graph.nodes[source.node].clamp = graph.nodes[index].clamp;
    absorb(graph, index, &source);
    true
}

fn integer_bias(graph: &Graph, node: &Node) -> Option<(Source, TensorId)> {
    let (x, bias, _) = constant_operand(graph, node).filter(|_| node.op == Op::Add)?;
    let shape = &graph.tensor(node.output).shape;
    let axis = per_channel(graph, bias, shape)?.axis?;
    let source = source(graph, x, Some(axis), None)?;
    let behind = &graph.nodes[source.node];
    let free = behind.inputs.len() == 2 && behind.clamp.is_none();
    let wide = graph.tensor(bias).quant.as_ref()?.bits == 32;
    (free && wide && source.is_channel_axis(graph)).then_some((source, bias))
}

/// Folds `Affine` into the convolution or matrix product that is its only reader.
fn fold_before(graph: &mut Graph, index: usize) -> bool {
    let node = &graph.nodes[index];
    let between = node.inputs[0];
    let Some(producer) = graph.producer(between).map(|producer| &graph.nodes[producer]) else {
        return false;
    };
    let (&Op::Unary(Unary::Affine { scale, offset }), None) = (&producer.op, producer.clamp) else {
        return false;
    };
    let x = producer.inputs[0];
    let rounded = graph.tensor(between).quant.is_some();
    if rounded || graph.sole_consumer(between).is_none() || (offset != 0.0 && is_padded(&node.op)) {
        return false;
    }
    let real = |id: TensorId| match &graph.tensor(id).constant {
        Some(Constant::Real(values)) => Some(values),
        _ => None,
    };
    let Some(weights) = real(node.inputs[1]) else {
        return false;
    };
    let bias: Vec<f64> = match node.inputs.get(2).map(|bias| real(*bias)) {
        Some(Some(bias)) => bias.iter().copied().map(f64::from).collect(),
        Some(None) => return false,
        None => vec![0.0; weights.shape()[0]],
    };
    let sums = weights.axis_iter(Axis(0)).map(|row| row.iter().copied().map(f64::from).sum());
    let bias = bias.iter().zip(sums).map(|(b, sum): (_, f64)| (b + f64::from(offset) * sum) as f32);
    let bias = Constant::Real(bias.collect::<Array1<f32>>().into_dyn());
    let weights = weights.mapv(|w| w * scale);
    set_bias(graph, index, bias, None);
    set_weights(graph, index, weights);
    graph.nodes[index].inputs[0] = x;
    true
}

fn is_padded(op: &Op) -> bool {
    match op {
        Op::Conv(conv) => conv.is_padded(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{arr1, arr2};

    use super::super::testing::{Net, apply, ops, values, window};
    use super::*;
    use crate::ir::{Quant, Tensor};

    /// `[1, 3] · [3, 2]`, weights 1, 1.5, 2 | 2.5, 3, 3.5, no bias.
    fn dense(net: &mut Net) -> TensorId {
        let x = net.input(&[1, 3]);
        let weights = net.counting(&[2, 3]);
        net.node(Op::Dense, &[x, weights], &[1, 2])
    }

    #[test]
    fn factors_and_summands_behind_a_matrix_product() {
        let mut net = Net::default();
        let a = dense(&mut net);
        let factors = net.constant(arr1(&[2.0f32, -1.0]).into_dyn());
        let b = net.node(Op::Mul, &[factors, a], &[1, 2]);
        let summands = net.constant(arr2(&[[5.0f32, 6.0]]).into_dyn());
        let c = net.node(Op::Add, &[b, summands], &[1, 2]);
        let one = net.scalar(1.0);
        let d = net.node(Op::Sub, &[one, c], &[1, 2]);
        let mut graph = net.finish(&[d]);
        assert_eq!(apply(PASS, &mut graph), 3);
        assert_eq!(ops(&graph), ["Dense"]);
        assert_eq!(values(&graph, 0, 1), [-2.0, -3.0, -4.0, 2.5, 3.0, 3.5]);
        assert_eq!(values(&graph, 0, 2), [-4.0, -5.0]);
        assert_eq!(graph.tensor(graph.outputs[0]).name, "Sub4");
    }

    #[test]
    fn channels_are_followed_through_a_transpose() {
        let mut net = Net::default();
        let x = net.input(&[1, 2, 4, 4]);
        let a = net.pointwise(x, 3);
        let b = net.transpose(a, &[0, 2, 3, 1]);
        let summands = net.constant(arr1(&[1.0f32, 2.0, 3.0]).into_dyn());
        let c = net.node(Op::Add, &[b, summands], &[1, 4, 4, 3]);
        let mut graph = net.finish(&[c]);
        assert_eq!(apply(PASS, &mut graph), 1);
        assert_eq!(ops(&graph), ["Conv", "Transpose"]);
        assert_eq!(values(&graph, 0, 2), [1.0, 2.0, 3.0]);
    }

    #[test]
    fn a_constant_along_another_axis_stays() {
        let mut net = Net::default();
        let x = net.input(&[1, 2, 3, 3]);
        let a = net.pointwise(x, 3);
        let columns = net.counting(&[3]);
        let b = net.node(Op::Mul, &[a, columns], &[1, 3, 3, 3]);
        assert_eq!(apply(PASS, &mut net.finish(&[b])), 0);
    }

    #[test]
    fn a_clamp_goes_with_its_affine() {
        let mut net = Net::default();
        let a = dense(&mut net);
        let b = net.unary(Unary::Affine { scale: 2.0, offset: 1.0 }, a);
        net.graph.nodes[1].clamp = Some((0.0, 6.0));
        let mut graph = net.finish(&[b]);
        assert_eq!(apply(PASS, &mut graph), 1);
        assert_eq!(graph.nodes[0].clamp, Some((0.0, 6.0)));
        assert_eq!(values(&graph, 0, 2), [1.0, 1.0]);
    }

    fn before_convolution(offset: f32, pad: usize) -> Graph {
        let mut net = Net::default();
        let x = net.input(&[1, 1, 4, 4]);
        let a = net.unary(Unary::Affine { scale: 0.5, offset }, x);
        let weights = net.counting(&[2, 1, 2, 2]);
        let mut conv = window(2, 1);
        conv.pads_after = vec![pad; 2];
        let b = net.node(Op::Conv(conv), &[a, weights], &[1, 2, 3 + pad, 3 + pad]);
        net.finish(&[b])
    }

    #[test]
    fn before_a_convolution() {
        let mut graph = before_convolution(-2.0, 0);
        assert_eq!(apply(PASS, &mut graph), 1);
        assert_eq!(ops(&graph), ["Conv"]);
        assert_eq!(values(&graph, 0, 1), [0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0, 2.25]);
        assert_eq!(values(&graph, 0, 2), [-14.0, -30.0]);
        assert_eq!(apply(PASS, &mut before_convolution(0.0, 1)), 1);
        assert_eq!(apply(PASS, &mut before_convolution(-2.0, 1)), 0, "padding holds zeros");
    }

    #[test]
    fn integer_summands_become_the_bias_as_they_are() {
        let mut net = Net::default();
        let a = dense(&mut net);
        let weights = net.graph.nodes[0].inputs[1];
        *net.graph.tensor_mut(weights) = Tensor {
            name: "w".into(),
            shape: vec![2, 3],
            constant: Some(Constant::Integer(arr2(&[[1, 2, 3], [4, 5, 6]]).into_dyn())),
            quant: Some(Quant::per_tensor(0.5, 0)),
        };
        let quant = Quant { bits: 32, ..Quant::per_tensor(0.125, 0) };
        let bias = net.graph.add_tensor(Tensor {
            name: "b".into(),
            shape: vec![2],
            constant: Some(Constant::Integer(arr1(&[70_000, -3]).into_dyn())),
            quant: Some(quant.clone()),
        });
        let b = net.node(Op::Add, &[a, bias], &[1, 2]);
        net.graph.tensor_mut(b).quant = Some(Quant::per_tensor(0.5, 4));
        let mut graph = net.finish(&[b]);
        assert_eq!(apply(PASS, &mut graph), 1);
        assert_eq!(ops(&graph), ["Dense"]);
        let taken = graph.tensor(graph.nodes[0].inputs[2]);
        let integers = arr1(&[70_000, -3]).into_dyn();
        assert_eq!(taken.constant, Some(Constant::Integer(integers)));
        assert_eq!(taken.quant, Some(quant));
        let out = graph.tensor(graph.outputs[0]);
        assert_eq!(out.quant, Some(Quant::per_tensor(0.5, 4)));
    }
}
