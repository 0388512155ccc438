//! Transposition.

use super::super::error::{Problem, Stop};
use super::super::node::{self, NodeView};
use super::importer::{Importer, Value};
use super::weights::Arrangement;
use crate::ir::Op;

/// `Transpose`, of integers and of quantised weights as well.
pub(super) fn transpose<'m>(importer: &mut Importer<'m>, node: &NodeView<'m>) -> Result<(), Stop> {
    if let Some(&Value::Weights(id)) = importer.value(node, 0) {
        let perm = permutation(node, importer.shape(id).len())?;
        return importer.define_weights(node, id, &Arrangement::Transposed(perm));
    }
    let (x, kind) = importer.any_activation(node, 0)?;
    let shape = importer.shape(x).to_vec();
    let perm = permutation(node, shape.len())?;
    let output: Vec<_> = perm.iter().map(|&axis| shape[axis]).collect();
    importer.emit_kind(node, Op::Transpose { perm }, &[x], &output, kind)?;
    Ok(())
}

/// The attribute `perm`; without one the axes are reversed.
fn permutation(node: &NodeView<'_>, rank: usize) -> Result<Vec<usize>, Problem> {
    let Some(perm) = node.ints("perm")? else { return Ok((0..rank).rev().collect()) };
    if node::axes(perm, rank)?.len() != rank {
        return Err(Problem::invalid(format!("perm {perm:?} of a tensor with {rank} axes")));
    }
    perm.iter().map(|&axis| node::axis(axis, rank)).collect()
}
