//! `QuantizeLinear` and `DequantizeLinear` disappear into the `quant` of the tensors they connect.
//!
//! Both keep the real value that a tensor stands for, rounding apart:
//!
//! ```text
//! Conv ─ t ─ Quantize ─ q ─ Dequantize ─ r ─ Relu      ⇒      Conv ─ t ─ Relu, t rounded as q was
//! ```
//!
//! A tensor that is rounded twice, differently, keeps a node between: `Identity`, which converts.
//! Scales and zero points are taken over as the model has them.

use ndarray::ArrayD;

use super::Pass;
use super::rewrite::bypass;
use crate::ir::{Constant, Graph, Op, Quant, Unary};

pub(super) const PASS: Pass = Pass { name: "absorb_quantization", rewrite };

fn rewrite(graph: &mut Graph, index: usize) -> bool {
    let node = &graph.nodes[index];
    let (x, y) = (node.inputs[0], node.output);
    let rounded = match node.op {
        Op::Quantize => y,
        Op::Dequantize => x,
        _ => return false,
    };
    let Some(quant) = graph.tensor(rounded).quant.clone() else {
        return false;
    };
    if let (Op::Quantize, Some(values)) = (&node.op, graph.tensor(x).real_values()) {
        graph.tensor_mut(y).constant = Some(round(&values, &quant));
        graph.nodes.remove(index);
        return true;
    }
    graph.nodes[index].op = Op::Unary(Unary::Identity);
    bypass(graph, index);
    true
}

fn round(values: &ArrayD<f32>, quant: &Quant) -> Constant {
    let integers = values.indexed_iter().map(|(index, &real)| {
        quant.quantize(real.into(), quant.axis.map_or(0, |axis| index[axis]))
    });
    let integers: Vec<i32> = integers.collect();
    Constant::Integer(
        ArrayD::from_shape_vec(values.raw_dim(), integers).expect("one integer per value"),
    )
}

#[cfg(test)]
mod tests {
    use ndarray::arr1;

    use super::super::testing::{Net, ops};
    use super::*;
    use crate::ir::TensorId;

    fn quantized(net: &mut Net, x: TensorId, scale: f32, zero: i32) -> TensorId {
        let q = net.node(Op::Quantize, &[x], &[1, 4]);
        net.graph.tensor_mut(q).quant = Some(Quant::per_tensor(scale, zero));
        q
    }

    fn dequantized(net: &mut Net, q: TensorId) -> TensorId {
        net.node(Op::Dequantize, &[q], &[1, 4])
    }

    #[test]
    fn pairs_become_the_rounding_of_a_tensor() {
        let mut net = Net::default();
        let x = net.input(&[1, 4]);
        let q = quantized(&mut net, x, 0.5, 3);
        let r = dequantized(&mut net, q);
        let t = net.node(Op::Unary(Unary::Sigmoid), &[r], &[1, 4]);
        let q2 = quantized(&mut net, t, 0.25, -128);
        let r2 = dequantized(&mut net, q2);
        let mut graph = net.finish(&[r2]);

        PASS.run(&mut graph);
        assert_eq!(ops(&graph), ["Sigmoid"]);
        assert_eq!(graph.tensor(graph.inputs[0]).quant, Some(Quant::per_tensor(0.5, 3)));
        let out = graph.tensor(graph.outputs[0]);
        assert_eq!(out.quant, Some(Quant::per_tensor(0.25, -128)));
        assert_eq!(out.name, "DequantizeLinear5", "the output keeps its name");
    }

    #[test]
    fn two_roundings_are_a_conversion() {
        let mut net = Net::default();
        let x = net.input(&[1, 4]);
        let first = quantized(&mut net, x, 0.5, 3);
        let r = dequantized(&mut net, first);
        let second = quantized(&mut net, r, 0.25, -10);
        let r2 = dequantized(&mut net, second);
        let y = net.node(Op::Unary(Unary::Tanh), &[r2], &[1, 4]);
        let mut graph = net.finish(&[y]);

        PASS.run(&mut graph);
        assert_eq!(ops(&graph), ["Identity", "Tanh"]);
        let converted = graph.tensor(graph.nodes[0].output);
        assert_eq!(converted.quant, Some(Quant::per_tensor(0.25, -10)));
    }

    #[test]
    fn an_integer_port_is_a_rounded_tensor() {
        let mut net = Net::default();
        let q = net.input(&[1, 4]);
        net.graph.tensor_mut(q).quant = Some(Quant::per_tensor(0.1, 7));
        let r = dequantized(&mut net, q);
        let t = net.node(Op::Unary(Unary::Tanh), &[r], &[1, 4]);
        let q2 = quantized(&mut net, t, 0.1, 0);
        let mut graph = net.finish(&[q2]);

        PASS.run(&mut graph);
        assert_eq!(ops(&graph), ["Tanh"]);
        assert_eq!(graph.tensor(graph.inputs[0]).quant, Some(Quant::per_tensor(0.1, 7)));
        assert_eq!(graph.tensor(graph.outputs[0]).quant, Some(Quant::per_tensor(0.1, 0)));
    }

    #[test]
    fn an_input_that_is_only_rounded_stays_connected() {
        let mut net = Net::default();
        let x = net.input(&[1, 4]);
        let q = quantized(&mut net, x, 0.5, 3);
        let mut graph = net.finish(&[q]);

        PASS.run(&mut graph);
        assert_eq!(ops(&graph), ["Identity"]);
    }

    #[test]
    fn constants_are_rounded_and_found() {
        let mut net = Net::default();
        let x = net.input(&[1, 4]);
        let c = net.constant(arr1(&[0.24f32, -0.26, 10.0, -100.0]).into_dyn());
        let q = net.node(Op::Quantize, &[c], &[4]);
        net.graph.tensor_mut(q).quant = Some(Quant::per_tensor(0.5, 1));
        let r = net.node(Op::Dequantize, &[q], &[4]);
        let y = net.node(Op::Add, &[x, r], &[1, 4]);
        let mut graph = net.finish(&[y]);

        PASS.run(&mut graph);
        assert_eq!(ops(&graph), ["Add"]);
        let constant = graph.tensor(graph.nodes[0].inputs[1]);
        let integers = arr1(&[1, 0, 21, -128]).into_dyn();
        assert_eq!(constant.constant, Some(Constant::Integer(integers)));
    }
}
