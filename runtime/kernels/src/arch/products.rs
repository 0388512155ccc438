//! How much of the product of a sum and its multiplier is needed: for cores that multiply 32 bits by
//! 32 bits and keep 32.

use fixie_format::op::blocked::{MULTIPLIER_LIMIT, SUM_LIMIT};

/// The largest magnitude of a product of an activation and a weight.
const PRODUCT: u64 = 1 << 14;
/// A product of fewer than 31 bits leaves room for the zero point, shifted up by 16, and the half of
/// the rounding.
const SHORT_LIMIT: u64 = 1 << 30;

/// What the products of some channels have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Products {
    /// Multipliers are multiples of 2^16, and sums times the rest of them stay within 32 bits.
    Short,
    /// Sums stay below [`SUM_LIMIT`] and multipliers below [`MULTIPLIER_LIMIT`].
    Narrow,
    /// Nothing.
    Any,
}

impl Products {
    /// Of channels of so many taps, by bias and multiplier.
    pub fn of(taps: usize, channels: impl Iterator<Item = (i32, i32)>) -> Self {
        let (mut bias, mut multiplier, mut bits) = (0, 0, 0);
        for channel in channels {
            bias = channel.0.unsigned_abs().max(bias);
            multiplier = channel.1.unsigned_abs().max(multiplier);
            bits |= channel.1;
        }
        let sum = (taps as u64).saturating_mul(PRODUCT).saturating_add(bias.into());
        if bits as u16 == 0 && sum.saturating_mul((multiplier >> 16).into()) < SHORT_LIMIT {
            Self::Short
        } else if sum < SUM_LIMIT as u64 && multiplier < MULTIPLIER_LIMIT as u32 {
            Self::Narrow
        } else {
            Self::Any
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(taps: usize, bias: i32, multiplier: i32) -> Products {
        Products::of(taps, [(0, 1 << 16), (bias, multiplier)].into_iter())
    }

    #[test]
    fn products_are_short_as_long_as_none_can_overflow() {
        // 9 · 2^14 + 3 · 2^14 times 2^12 are 0.75 · 2^30.
        assert_eq!(of(9, 3 << 14, 1 << 28), Products::Short);
        assert_eq!(of(9, -3 << 14, -1 << 28), Products::Short);
        assert_eq!(of(9, 7 << 14, 1 << 28), Products::Narrow, "2^18 · 2^12");
        assert_eq!(of(9, 0, (1 << 24) + 1), Products::Narrow, "the lower half counts");
        assert_eq!(of(9, 0, (1 << 24) + (1 << 15)), Products::Narrow);
    }

    #[test]
    fn sums_and_multipliers_have_a_limit() {
        assert_eq!(of(256, 0, 1), Products::Any, "256 · 2^14 are 2^22");
        assert_eq!(of(1, i32::MIN, 1), Products::Any);
        assert_eq!(of(1, 0, MULTIPLIER_LIMIT + 1), Products::Any);
        assert_eq!(of(1, 0, i32::MIN + 1), Products::Any);
    }
}
