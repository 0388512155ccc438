//! From logarithms to a model's int8 input.

use core::f64::consts::{LN_2, LOG10_2};

use crate::log::LOG_FRACTION_BITS;

/// The logarithm that the model was trained on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Log {
    /// `ln`.
    Natural,
    /// `log10`.
    Decimal,
    /// `10 log10`.
    Decibel,
}

/// Fraction bits of the factor.
const GAIN_BITS: u32 = 20;

/// Scales, shifts and saturates features to int8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quantizer {
    /// Steps of the output per unit of `log2`.
    gain: i64,
    /// Subtracted first.
    reference: i32,
    zero_point: i32,
}

impl Quantizer {
    /// For features of samples as they are, in steps of 16 bits.
    ///
    /// `scale` and `zero_point` are those of the model's input. A unit of `log2` is at most 2048
    /// steps: a smaller scale is taken as that.
    pub const fn new(log: Log, scale: f32, zero_point: i8) -> Self {
        let unit = match log {
            Log::Natural => LN_2,
            Log::Decimal => LOG10_2,
            Log::Decibel => 10.0 * LOG10_2,
        };
        let steps = unit / scale as f64 * (1_i64 << GAIN_BITS) as f64;
        // The product with any feature stays within 2^62.
        let gain = (steps + 0.5).clamp(0.0, (1_i64 << 31) as f64) as i64;
        Self { gain, reference: 0, zero_point: zero_point as i32 }
    }

    /// For features of samples scaled to ±1, as most training scripts read them: the energies of
    /// the model are `2^30` times smaller. Not for the coefficients of a [`Dct`](crate::Dct) but
    /// the first.
    #[must_use]
    pub const fn of_unit_samples(self) -> Self {
        Self { reference: 30 << LOG_FRACTION_BITS, ..self }
    }

    /// `clamp(round((feature − reference) · gain) + zero_point)`, halves up.
    pub const fn quantize(&self, feature: i32) -> i8 {
        const SHIFT: u32 = LOG_FRACTION_BITS + GAIN_BITS;
        let product = feature.saturating_sub(self.reference) as i64 * self.gain;
        let steps = (product + (1 << (SHIFT - 1))) >> SHIFT;
        let shifted = steps + self.zero_point as i64;
        (if shifted < -128 {
            -128
        } else if shifted > 127 {
            127
        } else {
            shifted
        }) as i8
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn as_in_real_numbers(feature in -(1 << 23)..1 << 23, scale in 2e-3_f32..4.0,
                              zero_point: i8, unit: bool) {
            for (log, factor) in [(Log::Natural, LN_2), (Log::Decimal, LOG10_2),
                                  (Log::Decibel, 10.0 * LOG10_2)] {
                let quantizer = Quantizer::new(log, scale, zero_point);
                let quantizer = if unit { quantizer.of_unit_samples() } else { quantizer };
                let log2 = feature as f64 / 65536.0 - if unit { 30.0 } else { 0.0 };
                let real = log2 * factor / scale as f64 + zero_point as f64;
                // Half a step, and what half a step of the gain can do.
                let error = quantizer.quantize(feature) as f64 - real.clamp(-128.0, 127.0);
                prop_assert!(error.abs() <= 0.5 + log2.abs() * 0.5_f64.powi(21) + 1e-9);
            }
        }
    }

    #[test]
    fn extremes_saturate() {
        let quantizer = Quantizer::new(Log::Decibel, 1e-30, 0);
        assert_eq!([i32::MIN, 0, i32::MAX].map(|value| quantizer.quantize(value)), [-128, 0, 127]);
    }
}
