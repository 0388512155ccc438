//! What `ConvVectors` does with the pixels of a strip.

use fixie_format::op::vectors::{CHANNEL_ORDER, CHANNELS, LANES};

use crate::arch::scalar::pieces;
use crate::arch::vectors::{Filters, Strip};
use crate::requantize::Requantizer;

/// See [`Isa::vectors_strip`](crate::arch::Isa::vectors_strip).
#[inline(always)]
pub fn vectors_strip(filters: &Filters<'_>, strip: &Strip<'_>) -> Option<()> {
    let requantizer = Requantizer { shift: 0, zero: filters.zero(), min: i8::MIN, max: i8::MAX };
    let block_words = filters.weight_words().checked_add(2 * CHANNELS)?;
    for pixel in 0..strip.pixels() {
        let patch = strip.source().slice(pixel.checked_mul(strip.step())?, filters.patch_len())?;
        let at = pixel.checked_mul(strip.out_step())?;
        let mut first = 0;
        for block in pieces(filters.stream(), block_words) {
            let (bias, behind) = block.split_at_checked(CHANNELS)?;
            let (weights, multipliers) = behind.split_at_checked(filters.weight_words())?;
            let mut sums = [0; CHANNELS];
            let steps = pieces(bytemuck::must_cast_slice::<u32, i8>(weights), LANES * CHANNELS);
            for (n, step) in steps.enumerate() {
                let x: [i8; LANES] = patch.chunk(n.wrapping_mul(LANES))?;
                for (sum, weights) in sums.iter_mut().zip(step.as_chunks::<LANES>().0) {
                    for (&x, &weight) in x.iter().zip(weights) {
                        *sum = i32::from(weight).wrapping_mul(x.into()).wrapping_add(*sum);
                    }
                }
            }
            let start = first.min(filters.channels().checked_sub(CHANNELS)?);
            let out = strip.out().slice(at.checked_add(start)?, CHANNELS)?;
            for (sum, channel) in sums.into_iter().zip(CHANNEL_ORDER) {
                let sum = (*bias.get(channel)? as i32).wrapping_add(sum);
                out.set(channel, requantizer.apply(sum, *multipliers.get(channel)? as i32))?;
            }
            first = first.wrapping_add(CHANNELS);
        }
    }
    Some(())
}
