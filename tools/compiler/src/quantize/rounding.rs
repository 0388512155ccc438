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
//!
//! The layers before are rounded too, so that `x` is not what the float network has there, `y`. To
//! come close to `w · y`, what is rounded are the weights that do so best, `w + w (E[y · xᵀ] − H) H⁻¹`
//! (the idea of GPTAQ, Li et al. 2025, arXiv 2504.02692). On few samples that change is mostly
//! chance; as much of it is made as one half of the samples says to be right for the other.
//!
//! What was rounded early could not know the errors of the rest. Coordinate descent (`QuantEase`,
//! Behdin et al. 2023, arXiv 2309.01885) rounds each weight again in view of all others until none
//! changes; the error only falls.

use ndarray::{Array1, Array2, ArrayView1};

use super::levels::Levels;
use super::linalg::{cholesky, dot, solve};
use super::pruning::{is_zero, prune};
use super::replay::SecondMoments;

/// Added to the diagonal, as a share of its mean: keeps inputs that hardly vary from taking large
/// corrections (GPTQ's own choice).
const DAMPING: f64 = 0.01;
/// Rounds of coordinate descent; it is nearly always done earlier.
const SWEEPS: usize = 8;

/// Rounds rows of weights for inputs of certain moments.
pub(super) struct Compensation {
    /// Places in a row whose weights may differ from 0, by rising importance: the last is rounded
    /// first, while all others are open to make up for its error (GPTQ's `act_order`).
    order: Vec<usize>,
    /// `H`, reordered and damped.
    moments: Array2<f64>,
    /// `Lᵀ` of it, upper triangular.
    factor: Array2<f64>,
    /// `E[y · xᵀ] − H`, reordered, as far as it is trusted.
    drift: Array2<f64>,
}

/// A row of weights that was rounded.
pub(super) struct Rounded {
    /// The integers.
    pub(super) integers: Vec<i32>,
    /// `eᵀ H e`, in squares of a step.
    pub(super) error: f64,
}

impl Compensation {
    /// For inputs with these second moments. `means` are theirs, of the float and of the quantised
    /// graph, if a corrected bias will take up the mean error: then only what varies counts,
    /// `H = E[x · xᵀ] − E[x] · E[x]ᵀ`.
    ///
    /// `None` if the moments are no numbers.
    pub(super) fn new(
        second: &SecondMoments,
        means: Option<(&Array1<f64>, &Array1<f64>)>,
    ) -> Option<Self> {
        let len = second.quantised.nrows();
        let centre = |i: usize, j: usize| means.map_or(0.0, |(_, x)| x[i] * x[j]);
        let moment = |i: usize, j: usize| second.quantised[[i, j]] - centre(i, j);
        let cross_centre = |i: usize, j: usize| means.map_or(0.0, |(y, x)| y[i] * x[j]);
        let cross = |i: usize, j: usize| second.cross[[i, j]] - cross_centre(i, j);
        let trace: f64 = (0..len).map(|i| moment(i, i)).sum();
        // Where nothing varies, any positive number leaves rounding to the nearest.
        let damping = if trace > 0.0 { DAMPING * trace / len as f64 } else { 1.0 };
        let mut order: Vec<usize> = (0..len).collect();
        order.sort_by(|&a, &b| moment(a, a).total_cmp(&moment(b, b)));
        let reordered = |of: &dyn Fn(usize, usize) -> f64| {
            Array2::from_shape_fn((len, len), |(i, j)| of(order[i], order[j]))
        };
        let drift = reordered(&|i, j| cross(i, j) - moment(i, j));
        let moments = reordered(&|i, j| moment(i, j) + if i == j { damping } else { 0.0 });
        let factor = transposed_factor(&moments)?;
        Some(Self { order, moments, factor, drift })
    }

    /// `H⁻¹`, for [`pruned`](Self::pruned).
    pub(super) fn inverse(&self) -> Array2<f64> {
        let len = self.order.len();
        let mut inverse = Array2::eye(len);
        for mut row in inverse.outer_iter_mut() {
            let solved = solve(&self.factor, row.to_vec());
            row.assign(&Array1::from(solved));
        }
        inverse
    }

