//! Rounds weights so that the errors of a row compensate each other.
//!
//! Rounding every weight to the nearest integer makes the error of each weight small, but not that
//! of the sums. With inputs `x`, a row off by `e` is off by `E[(e · x)²] = eᵀ H e`, `H = E[x · xᵀ]`.
//! GPTQ (Frantar et al. 2022, arXiv 2210.17323) rounds the weights one by one and moves those that
//! are still open to make up for the errors made so far.
//!
//! With `H = L · Lᵀ` the error is a sum of squares, `Σᵢ (Lᵢᵢ eᵢ + Σₖ Lₖᵢ eₖ)²` over `k > i`. From the
//! last weight to the first, each is rounded from the value that makes its summand zero. That is
//! GPTQ without an inverse (Chen et al. 2025, arXiv 2507.18553): the order is the reverse of the
//! factor's.

use ndarray::{Array1, Array2};

use super::linalg::{cholesky, dot};

/// Added to the diagonal, as a share of its mean: keeps inputs that hardly vary from taking large
/// corrections (GPTQ's own choice).
const DAMPING: f64 = 0.01;

/// Rounds rows of weights for inputs of certain moments.
pub(super) struct Compensation {
    /// Places in a row by rising importance: the last is rounded first, while all others are open
    /// to make up for its error (GPTQ's `act_order`).
    order: Vec<usize>,
    /// `Lᵀ` of the reordered moments, upper triangular.
    factor: Array2<f64>,
}

impl Compensation {
    /// For inputs with these second moments. `mean` is theirs if a corrected bias will take up the
    /// mean error: then only what varies counts, `H = E[x · xᵀ] − E[x] · E[x]ᵀ`.
    ///
    /// `None` if the moments are no numbers.
    pub(super) fn new(second: &Array2<f64>, mean: Option<&Array1<f64>>) -> Option<Self> {
        let len = second.nrows();
        let centre = |i: usize, j: usize| mean.map_or(0.0, |mean| mean[i] * mean[j]);
        let moment = |i: usize, j: usize| second[[i, j]] - centre(i, j);
        let trace: f64 = (0..len).map(|i| moment(i, i)).sum();
        // Where nothing varies, any positive number leaves rounding to the nearest.
        let damping = if trace > 0.0 { DAMPING * trace / len as f64 } else { 1.0 };
        let mut order: Vec<usize> = (0..len).collect();
        order.sort_by(|&a, &b| moment(a, a).total_cmp(&moment(b, b)));
        let damped = Array2::from_shape_fn((len, len), |(i, j)| {
            moment(order[i], order[j]) + if i == j { damping } else { 0.0 }
        });
        let factor = cholesky(damped)?.reversed_axes().as_standard_layout().into_owned();
        Some(Self { order, factor })
    }

