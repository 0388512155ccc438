//! Softmax.

use super::super::error::Stop;
use super::super::node::{self, NodeView};
use super::importer::Importer;
use crate::ir::Op;

/// `Softmax`: over one axis since opset 13; before, over `axis` and all behind it together.
pub(super) fn softmax<'m>(importer: &mut Importer<'m>, node: &NodeView<'m>) -> Result<(), Stop> {
    let x = importer.activation(node, 0)?;
    let shape = importer.shape(x).to_vec();
    let single = node.opset >= 13;
    let axis = node::axis(node.int_or("axis", if single { -1 } else { 1 })?, shape.len())?;
    let longer: Vec<_> = (axis..shape.len()).filter(|&axis| shape[axis] != 1).collect();
    let axis = match (single, longer.as_slice()) {
        (true, _) | (false, []) => axis,
        (false, &[only]) => only,
        (false, _) => {
            let (before, behind) = shape.split_at(axis);
            let flat = [before.iter().product(), behind.iter().product()];
            let rows = importer.emit_part(node, "flat", Op::Reshape, &[x], &flat)?;
            let op = Op::Softmax { axis: 1 };
            let scores = importer.emit_part(node, "scores", op, &[rows], &flat)?;
            importer.emit(node, Op::Reshape, &[scores], &shape)?;
            return Ok(());
        }
    };
    importer.emit(node, Op::Softmax { axis }, &[x], &shape)?;
    Ok(())
}
