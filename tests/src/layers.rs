//! Compares every layer of a run with its operator in real numbers.

use std::collections::HashMap;

use fixie_compiler::ir::{Graph, Node, Op, Quant, TensorId, Unary, eval};
use fixie_compiler::trace::{Trace, TracedTensor};
use ndarray::ArrayD;

use crate::bounds::{arithmetic, rounding};

/// Real values of a tensor, in ONNX shape and order.
pub type Reals = ArrayD<f32>;

/// How far one layer was from the real numbers, in steps of its output.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerError {
    /// Name of the node.
    pub node: String,
    /// Its operator.
    pub op: &'static str,
    /// The largest deviation of any element.
    pub error: f64,
    /// What it may be.
    pub bound: f64,
}

/// Compares each layer's output with its operator, applied in real numbers to the inputs that the
/// layer read. Nodes that only rename memory have no layer and are passed over, and so are elements
/// that the image does not compute.
///
/// # Panics
///
/// If a node that computes something has no layer in the trace.
pub fn compare_layers(graph: &Graph, trace: &Trace) -> Vec<LayerError> {
    let mut values = inputs(graph, trace);
    let mut errors = Vec::new();
    for node in &graph.nodes {
        let operand = |id: &TensorId| {
            let constant = graph.tensor(*id).real_values();
            constant.unwrap_or_else(|| values[id].clone())
        };
        let operands: Vec<Reals> = node.inputs.iter().map(operand).collect();
        let exact = apply(&node.op, node.clamp, &operands, &graph.tensor(node.output).shape);
        let value = match layer(graph, node, trace) {
            Some(layer) => {
                errors.push(compare(graph, node, &exact, layer));
                layer.reals()
            }
            None if renames(graph, node) => exact,
            None => panic!("'{}' ({}) has no layer", node.name, node.op.name()),
        };
        values.insert(node.output, value);
    }
    errors
}

/// As [`compare_layers`], and checks the bounds. Gives the number of layers.
///
/// # Panics
///
/// If a layer is out of its bound; the message names `case` and the layer.
pub fn check_layers(case: &str, graph: &Graph, trace: &Trace) -> usize {
    let errors = compare_layers(graph, trace);
    for LayerError { node, op, error, bound } in &errors {
        assert!(
            error <= bound,
            "{case}: '{node}' ({op}) is {error} steps off, {bound} are allowed"
        );
    }
    errors.len()
}

/// The output, of shape `shape`, of an operator for these operands.
pub fn apply(op: &Op, clamp: Option<(f32, f32)>, operands: &[Reals], shape: &[usize]) -> Reals {
    let mut graph = Graph::default();
    let activation = |operand: &Reals| graph.add_activation("operand", operand.shape());
    let inputs: Vec<TensorId> = operands.iter().map(activation).collect();
    let output = graph.add_activation("output", shape);
    graph.inputs.clone_from(&inputs);
    graph.nodes = vec![Node { name: "node".into(), op: op.clone(), inputs, output, clamp }];
    eval(&graph, operands).remove(&output).expect("the node's output is computed")
}

/// The number in a tensor's range that is nearest to a value.
pub fn clipped(quant: &Quant, value: f64) -> f64 {
    let (min, max) = quant.range();
    value.max(quant.dequantize(min, 0)).min(quant.dequantize(max, 0))
}

/// What the graph's inputs hold: those of the trace, and states as they are after a reset.
fn inputs(graph: &Graph, trace: &Trace) -> HashMap<TensorId, Reals> {
    let value = |id: &TensorId| {
        let tensor = graph.tensor(*id);
        let traced = trace.inputs.iter().find(|input| input.name == tensor.name);
        (*id, traced.map_or_else(|| Reals::zeros(&tensor.shape[..]), TracedTensor::reals))
    };
    graph.inputs.iter().map(value).collect()
}

fn quant<'g>(graph: &'g Graph, node: &Node) -> &'g Quant {
    graph.tensor(node.output).quant.as_ref().expect("every activation is quantised")
}

/// The layer that computed a node's output.
fn layer<'t>(graph: &Graph, node: &Node, trace: &'t Trace) -> Option<&'t TracedTensor> {
    let (name, quant) = (&graph.tensor(node.output).name, quant(graph, node));
    let is_output = |layer: &&TracedTensor| {
        layer.name == *name && layer.scale == quant.scale() && layer.zero_point == quant.zero_point
    };
    trace.layers.iter().rev().find(is_output)
}

/// Whether a node may be nothing but another name for the memory of its input.
fn renames(graph: &Graph, node: &Node) -> bool {
    let same_quant = graph.tensor(node.inputs[0]).quant.as_ref() == Some(quant(graph, node));
    match node.op {
        Op::Reshape | Op::Transpose { .. } => true,
        Op::Unary(Unary::Identity) => same_quant && node.clamp.is_none(),
        _ => false,
    }
}

fn compare(graph: &Graph, node: &Node, exact: &Reals, layer: &TracedTensor) -> LayerError {
    let quant = quant(graph, node);
    let steps = |(&exact, &integer): (&f32, &Option<i32>)| {
        let off = clipped(quant, exact.into()) - quant.dequantize(integer?, 0);
        // An element that was computed from one that was not.
        let unknown = exact.is_nan().then_some(f64::INFINITY);
        Some(unknown.unwrap_or(off.abs() / f64::from(quant.scale())))
    };
    assert_eq!(exact.shape(), layer.integers.shape(), "'{}'", node.name);
    LayerError {
        node: node.name.clone(),
        op: node.op.name(),
        error: exact.iter().zip(&layer.integers).filter_map(steps).fold(0.0, f64::max),
        bound: rounding(node) + arithmetic(graph, node),
    }
}
