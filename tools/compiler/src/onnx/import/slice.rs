//! Parts of a tensor.

use super::super::error::{Problem, Stop};
use super::super::node::{self, NodeView};
use super::importer::{Importer, Kind};
use crate::ir::{Op, SliceAxis, TensorId};

/// `Slice`: starts, ends, axes and steps are attributes up to opset 9, inputs since.
pub(super) fn slice<'m>(importer: &mut Importer<'m>, node: &NodeView<'m>) -> Result<(), Stop> {
    let (x, kind) = importer.any_activation(node, 0)?;
    let shape = importer.shape(x).to_vec();
    let list = |index: usize, name: &str| importer.ints_or_attribute(node, index, name);
    let (starts, ends) = (list(1, "starts")?, list(2, "ends")?);
    let (Some(starts), Some(ends)) = (starts, ends) else {
        return Err(Problem::invalid("its starts or ends are missing").into());
    };
    let count = starts.len();
    let axes = list(3, "axes")?.unwrap_or_else(|| (0..count as i64).collect());
    let steps = importer.ints(node, 4)?.unwrap_or_else(|| vec![1; count]);
    if [ends.len(), axes.len(), steps.len()].iter().any(|&length| length != count) {
        return Err(Problem::invalid("its starts, ends, axes and steps differ in number").into());
    }
    node::axes(&axes, shape.len())?;
    let mut parts: Vec<_> = shape.iter().map(|&len| SliceAxis { start: 0, step: 1, len }).collect();
    for (index, &axis) in axes.iter().enumerate() {
        let axis = node::axis(axis, shape.len())?;
        parts[axis] = part(shape[axis], starts[index], ends[index], steps[index])?;
    }
    let output: Vec<_> = parts.iter().map(|part| part.len).collect();
    if output.contains(&0) {
        return Err(Problem::new(
            format!("nothing is left of {shape:?}"),
            "remove the node, and what depends on it",
        )
        .into());
    }
    importer.emit_kind(node, Op::Slice(parts), &[x], &output, kind)?;
    Ok(())
}

/// `Split` into parts along an axis: one slice for each.
pub(super) fn split<'m>(importer: &mut Importer<'m>, node: &NodeView<'m>) -> Result<(), Stop> {
    let (x, kind) = importer.any_activation(node, 0)?;
    let shape = importer.shape(x).to_vec();
    let axis = node::axis(node.int_or("axis", 0)?, shape.len())?;
    let sizes = match importer.ints_or_attribute(node, 1, "split")? {
        Some(sizes) => node::sizes("split", &sizes)?,
        None => even_parts(shape[axis], node)?,
    };
    let total = sizes.iter().try_fold(0usize, |sum, &size| sum.checked_add(size));
    if total != Some(shape[axis]) || sizes.len() != node.proto.output.len() || sizes.contains(&0) {
        let reason = format!("{} along axis {axis} do not split into {sizes:?}", shape[axis]);
        return Err(Problem::invalid(reason).into());
    }
    let mut start = 0;
    for (output, len) in sizes.into_iter().enumerate() {
        if node.output(output).is_some() {
            let part = SliceAxis { start, step: 1, len };
            emit_part_of(importer, node, output, (x, kind), axis, part)?;
        }
        start += len;
    }
    Ok(())
}

/// Sizes of parts that are equal, but for the last where they cannot be.
fn even_parts(extent: usize, node: &NodeView<'_>) -> Result<Vec<usize>, Problem> {
    let count = node.proto.output.len();
    if node.int_or("num_outputs", count as i64)? != count as i64 || count == 0 {
        return Err(Problem::invalid(format!("num_outputs is not {count}")));
    }
    let size = extent.div_ceil(count);
    let part = |index: usize| extent.saturating_sub(index * size).min(size);
    Ok((0..count).map(part).collect())
}

fn emit_part_of<'m>(
    importer: &mut Importer<'m>,
    node: &NodeView<'m>,
    output: usize,
    (x, kind): (TensorId, Kind),
    axis: usize,
    part: SliceAxis,
) -> Result<TensorId, Stop> {
    let mut shape = importer.shape(x).to_vec();
    let mut parts: Vec<_> = shape.iter().map(|&len| SliceAxis { start: 0, step: 1, len }).collect();
    parts[axis] = part;
    shape[axis] = part.len;
    importer.emit_output(node, output, Op::Slice(parts), &[x], &shape, kind)
}

