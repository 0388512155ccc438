//! From real scale ratios to the integers of the image, with the proof that 32 bits hold them.
//!
//! The kernels compute `requant(acc) = floor(((acc << shift) · m + 2^31) / 2^32)`: with
//! `m = round(r · 2^(32 − shift))` that is `r · acc`, rounded once. Two things must hold:
//!
//! 1. `|m| ≤ 2^31 − 1`, so `shift` must be at least 1 where `|r| ≥ 1/2`, 2 where `|r| ≥ 1`, …
//! 2. `|acc| << shift ≤ 2^31 − 1` for every value that the accumulator can take.
//!
//! Then the product stays under 2^62 and the quotient under 2^30, so that adding the zero point
//! cannot overflow either. [`multipliers`] takes the smallest shift that satisfies 1 — a larger one
//! would only cost bits of `m` — and checks 2. Since `m` is off by at most 1/2,
//! `|requant(acc) − r · acc| ≤ 1/2 + |acc| · 2^(shift − 33)`; for results within the 256 values of
//! an 8-bit activation the second term is at most `2^-25 / |r|`, and 1/4 for any.
//!
//! A ratio that is a multiple of 2^-16 but for the rounding of its scales to single precision counts as
//! that multiple: some kernels are faster with such a multiplier.

use thiserror::Error;

/// The parameters of `requant` for one operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requant {
    /// Left shift of the accumulator, 0 to 31.
    pub shift: u8,
    /// One multiplier per ratio, within ±(2^31 − 1).
    pub multipliers: Vec<i32>,
}

/// Scales that the 32-bit arithmetic cannot express.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
pub enum RequantError {
    /// A ratio of scales is infinite or not a number.
    #[error(
        "channel {index}: the ratio of its scales is {ratio}; scales must be finite and above zero"
    )]
    NotFinite {
        /// Which ratio.
        index: usize,
        /// Its value.
        ratio: f64,
    },
    /// The accumulator may leave 32 bits.
    #[error(
        "channel {index}: a sum of up to {max_abs_acc} times {ratio} needs more than 32 bits; the \
         output's scale is too small for the input's and the weights': calibrate with \
         representative data, or export the model with wider output ranges"
    )]
    Overflow {
        /// Which ratio.
        index: usize,
        /// Its value.
        ratio: f64,
        /// Largest magnitude of the accumulator, before the shift.
        max_abs_acc: i64,
    },
}

/// The multipliers of `ratios` (input scales over output scale, possibly negative) for an
/// accumulator of at most `max_abs_acc` in magnitude.
///
/// # Errors
///
/// [`RequantError::NotFinite`] and [`RequantError::Overflow`].
pub fn multipliers(ratios: &[f64], max_abs_acc: i64) -> Result<Requant, RequantError> {
    let requant = scale(ratios)?;
    if max_abs_acc > accumulator_limit(requant.shift) {
        let (index, &ratio) = largest(ratios);
        return Err(RequantError::Overflow { index, ratio, max_abs_acc });
    }
    Ok(requant)
}

/// One output channel of a convolution or matrix product.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Channel {
    /// Input scale · weight scale / output scale.
    pub ratio: f64,
    /// What the accumulator starts from: bias − input zero point · Σw.
    pub bias: i64,
    /// [`weight_swing`] of its weights.
    pub swing: i64,
    /// Results at least this far from the zero point saturate, whatever the zero point: 256 for 8-bit
    /// outputs.
    pub saturation: i64,
}

impl Channel {
    /// The largest magnitude that the accumulator or any partial sum can reach.
    pub fn max_abs_acc(&self) -> i64 {
        self.bias.saturating_abs().saturating_add(self.swing)
    }
}

/// The most that products of `weights` with inputs of at most `limit` in magnitude can add up to:
/// `limit` · Σ|w|; `limit` is 128 for 8-bit inputs.
pub fn weight_swing(weights: impl IntoIterator<Item = i32>, limit: i64) -> i64 {
    weights.into_iter().map(|w| limit * i64::from(w).abs()).sum()
}

/// The multipliers and 32-bit biases of a convolution's output channels.
///
/// A bias beyond what the shifted accumulator can hold is moved to the nearest value within, if
/// that changes no result by more than half a step: because every sum saturates with the one as
/// with the other, or because the channel's ratio is next to nothing.
///
/// # Errors
///
/// [`RequantError::NotFinite`] and [`RequantError::Overflow`].
pub fn convolution(channels: &[Channel]) -> Result<(Requant, Vec<i32>), RequantError> {
    let ratios: Vec<f64> = channels.iter().map(|channel| channel.ratio).collect();
    let requant = scale(&ratios)?;
    let limit = accumulator_limit(requant.shift);
    let biases = channels.iter().enumerate().map(|(index, channel)| {
        fit_bias(channel, limit).ok_or(RequantError::Overflow {
            index,
            ratio: channel.ratio,
            max_abs_acc: channel.max_abs_acc(),
        })
    });
    let biases = biases.collect::<Result<_, _>>()?;
    Ok((requant, biases))
}

