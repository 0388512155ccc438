//! Operators that move elements, and resampling.

use ndarray::{ArrayD, Axis, IxDyn, concatenate};

use crate::ir::{Interpolation, PadMode, Resize, SliceAxis};

/// An array from its elements in row-major order.
pub(super) fn filled(shape: &[usize], values: Vec<f32>) -> ArrayD<f32> {
    let count = values.len();
    let array = ArrayD::from_shape_vec(IxDyn(shape), values);
    array.unwrap_or_else(|_| panic!("{count} elements for {shape:?}"))
}

/// The same elements in the same order.
pub(super) fn reshape(x: &ArrayD<f32>, shape: &[usize]) -> ArrayD<f32> {
    filled(shape, x.iter().copied().collect())
}

/// `out.shape[i] = x.shape[perm[i]]`.
pub(super) fn transpose(x: &ArrayD<f32>, perm: &[usize]) -> ArrayD<f32> {
    x.view().permuted_axes(IxDyn(perm)).as_standard_layout().into_owned()
}

/// The inputs one behind the other along an axis.
pub(super) fn concat(inputs: &[&ArrayD<f32>], axis: usize) -> ArrayD<f32> {
    let views: Vec<_> = inputs.iter().map(|input| input.view()).collect();
    concatenate(Axis(axis), &views).unwrap_or_else(|error| panic!("{error}"))
}

/// A strided part.
pub(super) fn slice(x: &ArrayD<f32>, axes: &[SliceAxis]) -> ArrayD<f32> {
    let shape: Vec<_> = axes.iter().map(|axis| axis.len).collect();
    picked(x, &shape, |axis, index| {
        let SliceAxis { start, step, .. } = axes[axis];
        Some((start as isize + index as isize * step) as usize)
    })
}

/// `x` inside a border.
pub(super) fn pad(
    x: &ArrayD<f32>,
    before: &[usize],
    mode: PadMode,
    shape: &[usize],
) -> ArrayD<f32> {
    let border = match mode {
        PadMode::Constant(value) => value,
        PadMode::Reflect | PadMode::Edge => 0.0,
    };
    let source = |axis: usize, index: usize| {
        let last = x.shape()[axis] as isize - 1;
        let at = index as isize - before[axis] as isize;
        let at = match mode {
            PadMode::Edge => at.clamp(0, last),
            PadMode::Reflect if at < 0 => -at,
            PadMode::Reflect if at > last => 2 * last - at,
            PadMode::Reflect | PadMode::Constant(_) => at,
        };
        (0..=last).contains(&at).then_some(at as usize)
    };
    picked_or(x, shape, border, source)
}

/// Every spatial axis resampled by its table.
pub(super) fn resize(x: &ArrayD<f32>, resize: &Resize) -> ArrayD<f32> {
    let spatial = resize.axes.iter().enumerate();
    spatial.fold(x.clone(), |x, (axis, table)| resample(&x, 2 + axis, table))
}

fn resample(x: &ArrayD<f32>, axis: usize, table: &[Interpolation]) -> ArrayD<f32> {
    let mut shape = x.shape().to_vec();
    shape[axis] = table.len();
    let neighbour = |choose: fn(&Interpolation) -> usize| {
        picked(x, &shape, |at, index| Some(if at == axis { choose(&table[index]) } else { index }))
    };
    let (first, second) = (neighbour(|entry| entry.first), neighbour(|entry| entry.second));
    let mut output = first;
    for (index, entry) in table.iter().enumerate() {
        let second = second.index_axis(Axis(axis), index);
        output.index_axis_mut(Axis(axis), index).zip_mut_with(&second, |y, &other| {
            *y += (f64::from(other - *y) * f64::from(entry.weight)) as f32;
        });
    }
    output
}

/// An array whose element at an index is that of `x` at `source(axis, index)` for each axis.
fn picked(
    x: &ArrayD<f32>,
    shape: &[usize],
    source: impl Fn(usize, usize) -> Option<usize>,
) -> ArrayD<f32> {
    picked_or(x, shape, 0.0, source)
}

/// Like [`picked`], with `other` where some axis has no source.
fn picked_or(
    x: &ArrayD<f32>,
    shape: &[usize],
    other: f32,
    source: impl Fn(usize, usize) -> Option<usize>,
) -> ArrayD<f32> {
    ArrayD::from_shape_fn(IxDyn(shape), |index| {
        let indices = ndarray::Dimension::slice(&index).iter().enumerate();
        let from: Option<Vec<_>> = indices.map(|(axis, &index)| source(axis, index)).collect();
        from.map_or(other, |from| x[IxDyn(&from)])
    })
}
