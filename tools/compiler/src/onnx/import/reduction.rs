//! Means and positions of largest values.

use super::super::error::{Problem, Stop};
use super::super::node::{self, NodeView};
use super::importer::{Importer, Kind};
use crate::ir::Op;

/// `ReduceMean`: the axes are an attribute up to opset 17, an input since.
pub(super) fn reduce_mean<'m>(
    importer: &mut Importer<'m>,
    node: &NodeView<'m>,
) -> Result<(), Stop> {
    let x = importer.activation(node, 0)?;
    let shape = importer.shape(x).to_vec();
    let axes = importer.ints_or_attribute(node, 1, "axes")?.unwrap_or_default();
    let axes = match node::axes(&axes, shape.len())? {
        axes if !axes.is_empty() => axes,
        _ if node.flag("noop_with_empty_axes", false)? => {
            return super::reshape::identity(importer, node);
        }
        _ => (0..shape.len()).collect(),
    };
    let output = reduced(&shape, &axes, node.flag("keepdims", true)?);
    importer.emit(node, Op::Mean { axes }, &[x], &output)?;
    Ok(())
}

/// `ArgMax`, of integers as well: their order is that of the real numbers.
pub(super) fn arg_max<'m>(importer: &mut Importer<'m>, node: &NodeView<'m>) -> Result<(), Stop> {
    let (x, kind) = importer.any_activation(node, 0)?;
    if kind == Kind::Index {
        return Err(Problem::new("its input holds indices", "end the model at ArgMax").into());
    }
    let shape = importer.shape(x).to_vec();
    let axis = node::axis(node.int_or("axis", 0)?, shape.len())?;
    let output = reduced(&shape, &[axis], node.flag("keepdims", true)?);
    let op = Op::ArgMax { axis, last: node.flag("select_last_index", false)? };
    importer.emit_kind(node, op, &[x], &output, Kind::Index)?;
    Ok(())
}

/// The shape without `axes`, or with 1 in their place.
fn reduced(shape: &[usize], axes: &[usize], keep: bool) -> Vec<usize> {
    let extent = |(axis, &extent): (usize, &usize)| match (axes.contains(&axis), keep) {
        (false, _) => Some(extent),
        (true, true) => Some(1),
        (true, false) => None,
    };
    shape.iter().enumerate().filter_map(extent).collect()
}
