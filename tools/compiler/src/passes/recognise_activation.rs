//! Activations that the model spells out in several nodes become one function.
//!
//! - `x · g(x)` with a gate `g` of scalar functions: `Silu` or `HardSwish`, possibly scaled. The
//!   gate is recognised by its values, however it is spelt;
//! - a scalar factor or summand: `Affine`;
//! - `PRelu` with one slope: `LeakyRelu`.

use super::Pass;
use super::fold_affine::as_affine;
use super::rewrite::{is_one, scalar};
use crate::ir::{Graph, Node, Op, TensorId, Unary};

pub(super) const PASS: Pass = Pass { name: "recognise_activation", rewrite };

fn rewrite(graph: &mut Graph, index: usize) -> bool {
    let node = &graph.nodes[index];
    let found = match node.op {
        Op::PRelu => {
            scalar(graph, node.inputs[1]).map(|alpha| (node.inputs[0], Unary::LeakyRelu { alpha }))
        }
        Op::Add | Op::Sub | Op::Mul => scalar_affine(graph, node),
        _ => None,
    };
    if let Some((x, unary)) = found {
        let node = &mut graph.nodes[index];
        (node.op, node.inputs) = (Op::Unary(unary), vec![x]);
        return true;
    }
    gated(graph, index)
}

fn scalar_affine(graph: &Graph, node: &Node) -> Option<(TensorId, Unary)> {
    let affine = as_affine(graph, node).filter(|affine| affine.axis.is_none())?;
    let (scale, offset) = (affine.scale[0] as f32, affine.shift[0] as f32);
    Some((affine.x, Unary::Affine { scale, offset }))
}

/// Rewrites `x · g(x)`.
fn gated(graph: &mut Graph, index: usize) -> bool {
    let node = &graph.nodes[index];
    let (&Op::Mul, &[a, b]) = (&node.op, &node.inputs[..]) else {
        return false;
    };
    let found = [(a, b), (b, a)]
        .into_iter()
        .find_map(|(x, gate)| gate_of(&functions_between(graph, x, gate)?).map(|gate| (x, gate)));
    let Some((x, (function, scale))) = found else {
        return false;
    };
    let mut activation = node.clone();
    activation.op = Op::Unary(function);
    activation.inputs = vec![x];
    if is_one(scale.into()) {
        graph.nodes[index] = activation;
        return true;
    }
    let shape = graph.tensor(x).shape.clone();
    let unscaled = graph.add_activation(format!("{}/unscaled", node.name), &shape);
    (activation.output, activation.clamp) = (unscaled, None);
    let scaling = &mut graph.nodes[index];
    scaling.op = Op::Unary(Unary::Affine { scale, offset: 0.0 });
    scaling.inputs = vec![unscaled];
    graph.nodes.insert(index, activation);
    true
}

/// The scalar functions, first one first, that lead from `x` to `gate`; `None` if there are none
/// or a tensor on the way is rounded.
fn functions_between(graph: &Graph, x: TensorId, gate: TensorId) -> Option<Vec<&Node>> {
    let mut nodes = Vec::new();
    let mut id = gate;
    while id != x {
        let node = &graph.nodes[graph.producer(id)?];
        let (Op::Unary(_), None) = (&node.op, &graph.tensor(id).quant) else {
            return None;
        };
        nodes.insert(0, node);
        id = node.inputs[0];
    }
    (!nodes.is_empty()).then_some(nodes)
}

/// The activation `x · gate(x)` and the factor in front of it.
fn gate_of(functions: &[&Node]) -> Option<(Unary, f32)> {
    let gate = |x: f64| {
        functions.iter().fold(x, |x, node| {
            let Op::Unary(unary) = node.op else { return f64::NAN };
            let y = unary.eval(x);
            node.clamp.map_or(y, |(min, max)| y.max(min.into()).min(max.into()))
        })
    };
    let hard_sigmoid = Unary::HardSigmoid { alpha: 1.0 / 6.0, beta: 0.5 };
    let known = [(Unary::Sigmoid, Unary::Silu), (hard_sigmoid, Unary::HardSwish)];
    known.into_iter().find_map(|(sigmoid, activation)| {
        // Both are 1 far to the right.
        let scale = gate(100.0);
        let alike = (-80..=80).map(|i| f64::from(i) / 8.0).all(|x| {
            let difference = gate(x) - scale * sigmoid.eval(x);
            difference.abs() <= 1e-5 * scale.abs()
        });
        (alike && scale != 0.0).then_some((activation, scale as f32))
    })
}

