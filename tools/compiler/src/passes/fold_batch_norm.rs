//! Batch normalisation behind a convolution or matrix product becomes part of its weights.
//!
//! `γ · (x − μ) / √(σ² + ε) + β = s · x + t` with `s = γ / √(σ² + ε)` and `t = β − s · μ`.

use super::Pass;
use super::rewrite::{absorb, scale_channels, source};
use crate::ir::{Graph, Node, Op};

pub(super) const PASS: Pass = Pass { name: "fold_batch_norm", rewrite };

fn rewrite(graph: &mut Graph, index: usize) -> bool {
    let node = &graph.nodes[index];
    let Some((scale, shift)) = scale_and_shift(graph, node) else {
        return false;
    };
    let Some(source) = source(graph, node.inputs[0], Some(1), None) else {
        return false;
    };
    if !source.is_channel_axis(graph) || !scale_channels(graph, source.node, &scale, &shift) {
        return false;
    }
    absorb(graph, index, &source);
    true
}

/// `s` and `t` per channel of a batch normalisation with constant parameters.
pub(super) fn scale_and_shift(graph: &Graph, node: &Node) -> Option<(Vec<f64>, Vec<f64>)> {
    let Op::BatchNorm { epsilon } = node.op else {
        return None;
    };
    let parameter = |input: usize| graph.tensor(node.inputs[input]).real_values();
    let (gamma, beta, mean, variance) =
        (parameter(1)?, parameter(2)?, parameter(3)?, parameter(4)?);
    let scale: Vec<f64> = gamma
        .iter()
        .zip(&variance)
        .map(|(&gamma, &variance)| {
            f64::from(gamma) / (f64::from(variance) + f64::from(epsilon)).sqrt()
        })
        .collect();
    let shift = beta
        .iter()
        .zip(&mean)
        .zip(&scale)
        .map(|((&beta, &mean), &s)| f64::from(beta) - s * f64::from(mean))
        .collect();
    Some((scale, shift))
}

#[cfg(test)]
mod tests {
    use ndarray::arr1;

    use super::super::testing::{Net, apply, ops, values};
    use super::*;
    use crate::ir::{Quant, TensorId, Unary};

    /// γ = 2, 4; β = 1, −1; μ = 3, 0.5; σ² = 3.99, 0.99 and ε = 0.01: s = 1, 4; t = −2, −3.
    fn batch_norm(net: &mut Net, x: TensorId) -> TensorId {
        let parameters = [[2.0, 4.0], [1.0, -1.0], [3.0, 0.5], [3.99, 0.99]];
        let parameters = parameters.map(|p: [f32; 2]| net.constant(arr1(&p).into_dyn()));
        let shape = net.graph.tensor(x).shape.clone();
        let [gamma, beta, mean, variance] = parameters;
        let op = Op::BatchNorm { epsilon: 0.01 };
        net.node(op, &[x, gamma, beta, mean, variance], &shape)
    }

    fn assert_close(got: &[f32], expected: &[f32]) {
        let close = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-5;
        assert!(got.len() == expected.len() && got.iter().zip(expected).all(close), "{got:?}");
    }

    #[test]
    fn behind_a_convolution() {
        let mut net = Net::default();
        let x = net.input(&[1, 2, 3, 3]);
        let a = net.pointwise(x, 2); // weights 1, 1.5 | 2, 2.5
        let b = batch_norm(&mut net, a);
        let mut graph = net.finish(&[b]);
        assert_eq!(apply(PASS, &mut graph), 1);
        assert_eq!(ops(&graph), ["Conv"]);
        assert_close(&values(&graph, 0, 1), &[1.0, 1.5, 8.0, 10.0]);
        assert_close(&values(&graph, 0, 2), &[-2.0, -3.0]);
        assert_eq!(graph.tensor(graph.outputs[0]).name, "BatchNormalization2");
    }

    #[test]
    fn behind_a_matrix_product_and_a_reshape() {
        let mut net = Net::default();
        let x = net.input(&[1, 3]);
        let weights = net.counting(&[2, 3]);
        let bias = net.constant(arr1(&[10.0f32, 20.0]).into_dyn());
        let a = net.node(Op::Dense, &[x, weights, bias], &[1, 2]);
        let b = net.node(Op::Reshape, &[a], &[1, 2, 1, 1]);
        let c = batch_norm(&mut net, b);
        let mut graph = net.finish(&[c]);
        assert_eq!(apply(PASS, &mut graph), 1);
        assert_eq!(ops(&graph), ["Dense", "Reshape"]);
        assert_close(&values(&graph, 0, 1), &[1.0, 1.5, 2.0, 10.0, 12.0, 14.0]);
        assert_close(&values(&graph, 0, 2), &[8.0, 77.0]);
        let between = &graph.tensor(graph.nodes[0].output).name;
        assert_ne!(between, "Dense1", "its values are no longer those of the model's tensor");
    }

    #[test]
    fn not_where_somebody_else_reads_the_convolution_or_it_is_rounded() {
        let mut net = Net::default();
        let x = net.input(&[1, 2, 3, 3]);
        let a = net.pointwise(x, 2);
        let b = batch_norm(&mut net, a);
        let c = net.unary(Unary::Tanh, a);
        assert_eq!(apply(PASS, &mut net.finish(&[b, c])), 0);

        let mut net = Net::default();
        let x = net.input(&[1, 2, 3, 3]);
        let a = net.pointwise(x, 2);
        net.graph.tensor_mut(a).quant = Some(Quant::per_tensor(0.5, 0));
        let b = batch_norm(&mut net, a);
        assert_eq!(apply(PASS, &mut net.finish(&[b])), 0);
    }

    #[test]
    fn not_through_a_reshape_that_mixes_channels() {
        let mut net = Net::default();
        let x = net.input(&[1, 2, 2, 2]);
        let a = net.pointwise(x, 4);
        let b = net.node(Op::Reshape, &[a], &[1, 2, 8]);
        let c = batch_norm(&mut net, b);
        assert_eq!(apply(PASS, &mut net.finish(&[c])), 0);
    }
}