    /// Rows of weights without `count` of these blocks of places: those that are zero, then whichever do
    /// the least harm to all of the rows together; and what rounds the weights that are left. `None` if
    /// all are left.
    pub(super) fn pruned(
        &self,
        inverse: Array2<f64>,
        rows: &[Vec<f32>],
        blocks: &[Vec<usize>],
        count: usize,
    ) -> Option<(Vec<Vec<f32>>, Self)> {
        let mut places = vec![0; self.order.len()];
        self.order.iter().enumerate().for_each(|(place, &at)| places[at] = place);
        let (gone, others): (Vec<_>, Vec<_>) =
            blocks.iter().partition(|block| is_zero(block, rows));
        (count.max(gone.len()) != 0).then_some(())?;
        let in_order = |block: &&Vec<usize>| block.iter().map(|&at| places[at]).collect();
        let blocks: Vec<Vec<usize>> = gone.iter().chain(&others).map(in_order).collect();
        let mut open: Vec<Vec<f64>> = rows.iter().map(|row| self.open(row, 1.0)).collect();
        let kept = prune(inverse, &mut open, &blocks, (gone.len(), count));
        let natural = |open: &Vec<f64>| places.iter().map(|&place| open[place] as f32).collect();
        let kept: Vec<usize> = (0..kept.len()).filter(|&place| kept[place]).collect();
        let moments = Array2::from_shape_fn((kept.len(), kept.len()), |(i, j)| {
            self.moments[[kept[i], kept[j]]]
        });
        // The rows follow the float network already.
        let drift = Array2::zeros(moments.raw_dim());
        let order = kept.iter().map(|&place| self.order[place]).collect();
        let rounding = Self { order, factor: transposed_factor(&moments)?, moments, drift };
        Some((open.iter().map(natural).collect(), rounding))
    }

    /// Trusts what the float network would have had as input as far as the samples allow: the change
    /// of these rows of weights that one half of the samples suggests is scaled by what is best for
    /// the other. All samples together have half as much chance in them: a share `s / (s + n)` of
    /// signal becomes `s / (s + n / 2)`. With one half only there is no telling, and none is made.
    pub(super) fn trusting(
        mut self,
        rows: &Array2<f32>,
        halves: Option<&[SecondMoments; 2]>,
        means: Option<(&Array1<f64>, &Array1<f64>)>,
    ) -> Self {
        let share = halves.and_then(|[a, b]| {
            let (a, b) = (Self::new(a, means)?, Self::new(b, means)?);
            let [(gain, size), (more, other)] = [a.judged_by(&b, rows), b.judged_by(&a, rows)];
            let share = (gain + more) / (size + other);
            share.is_finite().then(|| share.clamp(0.0, 1.0))
        });
        let share = share.map(|share| 2.0 * share / (1.0 + share));
        self.drift *= share.unwrap_or(0.0);
        self
    }

    /// For the change of weights that these samples suggest: `s · gain − s² / 2 · size` is half of
    /// what a share `s` of it takes from the square error on the other samples.
    fn judged_by(&self, other: &Self, rows: &Array2<f32>) -> (f64, f64) {
        let of_row = |row: ArrayView1<f32>| {
            let in_order = |order: &[usize]| -> Array1<f64> {
                order.iter().map(|&at| row[at].into()).collect()
            };
            let change = self.change(&in_order(&self.order));
            let mut natural = Array1::<f64>::zeros(change.len());
            self.order.iter().zip(change).for_each(|(&at, change)| natural[at] = change);
            let change: Array1<f64> = other.order.iter().map(|&at| natural[at]).collect();
            let gain = in_order(&other.order).dot(&other.drift).dot(&change);
            (gain, change.dot(&other.moments.dot(&change)))
        };
        let sums = rows.outer_iter().map(of_row);
        sums.fold((0.0, 0.0), |(gain, size), more| (gain + more.0, size + more.1))
    }

    /// Integers of a grid for a row of weights.
    pub(super) fn round(&self, weights: &[f32], scale: f64, levels: Levels) -> Rounded {
        let open = self.open(weights, scale);
        let mut rounded = self.compensate(&open, levels);
        let error = self.descend(&open, &mut rounded, levels);
        let mut integers = vec![0; weights.len()];
        for (&at, &rounded) in self.order.iter().zip(&rounded) {
            integers[at] = rounded as i32;
        }
        Rounded { integers, error }
    }

    /// The row, in steps and in the factor's order, that comes closest to the float network's sums.
    fn open(&self, weights: &[f32], scale: f64) -> Vec<f64> {
        let weights: Array1<f64> =
            self.order.iter().map(|&at| f64::from(weights[at]) / scale).collect();
        let change = self.change(&weights);
        weights.iter().zip(change).map(|(weight, change)| weight + change).collect()
    }

    /// What brings a row of weights closest to the float network's sums.
    fn change(&self, weights: &Array1<f64>) -> Vec<f64> {
        solve(&self.factor, weights.dot(&self.drift).to_vec())
    }

    /// GPTQ. Weights, in steps, and integers are in the factor's order.
    fn compensate(&self, weights: &[f64], levels: Levels) -> Vec<f64> {
        let mut rounded = vec![0.0; weights.len()];
        let mut errors = vec![0.0; weights.len()];
        for (place, &weight) in weights.iter().enumerate().rev() {
            let row = self.factor.row(place);
            let row = row.as_slice().unwrap_or_default();
            let made = dot(&row[place + 1..], &errors[place + 1..]);
            rounded[place] = levels.nearest(weight + made / row[place]);
            errors[place] = weight - rounded[place];
        }
        rounded
    }

