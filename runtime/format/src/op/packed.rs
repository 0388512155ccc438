//! Packed constants: weights as indices of a few bits, biases and multipliers of as many as they need.
//!
//! With `coding` 2 a record's `weights` leads to one stream for all its constants, as with
//! [`coded`](super::coded) ones, and it is used like those: a kernel unpacks some output channels at a
//! time into scratch memory. That takes a few instructions a weight, since all indices are equally
//! long.
//!
//! ```text
//! stream  := Packing value* channel*
//! value   := i8                  // of each of the 2^bits indices, if `step` is 0: up to 16
//! channel := numbers weights     // `out_c` of them
//! numbers := the bias (`bias_bits`, two's complement), above it the multiplier
//!            (`multiplier_bits`, unsigned, to be shifted left by `multiplier_shift`)
//! weights := index*              // `bits` each, in the order [kernel_h][kernel_w][in_c / groups]
//! ```
//!
//! `numbers` and `weights` are little-endian: they begin with the lowest bit of their first byte, and
//! end with a whole byte. An index stands for `first + step · index`, which is at most 127 for all of
//! them, or for its value in the list.

use crate::field::record;

record! {
    /// The start of a stream of packed constants.
    pub struct Packing {
        /// Bits of an index, 1 to `MAX_INDEX_BITS`.
        pub bits: u8,
        /// The value of index 0.
        pub first: i8,
        /// From an index's value to the next one's; 0: the values are listed, of `MAX_LISTED_BITS` at
        /// most.
        pub step: u8,
        /// Bits of a bias, at most 32.
        pub bias_bits: u8,
        /// Bits of a multiplier, at most 31.
        pub multiplier_bits: u8,
        /// Zeros below those; with them at most 31.
        pub multiplier_shift: u8,
    }
}

/// A record's `coding` that says so.
pub const PACKED: u8 = 2;
/// The most [`Packing::bits`].
pub const MAX_INDEX_BITS: u8 = 8;
/// The most of them if the values are listed.
pub const MAX_LISTED_BITS: u8 = 4;
/// The most values that can be listed.
pub const MAX_LISTED: usize = 1 << MAX_LISTED_BITS;

impl Packing {
    /// How many values are listed.
    pub fn listed_values(&self) -> usize {
        if self.step == 0 { 1_usize.wrapping_shl(self.bits.into()) } else { 0 }
    }

    /// Whether its numbers are within their ranges.
    pub fn is_sound(&self) -> bool {
        let most = if self.step == 0 { MAX_LISTED_BITS } else { MAX_INDEX_BITS };
        let last =
            i32::from(self.step).wrapping_mul(1_i32.wrapping_shl(self.bits.into()).wrapping_sub(1));
        (1..=most).contains(&self.bits)
            && last.wrapping_add(self.first.into()) <= i8::MAX.into()
            && self.bias_bits <= 32
            && self.multiplier_bits.saturating_add(self.multiplier_shift) <= 31
    }

    /// Bytes of a channel's bias and multiplier.
    pub fn numbers_len(&self) -> usize {
        let bits = usize::from(self.bias_bits).wrapping_add(self.multiplier_bits.into());
        bits.div_ceil(8)
    }

    /// Bytes of so many weights; `None` if they overflow.
    pub fn weights_len(&self, count: usize) -> Option<usize> {
        Some(count.checked_mul(self.bits.into())?.div_ceil(8))
    }
}