#[cfg(test)]
mod tests {
    use ndarray::arr1;

    use super::super::testing::{Net, apply, ops};
    use super::*;
    use crate::ir::Quant;

    const HARD_SIGMOID: Unary = Unary::HardSigmoid { alpha: 1.0 / 6.0, beta: 0.5 };

    /// `x · gate(x)`, the gate in several nodes.
    fn product(gate: &[Unary]) -> Graph {
        let mut net = Net::default();
        let x = net.input(&[1, 4]);
        let mut g = x;
        for unary in gate {
            g = net.unary(*unary, g);
        }
        let y = net.node(Op::Mul, &[g, x], &[1, 4]);
        net.finish(&[y])
    }

    #[test]
    fn gates_are_recognised_by_value() {
        let mut graph = product(&[Unary::Sigmoid]);
        apply(PASS, &mut graph);
        assert_eq!(ops(&graph), ["Silu"]);

        let mut graph = product(&[HARD_SIGMOID]);
        apply(PASS, &mut graph);
        assert_eq!(ops(&graph), ["HardSwish"]);

        let clip = Unary::Clip { min: 0.0, max: 6.0 };
        let mut graph = product(&[
            Unary::Affine { scale: 1.0, offset: 3.0 },
            clip,
            Unary::Affine { scale: 1.0 / 6.0, offset: 0.0 },
        ]);
        apply(PASS, &mut graph);
        assert_eq!(ops(&graph), ["HardSwish"]);
    }

    #[test]
    fn a_factor_remains() {
        let clip = Unary::Clip { min: 0.0, max: 6.0 };
        let mut graph = product(&[Unary::Affine { scale: 1.0, offset: 3.0 }, clip]);
        apply(PASS, &mut graph);
        assert_eq!(ops(&graph), ["HardSwish", "Affine"]);
        let Op::Unary(Unary::Affine { scale, offset }) = graph.nodes[1].op else { panic!() };
        assert!((scale - 6.0).abs() < 1e-5 && offset == 0.0);
    }

    #[test]
    fn other_gates_stay_products() {
        assert_eq!(apply(PASS, &mut product(&[Unary::Tanh])), 0);
        assert_eq!(apply(PASS, &mut product(&[])), 0, "a square is no activation");
        let slow = Unary::HardSigmoid { alpha: 0.2, beta: 0.5 };
        assert_eq!(apply(PASS, &mut product(&[slow])), 0);
    }

    #[test]
    fn a_rounded_gate_stays_a_product() {
        let mut graph = product(&[Unary::Sigmoid]);
        let gate = graph.nodes[0].output;
        graph.tensor_mut(gate).quant = Some(Quant::per_tensor(1.0 / 256.0, -128));
        assert_eq!(apply(PASS, &mut graph), 0);
    }

    #[test]
    fn scalar_operands_are_affine() {
        for (op, first, expected) in [
            (Op::Add, false, (1.0, 3.0)),
            (Op::Sub, false, (1.0, -3.0)),
            (Op::Sub, true, (-1.0, 3.0)),
            (Op::Mul, true, (3.0, 0.0)),
        ] {
            let mut net = Net::default();
            let x = net.input(&[1, 4]);
            let c = net.scalar(3.0);
            let inputs = if first { [c, x] } else { [x, c] };
            let y = net.node(op, &inputs, &[1, 4]);
            let mut graph = net.finish(&[y]);
            assert_eq!(apply(PASS, &mut graph), 1);
            let (scale, offset) = expected;
            assert_eq!(graph.nodes[0].op, Op::Unary(Unary::Affine { scale, offset }));
        }
    }

    #[test]
    fn a_scalar_that_widens_its_operand_is_none() {
        let mut net = Net::default();
        let x = net.input(&[4]);
        let c = net.counting(&[1, 1]);
        let y = net.node(Op::Mul, &[x, c], &[1, 4]);
        assert_eq!(apply(PASS, &mut net.finish(&[y])), 0);
    }

    #[test]
    fn one_slope_is_a_leaky_relu() {
        let mut net = Net::default();
        let x = net.input(&[1, 4, 2]);
        let one = net.constant(arr1(&[0.25f32]).into_dyn());
        let a = net.node(Op::PRelu, &[x, one], &[1, 4, 2]);
        let several = net.counting(&[4, 1]);
        let b = net.node(Op::PRelu, &[a, several], &[1, 4, 2]);
        let mut graph = net.finish(&[b]);
        assert_eq!(apply(PASS, &mut graph), 1);
        assert_eq!(ops(&graph), ["LeakyRelu", "PRelu"]);
    }
}
