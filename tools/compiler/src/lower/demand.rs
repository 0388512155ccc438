//! Which memory order the consumers of each tensor want.
//!
//! Only the order of a model's inputs is chosen from it: the application, or the host, lays the
//! data out so that nothing is left to transpose at run time.

use super::layout::Layout;
use crate::ir::{Graph, Node, Op, TensorId};

/// The wanted layout of every tensor: its first consumer's, or ONNX order where none cares.
pub fn demands(graph: &Graph) -> Vec<Layout> {
    let row_major = |tensor: &crate::ir::Tensor| Layout::row_major(&tensor.shape);
    let mut demands: Vec<_> = graph.tensors.iter().map(row_major).collect();
    // Backwards, so that a node knows what its output's consumers want; of several consumers the
    // first one writes last.
    for node in graph.nodes.iter().rev() {
        for &input in &node.inputs {
            if graph.tensor(input).constant.is_none() {
                demands[input.0] = demand(graph, node, input, &demands[node.output.0]);
            }
        }
    }
    demands
}

/// What one node wants of an input, given what is wanted of its output.
fn demand(graph: &Graph, node: &Node, input: TensorId, output: &Layout) -> Layout {
    let shape = &graph.tensor(input).shape;
    let same_shape = *shape == output.dims;
    match &node.op {
        Op::Conv(_)
        | Op::MaxPool(_)
        | Op::AvgPool { .. }
        | Op::Resize(_)
        | Op::BatchNorm { .. } => Layout::channels_last(shape),
        Op::Mean { .. } if shape.len() > 2 => Layout::channels_last(shape),
        Op::Transpose { perm } => {
            // The output's axis `i` is the input's axis `perm[i]`.
            Layout { dims: shape.clone(), order: output.order.iter().map(|&i| perm[i]).collect() }
        }
        Op::Reshape => output.reshape(shape).unwrap_or_else(|| Layout::row_major(shape)),
        Op::Concat { .. } | Op::Slice(_) | Op::Pad { .. } => {
            Layout { dims: shape.clone(), order: output.order.clone() }
        }
        Op::Add | Op::Sub | Op::Mul | Op::Unary(_) | Op::PRelu | Op::Quantize | Op::Dequantize
            if same_shape =>
        {
            output.clone()
        }
        _ => Layout::row_major(shape),
    }
}
