//! Convolutions and matrix products as products of matrices (im2col), for whole calibration sets.

use ndarray::{Array2, Array4, ArrayD, Axis, IxDyn};

use super::window::{Window, planes, two};
use crate::ir::Op;

/// What each output position of a convolution or matrix product reads.
pub(crate) struct Patches {
    /// `[1, C, H, W]`
    planes: Array4<f32>,
    window: Window,
    /// Rows and columns of the output.
    extents: [usize; 2],
    groups: usize,
}

impl Patches {
    /// The patches of an input for a node with an output of this shape; `None` if the operator is
    /// neither convolution nor matrix product.
    pub(crate) fn new(op: &Op, x: &ArrayD<f32>, output: &[usize]) -> Option<Self> {
        match op {
            Op::Conv(conv) => Some(Self {
                planes: planes(x),
                window: Window::of_conv(conv),
                extents: two(&output[2..], 1),
                groups: conv.groups,
            }),
            Op::Dense => {
                // A pointwise convolution along the rows.
                let channels = x.shape().last().copied().unwrap_or(1);
                let rows = x.len() / channels.max(1);
                let matrix = x.to_shape((rows, channels)).ok()?;
                let planes = matrix.t().as_standard_layout().into_owned();
                Some(Self {
                    planes: planes.into_shape_with_order((1, channels, 1, rows)).ok()?,
                    window: Window::point(),
                    extents: [1, rows],
                    groups: 1,
                })
            }
            _ => None,
        }
    }

    /// Channel groups.
    pub(crate) fn groups(&self) -> usize {
        self.groups
    }

    /// The patches of one group: `[K, positions]`, `K` as in a row of the weights; zeros stand for
    /// padding.
    pub(crate) fn group(&self, group: usize) -> Array2<f32> {
        let (_, channels, height, width) = self.planes.dim();
        let (inputs, [rows, columns]) = (channels / self.groups, self.extents);
        let window = &self.window;
        let mut patches = Array2::zeros((inputs * window.area(), rows * columns));
        let mut taps = patches.outer_iter_mut();
        for channel in group * inputs..(group + 1) * inputs {
            for tap in 0..window.area() {
                let Some(mut values) = taps.next() else { return patches };
                let (ky, kx) = (tap / window.width(), tap % window.width());
                for row in 0..rows {
                    let Some(y) = window.position(0, row, ky, height) else { continue };
                    for column in 0..columns {
                        if let Some(x) = window.position(1, column, kx, width) {
                            values[row * columns + column] = self.planes[[0, channel, y, x]];
                        }
                    }
                }
            }
        }
        patches
    }

    /// The sums of products with weights, without a bias: `[O, positions]`.
    fn product(&self, weights: &ArrayD<f32>) -> Array2<f32> {
        let outputs = weights.shape()[0];
        let taps = weights.len() / outputs.max(1);
        let matrix = weights.to_shape((outputs, taps));
        let matrix = matrix.unwrap_or_else(|error| panic!("weights: {error}"));
        let per_group = outputs / self.groups;
        let mut product = Array2::zeros((outputs, self.extents[0] * self.extents[1]));
        let rows = matrix.axis_chunks_iter(Axis(0), per_group);
        let sums = product.axis_chunks_iter_mut(Axis(0), per_group);
        for (group, (mut sums, rows)) in sums.zip(rows).enumerate() {
            sums.assign(&rows.dot(&self.group(group)));
        }
        product
    }
}

/// The output of a convolution or matrix product; operands as in [`Op`]. `None` for other operators.
///
/// Sums run in single precision: close to what [`eval`](super::eval) computes, and much faster.
pub(super) fn product(op: &Op, operands: &[&ArrayD<f32>], shape: &[usize]) -> Option<ArrayD<f32>> {
    let mut product = Patches::new(op, operands[0], shape)?.product(operands[1]);
    if let Some(bias) = operands.get(2) {
        for (mut row, &bias) in product.outer_iter_mut().zip(*bias) {
            row += bias;
        }
    }
    let product = if *op == Op::Dense { product.reversed_axes() } else { product };
    let values = product.as_standard_layout().into_owned().into_dyn();
    values.into_shape_with_order(IxDyn(shape)).ok()
}

#[cfg(test)]
mod tests {
    use super::super::window;
    use super::*;
    use crate::ir::Conv;

    fn waves(shape: &[usize], step: f32) -> ArrayD<f32> {
        let mut count = 0.0f32;
        ArrayD::from_shape_simple_fn(IxDyn(shape), || {
            count += step;
            count.sin()
        })
    }

    fn assert_close(got: &ArrayD<f32>, expected: &ArrayD<f32>) {
        assert_eq!(got.shape(), expected.shape());
        for (got, expected) in got.iter().zip(expected) {
            assert!((got - expected).abs() < 1e-5, "{got} where {expected} is right");
        }
    }

    #[test]
    fn convolutions_are_matrix_products() {
        for (groups, channels, outputs, stride, dilation) in
            [(1, 3, 4, 1, 1), (2, 4, 6, 2, 1), (4, 4, 4, 1, 2), (4, 4, 8, 2, 2)]
        {
            let conv = Conv {
                kernel: vec![3, 2],
                strides: vec![stride, 1],
                dilations: vec![1, dilation],
                pads_before: vec![1, 0],
                pads_after: vec![0, 2],
                groups,
            };
            let (height, width) = ((7 + 1 - 3) / stride + 1, 6 + 2 - dilation);
            let x = waves(&[1, channels, 7, 6], 0.7);
            let weights = waves(&[outputs, channels / groups, 3, 2], 1.3);
            let bias = waves(&[outputs], 2.1);
            let shape = [1, outputs, height, width];
            let expected = window::conv(&conv, &x, &weights, Some(&bias), &shape);
            let got = product(&Op::Conv(conv), &[&x, &weights, &bias], &shape).unwrap();
            assert_close(&got, &expected);
        }
    }

    #[test]
    fn one_axis_and_no_axis() {
        let conv = Conv {
            kernel: vec![3],
            strides: vec![2],
            dilations: vec![1],
            pads_before: vec![1],
            pads_after: vec![1],
            groups: 1,
        };
        let (x, weights) = (waves(&[1, 2, 8], 0.7), waves(&[3, 2, 3], 1.3));
        let expected = window::conv(&conv, &x, &weights, None, &[1, 3, 4]);
        assert_close(&product(&Op::Conv(conv), &[&x, &weights], &[1, 3, 4]).unwrap(), &expected);

        let (x, weights) = (waves(&[2, 3, 5], 0.7), waves(&[4, 5], 1.3));
        let expected = window::dense(&x, &weights, None);
        assert_close(&product(&Op::Dense, &[&x, &weights], &[2, 3, 4]).unwrap(), &expected);
    }
}