/// The bias as 32-bit number such that `|bias| + swing ≤ limit`; `None` if that changed results.
fn fit_bias(channel: &Channel, limit: i64) -> Option<i32> {
    let room = limit - channel.swing;
    if room < 0 {
        return None;
    }
    let fitted = channel.bias.clamp(-room, room);
    let moved = channel.bias.abs_diff(fitted) as f64 * channel.ratio.abs();
    let least_result = (room - channel.swing) as f64 * channel.ratio.abs();
    (moved <= 0.5 || least_result >= channel.saturation as f64).then_some(fitted as i32)
}

/// The smallest shift that makes every multiplier fit, and the multipliers.
fn scale(ratios: &[f64]) -> Result<Requant, RequantError> {
    if let Some((index, &ratio)) = ratios.iter().enumerate().find(|(_, r)| !r.is_finite()) {
        return Err(RequantError::NotFinite { index, ratio });
    }
    let multiplier =
        |ratio: f64, shift: u8| (rounded(ratio) * f64::from(32 - i32::from(shift)).exp2()).round();
    let (index, &ratio) = largest(ratios);
    let shift = (0..32)
        .find(|&shift| multiplier(ratio, shift).abs() <= f64::from(i32::MAX))
        .ok_or(RequantError::Overflow { index, ratio, max_abs_acc: 1 })?;
    let multipliers = ratios.iter().map(|&ratio| multiplier(ratio, shift) as i32).collect();
    Ok(Requant { shift, multipliers })
}

/// What short multipliers are multiples of.
pub const SHORT_UNIT: f64 = 1.0 / 65_536.0;

/// Three scales of single precision deviate by so much of their quotient, at most.
const SCALE_ERROR: f64 = 3.0 * (f32::EPSILON / 2.0) as f64;

/// The multiple of [`SHORT_UNIT`] that a ratio is meant to be, or else the ratio.
fn rounded(ratio: f64) -> f64 {
    let multiple = (ratio / SHORT_UNIT).round() * SHORT_UNIT;
    if (ratio - multiple).abs() <= SCALE_ERROR * ratio.abs() { multiple } else { ratio }
}

fn largest(ratios: &[f64]) -> (usize, &f64) {
    let by_magnitude = |a: &(usize, &f64), b: &(usize, &f64)| a.1.abs().total_cmp(&b.1.abs());
    ratios.iter().enumerate().max_by(by_magnitude).unwrap_or((0, &0.0))
}

/// Largest magnitude of an accumulator that stays within 32 bits when shifted.
pub const fn accumulator_limit(shift: u8) -> i64 {
    (i32::MAX >> shift) as i64
}

/// The largest ratio that an accumulator of at most `max_abs_acc` can be scaled by: what an output
/// scale must not fall below follows from it. Zero if the accumulator itself needs more than 32
/// bits.
pub fn max_ratio(max_abs_acc: i64) -> f64 {
    let shift = (0..32).rev().find(|&shift| max_abs_acc <= accumulator_limit(shift));
    // m = r · 2^(32 − shift) must round to less than 2^31.
    shift.map_or(0.0, |shift| f64::from(i32::MAX) * f64::from(i32::from(shift) - 32).exp2())
}

/// Parameters of the `Add` operator:
/// `out = floor((a · a_multiplier + b · b_multiplier + bias) / 2^shift)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddParams {
    /// Factor of the first operand.
    pub a_multiplier: i32,
    /// Factor of the second operand; negative for a difference.
    pub b_multiplier: i32,
    /// Zero points and the half of the rounding.
    pub bias: i32,
    /// Right shift of the sum.
    pub shift: u8,
}

/// One operand of [`add_params`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Operand {
    /// Operand scale / output scale; negative for what is subtracted.
    pub ratio: f64,
    /// The operand's zero point.
    pub zero_point: i8,
}

