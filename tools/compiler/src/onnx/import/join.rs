//! Several tensors as one.

use super::super::error::{Problem, Stop};
use super::super::node::{self, NodeView};
use super::importer::{Importer, Kind, Value};
use crate::ir::Op;

/// `Concat`, of integers as well.
pub(super) fn concat<'m>(importer: &mut Importer<'m>, node: &NodeView<'m>) -> Result<(), Stop> {
    let count = node.proto.input.len();
    let kinds = (0..count).filter_map(|index| match importer.value(node, index) {
        Some(&Value::Activation(_, kind)) => Some(kind),
        _ => None,
    });
    let kinds: Vec<_> = kinds.collect();
    let kind = kinds.first().copied().unwrap_or(Kind::Real);
    if kinds.iter().any(|&other| other != kind) {
        return Err(Problem::invalid("its inputs are of different types").into());
    }
    if kind != Kind::Real && kinds.len() != count {
        return Err(Problem::new(
            "it joins computed integers with constant ones",
            "put DequantizeLinear in front of it",
        )
        .into());
    }
    let join = |importer: &mut Importer<'m>, index: usize| match kind {
        Kind::Real => importer.real(node, index),
        _ => Ok(importer.any_activation(node, index)?.0),
    };
    let inputs = (0..count).map(|index| join(importer, index)).collect::<Result<Vec<_>, _>>()?;
    let shapes: Vec<_> = inputs.iter().map(|&id| importer.shape(id)).collect();
    let axis = node.int("axis")?.ok_or_else(|| Problem::invalid("its axis is missing"))?;
    let axis = node::axis(axis, shapes.first().map_or(0, |shape| shape.len()))?;
    let output = joined(&shapes, axis)?;
    importer.emit_kind(node, Op::Concat { axis }, &inputs, &output, kind)?;
    Ok(())
}

/// The shape of several tensors joined along an axis.
fn joined(shapes: &[&[usize]], axis: usize) -> Result<Vec<usize>, Problem> {
    let [first, ..] = shapes else { return Err(Problem::invalid("it joins nothing")) };
    let fits = |shape: &&[usize]| {
        let same = |at: usize| at == axis || shape[at] == first[at];
        shape.len() == first.len() && (0..first.len()).all(same)
    };
    if !shapes.iter().all(fits) {
        return Err(Problem::invalid(format!(
            "the shapes {shapes:?} do not fit along axis {axis}"
        )));
    }
    let mut output = first.to_vec();
    output[axis] = shapes.iter().map(|shape| shape[axis]).fold(0, usize::saturating_add);
    Ok(output)
}
