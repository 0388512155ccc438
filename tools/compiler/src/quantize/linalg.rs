//! The little linear algebra that rounding needs.

use ndarray::Array2;

/// `L`, lower triangular, with `L · Lᵀ` the given matrix, of which only the lower triangle is read;
/// `None` if that is not positive definite.
pub(super) fn cholesky(mut matrix: Array2<f64>) -> Option<Array2<f64>> {
    let len = matrix.nrows();
    // Row by row: what is above and left of an element is final when it is computed.
    let values = matrix.as_slice_mut()?;
    for i in 0..len {
        let (above, rest) = values.split_at_mut(i * len);
        let row = &mut rest[..len];
        for j in 0..i {
            let other = &above[j * len..j * len + len];
            row[j] = (row[j] - dot(&row[..j], &other[..j])) / other[j];
        }
        let square = row[i] - dot(&row[..i], &row[..i]);
        if !(square > 0.0 && square.is_finite()) {
            return None;
        }
        row[i] = square.sqrt();
        row[i + 1..].fill(0.0);
    }
    Some(matrix)
}

/// `x` with `L · Lᵀ · x = b`, where `Lᵀ`, upper triangular, is given.
pub(super) fn solve(transposed: &Array2<f64>, mut b: Vec<f64>) -> Vec<f64> {
    let rows = || transposed.outer_iter().enumerate();
    for (i, row) in rows() {
        b[i] /= row[i];
        let known = b[i];
        b.iter_mut().zip(row).skip(i + 1).for_each(|(b, factor)| *b -= known * factor);
    }
    for (i, row) in rows().rev() {
        let known: f64 = b.iter().zip(row).skip(i + 1).map(|(x, factor)| x * factor).sum();
        b[i] = (b[i] - known) / row[i];
    }
    b
}

/// Partial sums that [`dot`] runs side by side, as vector units do.
const LANES: usize = 8;

/// The sum of products, in an order that does not depend on the processor.
pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let (a, a_rest) = a.as_chunks::<LANES>();
    let (b, b_rest) = b.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for (a, b) in a.iter().zip(b) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f64>() + rest
}

#[cfg(test)]
mod tests {
    use ndarray::Array1;

    use super::*;

    #[test]
    fn the_factor_times_itself_is_the_matrix() {
        for len in [1, 2, 7, 40] {
            let root = Array2::from_shape_fn((len, len), |(i, j)| ((i * 7 + j * 3) as f64).sin());
            let matrix = root.dot(&root.t()) + Array2::<f64>::eye(len);
            let factor = cholesky(matrix.clone()).unwrap();
            for (a, b) in factor.dot(&factor.t()).iter().zip(&matrix) {
                assert!((a - b).abs() < 1e-9, "{a} {b}");
            }
            assert!(factor.indexed_iter().all(|((i, j), &x)| i >= j || x == 0.0));
        }
    }

    #[test]
    fn a_solution_gives_the_right_side() {
        let root = Array2::from_shape_fn((9, 9), |(i, j)| ((i * 5 + j * 3) as f64).cos());
        let matrix = root.dot(&root.t()) + Array2::<f64>::eye(9);
        let factor =
            cholesky(matrix.clone()).unwrap().reversed_axes().as_standard_layout().into_owned();
        let b: Vec<f64> = (0..9).map(f64::from).collect();
        for (got, expected) in matrix.dot(&Array1::from(solve(&factor, b.clone()))).iter().zip(&b) {
            assert!((got - expected).abs() < 1e-9, "{got} {expected}");
        }
    }

    #[test]
    fn others_have_none() {
        assert_eq!(cholesky(Array2::from_elem((2, 2), 1.0)), None);
        assert_eq!(cholesky(-Array2::<f64>::eye(3)), None);
        assert_eq!(cholesky(Array2::from_elem((2, 2), f64::NAN)), None);
    }

    #[test]
    fn products_of_any_length() {
        for len in 0..40 {
            let a: Vec<f64> = (0..len).map(f64::from).collect();
            let expected: f64 = (0..len).map(|i| f64::from(i * i)).sum();
            assert_eq!(dot(&a, &a), expected);
        }
    }
}