/// Parameters which give `out_zero + a.ratio · (a − a.zero_point) + b.ratio · (b − b.zero_point)`,
/// rounded half up.
///
/// With `M = round(ratio · 2^shift)` the bias is
/// `out_zero · 2^shift + 2^(shift − 1) − M_a · zero_a − M_b · zero_b`. The shift is the largest one
/// for which `128 · |M_a| + 128 · |M_b| + |bias| ≤ 2^31 − 1`, so that no partial sum, in whatever
/// order, leaves 32 bits. Ratios near 1 give a shift of about 21; the result is then off the exact
/// one by less than `1/2 + 2^-13`.
///
/// # Errors
///
/// [`RequantError::NotFinite`]; [`RequantError::Overflow`] if an operand's step is millions of the
/// output's.
pub fn add_params(a: Operand, b: Operand, out_zero: i8) -> Result<AddParams, RequantError> {
    let ratios = [a.ratio, b.ratio];
    if let Some(index) = ratios.iter().position(|ratio| !ratio.is_finite()) {
        return Err(RequantError::NotFinite { index, ratio: ratios[index] });
    }
    let (index, &ratio) = largest(&ratios);
    (0..=30)
        .rev()
        .find_map(|shift| add_params_with(a, b, out_zero, shift))
        .ok_or(RequantError::Overflow { index, ratio, max_abs_acc: 255 })
}

/// The parameters for one shift, if 32 bits hold every partial sum.
fn add_params_with(a: Operand, b: Operand, out_zero: i8, shift: u8) -> Option<AddParams> {
    let multiplier = |ratio: f64| {
        let scaled = (ratio * f64::from(shift).exp2()).round();
        (scaled.abs() <= f64::from(i32::MAX)).then_some(scaled as i64)
    };
    let (a_multiplier, b_multiplier) = (multiplier(a.ratio)?, multiplier(b.ratio)?);
    let half = (1i64 << shift) >> 1;
    let bias = (i64::from(out_zero) << shift) + half
        - a_multiplier * i64::from(a.zero_point)
        - b_multiplier * i64::from(b.zero_point);
    let bound = 128 * (a_multiplier.abs() + b_multiplier.abs()) + bias.abs();
    (bound <= i64::from(i32::MAX)).then_some(AddParams {
        a_multiplier: a_multiplier as i32,
        b_multiplier: b_multiplier as i32,
        bias: bias as i32,
        shift,
    })
}

#[cfg(test)]
mod tests {
    use fixie_kernels::requantize;
    use proptest::prelude::*;

    use super::*;

    /// `ratio · acc` in units of 2^-40, from the bits of `ratio`: no rounding on the way.
    fn exact_product(ratio: f64, acc: i64) -> i128 {
        let bits = ratio.abs().to_bits();
        let exponent = (bits >> 52) as i32 - 1075;
        let mantissa = i128::from(bits & ((1 << 52) - 1) | 1 << 52);
        let product = mantissa * i128::from(acc) * if ratio < 0.0 { -1 } else { 1 };
        let left = exponent + 40;
        if left >= 0 { product << left } else { product >> -left }
    }

    const ONE: i128 = 1 << 40;

    fn ratio() -> impl Strategy<Value = f64> {
        (1.0..2.0f64, -24..8i32, any::<bool>())
            .prop_map(|(m, e, minus)| m * f64::from(e).exp2() * if minus { -1.0 } else { 1.0 })
    }

