//! Transposition.

use super::super::error::Stop;
use super::super::node::NodeView;
use super::importer::{Importer, Value};
use super::weights::Arrangement;
use crate::ir::Op;

/// `Transpose`, of integers and of quantised weights as well.
pub(super) fn transpose<'m>(importer: &mut Importer<'m>, node: &NodeView<'m>) -> Result<(), Stop> {
    if let Some(&Value::Weights(id)) = importer.value(node, 0) {
        let perm = node.permutation(importer.shape(id).len())?;
        return importer.define_weights(node, id, &Arrangement::Transposed(perm));
    }
    let (x, kind) = importer.any_activation(node, 0)?;
    let shape = importer.shape(x).to_vec();
    let perm = node.permutation(shape.len())?;
    let output: Vec<_> = perm.iter().map(|&axis| shape[axis]).collect();
    importer.emit_kind(node, Op::Transpose { perm }, &[x], &output, kind)?;
    Ok(())
}
