//! Constants of convolutions as streams: when, and what decoding them takes.

use fixie_format::op::coded::CODED;
use fixie_format::op::packed::{MAX_LISTED_BITS, PACKED, Packing};
use fixie_format::op::paired::TAP_ALIGN;
use fixie_format::{Opcode, Record, op};
use fixie_kernels::layout::{self, Constants};
use strum::{Display, EnumString};

use super::multiplier;
use crate::choice::UnknownName;

/// How the constants of convolutions are made smaller. The outputs stay the same byte for byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Display, EnumString)]
#[strum(serialize_all = "lowercase", parse_err_ty = UnknownName, parse_err_fn = unknown_compress)]
pub enum Compress {
    /// Not at all: they need neither instructions nor scratch memory.
    #[default]
    None,
    /// Weights of a few bits are packed: a few instructions each.
    Packed,
    /// They are entropy coded: the fewest bytes for large layers, some 23 instructions a weight.
    Coded,
    /// Either, whichever makes the smaller image.
    Smallest,
}

impl Compress {
    /// The codings that are tried, as records call them.
    pub(crate) fn codings(self) -> &'static [u8] {
        match self {
            Self::None => &[],
            Self::Packed => &[PACKED],
            Self::Coded => &[CODED],
            Self::Smallest => &[PACKED, CODED],
        }
    }
}

fn unknown_compress(name: &str) -> UnknownName {
    UnknownName::new("way to compress", name, "packed, coded, smallest or none")
}

/// A stream must save at least this part of the constants.
const LEAST_SAVING: usize = 32;
/// Packed constants must save a byte for so many instructions.
const MOST_INSTRUCTIONS: f64 = 48.0;

/// Instructions to decode a weight that is entropy coded. All of these are measured on a Cortex-M4.
const CODED_WEIGHT: f64 = 23.0;
/// To unpack a weight of at most four bits, of two channels side by side.
const PAIRED_WEIGHT: f64 = 4.0;
/// The same if the values are listed.
const LISTED_PAIRED_WEIGHT: f64 = 6.0;
/// To unpack a weight of at most four bits of one channel.
const SHORT_WEIGHT: f64 = 14.0;
/// To unpack one of more bits.
const LONG_WEIGHT: f64 = 18.0;
/// To make pairs of weights that were not unpacked side by side.
const COMBINATION: f64 = 3.0;
/// To take a channel's bias and multiplier, and around its weights.
const CHANNEL: f64 = 120.0;

/// Constants as a stream.
pub(super) struct Stream {
    pub(super) bytes: Vec<u8>,
    /// Instructions to decode all of it once.
    pub(super) decoding: f64,
}

impl Stream {
    /// The constants of a convolution that would have `plain_len` bytes; `None` if `coding` cannot
    /// hold them, or if it is not worth it. The multipliers are others that give the same outputs.
    pub(super) fn new(
        coding: u8,
        (opcode, params): (Opcode, &op::Conv),
        constants: Constants<'_>,
        plain_len: usize,
    ) -> Option<Self> {
        let simple = multiplier::simplest(params, constants);
        let constants = Constants { multipliers: &simple, ..constants };
        let bytes = layout::code(opcode, params, constants, coding)?;
        let saved = plain_len.checked_sub(bytes.len())?;
        let per_weight = match coding {
            PACKED => unpacking(opcode, params, Packing::read(&bytes)?),
            _ => CODED_WEIGHT,
        };
        let decoding =
            per_weight * constants.weights.len() as f64 + CHANNEL * f64::from(params.window.out_c);
        let cheap = coding != PACKED || decoding <= MOST_INSTRUCTIONS * saved as f64;
        let worth_it = cheap && saved >= plain_len / LEAST_SAVING;
        worth_it.then_some(Self { bytes, decoding })
    }
}

/// Instructions to unpack a weight.
fn unpacking(opcode: Opcode, params: &op::Conv, packing: Packing) -> f64 {
    let window = &params.window;
    let row_taps = usize::from(window.kernel_w) * usize::from(window.in_c / params.groups.max(1));
    let is_paired = opcode == Opcode::ConvPaired;
    let is_short = packing.bits <= MAX_LISTED_BITS;
    if is_paired && is_short && row_taps.is_multiple_of(TAP_ALIGN) {
        return if packing.step == 0 { LISTED_PAIRED_WEIGHT } else { PAIRED_WEIGHT };
    }
    let alone = if is_short { SHORT_WEIGHT } else { LONG_WEIGHT };
    if is_paired { alone + COMBINATION } else { alone }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for name in ["none", "packed", "coded", "smallest"] {
            assert_eq!(name.parse::<Compress>().unwrap().to_string(), name);
        }
        assert!("rans".parse::<Compress>().is_err());
    }
}