    proptest! {
        #[test]
        fn requantisation_rounds_the_exact_product(ratio in ratio(), part in -1.0..=1.0f64) {
            // As far as the result stays within the 512 steps on which a clamp depends.
            let max_abs_acc = (512.0 / ratio.abs()).min(max_acc_for(ratio)) as i64;
            let acc = (part * max_abs_acc as f64) as i64;
            let requant = multipliers(&[ratio], max_abs_acc).unwrap();
            let got = requantize(acc as i32, requant.multipliers[0], requant.shift);
            let error = (i128::from(got) * ONE - exact_product(ratio, acc)).abs();
            let slack = (max_abs_acc as f64 * f64::from(i32::from(requant.shift) - 33).exp2()
                * ONE as f64).ceil() as i128;
            prop_assert!(error <= ONE / 2 + slack + 1, "{acc} · {ratio} gave {got}");
        }

        #[test]
        fn no_accumulator_within_the_bound_overflows(ratio in ratio(), acc in 0..i64::from(i32::MAX)) {
            if let Ok(requant) = multipliers(&[ratio], acc) {
                prop_assert!(acc << requant.shift <= i64::from(i32::MAX));
                prop_assert!(ratio.abs() <= max_ratio(acc));
            } else {
                prop_assert!(ratio.abs() > max_ratio(acc) * (1.0 - f64::EPSILON));
            }
        }

        #[test]
        fn sums_are_rounded_exact_sums(
            (ra, rb) in (ratio(), ratio()),
            (za, zb, zo) in any::<(i8, i8, i8)>(),
            (a, b) in any::<(i8, i8)>(),
        ) {
            let operand = |ratio, zero_point| Operand { ratio, zero_point };
            let p = add_params(operand(ra, za), operand(rb, zb), zo).unwrap();
            // Checked arithmetic in every order: an overflow is a failure here.
            let (ta, tb) = (i32::from(a) * p.a_multiplier, i32::from(b) * p.b_multiplier);
            let sum = ta.checked_add(tb).and_then(|s| s.checked_add(p.bias)).unwrap();
            prop_assert_eq!(ta.checked_add(p.bias).and_then(|s| s.checked_add(tb)), Some(sum));
            let got = i128::from(sum >> p.shift) * ONE;
            let exact = i128::from(zo) * ONE
                + exact_product(ra, i64::from(a) - i64::from(za))
                + exact_product(rb, i64::from(b) - i64::from(zb));
            // Each multiplier is off by half a unit of 2^-shift, each operand at most 255.
            let slack = (255 * ONE) >> p.shift;
            prop_assert!((got - exact).abs() <= ONE / 2 + slack + 2);
        }

        #[test]
        fn biases_move_only_where_nothing_changes(
            magnitude in -20..3i32, bias in any::<i64>(), swing in 0..1i64 << 28,
            part in -1.0..=1.0f64,
        ) {
            let bias = bias >> 24;
            let channel = Channel { ratio: f64::from(magnitude).exp2(), bias, swing, saturation: 256 };
            if let Ok((requant, biases)) = convolution(&[channel]) {
                let sum = (part * swing as f64) as i64;
                let fitted = i64::from(biases[0]);
                prop_assert!((fitted.abs() + swing) << requant.shift <= i64::from(i32::MAX));
                let clamped = |bias: i64| {
                    (exact_product(channel.ratio, bias + sum) + ONE / 2).div_euclid(ONE).clamp(-256, 256)
                };
                prop_assert!((clamped(bias) - clamped(fitted)).abs() <= 1);
            }
        }
    }

    fn max_acc_for(ratio: f64) -> f64 {
        f64::from(i32::MAX) / f64::from((ratio.abs().log2() + 2.0).max(0.0) as i32).exp2()
    }

    #[test]
    fn ratios_of_a_half_and_more_shift_the_accumulator() {
        let shift = |ratio: f64| multipliers(&[ratio], 1).unwrap().shift;
        assert_eq!([0.25, 0.499, 0.5, 0.99, 1.0, 2.0].map(shift), [0, 0, 1, 1, 2, 3]);
        let shared = multipliers(&[0.25, -1.0], 100).unwrap();
        assert_eq!(shared, Requant { shift: 2, multipliers: vec![1 << 28, -(1 << 30)] });
    }

    #[test]
    fn a_ratio_just_under_a_half_does_not_round_to_two_to_the_31() {
        let requant = multipliers(&[0.5 - f64::EPSILON], 1000).unwrap();
        assert_eq!(requant, Requant { shift: 1, multipliers: vec![1 << 30] });
    }

    #[test]
    fn what_32_bits_cannot_hold_is_an_error() {
        let overflow = multipliers(&[0.1, 8.0], 1 << 28).unwrap_err();
        assert_eq!(overflow, RequantError::Overflow { index: 1, ratio: 8.0, max_abs_acc: 1 << 28 });
        assert!(matches!(
            multipliers(&[f64::INFINITY], 1),
            Err(RequantError::NotFinite { index: 0, .. })
        ));
        let channel = Channel { ratio: 1e-3, bias: 1 << 40, swing: 1 << 31, saturation: 256 };
        assert!(matches!(convolution(&[channel]), Err(RequantError::Overflow { .. })));
    }

    #[test]
    fn a_saturating_bias_is_brought_into_range() {
        let channel = Channel { ratio: 0.01, bias: 1 << 40, swing: 1 << 20, saturation: 256 };
        let (requant, biases) = convolution(&[channel]).unwrap();
        assert_eq!((requant.shift, biases[0]), (0, i32::MAX - (1 << 20)));
    }

    #[test]
    fn a_channel_that_contributes_nothing_takes_any_bias() {
        let channel = Channel { ratio: 1e-12, bias: -(1 << 34), swing: 0, saturation: 256 };
        assert_eq!(convolution(&[channel]).unwrap().1, [-i32::MAX]);
    }

    #[test]
    fn differences_have_a_negative_multiplier() {
        let a = Operand { ratio: 1.0, zero_point: 3 };
        let b = Operand { ratio: -0.5, zero_point: -7 };
        let p = add_params(a, b, -128).unwrap();
        let at = |a: i32, b: i32| (a * p.a_multiplier + b * p.b_multiplier + p.bias) >> p.shift;
        assert_eq!(at(3, -7), -128);
        assert_eq!(at(13, -7), -118);
        assert_eq!(at(13, 3), -123);
    }
}