    /// Rounds each weight again, all others being what they are. Returns the error that is left.
    fn descend(&self, weights: &[f64], rounded: &mut [f64], levels: Levels) -> f64 {
        let mut errors: Array1<f64> = weights.iter().zip(&*rounded).map(|(w, q)| w - q).collect();
        let mut slopes = self.moments.dot(&errors);
        for _ in 0..SWEEPS {
            let mut changed = false;
            for (place, &weight) in weights.iter().enumerate().rev() {
                let others = slopes[place] / self.moments[[place, place]] - errors[place];
                let better = levels.nearest(weight + others);
                let change = rounded[place] - better;
                if change != 0.0 {
                    slopes.scaled_add(change, &self.moments.row(place));
                    errors[place] += change;
                    rounded[place] = better;
                    changed = true;
                }
            }
            if !changed {
                break;
            }
        }
        errors.dot(&slopes)
    }
}

/// `Lᵀ`, with `L · Lᵀ` the given matrix.
fn transposed_factor(matrix: &Array2<f64>) -> Option<Array2<f64>> {
    Some(cholesky(matrix.clone())?.reversed_axes().as_standard_layout().into_owned())
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

    /// Of inputs that are the float network's.
    fn exact(second: &Array2<f64>) -> SecondMoments {
        SecondMoments { quantised: second.clone(), cross: second.clone() }
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
        let compensation = Compensation::new(&exact(&second), None).unwrap();
        let damping = DAMPING * second.diag().sum() / 20.0;
        let damped = &second + &(Array2::<f64>::eye(20) * damping);
        let order: Vec<usize> = compensation.order.iter().rev().copied().collect();
        let open: Vec<f64> = compensation.order.iter().map(|&at| f64::from(weights[at])).collect();
        let rounded = compensation.compensate(&open, Levels::FINEST);
        let published = published(&damped, &weights, &order);
        let published = compensation.order.iter().map(|&at| f64::from(published[at]));
        assert_eq!(rounded, published.collect::<Vec<_>>());
    }

    #[test]
    fn no_weight_can_be_rounded_better_alone() {
        let (second, weights) = (moments(40), weights(40));
        let compensation = Compensation::new(&exact(&second), None).unwrap();
        let damping = DAMPING * second.diag().sum() / 40.0;
        let damped = &second + &(Array2::<f64>::eye(40) * damping);
        let Rounded { integers, error: least } =
            compensation.round(&weights, 1.0, Levels::new(5).unwrap());
        assert!((error(&damped, &weights, &integers) - least).abs() < 1e-9 * least);
        for at in 0..40 {
            for step in [-1, 1] {
                let mut other = integers.clone();
                other[at] += step;
                if other[at].abs() <= 5 {
                    assert!(error(&damped, &weights, &other) >= least - 1e-9, "{at} {step}");
                }
            }
        }
    }

    #[test]
    fn correlated_inputs_let_errors_compensate() {
        let (second, weights) = (moments(60), weights(60));
        let compensation = Compensation::new(&exact(&second), None).unwrap();
        let rounded =
            error(&second, &weights, &compensation.round(&weights, 1.0, Levels::FINEST).integers);
        assert!(rounded < 0.6 * error(&second, &weights, &nearest(&weights)), "{rounded}");
    }

    #[test]
    fn uncorrelated_inputs_leave_the_nearest() {
        let weights = weights(10);
        for second in [Array2::eye(10) * 3.0, Array2::zeros((10, 10))] {
            let compensation = Compensation::new(&exact(&second), None).unwrap();
            assert_eq!(
                compensation.round(&weights, 1.0, Levels::FINEST).integers,
                nearest(&weights)
            );
        }
    }

    #[test]
    fn constant_inputs_do_not_count_where_the_bias_takes_their_error() {
        let mean = Array1::from_elem(10, 100.0);
        let second = Array2::eye(10) + Array2::from_elem((10, 10), 1e4);
        let weights = weights(10);
        let compensation = Compensation::new(&exact(&second), Some((&mean, &mean))).unwrap();
        assert_eq!(compensation.round(&weights, 1.0, Levels::FINEST).integers, nearest(&weights));
        let compensation = Compensation::new(&exact(&second), None).unwrap();
        assert_ne!(compensation.round(&weights, 1.0, Levels::FINEST).integers, nearest(&weights));
    }

    #[test]
    fn errors_of_inputs_are_made_up_for() {
        // The quantised network has half of what the float network has: weights must double.
        let second = Array2::eye(6);
        let moments = SecondMoments { quantised: second.clone(), cross: second * 2.0 };
        let compensation = Compensation::new(&moments, None).unwrap();
        let rounded =
            compensation.round(&[3.0, -2.0, 0.0, 1.0, 5.0, -4.0], 1.0, Levels::FINEST).integers;
        assert_eq!(rounded, [6, -4, 0, 2, 10, -8]);
    }

    #[test]
    fn integers_stay_within_the_limit() {
        let compensation = Compensation::new(&exact(&moments(30)), None).unwrap();
        let rounded = compensation.round(&weights(30), 0.5, Levels::new(7).unwrap()).integers;
        assert!(rounded.iter().all(|q| q.abs() <= 7) && rounded.contains(&7), "{rounded:?}");
    }
}
