//! The logarithm to base 2, by table and linear interpolation.

use crate::math;

/// Fraction bits of [`log2`]: 1 is 65536.
pub const LOG_FRACTION_BITS: u32 = 16;
/// The table has a node at each 64th of the mantissa.
const NODE_BITS: u32 = 6;
const NODES: usize = (1 << NODE_BITS) + 1;

/// `log2(1 + i / 64)`; the last node is 1.
static TABLE: [u32; NODES] = {
    let (mut table, mut i) = ([0; NODES], 0);
    while i < NODES {
        let value = math::ln(1.0 + i as f64 / (NODES - 1) as f64) / core::f64::consts::LN_2;
        table[i] = math::round(value * (1 << LOG_FRACTION_BITS) as f64) as u32;
        i += 1;
    }
    table
};

/// `log2(value)` with [`LOG_FRACTION_BITS`] fraction bits, within 2⁻¹³; 0 for 0.
///
/// Interpolation lies below a concave curve by at most `h²/8 · max│f″│ = 2⁻¹² / 8 / ln 2`, 4.4e−5;
/// rounding of the nodes adds 2⁻¹⁷, of the interpolation and its argument 2⁻¹⁶ each: 8.3e−5 in all.
pub fn log2(value: u64) -> i32 {
    let Some(exponent) = value.checked_ilog2() else {
        return 0;
    };
    // The mantissa's fraction, as 32 bits.
    let fraction = ((value << (63 - exponent)) << 1 >> 32) as u32;
    let node = (fraction >> (32 - NODE_BITS)) as usize;
    let between = (fraction << NODE_BITS) >> 16; // 16 bits: of the way to the next node
    let at = |index: usize| TABLE.get(index).copied().unwrap_or(0);
    let (below, above) = (at(node), at(node + 1));
    // Nodes lie less than 2^11 apart: the product has 27 bits.
    let rise = (above.wrapping_sub(below) * between + (1 << 15)) >> 16;
    ((exponent << LOG_FRACTION_BITS) + below + rise) as i32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn assert_close(value: u64) {
        let error = log2(value) as f64 / 65536.0 - (value as f64).log2();
        assert!(error.abs() <= 0.5_f64.powi(13), "log2({value}) is off by {error}");
    }

    #[test]
    fn small_and_extreme_values() {
        (1..100_000).for_each(assert_close);
        [u64::MAX, u64::MAX - 1, 1 << 63, (1 << 63) - 1].into_iter().for_each(assert_close);
        assert_eq!([0, 1, 2, 1 << 40].map(log2), [0, 0, 1 << 16, 40 << 16]);
    }

    proptest! {
        #[test]
        fn any_value(value in 1_u64.., shift in 0_u32..63) {
            assert_close((value >> shift).max(1));
        }

        #[test]
        fn never_falls(value in 0_u64..u64::MAX, shift in 0_u32..63) {
            prop_assert!(log2(value >> shift) <= log2((value >> shift) + 1));
        }
    }
}
