//! Arithmetic, and reductions along an axis.

use ndarray::{ArrayD, Axis, IxDyn, Zip};

/// A function of two operands that broadcast to each other.
pub(super) fn binary(
    a: &ArrayD<f32>,
    b: &ArrayD<f32>,
    function: impl Fn(f64, f64) -> f64,
) -> ArrayD<f32> {
    let rank = a.ndim().max(b.ndim());
    let extent = |array: &ArrayD<f32>, axis: usize| {
        (axis + array.ndim()).checked_sub(rank).map_or(1, |at| array.shape()[at])
    };
    let shape: Vec<_> = (0..rank)
        .map(|axis| match (extent(a, axis), extent(b, axis)) {
            (1, n) | (n, _) => n,
        })
        .collect();
    let expanded = |array: &ArrayD<f32>| {
        let view = array.broadcast(IxDyn(&shape));
        view.unwrap_or_else(|| panic!("{:?} does not broadcast to {shape:?}", array.shape()))
            .to_owned()
    };
    Zip::from(&expanded(a))
        .and(&expanded(b))
        .map_collect(|&a, &b| function(a.into(), b.into()) as f32)
}

/// The mean over some axes, in the given shape: with the axes dropped or of extent 1.
pub(super) fn mean(x: &ArrayD<f32>, axes: &[usize], shape: &[usize]) -> ArrayD<f32> {
    let mut sums = x.mapv(f64::from);
    for &axis in axes.iter().rev() {
        sums = sums.sum_axis(Axis(axis));
    }
    let count: usize = axes.iter().map(|&axis| x.shape()[axis]).product();
    let means: Vec<_> = sums.iter().map(|sum| (sum / count as f64) as f32).collect();
    super::movement::filled(shape, means)
}

/// `exp(x − max) / Σ exp(x − max)` along an axis.
pub(super) fn softmax(x: &ArrayD<f32>, axis: usize) -> ArrayD<f32> {
    let mut output = x.clone();
    for mut lane in output.lanes_mut(Axis(axis)) {
        let max = lane.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let powers: Vec<_> = lane.iter().map(|&x| f64::from(x - max).exp()).collect();
        let sum: f64 = powers.iter().sum();
        lane.iter_mut().zip(powers).for_each(|(y, power)| *y = (power / sum) as f32);
    }
    output
}

/// The position of the largest value along an axis: the first of equals, or the last.
pub(super) fn arg_max(x: &ArrayD<f32>, axis: usize, last: bool, shape: &[usize]) -> ArrayD<f32> {
    let position = |lane: ndarray::ArrayView1<'_, f32>| {
        let better = |best: f32, x: f32| if last { x >= best } else { x > best };
        let mut best = 0;
        for (index, &x) in lane.iter().enumerate() {
            if better(lane[best], x) {
                best = index;
            }
        }
        best as f32
    };
    let positions = x.map_axis(Axis(axis), position);
    super::movement::filled(shape, positions.iter().copied().collect())
}

/// `(x − mean) / √(variance + epsilon) · scale + bias` per channel, the second axis. Operands: x,
/// scale, bias, mean, variance.
pub(super) fn batch_norm(operands: &[&ArrayD<f32>], epsilon: f32) -> ArrayD<f32> {
    let mut output = operands[0].clone();
    for (channel, mut lane) in output.axis_iter_mut(Axis(1)).enumerate() {
        let [scale, bias, mean, variance] =
            [1, 2, 3, 4].map(|index: usize| f64::from(operands[index][[channel]]));
        let factor = scale / (variance + f64::from(epsilon)).sqrt();
        lane.mapv_inplace(|x| ((f64::from(x) - mean) * factor + bias) as f32);
    }
    output
}