    /// Integers within `±limit` for a row of weights.
    pub(super) fn round(&self, weights: &[f32], scale: f64, limit: f64) -> Vec<i32> {
        let mut integers = vec![0; weights.len()];
        // In steps, in the factor's order.
        let mut errors = vec![0.0; weights.len()];
        for (place, &at) in self.order.iter().enumerate().rev() {
            let weight = f64::from(weights[at]) / scale;
            let row = self.factor.row(place);
            let row = row.as_slice().unwrap_or_default();
            let made = dot(&row[place + 1..], &errors[place + 1..]);
            let open = weight + made / row[place];
            let rounded = open.round_ties_even().clamp(-limit, limit);
            integers[at] = rounded as i32;
            errors[place] = weight - rounded;
        }
        integers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Moments of correlated inputs: neighbours share much of their values.
    fn moments(len: usize) -> Array2<f64> {
        let close = |i: usize, j: usize| 0.8f64.powi(i.abs_diff(j) as i32);
        let size = |i: usize| 1.0 + (i % 3) as f64;
        Array2::from_shape_fn((len, len), |(i, j)| close(i, j) * size(i) * size(j))
    }

    fn weights(len: usize) -> Vec<f32> {
        (0..len).map(|i| 5.0 * (i as f32 * 1.7 + 0.3).sin()).collect()
    }

    /// `eᵀ H e`
    fn error(second: &Array2<f64>, weights: &[f32], integers: &[i32]) -> f64 {
        let off: Array1<f64> =
            weights.iter().zip(integers).map(|(&w, &q)| f64::from(w) - f64::from(q)).collect();
        off.dot(&second.dot(&off))
    }

    fn nearest(weights: &[f32]) -> Vec<i32> {
        weights.iter().map(|w| w.round_ties_even() as i32).collect()
    }

    /// GPTQ as published: eliminates one weight after the other from the inverse of the moments.
    fn published(second: &Array2<f64>, weights: &[f32], order: &[usize]) -> Vec<i32> {
        let len = weights.len();
        let mut open: Vec<f64> = weights.iter().map(|&w| w.into()).collect();
        let mut integers = vec![0; len];
        for (done, &at) in order.iter().enumerate() {
            let rest = &order[done..];
            let part = Array2::from_shape_fn((rest.len(), rest.len()), |(i, j)| {
                second[[rest[i], rest[j]]]
            });
            let inverse = inverse(part);
            integers[at] = open[at].round_ties_even() as i32;
            let off = (open[at] - f64::from(integers[at])) / inverse[[0, 0]];
            for (place, &other) in rest.iter().enumerate() {
                open[other] -= off * inverse[[0, place]];
            }
        }
        integers
    }

    /// By Gauss and Jordan.
    fn inverse(mut matrix: Array2<f64>) -> Array2<f64> {
        let len = matrix.nrows();
        let mut inverse = Array2::eye(len);
        for pivot in 0..len {
            let scale = 1.0 / matrix[[pivot, pivot]];
            for column in 0..len {
                matrix[[pivot, column]] *= scale;
                inverse[[pivot, column]] *= scale;
            }
            for row in (0..len).filter(|&row| row != pivot) {
                let factor = matrix[[row, pivot]];
                for column in 0..len {
                    matrix[[row, column]] -= factor * matrix[[pivot, column]];
                    inverse[[row, column]] -= factor * inverse[[pivot, column]];
                }
            }
        }
        inverse
    }

    #[test]
    fn it_is_gptq() {
        let (second, weights) = (moments(20), weights(20));
        let compensation = Compensation::new(&second, None).unwrap();
        let damping = DAMPING * second.diag().sum() / 20.0;
        let damped = &second + &(Array2::<f64>::eye(20) * damping);
        let order: Vec<usize> = compensation.order.iter().rev().copied().collect();
        assert_eq!(compensation.round(&weights, 1.0, 127.0), published(&damped, &weights, &order));
    }

    #[test]
    fn correlated_inputs_let_errors_compensate() {
        let (second, weights) = (moments(60), weights(60));
        let compensation = Compensation::new(&second, None).unwrap();
        let rounded = error(&second, &weights, &compensation.round(&weights, 1.0, 127.0));
        assert!(rounded < 0.6 * error(&second, &weights, &nearest(&weights)), "{rounded}");
    }

    #[test]
    fn uncorrelated_inputs_leave_the_nearest() {
        let weights = weights(10);
        for second in [Array2::eye(10) * 3.0, Array2::zeros((10, 10))] {
            let compensation = Compensation::new(&second, None).unwrap();
            assert_eq!(compensation.round(&weights, 1.0, 127.0), nearest(&weights));
        }
    }

    #[test]
    fn constant_inputs_do_not_count_where_the_bias_takes_their_error() {
        let mean = Array1::from_elem(10, 100.0);
        let second = Array2::eye(10) + Array2::from_elem((10, 10), 1e4);
        let weights = weights(10);
        let compensation = Compensation::new(&second, Some(&mean)).unwrap();
        assert_eq!(compensation.round(&weights, 1.0, 127.0), nearest(&weights));
        let compensation = Compensation::new(&second, None).unwrap();
        assert_ne!(compensation.round(&weights, 1.0, 127.0), nearest(&weights));
    }

    #[test]
    fn integers_stay_within_the_limit() {
        let compensation = Compensation::new(&moments(30), None).unwrap();
        let rounded = compensation.round(&weights(30), 0.5, 7.0);
        assert!(rounded.iter().all(|q| q.abs() <= 7) && rounded.contains(&7), "{rounded:?}");
    }
}
