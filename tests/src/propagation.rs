//! How far a quantised graph may be from the float model that it was made of.
//!
//! Every value is followed along the graph twice: as the float model computes it, and as a bound of
//! the difference that the image may have, element by element. An operator adds what its inputs'
//! bounds can do (an operator of the same kind with absolute weights, or a Lipschitz constant), what
//! its rounded weights do, and what its own rounding and arithmetic do ([`bounds`](crate::bounds)).

use std::collections::HashMap;

use fixie_compiler::ir::{Graph, Node, Op, PadMode, TensorId, Unary};

use crate::bounds::{arithmetic, lipschitz, rounding};
use crate::layers::{Reals, apply, clipped};

/// A value of the float model, and how far the image may be from it.
#[derive(Clone, Debug)]
pub struct Approximation {
    /// The float model's value.
    pub value: Reals,
    /// The bound, per element.
    pub error: Reals,
}

/// Follows real inputs through a graph; `float` is the graph before quantisation, which holds the
/// weights as they were. Gives an approximation for each output.
///
/// # Panics
///
/// If the graphs do not belong together.
pub fn propagate(float: &Graph, quantised: &Graph, inputs: &[Reals]) -> Vec<Approximation> {
    let mut known: HashMap<TensorId, Approximation> = HashMap::new();
    for (&id, value) in quantised.inputs.iter().zip(inputs) {
        let exact = Reals::zeros(value.raw_dim());
        known.insert(id, rounded(quantised, id, value.clone(), &exact, 0.5));
    }
    for node in &quantised.nodes {
        let output = approximate(float, quantised, node, &known);
        known.insert(node.output, output);
    }
    quantised.outputs.iter().map(|id| known[id].clone()).collect()
}

fn approximate(
    float: &Graph,
    quantised: &Graph,
    node: &Node,
    known: &HashMap<TensorId, Approximation>,
) -> Approximation {
    // A conversion that quantisation inserted is not in the float graph, and has no constants.
    let original = float
        .nodes
        .iter()
        .find(|original| float.tensor(original.output).name == quantised.tensor(node.output).name);
    let input = |(place, id): (usize, &TensorId)| {
        let Some(integers) = quantised.tensor(*id).real_values() else {
            return known[id].clone();
        };
        let original = original.expect("a node with constants is in the float graph");
        let value = float.tensor(original.inputs[place]).real_values();
        let value = value.expect("what is constant was so before quantisation");
        let error = (&value - &integers).mapv(f32::abs);
        Approximation { value, error }
    };
    let inputs: Vec<Approximation> = node.inputs.iter().enumerate().map(input).collect();
    let shape = &quantised.tensor(node.output).shape;
    let values: Vec<Reals> = inputs.iter().map(|input| input.value.clone()).collect();
    let value = apply(&node.op, node.clamp, &values, shape);
    let error = propagated(&node.op, &inputs, shape);
    rounded(quantised, node.output, value, &error, rounding(node) + arithmetic(quantised, node))
}

/// A value that is `error` off and becomes an integer of a tensor with another `steps` of error:
/// numbers beyond the tensor's range are clipped.
fn rounded(graph: &Graph, id: TensorId, value: Reals, error: &Reals, steps: f64) -> Approximation {
    let quant = graph.tensor(id).quant.as_ref().expect("every activation is quantised");
    let lost = value.mapv(|x| (f64::from(x) - clipped(quant, x.into())).abs() as f32);
    let error = error + &lost + (steps * f64::from(quant.scale())) as f32;
    Approximation { value, error }
}

/// What the errors of an operator's inputs can do to its output.
fn propagated(op: &Op, inputs: &[Approximation], shape: &[usize]) -> Reals {
    let errors: Vec<Reals> = inputs.iter().map(|input| input.error.clone()).collect();
    let magnitude = |index: usize| inputs[index].value.mapv(f32::abs);
    let through = |op: &Op, operands: &[Reals]| apply(op, None, operands, shape);
    let scaled = |factor: f64| {
        through(&Op::Unary(Unary::Identity), &errors[..1]).mapv(|e| e * factor as f32)
    };
    match op {
        // |W·x − W'·x'| ≤ |W'|·|x − x'| + |W − W'|·|x|, with |W'| ≤ |W| + |W − W'|.
        Op::Conv(_) | Op::Dense => {
            let of_inputs = [errors[0].clone(), magnitude(1) + &errors[1]];
            let of_constants: Vec<Reals> =
                [magnitude(0)].into_iter().chain(errors[1..].iter().cloned()).collect();
            through(op, &of_inputs) + through(op, &of_constants)
        }
        Op::Add | Op::Sub => through(&Op::Add, &errors),
        // |a·b − a'·b'| ≤ |a|·|b − b'| + |b|·|a − a'| + |a − a'|·|b − b'|.
        Op::Mul => {
            let term = |a: Reals, b: Reals| through(&Op::Mul, &[a, b]);
            let (a, b) = (errors[0].clone(), errors[1].clone());
            term(magnitude(0), b.clone()) + term(a.clone(), magnitude(1)) + term(a, b)
        }
        // Slopes are not rounded.
        Op::PRelu => {
            let steepest = magnitude(1).mapv(|slope| slope.max(1.0));
            through(&Op::Mul, &[errors[0].clone(), steepest])
        }
        Op::Unary(function) => scaled(lipschitz(*function)),
        // The magnitudes of ∂p_i/∂x_j add up to 2·p_i·(1 − p_i), at most 1/2.
        Op::Softmax { .. } => {
            let largest = errors[0].iter().copied().fold(0.0, f32::max);
            Reals::from_elem(shape, 0.5 * largest)
        }
        // The border's own value is rounded, and counted there.
        Op::Pad { before, after, mode: PadMode::Constant(_) } => {
            let (before, after) = (before.clone(), after.clone());
            through(&Op::Pad { before, after, mode: PadMode::Constant(0.0) }, &errors)
        }
        // An index is right or wrong.
        Op::ArgMax { .. } => Reals::zeros(shape),
        // Means, maxima and what moves elements do to errors what they do to values.
        _ => through(op, &errors),
    }
}
