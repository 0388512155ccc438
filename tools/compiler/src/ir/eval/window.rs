//! Sums and maxima over windows.

use ndarray::{ArrayD, Ix2, Ix4};

use super::movement::filled;
use crate::ir::{Conv, Pool};

/// A window over two spatial axes; one axis is a single row.
pub(super) struct Window {
    kernel: [usize; 2],
    strides: [usize; 2],
    dilations: [usize; 2],
    pads_before: [usize; 2],
}

impl Window {
    pub(super) fn of_conv(conv: &Conv) -> Self {
        Self {
            kernel: two(&conv.kernel, 1),
            strides: two(&conv.strides, 1),
            dilations: two(&conv.dilations, 1),
            pads_before: two(&conv.pads_before, 0),
        }
    }

    fn of_pool(pool: &Pool) -> Self {
        Self {
            kernel: two(&pool.kernel, 1),
            strides: two(&pool.strides, 1),
            dilations: two(&pool.dilations, 1),
            pads_before: two(&pool.pads_before, 0),
        }
    }

    /// A window of a single position.
    pub(super) fn point() -> Self {
        Self { kernel: [1; 2], strides: [1; 2], dilations: [1; 2], pads_before: [0; 2] }
    }

    /// Positions in the kernel.
    pub(super) fn area(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// Positions along the kernel's second axis.
    pub(super) fn width(&self) -> usize {
        self.kernel[1]
    }

    /// What the position `k` of the kernel covers at `output`, if it lies in an input of `extent`.
    pub(super) fn position(
        &self,
        axis: usize,
        output: usize,
        k: usize,
        extent: usize,
    ) -> Option<usize> {
        let at = output * self.strides[axis] + k * self.dilations[axis];
        at.checked_sub(self.pads_before[axis]).filter(|&at| at < extent)
    }

    /// The positions that the window at `output` covers along an axis, each with its place in the
    /// kernel; they may lie in the padding.
    fn positions(&self, axis: usize, output: usize) -> impl Iterator<Item = (usize, isize)> {
        let start = (output * self.strides[axis]) as isize - self.pads_before[axis] as isize;
        let dilation = self.dilations[axis];
        (0..self.kernel[axis]).map(move |k| (k, start + (k * dilation) as isize))
    }

    /// Those of them that lie in an input of `extent`.
    fn inside(
        &self,
        axis: usize,
        output: usize,
        extent: usize,
    ) -> impl Iterator<Item = (usize, usize)> {
        let within = move |&(_, at): &(usize, isize)| (0..extent as isize).contains(&at);
        self.positions(axis, output).filter(within).map(|(k, at)| (k, at as usize))
    }
}

pub(super) fn two(values: &[usize], absent: usize) -> [usize; 2] {
    match *values {
        [h, w] => [h, w],
        [w] => [absent, w],
        _ => panic!("{} spatial axes", values.len()),
    }
}

/// `[N, C, W]` or `[N, C, H, W]` as the latter.
pub(super) fn planes(x: &ArrayD<f32>) -> ndarray::Array<f32, Ix4> {
    let shape = x.shape();
    let [h, w] = two(&shape[2..], 1);
    let planes = filled(&[shape[0], shape[1], h, w], x.iter().copied().collect());
    planes.into_dimensionality().unwrap_or_else(|error| panic!("{error}"))
}

/// The output's values, computed from channel, row and column.
fn each(shape: &[usize], mut value: impl FnMut(usize, usize, usize) -> f64) -> ArrayD<f32> {
    let [rows, columns] = two(&shape[2..], 1);
    let mut values = Vec::with_capacity(shape.iter().product());
    for channel in 0..shape[1] {
        for row in 0..rows {
            values.extend((0..columns).map(|column| value(channel, row, column) as f32));
        }
    }
    filled(shape, values)
}

pub(super) fn conv(
    conv: &Conv,
    x: &ArrayD<f32>,
    weights: &ArrayD<f32>,
    bias: Option<&ArrayD<f32>>,
    shape: &[usize],
) -> ArrayD<f32> {
    let window = Window::of_conv(conv);
    let (x, weights) = (planes(x), planes(weights));
    let (outputs_per_group, inputs_per_group) = (shape[1] / conv.groups, weights.dim().1);
    let (_, _, in_h, in_w) = x.dim();
    each(shape, |o, row, column| {
        let first = o / outputs_per_group * inputs_per_group;
        let mut sum = bias.map_or(0.0, |bias| f64::from(bias[[o]]));
        for c in 0..inputs_per_group {
            for (ky, y) in window.inside(0, row, in_h) {
                for (kx, x_at) in window.inside(1, column, in_w) {
                    sum +=
                        f64::from(x[[0, first + c, y, x_at]]) * f64::from(weights[[o, c, ky, kx]]);
                }
            }
        }
        sum
    })
}

pub(super) fn max_pool(pool: &Pool, x: &ArrayD<f32>, shape: &[usize]) -> ArrayD<f32> {
    let window = Window::of_pool(pool);
    let x = planes(x);
    let (_, _, in_h, in_w) = x.dim();
    each(shape, |c, row, column| {
        let mut max = f64::NEG_INFINITY;
        for (_, y) in window.inside(0, row, in_h) {
            for (_, x_at) in window.inside(1, column, in_w) {
                max = max.max(x[[0, c, y, x_at]].into());
            }
        }
        max
    })
}

/// The mean of each window. With `count_padding` it is divided by the positions that lie in the
/// input or its stated padding, else by those in the input.
pub(super) fn average_pool(
    pool: &Pool,
    count_padding: bool,
    x: &ArrayD<f32>,
    shape: &[usize],
) -> ArrayD<f32> {
    let window = Window::of_pool(pool);
    let after = two(&pool.pads_after, 0);
    let x = planes(x);
    let (_, _, in_h, in_w) = x.dim();
    let padded = |axis: usize, output: usize, extent: usize| {
        let end = (extent + after[axis]) as isize;
        window.positions(axis, output).filter(|&(_, at)| at < end).count()
    };
    each(shape, |c, row, column| {
        let (mut sum, mut count) = (0.0, 0);
        for (_, y) in window.inside(0, row, in_h) {
            for (_, x_at) in window.inside(1, column, in_w) {
                sum += f64::from(x[[0, c, y, x_at]]);
                count += 1;
            }
        }
        if count_padding {
            count = padded(0, row, in_h) * padded(1, column, in_w);
        }
        sum / count as f64
    })
}

/// `x [.., K]` times weights `[N, K]`, plus bias `[N]`.
pub(super) fn dense(
    x: &ArrayD<f32>,
    weights: &ArrayD<f32>,
    bias: Option<&ArrayD<f32>>,
) -> ArrayD<f32> {
    let matrix = weights.view().into_dimensionality::<Ix2>();
    let matrix = matrix.unwrap_or_else(|error| panic!("weights: {error}"));
    let values: Vec<f32> = x.iter().copied().collect();
    let row_outputs = |row: &[f32]| -> Vec<f32> {
        let output = |(n, weights): (usize, ndarray::ArrayView1<'_, f32>)| {
            let products = row.iter().zip(weights).map(|(&x, &w)| f64::from(x) * f64::from(w));
            (products.sum::<f64>() + bias.map_or(0.0, |bias| f64::from(bias[[n]]))) as f32
        };
        matrix.outer_iter().enumerate().map(output).collect()
    };
    let outputs = values.chunks(matrix.ncols()).flat_map(row_outputs).collect();
    let mut shape = x.shape().to_vec();
    if let Some(last) = shape.last_mut() {
        *last = matrix.nrows();
    }
    filled(&shape, outputs)
}
