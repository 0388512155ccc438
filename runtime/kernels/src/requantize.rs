//! The rounding rule, decided once for every core.

/// `floor(((acc << shift) · multiplier + 2^31) / 2^32)`: one rounding, half up.
///
/// `acc << shift` must stay within 32 bits (the compiler proves it; otherwise it wraps). On cores
/// with the DSP extension the multiplication and the rounding are one `SMMULR`.
#[inline(always)]
pub const fn requantize(acc: i32, multiplier: i32, shift: u8) -> i32 {
    let shifted = acc.wrapping_shl(shift as u32) as i64;
    ((shifted * multiplier as i64 + (1 << 31)) >> 32) as i32
}

/// Limits an integer to the range of an activation.
#[inline(always)]
pub const fn clamp(value: i32, min: i8, max: i8) -> i8 {
    let at_least = if value < min as i32 { min as i32 } else { value };
    (if at_least > max as i32 { max as i32 } else { at_least }) as i8
}

/// What turns an accumulator into an activation, the multiplier apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Requantizer {
    /// Left shift of the accumulator before the multiplication.
    pub shift: u8,
    /// Zero point of the output.
    pub zero: i8,
    /// Lower bound of the output.
    pub min: i8,
    /// Upper bound of the output.
    pub max: i8,
}

impl Requantizer {
    /// `clamp(zero + requantize(acc))`.
    #[inline(always)]
    pub const fn apply(self, acc: i32, multiplier: i32) -> i8 {
        let scaled = requantize(acc, multiplier, self.shift);
        clamp(scaled.wrapping_add(self.zero as i32), self.min, self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_round_up() {
        let half = 1 << 30; // multiplies by 1/4
        assert_eq!([2, 6, -2, -6].map(|acc| requantize(acc, half, 0)), [1, 2, 0, -1]);
    }

    #[test]
    fn extremes_do_not_overflow() {
        assert_eq!(requantize(i32::MIN, i32::MIN, 0), 1 << 30);
        assert_eq!(requantize(i32::MIN, i32::MAX, 0), -(1 << 30) + 1);
        assert_eq!(requantize(1 << 30, i32::MAX, 1), -(1 << 30) + 1, "1 << 31 wraps");
    }

    #[test]
    fn activations_stay_in_their_bounds() {
        let requantizer = Requantizer { shift: 0, zero: 100, min: -3, max: 90 };
        assert_eq!(requantizer.apply(i32::MAX, i32::MAX), 90);
        assert_eq!(requantizer.apply(i32::MIN, i32::MAX), -3);
    }
}
