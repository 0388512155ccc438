//! Arithmetic of two tensors.

use super::super::error::{Problem, Stop};
use super::super::node::NodeView;
use super::importer::{Importer, Value};
use crate::ir::{Op, TensorId, Unary};

/// `Add`.
pub(super) fn add<'m>(importer: &mut Importer<'m>, node: &NodeView<'m>) -> Result<(), Stop> {
    binary(importer, node, Op::Add)
}

/// `Sub`.
pub(super) fn sub<'m>(importer: &mut Importer<'m>, node: &NodeView<'m>) -> Result<(), Stop> {
    binary(importer, node, Op::Sub)
}

/// `Mul`.
pub(super) fn mul<'m>(importer: &mut Importer<'m>, node: &NodeView<'m>) -> Result<(), Stop> {
    binary(importer, node, Op::Mul)
}

/// `Div` by a constant: a product with its reciprocal.
pub(super) fn div<'m>(importer: &mut Importer<'m>, node: &NodeView<'m>) -> Result<(), Stop> {
    let x = importer.activation(node, 0)?;
    if matches!(importer.value(node, 1), Some(Value::Activation(..))) {
        return Err(Problem::new(
            "its divisor is computed at run time",
            "only division by a constant is supported",
        )
        .into());
    }
    let divisor = importer.real_constant(node, 1)?.ok_or_else(|| super::operands::absent(1))?;
    let name = importer.derived_name(node.input(1).unwrap_or_default(), "reciprocal");
    let reciprocal = importer.add_constant(name, divisor.mapv(f32::recip))?;
    emit(importer, node, Op::Mul, [x, reciprocal])
}

/// `Neg`.
pub(super) fn neg<'m>(importer: &mut Importer<'m>, node: &NodeView<'m>) -> Result<(), Stop> {
    let x = importer.activation(node, 0)?;
    let shape = importer.shape(x).to_vec();
    let op = Op::Unary(Unary::Affine { scale: -1.0, offset: 0.0 });
    importer.emit(node, op, &[x], &shape)?;
    Ok(())
}

/// `Sum` of one or two tensors.
pub(super) fn sum<'m>(importer: &mut Importer<'m>, node: &NodeView<'m>) -> Result<(), Stop> {
    match node.proto.input.len() {
        1 => super::reshape::identity(importer, node),
        2 => binary(importer, node, Op::Add),
        count => {
            Err(Problem::new(format!("it adds {count} tensors"), "use Add, two at a time").into())
        }
    }
}

/// `Max` with a constant number: a lower bound.
pub(super) fn max<'m>(importer: &mut Importer<'m>, node: &NodeView<'m>) -> Result<(), Stop> {
    bound(importer, node, |value| Unary::Clip { min: value, max: f32::INFINITY })
}

/// `Min` with a constant number: an upper bound.
pub(super) fn min<'m>(importer: &mut Importer<'m>, node: &NodeView<'m>) -> Result<(), Stop> {
    bound(importer, node, |value| Unary::Clip { min: f32::NEG_INFINITY, max: value })
}

fn bound<'m>(
    importer: &mut Importer<'m>,
    node: &NodeView<'m>,
    clip: impl Fn(f32) -> Unary,
) -> Result<(), Stop> {
    let unsupported = || {
        Problem::new(
            "it compares two tensors",
            "only a tensor and a constant number can be compared",
        )
    };
    if node.proto.input.len() != 2 {
        return Err(unsupported().into());
    }
    let constant = |index: usize| match importer.value(node, index) {
        Some(Value::Constant(_) | Value::Weights(_)) => {
            importer.real_scalar(node, index).ok().flatten()
        }
        _ => None,
    };
    let (x, value) = match (constant(0), constant(1)) {
        (Some(value), None) => (1, value),
        (None, Some(value)) => (0, value),
        _ => return Err(unsupported().into()),
    };
    if value.is_nan() {
        return Err(Problem::invalid("its bound is not a number").into());
    }
    let x = importer.activation(node, x)?;
    let shape = importer.shape(x).to_vec();
    importer.emit(node, Op::Unary(clip(value)), &[x], &shape)?;
    Ok(())
}

fn binary<'m>(importer: &mut Importer<'m>, node: &NodeView<'m>, op: Op) -> Result<(), Stop> {
    let operands = [importer.real(node, 0)?, importer.real(node, 1)?];
    emit(importer, node, op, operands)
}

fn emit<'m>(
    importer: &mut Importer<'m>,
    node: &NodeView<'m>,
    op: Op,
    operands: [TensorId; 2],
) -> Result<(), Stop> {
    let [a, b] = operands.map(|id| importer.shape(id));
    let shape = broadcast(a, b)?;
    importer.emit(node, op, &operands, &shape)?;
    Ok(())
}

/// The shape that two shapes broadcast to.
pub(super) fn broadcast(a: &[usize], b: &[usize]) -> Result<Vec<usize>, Problem> {
    let rank = a.len().max(b.len());
    let extent = |shape: &[usize], axis: usize| {
        (axis + shape.len()).checked_sub(rank).map_or(1, |at| shape[at])
    };
    (0..rank)
        .map(|axis| match (extent(a, axis), extent(b, axis)) {
            (n, 1) | (1, n) => Ok(n),
            (n, m) if n == m => Ok(n),
            _ => Err(Problem::invalid(format!("the shapes {a:?} and {b:?} do not fit"))),
        })
        .collect()
}
