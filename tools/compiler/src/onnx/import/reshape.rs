//! Operators that give the same elements another shape, or the same tensor another name.

use super::super::error::{Problem, Stop};
use super::super::limits;
use super::super::node::{self, NodeView};
use super::elementwise::broadcast;
use super::importer::{Importer, Value};
use super::weights::Arrangement;
use crate::ir::{Op, Unary};

/// `Reshape`: the shape is an input; 0 keeps an axis, −1 takes what is left.
pub(super) fn reshape<'m>(importer: &mut Importer<'m>, node: &NodeView<'m>) -> Result<(), Stop> {
    let wanted = importer.ints(node, 1)?.ok_or_else(|| Problem::invalid("its shape is missing"))?;
    let keep_zero = !node.flag("allowzero", false)?;
    with_shape(importer, node, |shape| resolve(shape, &wanted, keep_zero))
}

/// `Flatten`: to two axes, split before `axis`.
pub(super) fn flatten<'m>(importer: &mut Importer<'m>, node: &NodeView<'m>) -> Result<(), Stop> {
    let at = node.int_or("axis", 1)?;
    with_shape(importer, node, |shape| {
        let rank = shape.len();
        let axis = if at == rank as i64 { rank } else { node::axis(at, rank)? };
        let (before, behind) = shape.split_at(axis);
        Ok(vec![before.iter().product(), behind.iter().product()])
    })
}

/// `Squeeze`: drops axes of extent 1; all of them where none are named.
pub(super) fn squeeze<'m>(importer: &mut Importer<'m>, node: &NodeView<'m>) -> Result<(), Stop> {
    let axes = importer.ints_or_attribute(node, 1, "axes")?;
    with_shape(importer, node, |shape| {
        let dropped = match &axes {
            Some(axes) => node::axes(axes, shape.len())?,
            None => (0..shape.len()).filter(|&axis| shape[axis] == 1).collect(),
        };
        if dropped.iter().any(|&axis| shape[axis] != 1) {
            return Err(Problem::invalid(format!("axes {dropped:?} of {shape:?} are not all 1")));
        }
        let kept = (0..shape.len()).filter(|axis| !dropped.contains(axis));
        Ok(kept.map(|axis| shape[axis]).collect())
    })
}

/// `Unsqueeze`: puts axes of extent 1 where they are named in the output.
pub(super) fn unsqueeze<'m>(importer: &mut Importer<'m>, node: &NodeView<'m>) -> Result<(), Stop> {
    let axes = importer
        .ints_or_attribute(node, 1, "axes")?
        .ok_or_else(|| Problem::invalid("its axes are missing"))?;
    with_shape(importer, node, |shape| {
        let rank = shape.len() + axes.len();
        if rank > limits::MAX_RANK {
            return Err(Problem::invalid(format!("it makes a tensor with {rank} axes")));
        }
        let added = node::axes(&axes, rank)?;
        let mut rest = shape.iter();
        let extent = |axis| if added.contains(&axis) { Some(1) } else { rest.next().copied() };
        Ok((0..rank).map_while(extent).collect())
    })
}

/// `Expand` to the shape that the tensor has already.
pub(super) fn expand<'m>(importer: &mut Importer<'m>, node: &NodeView<'m>) -> Result<(), Stop> {
    let (x, _) = importer.any_activation(node, 0)?;
    let wanted = importer.ints(node, 1)?.ok_or_else(|| super::operands::absent(1))?;
    let shape = importer.shape(x).to_vec();
    if broadcast(&shape, &node::sizes("shape", &wanted)?)? == shape {
        return identity(importer, node);
    }
    Err(Problem::new(
        format!("it repeats the elements of {shape:?}"),
        "leave it out where the next operator broadcasts by itself",
    )
    .into())
}

/// `Dropout` as in inference: nothing.
pub(super) fn dropout<'m>(importer: &mut Importer<'m>, node: &NodeView<'m>) -> Result<(), Stop> {
    let masks = node.output(1).is_some_and(|name| importer.is_wanted(name));
    let training = importer.real_scalar(node, 2)?.is_some_and(|flag| flag != 0.0);
    if masks || training {
        let remedy = "export the model in inference mode";
        return Err(Problem::new("it drops elements at random", remedy).into());
    }
    identity(importer, node)
}

/// `Identity`: another name for the same tensor.
pub(super) fn identity<'m>(importer: &mut Importer<'m>, node: &NodeView<'m>) -> Result<(), Stop> {
    let value = importer.value(node, 0).cloned().ok_or_else(|| super::operands::absent(0))?;
    let name = node.output(0).ok_or_else(|| Problem::invalid("its output has no name"))?;
    // An output of the model keeps its name: it cannot be an alias.
    if let Value::Activation(x, kind) = value
        && importer.is_output(name)
    {
        let shape = importer.shape(x).to_vec();
        importer.emit_kind(node, Op::Unary(Unary::Identity), &[x], &shape, kind)?;
        return Ok(());
    }
    Ok(importer.define(name, value)?)
}

/// Gives input 0 the shape that `target` makes of its own.
fn with_shape<'m>(
    importer: &mut Importer<'m>,
    node: &NodeView<'m>,
    target: impl FnOnce(&[usize]) -> Result<Vec<usize>, Problem>,
) -> Result<(), Stop> {
    let (x, kind) = match importer.value(node, 0) {
        Some(&Value::Weights(id)) => (id, None),
        _ => importer.any_activation(node, 0).map(|(id, kind)| (id, Some(kind)))?,
    };
    let shape = target(importer.shape(x))?;
    let (from, to) = (importer.graph.tensor(x).len(), product(&shape));
    if to != Some(from) {
        let reason = format!("{from} elements do not fill the shape {shape:?}");
        return Err(Problem::invalid(reason).into());
    }
    match kind {
        Some(kind) => importer.emit_kind(node, Op::Reshape, &[x], &shape, kind).map(|_| ()),
        None => importer.define_weights(node, x, &Arrangement::Reshaped(shape)),
    }
}

fn product(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1usize, |n, &extent| n.checked_mul(extent))
}

/// The shape that `wanted` means for a tensor of shape `shape`.
fn resolve(shape: &[usize], wanted: &[i64], keep_zero: bool) -> Result<Vec<usize>, Problem> {
    let invalid = || Problem::invalid(format!("{shape:?} cannot take the shape {wanted:?}"));
    let known = |(axis, &extent): (usize, &i64)| match extent {
        0 if keep_zero => shape.get(axis).copied().map(Some).ok_or_else(invalid),
        -1 => Ok(None),
        extent => usize::try_from(extent).map(Some).map_err(|_| invalid()),
    };
    let extents = wanted.iter().enumerate().map(known).collect::<Result<Vec<_>, _>>()?;
    let fixed: Vec<usize> = extents.iter().copied().flatten().collect();
    let unknown = extents.len() - fixed.len();
    if unknown > 1 {
        return Err(invalid());
    }
    let elements = product(shape).ok_or_else(invalid)?;
    let fixed = product(&fixed).ok_or_else(invalid)?;
    let rest = elements.checked_div(fixed).unwrap_or(0);
    Ok(extents.into_iter().map(|extent| extent.unwrap_or(rest)).collect())
}
