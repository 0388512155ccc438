//! Factors and summands per channel that nothing could take up become a 1×1 depthwise convolution.
//!
//! It has a scale per channel for its one weight and 32 bits for its summand, where a product with
//! a constant tensor would round all channels' factors to one 8-bit scale. Channels on another
//! axis than ONNX convolutions have them on are brought there by transposes, a tensor of too few
//! axes by a reshape; neither costs anything.

use ndarray::{ArrayD, IxDyn};

use super::Pass;
use super::fold_affine::{Affine, as_affine};
use super::fold_batch_norm::scale_and_shift;
use crate::ir::{Conv, Graph, Node, Op, TensorId};

pub(super) const PASS: Pass = Pass { name: "depthwise_affine", rewrite };

fn rewrite(graph: &mut Graph, index: usize) -> bool {
    let Some((axis, affine)) = standalone(graph, index) else {
        return false;
    };
    let shape = graph.tensor(affine.x).shape.clone();
    if !(2..=4).contains(&shape.len()) || axis == 0 || shape[0] != 1 {
        return false;
    }
    // The axes in convolution order, and their shape with one spatial axis at least.
    let mut perm: Vec<usize> = (0..shape.len()).filter(|&a| a != axis).collect();
    perm.insert(1, axis);
    let mut inverse = vec![0; perm.len()];
    perm.iter().enumerate().for_each(|(new, &old)| inverse[old] = new);
    let transposed: Vec<usize> = perm.iter().map(|&old| shape[old]).collect();
    let mut spatial = transposed.clone();
    spatial.resize(spatial.len().max(3), 1);

    let node = graph.nodes.remove(index);
    let mut chain = Chain { graph, at: index, node: &node };
    let x = chain.push(Op::Transpose { perm }, &[affine.x], &transposed);
    let x = chain.push(Op::Reshape, &[x], &spatial);
    let (weights, bias) = chain.parameters(&affine, spatial.len());
    let x = chain.push(depthwise(&spatial), &[x, weights, bias], &spatial);
    chain.graph.nodes[chain.at - 1].clamp = node.clamp;
    let x = chain.push(Op::Reshape, &[x], &transposed);
    chain.push(Op::Transpose { perm: inverse }, &[x], &shape);
    let last = chain.at - 1;
    graph.nodes[last].output = node.output;
    true
}

/// The factors and summands of a node of its own, with their axis. A product or sum with a
/// constant that the model has rounded stays what it is.
fn standalone(graph: &Graph, index: usize) -> Option<(usize, Affine)> {
    let node = &graph.nodes[index];
    if let Some((scale, shift)) = scale_and_shift(graph, node) {
        return Some((1, Affine { x: node.inputs[0], axis: Some(1), scale, shift }));
    }
    let affine = as_affine(graph, node)?;
    let rounded = node.inputs.iter().any(|id| graph.tensor(*id).quant.is_some());
    let axis = affine.axis.filter(|_| !rounded)?;
    Some((axis, affine))
}

fn depthwise(shape: &[usize]) -> Op {
    let ones = vec![1; shape.len() - 2];
    Op::Conv(Conv {
        kernel: ones.clone(),
        strides: ones.clone(),
        dilations: ones.clone(),
        pads_before: vec![0; ones.len()],
        pads_after: vec![0; ones.len()],
        groups: shape[1],
    })
}

/// Nodes inserted one behind the other.
struct Chain<'a> {
    graph: &'a mut Graph,
    at: usize,
    node: &'a Node,
}

