//! What `ConvSparse` does with a block of pixels, and with one.

use fixie_format::op::paired::TAP_ALIGN;
use fixie_format::op::sparse::QUAD_WORDS;

use crate::arch::scalar::paired::{Finish, Sums, in_order};
use crate::arch::scalar::pieces;
use crate::arch::sparse::{SparsePair, SparsePairs};
use crate::arch::view::{Dst, Src};

/// See [`Isa::sparse_block`](crate::arch::Isa::sparse_block).
#[inline(always)]
pub fn sparse_block(
    pairs: &SparsePairs<'_>,
    patch: &mut [u32],
    out: Dst<'_>,
    step: usize,
) -> Option<()> {
    (patch.len() == pairs.patch_words()).then_some(())?;
    let lanes: &[i16] = bytemuck::must_cast_slice(patch);
    for (index, pair) in pairs.pairs().enumerate() {
        for (pixel, lanes) in pieces(lanes, pairs.taps()).enumerate() {
            let (lanes, _) = lanes.as_chunks::<TAP_ALIGN>();
            let at = pixel.checked_mul(step)?;
            pixel_sums(&pair, |quad| lanes.get(quad).copied())
                .and_then(|sums| finish(pairs, &pair).store(index, sums, out, at))?;
        }
    }
    Some(())
}

/// See [`Isa::sparse_pixel`](crate::arch::Isa::sparse_pixel).
#[inline(always)]
pub fn sparse_pixel(pairs: &SparsePairs<'_>, patch: Src<'_>, out: Dst<'_>) -> Option<()> {
    (patch.len() == pairs.taps()).then_some(())?;
    for (index, pair) in pairs.pairs().enumerate() {
        let lanes = |quad: usize| Some(in_order(patch.chunk(quad.checked_mul(TAP_ALIGN)?)?));
        let sums = pixel_sums(&pair, lanes)?;
        finish(pairs, &pair).store(index, sums, out, 0)?;
    }
    Some(())
}

/// The sums of a pair over the quads that it has.
#[inline(always)]
fn pixel_sums(
    pair: &SparsePair<'_>,
    lanes: impl Fn(usize) -> Option<[i16; TAP_ALIGN]>,
) -> Option<Sums> {
    let mut sums = Sums { full: pair.full, low: pair.low };
    for couple in pair.couples {
        let [quads @ .., at] = couple;
        for (quad, at) in pieces(quads, QUAD_WORDS).zip([at & 0xffff, at >> 16]) {
            sums = sums.plus(bytemuck::must_cast_slice(quad), &lanes(at as usize)?);
        }
    }
    Some(sums)
}

/// How the sums of a pair become outputs.
#[inline(always)]
fn finish(pairs: &SparsePairs<'_>, pair: &SparsePair<'_>) -> Finish {
    Finish { channels: pairs.channels(), zero: pairs.zero(), multipliers: pair.multipliers }
}
