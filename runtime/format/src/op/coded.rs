//! Coded constants: weights, biases and multipliers of a convolution in fewer bytes.
//!
//! With `coding` 1 a record's `weights` leads to one stream for all its constants; `bias` and
//! `multipliers` are not used. A kernel decodes some output channels at a time into scratch memory
//! and multiplies with them what they would have been in the image, so that every order of weights can
//! be coded. Only [`ConvVectors`](crate::Opcode::ConvVectors) takes no coded constants. Those that are
//! all of a few bits can be [`packed`](super::packed) instead.
//!
//! ```text
//! stream    := Coding frequency* value* state:u32 word:u16*
//! frequency := u8                 // of each symbol, minus 1; they add up to 256
//! value     := i8                 // of each symbol, if `step` is 0
//! ```
//!
//! The entropy coder is rANS, the range variant of asymmetric numeral systems (J. Duda,
//! arXiv:1311.2540, section 5), refilled by words of 16 bits as in F. Giesen, "Interleaved entropy
//! coders" (arXiv:1402.3392). Between two numbers its state, of 32 bits, is at least
//! [`LOWER_BOUND`]. To take a number of `n` raw bits:
//!
//! ```text
//! number = state mod 2^n;  state = state >> n;  refill
//! refill: if state < LOWER_BOUND: state = state << 16 | next word    // 0 behind the last one
//! ```
//!
//! and to take a weight, with the symbol `s` of frequency `f` whose slots start at `c`:
//!
//! ```text
//! slot  = state mod 256;          s is the symbol with c ≤ slot < c + f
//! state = f · (state >> 8) + slot − c
//! low   = state mod 2^raw_bits;   state = state >> raw_bits;  refill
//! weight = value of s + low
//! ```
//!
//! A symbol has the value `first + step · s`, or the one in the list. The numbers come channel by
//! channel: the bias (`bias_bits`, two's complement), the multiplier (`multiplier_bits`, unsigned,
//! to be shifted left by `multiplier_shift`), and the weights, `[kernel_h][kernel_w][in_c / groups]`.
//! Of a number of more than 16 bits the upper ones come first, then the lower 16.
//!
//! Low bits cost what they are and symbols their entropy, so that a coder may choose: numbers of a
//! fixed length are a single symbol with raw bits, a palette is a list of values, and a distribution
//! over many values is one of few symbols, the low bits of which are nearly uniform.

use crate::field::record;

record! {
    /// The start of a stream of coded constants.
    pub struct Coding {
        /// Number of symbols, minus 1.
        pub last_symbol: u8,
        /// Low bits of a weight that are not part of its symbol, at most `MAX_RAW_BITS`.
        pub raw_bits: u8,
        /// The value of the first symbol.
        pub first: i8,
        /// From a symbol's value to the next one's; 0: the values are listed.
        pub step: u8,
        /// Bits of a bias, at most 32.
        pub bias_bits: u8,
        /// Bits of a multiplier, at most 31.
        pub multiplier_bits: u8,
        /// Zeros below those; with them at most 31.
        pub multiplier_shift: u8,
        /// Zero.
        pub reserved: u8,
    }
}

/// A record's `coding` that says so.
pub const CODED: u8 = 1;
/// The sum of all frequencies.
pub const FREQUENCY_SUM: usize = 256;
/// The most [`Coding::raw_bits`].
pub const MAX_RAW_BITS: u8 = 7;
/// The most bits that are taken at once.
pub const MAX_BITS: u8 = 16;
/// No state is below this when a number is taken.
pub const LOWER_BOUND: u32 = 1 << 16;

impl Coding {
    /// Number of symbols.
    pub fn symbols(&self) -> usize {
        usize::from(self.last_symbol).wrapping_add(1)
    }

    /// Whether the values of symbols are listed.
    pub fn lists_values(&self) -> bool {
        self.step == 0
    }

    /// Whether its numbers are within their ranges.
    pub fn is_sound(&self) -> bool {
        self.raw_bits <= MAX_RAW_BITS
            && self.bias_bits <= 32
            && self.multiplier_bits.saturating_add(self.multiplier_shift) <= 31
            && self.reserved == 0
    }
}
