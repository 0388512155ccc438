//! Tensors that must be held in the same integers.
//!
//! Operators that move elements, or choose among them, copy integers as they are: input and output
//! have one quantisation. The same holds for a state's value at the end of one run and at the
//! start of the next.

use crate::ir::{Graph, Node, Op, Quant, Tensor, TensorId, Unary};

/// Whether the operator's inputs and its output must have the same quantisation.
pub(super) fn shares(op: &Op) -> bool {
    op.moves_only() || matches!(op, Op::Pad { .. } | Op::Resize(_) | Op::Concat { .. })
}

/// Carries known quantisations along operators that share them, until nothing changes.
///
/// Towards the inputs that is exact: rounding what was moved is the same as moving what was
/// rounded. Towards the outputs it is too, where all inputs are rounded alike.
pub(super) fn spread(graph: &mut Graph) {
    while spread_backwards(graph) | spread_forwards(graph) {}
}

fn spread_backwards(graph: &mut Graph) -> bool {
    let mut changed = false;
    for index in (0..graph.nodes.len()).rev() {
        let node = &graph.nodes[index];
        if shares(&node.op) {
            let inputs = node.inputs.clone();
            let quant = graph.tensor(node.output).quant.clone();
            changed |=
                inputs.into_iter().fold(false, |any, id| any | give(graph, id, quant.as_ref()));
        }
    }
    for (output, input) in graph.states.clone() {
        let (end, start) = (graph.tensor(output).quant.clone(), graph.tensor(input).quant.clone());
        changed |= give(graph, input, end.as_ref()) | give(graph, output, start.as_ref());
    }
    changed
}

fn spread_forwards(graph: &mut Graph) -> bool {
    let mut changed = false;
    for index in 0..graph.nodes.len() {
        let node = &graph.nodes[index];
        if shares(&node.op) {
            let (output, quant) = (node.output, common_quant(graph, node));
            changed |= give(graph, output, quant.as_ref());
        }
    }
    changed
}

/// The quantisation of all activations that a node reads, if they have the same.
fn common_quant(graph: &Graph, node: &Node) -> Option<Quant> {
    let mut quants = activations(graph, node).map(|id| graph.tensor(id).quant.as_ref());
    let first = quants.next()??;
    quants.all(|quant| quant == Some(first)).then(|| first.clone())
}

/// The inputs that are no constants.
pub(super) fn activations<'a>(
    graph: &'a Graph,
    node: &'a Node,
) -> impl Iterator<Item = TensorId> + 'a {
    node.inputs.iter().copied().filter(|id| graph.tensor(*id).constant.is_none())
}

/// Gives an activation a quantisation if it has none. Returns whether that changed anything.
fn give(graph: &mut Graph, id: TensorId, quant: Option<&Quant>) -> bool {
    let tensor = graph.tensor_mut(id);
    let open = tensor.quant.is_none() && tensor.constant.is_none() && quant.is_some();
    if open {
        tensor.quant = quant.cloned();
    }
    open
}

/// Converts inputs whose quantisation differs from that of the output which must share it.
pub(super) fn insert_conversions(graph: &mut Graph) {
    let mut index = 0;
    while index < graph.nodes.len() {
        if shares(&graph.nodes[index].op) {
            index += convert_inputs(graph, index);
        }
        index += 1;
    }
    for place in 0..graph.states.len() {
        let (output, input) = graph.states[place];
        let quant = graph.tensor(input).quant.clone();
        if graph.tensor(output).quant != quant {
            let converted = conversion(graph, output, quant.as_ref(), graph.nodes.len());
            graph.states[place].0 = converted;
            for id in graph.outputs.iter_mut().filter(|id| **id == output) {
                *id = converted;
            }
        }
    }
}

/// Returns how many nodes were inserted in front of the node.
fn convert_inputs(graph: &mut Graph, index: usize) -> usize {
    let node = &graph.nodes[index];
    let (inputs, quant) = (node.inputs.clone(), graph.tensor(node.output).quant.clone());
    let mut inserted = 0;
    for (place, id) in inputs.into_iter().enumerate() {
        let tensor = graph.tensor(id);
        if tensor.constant.is_none() && tensor.quant != quant {
            let converted = conversion(graph, id, quant.as_ref(), index + inserted);
            inserted += 1;
            graph.nodes[index + inserted].inputs[place] = converted;
        }
    }
    inserted
}

/// Inserts, at node `at`, a copy of `id` with another quantisation.
pub(super) fn conversion(
    graph: &mut Graph,
    id: TensorId,
    quant: Option<&Quant>,
    at: usize,
) -> TensorId {
    let Tensor { name, shape, .. } = graph.tensor(id).clone();
    let name = format!("{name}/converted");
    let converted = graph.add_tensor(Tensor {
        name: name.clone(),
        shape,
        constant: None,
        quant: quant.cloned(),
    });
    let op = Op::Unary(Unary::Identity);
    graph.nodes.insert(at, Node { name, op, inputs: vec![id], output: converted, clamp: None });
    converted
}
