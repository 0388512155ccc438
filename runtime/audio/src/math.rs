//! The few real functions that the tables need, for the compiler: `core` has none that are `const`.
//!
//! Power series in `f64`, good to about 10⁻¹⁴, far below half a step of any table.

use core::f64::consts::{FRAC_PI_2, LN_2};

/// `sin(2π · index / period)`, for any index.
///
/// The argument is brought into the first quarter in whole numbers, so symmetric entries of a table
/// are exactly symmetric.
pub const fn sin_turn(index: usize, period: usize) -> f64 {
    // In quarters of an index, so that a quarter period is whole for any period.
    let (at, quarter) = ((4 * index) % (4 * period), period);
    let (folded, sign) = if at < 2 * quarter { (at, 1.0) } else { (at - 2 * quarter, -1.0) };
    let first = if folded > quarter { 2 * quarter - folded } else { folded };
    sign * sin_first_quarter(FRAC_PI_2 * first as f64 / quarter as f64)
}

/// `cos(2π · index / period)`, for any index.
pub const fn cos_turn(index: usize, period: usize) -> f64 {
    sin_turn(4 * index + period, 4 * period)
}

/// The Taylor series of the sine, for `0 ≤ x ≤ π/2`: the first term left out is below 10⁻¹⁶.
const fn sin_first_quarter(x: f64) -> f64 {
    let (mut sum, mut term, mut n) = (x, x, 1);
    while n < 11 {
        term *= -x * x / ((2 * n) as f64 * (2 * n + 1) as f64);
        sum += term;
        n += 1;
    }
    sum
}

/// `e^x` by its series after 2⁸ halvings of the argument, for `0 ≤ x < 100`.
pub const fn exp(x: f64) -> f64 {
    const HALVINGS: u32 = 8;
    let small = x / (1 << HALVINGS) as f64;
    let (mut sum, mut term, mut n) = (1.0, 1.0, 1);
    while n < 24 {
        term *= small / n as f64;
        sum += term;
        n += 1;
    }
    let mut squared = 0;
    while squared < HALVINGS {
        sum *= sum;
        squared += 1;
    }
    sum
}

/// `ln(x)` for `x ≥ 1`: powers of two, then `ln m = 2 artanh((m − 1) / (m + 1))`.
pub const fn ln(x: f64) -> f64 {
    let (mut mantissa, mut power) = (x, 0);
    while mantissa >= 2.0 {
        mantissa /= 2.0;
        power += 1;
    }
    let ratio = (mantissa - 1.0) / (mantissa + 1.0);
    let (mut sum, mut term, mut n) = (0.0, ratio, 1);
    while n < 40 {
        sum += term / n as f64;
        term *= ratio * ratio;
        n += 2;
    }
    power as f64 * LN_2 + 2.0 * sum
}

/// `√x` for `x > 0`, by Newton's iteration.
pub const fn sqrt(x: f64) -> f64 {
    let (mut root, mut n) = (if x > 1.0 { x } else { 1.0 }, 0);
    while n < 64 {
        root = 0.5 * (root + x / root);
        n += 1;
    }
    root
}

/// The nearest integer, halves away from zero.
pub const fn round(x: f64) -> i64 {
    (if x < 0.0 { x - 0.5 } else { x + 0.5 }) as i64
}

#[cfg(test)]
mod tests {
    use core::f64::consts::PI;

    use super::*;

    #[test]
    fn functions_agree_with_the_standard_library() {
        for index in 0..3000 {
            let angle = 2.0 * PI * index as f64 / 1000.0;
            assert!((sin_turn(index, 1000) - angle.sin()).abs() < 1e-13);
            assert!((cos_turn(index, 1000) - angle.cos()).abs() < 1e-13);
            let x = 1.0 + index as f64 * 0.37;
            assert!((ln(x) - x.ln()).abs() < 1e-13);
            assert!((sqrt(x / 40.0) - (x / 40.0).sqrt()).abs() < 1e-13);
            assert!((exp(index as f64 * 0.003) / (index as f64 * 0.003).exp() - 1.0).abs() < 1e-12);
        }
        assert_eq!([round(2.5), round(-2.5), round(0.4)], [3, -3, 0]);
    }
}
