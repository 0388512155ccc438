//! Scales of integer tensors that nothing quantises or dequantises directly.
//!
//! In a quantised model, integers are reshaped, transposed or pooled between `QuantizeLinear` and
//! `DequantizeLinear`. All tensors that such nodes connect have one scale and zero point; one of
//! them says which.

use std::collections::HashMap;

use super::super::error::ImportError;
use crate::ir::{Graph, Op, PadMode, Quant, TensorId};

/// Gives every tensor of `integers` its scale and zero point, and the borders of the nodes `pads`
/// their real values.
pub(super) fn resolve(
    graph: &mut Graph,
    integers: &[TensorId],
    pads: &[usize],
) -> Result<(), ImportError> {
    let mut groups = Groups::new(graph.tensors.len());
    for node in graph.nodes.iter().filter(|node| !converts(&node.op)) {
        node.inputs.iter().for_each(|&input| groups.join(input, node.output));
    }
    let mut quants: HashMap<usize, Quant> = HashMap::new();
    for &id in integers {
        let Some(quant) = graph.tensor(id).quant.clone() else { continue };
        let known = quants.entry(groups.root(id)).or_insert_with(|| quant.clone());
        if *known != quant {
            return Err(contradiction(graph, id));
        }
    }
    for &id in integers {
        let quant = quants.get(&groups.root(id)).cloned();
        let tensor = graph.tensor_mut(id);
        tensor.quant = Some(quant.ok_or_else(|| {
            ImportError::Structure {
                tensor: tensor.name.clone(),
                reason:
                    "holds integers, but no QuantizeLinear or DequantizeLinear gives them a scale"
                        .into(),
            }
        })?);
    }
    for &node in pads {
        read_border(graph, node);
    }
    Ok(())
}

/// Reads the integer of a node's border through the scale of its tensor.
fn read_border(graph: &mut Graph, node: usize) {
    let node = &mut graph.nodes[node];
    let quant = &graph.tensors[node.output.0].quant;
    if let (Op::Pad { mode: PadMode::Constant(value), .. }, Some(quant)) = (&mut node.op, quant) {
        *value = quant.dequantize(*value as i32, 0) as f32;
    }
}

/// Whether input and output are of different types.
fn converts(op: &Op) -> bool {
    matches!(op, Op::Quantize | Op::Dequantize | Op::ArgMax { .. })
}

fn contradiction(graph: &Graph, id: TensorId) -> ImportError {
    ImportError::Structure {
        tensor: graph.tensor(id).name.clone(),
        reason: "holds integers of another scale than the tensors it is joined with".into(),
    }
}

/// Disjoint sets of tensors.
struct Groups {
    parents: Vec<usize>,
}

impl Groups {
    fn new(count: usize) -> Self {
        Self { parents: (0..count).collect() }
    }

    /// The representative of a tensor's set.
    fn root(&mut self, id: TensorId) -> usize {
        let mut at = id.0;
        while self.parents[at] != at {
            self.parents[at] = self.parents[self.parents[at]];
            at = self.parents[at];
        }
        at
    }

    fn join(&mut self, a: TensorId, b: TensorId) {
        let (a, b) = (self.root(a), self.root(b));
        self.parents[a] = b;
    }
}