impl Chain<'_> {
    fn push(&mut self, op: Op, inputs: &[TensorId], shape: &[usize]) -> TensorId {
        let name = self.node.name.clone();
        let output = self.graph.add_activation(format!("{name}/{}", self.at), shape);
        let inputs = inputs.to_vec();
        self.graph.nodes.insert(self.at, Node { name, op, inputs, output, clamp: None });
        self.at += 1;
        output
    }

    /// Weights `[C, 1, 1..]` and bias `[C]`.
    fn parameters(&mut self, affine: &Affine, rank: usize) -> (TensorId, TensorId) {
        let channels = affine.scale.len();
        let mut shape = vec![1; rank];
        shape[0] = channels;
        let mut constant = |what: &str, shape: &[usize], values: &[f64]| {
            let reals = ArrayD::from_shape_fn(IxDyn(shape), |index| values[index[0]] as f32);
            self.graph.add_constant(format!("{}/{what}", self.node.name), reals)
        };
        let weights = constant("scale", &shape, &affine.scale);
        (weights, constant("shift", &[channels], &affine.shift))
    }
}

#[cfg(test)]
mod tests {
    use ndarray::arr1;

    use super::super::testing::{Net, apply, ops, values};
    use super::super::{merge_reshapes, merge_transposes, remove_identity};
    use super::*;
    use crate::ir::{Quant, Unary};

    fn cleaned(mut graph: Graph) -> Graph {
        assert_eq!(apply(PASS, &mut graph), 1);
        let passes = [remove_identity::PASS, merge_reshapes::PASS, merge_transposes::PASS];
        while passes.iter().map(|pass| apply(*pass, &mut graph)).sum::<usize>() > 0 {}
        graph
    }

    #[test]
    fn batch_normalisation_of_an_input() {
        let mut net = Net::default();
        let x = net.input(&[1, 2, 4, 4]);
        let parameters = [[2.0, 4.0], [1.0, -1.0], [3.0, 0.5], [4.0, 1.0]];
        let [a, b, c, d] = parameters.map(|p: [f32; 2]| net.constant(arr1(&p).into_dyn()));
        let op = Op::BatchNorm { epsilon: 0.0 };
        let y = net.node(op, &[x, a, b, c, d], &[1, 2, 4, 4]);
        let graph = cleaned(net.finish(&[y]));
        assert_eq!(ops(&graph), ["Conv"]);
        let Op::Conv(conv) = &graph.nodes[0].op else { panic!() };
        assert_eq!((conv.groups, &conv.kernel[..]), (2, &[1, 1][..]));
        assert_eq!(values(&graph, 0, 1), [1.0, 4.0]);
        assert_eq!(values(&graph, 0, 2), [-2.0, -3.0]);
        assert_eq!(graph.tensor(graph.outputs[0]).name, "BatchNormalization1");
    }

    #[test]
    fn features_and_channels_last() {
        let mut net = Net::default();
        let x = net.input(&[1, 3]);
        let factors = net.counting(&[3]);
        let y = net.node(Op::Mul, &[x, factors], &[1, 3]);
        let graph = cleaned(net.finish(&[y]));
        assert_eq!(ops(&graph), ["Reshape", "Conv", "Reshape"]);
        assert_eq!(values(&graph, 1, 1), [1.0, 1.5, 2.0]);

        let mut net = Net::default();
        let x = net.input(&[1, 4, 5, 3]);
        let summands = net.counting(&[3]);
        let y = net.node(Op::Sub, &[x, summands], &[1, 4, 5, 3]);
        let graph = cleaned(net.finish(&[y]));
        assert_eq!(ops(&graph), ["Transpose", "Conv", "Transpose"]);
        assert_eq!(values(&graph, 1, 1), [1.0; 3]);
        assert_eq!(values(&graph, 1, 2), [-1.0, -1.5, -2.0]);
    }

    #[test]
    fn sums_of_activations_and_rounded_operands_stay() {
        let mut net = Net::default();
        let x = net.input(&[1, 4]);
        let a = net.unary(Unary::Tanh, x);
        let y = net.node(Op::Add, &[x, a], &[1, 4]);
        assert_eq!(apply(PASS, &mut net.finish(&[y])), 0);

        let mut net = Net::default();
        let x = net.input(&[1, 4]);
        net.graph.tensor_mut(x).quant = Some(Quant::per_tensor(0.1, 0));
        let c = net.counting(&[4]);
        let y = net.node(Op::Add, &[x, c], &[1, 4]);
        assert_eq!(apply(PASS, &mut net.finish(&[y])), 0);
    }
}
