//! Borders.

use super::super::error::{Problem, Stop};
use super::super::node::{self, NodeView};
use super::importer::{Importer, Kind};
use crate::ir::{Op, PadMode};

/// Largest border: beyond, sums could overflow.
const LARGEST: i64 = 1 << 20;

/// `Pad`: pads and value are attributes up to opset 10, inputs since.
pub(super) fn pad<'m>(importer: &mut Importer<'m>, node: &NodeView<'m>) -> Result<(), Stop> {
    let (x, kind) = importer.any_activation(node, 0)?;
    let shape = importer.shape(x).to_vec();
    let pads = importer
        .ints_or_attribute(node, 1, "pads")?
        .ok_or_else(|| Problem::invalid("its pads are missing"))?;
    let axes = importer.ints(node, 3)?.unwrap_or_else(|| (0..shape.len() as i64).collect());
    let (before, after) = borders(&pads, &axes, shape.len())?;
    let mode = match node.string_or("mode", "constant")? {
        "constant" => PadMode::Constant(0.0),
        "reflect" => PadMode::Reflect,
        "edge" => PadMode::Edge,
        other => {
            return Err(Problem::new(
                format!("its mode is `{other}`"),
                "use constant, reflect or edge",
            )
            .into());
        }
    };
    let reaches = |axis: usize| before[axis].max(after[axis]) < shape[axis];
    if mode == PadMode::Reflect && !(0..shape.len()).all(reaches) {
        return Err(Problem::invalid("it reflects more than the tensor holds").into());
    }
    let output: Vec<_> = (0..shape.len()).map(|i| before[i] + shape[i] + after[i]).collect();
    let mode = match mode {
        PadMode::Constant(_) => constant(importer, node, kind)?,
        other => other,
    };
    importer.emit_kind(node, Op::Pad { before, after, mode }, &[x], &output, kind)?;
    if let (PadMode::Constant(_), Kind::Integer { .. }) = (mode, kind) {
        importer.integer_pads.push(importer.graph.nodes.len() - 1);
    }
    Ok(())
}

/// The value of the border. That of an integer tensor is still an integer: its scale may not be
/// known yet.
fn constant<'m>(
    importer: &Importer<'m>,
    node: &NodeView<'m>,
    kind: Kind,
) -> Result<PadMode, Problem> {
    let value =
        if node.opset < 11 { node.float("value")? } else { importer.real_scalar(node, 2)? };
    let value = value.unwrap_or(0.0);
    if !value.is_finite() {
        return Err(Problem::new(
            format!("the value of its border is {value}"),
            "use the padding of the pool that follows",
        ));
    }
    let smallest = match kind {
        Kind::Real => return Ok(PadMode::Constant(value)),
        Kind::Integer { unsigned: true } => 0.0,
        Kind::Integer { unsigned: false } => -128.0,
        Kind::Index => return Err(Problem::new("it pads indices", "end the model at ArgMax")),
    };
    // As the graph holds it: signed.
    let signed = value - smallest - 128.0;
    if !(-128.0..=127.0).contains(&signed) {
        return Err(Problem::invalid(format!("its border {value} does not fit its type")));
    }
    Ok(PadMode::Constant(signed))
}

/// Elements before and behind each axis.
fn borders(pads: &[i64], axes: &[i64], rank: usize) -> Result<(Vec<usize>, Vec<usize>), Problem> {
    if pads.iter().any(|&pad| pad < 0) {
        return Err(Problem::new(
            format!("its pads {pads:?} cut the tensor"),
            "cut with Slice instead",
        ));
    }
    if pads.len() != 2 * axes.len() || pads.iter().any(|&pad| pad > LARGEST) {
        return Err(Problem::invalid(format!("pads {pads:?} for {} axes", axes.len())));
    }
    node::axes(axes, rank)?;
    let (mut before, mut after) = (vec![0; rank], vec![0; rank]);
    for (index, &axis) in axes.iter().enumerate() {
        let axis = node::axis(axis, rank)?;
        before[axis] = pads[index] as usize;
        after[axis] = pads[axes.len() + index] as usize;
    }
    Ok((before, after))
}
