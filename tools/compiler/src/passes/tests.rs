//! All passes together.

use ndarray::{ArrayD, IxDyn};
use proptest::prelude::*;

use super::testing::{Net, assert_same, ops, pool, window};
use super::*;
use crate::ir::{PadMode, TensorId, Unary};

fn batch_norm(net: &mut Net, x: TensorId) -> TensorId {
    let shape = net.graph.tensor(x).shape.clone();
    let parameters: Vec<TensorId> = (0..4).map(|_| net.counting(&shape[1..2])).collect();
    let inputs: Vec<TensorId> = std::iter::once(x).chain(parameters).collect();
    net.node(Op::BatchNorm { epsilon: 1e-3 }, &inputs, &shape)
}

/// As tf2onnx exports a Keras model: channels last, with transposes around convolutions.
fn channels_last_model() -> Graph {
    let mut net = Net::default();
    let image = net.input(&[1, 6, 6, 2]);
    let border =
        Op::Pad { before: vec![0, 1, 1, 0], after: vec![0, 1, 1, 0], mode: PadMode::Constant(0.0) };
    let x = net.node(border, &[image], &[1, 8, 8, 2]);
    let x = net.transpose(x, &[0, 3, 1, 2]);
    let weights = net.counting(&[4, 2, 3, 3]);
    let x = net.node(Op::Conv(window(3, 1)), &[x, weights], &[1, 4, 6, 6]);
    let x = batch_norm(&mut net, x);
    let x = net.transpose(x, &[0, 2, 3, 1]);
    let x = net.unary(Unary::Clip { min: 0.0, max: 6.0 }, x);
    let x = net.transpose(x, &[0, 3, 1, 2]);
    let average = Op::AvgPool { pool: pool(6, 6), count_padding: false };
    let x = net.node(average, &[x], &[1, 4, 1, 1]);
    let x = net.node(Op::Reshape, &[x], &[1, 1, 4]);
    let x = net.node(Op::Reshape, &[x], &[1, 4]);
    let weights = net.counting(&[3, 4]);
    let x = net.node(Op::Dense, &[x, weights], &[1, 3]);
    let bias = net.counting(&[3]);
    let x = net.node(Op::Add, &[x, bias], &[1, 3]);
    net.finish(&[x])
}

#[test]
fn a_channels_last_model_becomes_its_layers() {
    let before = channels_last_model();
    let mut after = before.clone();
    let report = simplify(&mut after).unwrap();
    assert_eq!(ops(&after), ["Transpose", "Conv", "ReduceMean", "Reshape", "Dense"]);
    assert_same(&before, &after, "the pipeline");
    let absorbed = report.applied.iter().find(|(name, _)| *name == "absorb_quantization");
    assert_eq!(absorbed, None);
    assert!(report.applied.contains(&("fold_batch_norm", 1)), "{report:?}");
}

#[test]
fn what_is_left_over_is_an_error() {
    let mut net = Net::default();
    let x = net.input(&[1, 4]);
    let y = net.node(Op::Dequantize, &[x], &[1, 4]);
    let error = simplify(&mut net.finish(&[y])).unwrap_err().to_string();
    assert!(error.starts_with("node 'DequantizeLinear1' (DequantizeLinear): "), "{error}");
}

#[test]
fn an_invalid_graph_is_refused() {
    let mut graph = channels_last_model();
    graph.nodes.swap(0, 1);
    assert!(matches!(simplify(&mut graph), Err(PassError::Invalid { .. })));
}

/// Extends a network over `[1, C, H, W]` by one of some habits of exporters.
fn extend(net: &mut Net, x: TensorId, habit: usize) -> TensorId {
    let shape = net.graph.tensor(x).shape.clone();
    let channels = shape[1];
    match habit {
        0 => net.pointwise(x, 3),
        1 => batch_norm(net, x),
        2 => net.unary(Unary::Relu, x),
        3 => net.unary(Unary::Clip { min: -1.0, max: 6.0 }, x),
        4 => {
            let gate = net.unary(Unary::Sigmoid, x);
            net.node(Op::Mul, &[x, gate], &shape)
        }
        5 => {
            let factors = net.counting(&[channels, 1, 1]);
            net.node(Op::Mul, &[factors, x], &shape)
        }
        6 => {
            let two = net.scalar(2.0);
            net.node(Op::Sub, &[two, x], &shape)
        }
        7 => {
            let last = net.transpose(x, &[0, 2, 3, 1]);
            let summands = net.counting(&[channels]);
            let last_shape = net.graph.tensor(last).shape.clone();
            let sum = net.node(Op::Add, &[last, summands], &last_shape);
            net.transpose(sum, &[0, 3, 1, 2])
        }
        8 => {
            let flat = net.node(Op::Reshape, &[x], &[1, shape.iter().product()]);
            let flat = net.unary(Unary::Relu, flat);
            net.node(Op::Reshape, &[flat], &shape)
        }
        9 => {
            let border = Op::Pad {
                before: vec![0, 0, 1, 0],
                after: vec![0, 0, 1, 2],
                mode: PadMode::Constant(0.0),
            };
            let padded = [1, channels, shape[2] + 2, shape[3] + 2];
            let x = net.node(border, &[x], &padded);
            net.node(Op::MaxPool(pool(3, 1)), &[x], &shape)
        }
        _ => net.node(Op::Add, &[x, x], &shape),
    }
}

proptest! {
    #[test]
    fn habits_of_exporters_keep_their_meaning(habits in prop::collection::vec(0..11usize, 1..9)) {
        let mut net = Net::default();
        let mut x = net.input(&[1, 2, 3, 4]);
        for habit in &habits {
            x = extend(&mut net, x, *habit);
            // Values must stay where single precision can be compared.
            x = net.unary(Unary::Tanh, x);
        }
        let before = net.finish(&[x]);
        let mut after = before.clone();
        simplify(&mut after).unwrap();
        assert_same(&before, &after, "the pipeline");
        prop_assert!(after.nodes.len() <= before.nodes.len() + 4 * habits.len());
    }

    #[test]
    fn undisturbed_chains_keep_their_meaning(habits in prop::collection::vec(0..10usize, 1..5)) {
        let mut net = Net::default();
        let input = net.input(&[1, 2, 3, 4]);
        let small = net.constant(ArrayD::from_elem(IxDyn(&[]), 0.05));
        let mut x = net.node(Op::Mul, &[input, small], &[1, 2, 3, 4]);
        for habit in &habits {
            x = extend(&mut net, x, *habit);
        }
        let before = net.finish(&[x]);
        let mut after = before.clone();
        simplify(&mut after).unwrap();
        assert_same(&before, &after, "the pipeline");
    }
}