/// `Gather` of constant positions that are evenly spaced along an axis: a slice. A single position
/// drops the axis.
pub(super) fn gather<'m>(importer: &mut Importer<'m>, node: &NodeView<'m>) -> Result<(), Stop> {
    let (x, kind) = importer.any_activation(node, 0)?;
    let shape = importer.shape(x).to_vec();
    let axis = node::axis(node.int_or("axis", 0)?, shape.len())?;
    let indices = importer.constant(node, 1)?.ok_or_else(|| super::operands::absent(1))?;
    let positions = importer.ints(node, 1)?.unwrap_or_default();
    let positions = positions.iter().map(|&position| node::axis(position, shape[axis]));
    let positions = positions.collect::<Result<Vec<_>, _>>()?;
    let part = evenly_spaced(&positions).ok_or_else(|| {
        Problem::new(
            format!("the positions {positions:?} are not evenly spaced"),
            "use Slice and Concat",
        )
    })?;
    let mut output = shape.clone();
    output.splice(axis..=axis, indices.shape().iter().copied());
    let mut parts: Vec<_> = shape.iter().map(|&len| SliceAxis { start: 0, step: 1, len }).collect();
    parts[axis] = part;
    if indices.rank() == 1 {
        importer.emit_kind(node, Op::Slice(parts), &[x], &output, kind)?;
        return Ok(());
    }
    let sliced: Vec<_> = parts.iter().map(|part| part.len).collect();
    let picked = importer.emit_part(node, "picked", Op::Slice(parts), &[x], &sliced)?;
    importer.mark(picked, kind);
    importer.emit_kind(node, Op::Reshape, &[picked], &output, kind)?;
    Ok(())
}

/// The slice that picks `positions` in their order.
fn evenly_spaced(positions: &[usize]) -> Option<SliceAxis> {
    let (&start, len) = (positions.first()?, positions.len());
    let step = positions.get(1).map_or(1, |&next| next as isize - start as isize);
    let even = positions.windows(2).all(|pair| pair[1] as isize - pair[0] as isize == step);
    (even && step != 0).then_some(SliceAxis { start, step, len })
}

/// The positions from `start` to before `end`, as ONNX counts: from the end where negative, clamped
/// to the axis.
fn part(extent: usize, start: i64, end: i64, step: i64) -> Result<SliceAxis, Problem> {
    let n = extent as i64;
    let from_start =
        |position: i64| if position < 0 { position.saturating_add(n) } else { position };
    let (first, last) = match step {
        0 => return Err(Problem::invalid("a step is 0")),
        1.. => (from_start(start).clamp(0, n), from_start(end).clamp(0, n)),
        // Backwards the end may lie before the first element: −1.
        _ => (from_start(start).clamp(0, n - 1), from_start(end).clamp(-1, n - 1)),
    };
    let distance = if step > 0 { last - first } else { first - last };
    let len = distance.max(0).unsigned_abs().div_ceil(step.unsigned_abs()) as usize;
    // With one element the step does not matter, and may be larger than an isize.
    let step = if len > 1 { step as isize } else { 1 };
    Ok(SliceAxis { start: first.max(0) as usize, step, len })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn positions(extent: usize, start: i64, end: i64, step: i64) -> Vec<i64> {
        let part = part(extent, start, end, step).unwrap();
        (0..part.len as i64).map(|i| part.start as i64 + i * part.step as i64).collect()
    }

    #[test]
    fn slices_count_like_python() {
        // Expected: list(range(10))[start:end:step] of Python.
        assert_eq!(positions(10, 2, 5, 1), [2, 3, 4]);
        assert_eq!(positions(10, -3, i64::MAX, 1), [7, 8, 9]);
        assert_eq!(positions(10, 0, -1, 4), [0, 4, 8]);
        assert_eq!(positions(10, -1, i64::MIN, -1), [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]);
        assert_eq!(positions(10, 8, 2, -3), [8, 5]);
        assert_eq!(positions(10, 100, -100, -4), [9, 5, 1]);
        assert_eq!(positions(10, 5, 2, 1), [0i64; 0]);
        assert_eq!(positions(10, 3, 4, i64::MAX), [3]);
        assert_eq!(positions(10, 3, 2, i64::MIN), [3]);
        assert!(part(10, 0, 1, 0).is_err());
    }

    #[test]
    fn evenly_spaced_positions_are_a_slice() {
        assert_eq!(evenly_spaced(&[4, 2, 0]), Some(SliceAxis { start: 4, step: -2, len: 3 }));
        assert_eq!(evenly_spaced(&[3]), Some(SliceAxis { start: 3, step: 1, len: 1 }));
        assert_eq!(evenly_spaced(&[0, 1, 3]), None);
        assert_eq!(evenly_spaced(&[1, 1]), None);
        assert_eq!(evenly_spaced(&[]), None);
    }
}
