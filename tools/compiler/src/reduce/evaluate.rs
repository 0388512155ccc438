//! Runs a graph, or one node of it, on the kernels: no second version of their arithmetic here.

use std::collections::HashMap;

use ndarray::ArrayD;
use thiserror::Error;

use crate::ir::{Graph, Node, TensorId};
use crate::lower::{Codable, Inputs, LowerError, lower};
use crate::pack::pack;
use crate::plan::{Optimize, plan};
use crate::session::{Network, SessionError};
use crate::target::Target;

/// Why a graph cannot run.
#[derive(Debug, Error)]
pub(super) enum EvaluateError {
    /// It has no image.
    #[error(transparent)]
    Lower(#[from] LowerError),
    /// Its image cannot run.
    #[error(transparent)]
    Session(#[from] SessionError),
}

/// The outputs of a quantised graph, in ONNX layout.
pub(super) fn run(graph: &Graph, inputs: &[ArrayD<i8>]) -> Result<Vec<ArrayD<i32>>, EvaluateError> {
    let program = lower(graph, Target::Generic, Inputs::Whole, &Codable::default())?;
    let plan = plan(&program, Optimize::Latency);
    let network = Network::new(&pack(program, &plan, Vec::new()))?;
    let mut arena = network.arena();
    let mut session = network.session(&mut arena)?;
    session.run_raw(inputs)?;
    Ok(session.integers()?)
}

/// The output of one node, given the values of its inputs; constants are not asked for. `None` if no
/// kernel can do it, which lowering will report.
pub(super) fn node(
    graph: &Graph,
    node: &Node,
    value: impl Fn(TensorId) -> ArrayD<i8>,
) -> Option<ArrayD<i32>> {
    let mut alone = Graph::default();
    let mut values = Vec::new();
    let mut copies = HashMap::new();
    let mut copy = |id: TensorId, alone: &mut Graph| {
        *copies.entry(id).or_insert_with(|| {
            let copy = alone.add_tensor(graph.tensor(id).clone());
            if graph.tensor(id).constant.is_none() && id != node.output {
                alone.inputs.push(copy);
                values.push(value(id));
            }
            copy
        })
    };
    let inputs = node.inputs.iter().map(|&id| copy(id, &mut alone)).collect();
    let output = copy(node.output, &mut alone);
    alone.nodes.push(Node { inputs, output, ..node.clone() });
    alone.outputs.push(output);
    run(&alone, &values).ok()?.pop()
}
