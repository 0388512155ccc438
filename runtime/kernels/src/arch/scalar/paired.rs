//! What `ConvPaired` does with a block of pixels.

use fixie_format::op::paired::TAP_ORDER;

use crate::arch::Isa;
use crate::arch::paired::{BLOCK, PATCH_WORDS, Pairs, Strip};
use crate::arch::scalar::{pieces, pieces_mut};
use crate::arch::view::{Dst, Src};
use crate::requantize::Requantizer;

/// See [`Isa::paired_strip`](crate::arch::Isa::paired_strip). Blocks are expanded and computed as
/// `I` does it.
#[inline(always)]
pub fn paired_strip<I: Isa>(
    pairs: &I::Pairs<'_>,
    strip: &Strip<'_>,
    patch: &mut [u32],
    out: Dst<'_>,
    step: usize,
) -> Option<()> {
    by_blocks::<I>(strip, patch, (out, step), |patch, out| I::paired_block(pairs, patch, out, step))
}

/// Expands the blocks of a strip as `I` does it, and has each computed; the outputs of its pixels are
/// so many bytes apart.
#[inline(always)]
pub fn by_blocks<I: Isa>(
    strip: &Strip<'_>,
    patch: &mut [u32],
    (out, step): (Dst<'_>, usize),
    mut block: impl FnMut(&mut [u32], Dst<'_>) -> Option<()>,
) -> Option<()> {
    let mut first = 0;
    while first < strip.pixels() {
        for row in 0..strip.rows().count {
            I::paired_expand(strip.runs(first, row)?, patch, row.checked_mul(strip.quads())?)?;
        }
        let at = first.checked_mul(step)?;
        block(patch, out.slice(at, out.len().checked_sub(at)?)?)?;
        first = first.wrapping_add(BLOCK);
    }
    Some(())
}

/// See [`Isa::paired_expand`](crate::arch::Isa::paired_expand). The lanes of each pixel lie together, `[pixel][tap]`, in the order
/// of the weights.
#[inline(always)]
pub fn paired_expand(runs: [Src<'_>; BLOCK], patch: &mut [u32], quad: usize) -> Option<()> {
    for (run, lanes) in runs.into_iter().zip(run_lanes(patch, quad)?) {
        expand_run(run, lanes.get_mut(..run.len())?)?;
    }
    Some(())
}

/// The lanes of each pixel from those of `quad` on.
#[inline(always)]
pub fn run_lanes(patch: &mut [u32], quad: usize) -> Option<impl Iterator<Item = &mut [i16]>> {
    let taps = patch.len() / PATCH_WORDS * TAP_ORDER.len();
    let first = quad.checked_mul(TAP_ORDER.len())?;
    let lanes: &mut [i16] = bytemuck::must_cast_slice_mut(patch);
    Some(pieces_mut(lanes, taps).map(move |lanes| lanes.get_mut(first..).unwrap_or_default()))
}

/// One run of bytes as lanes, every four of them in [`TAP_ORDER`].
#[inline(always)]
pub fn expand_run(run: Src<'_>, lanes: &mut [i16]) -> Option<()> {
    for (quad, lanes) in lanes.as_chunks_mut::<4>().0.iter_mut().enumerate() {
        let bytes = run.chunk(quad.wrapping_mul(4))?;
        *lanes = in_order(bytes);
    }
    Some(())
}

/// Four taps as lanes in [`TAP_ORDER`].
#[inline(always)]
pub(super) fn in_order([a, b, c, d]: [i8; 4]) -> [i16; 4] {
    // Indexing by `TAP_ORDER` would have to be checked.
    const { assert!(matches!(TAP_ORDER, [0, 2, 1, 3])) };
    [a.into(), c.into(), b.into(), d.into()]
}

/// See [`Isa::paired_block`](crate::arch::Isa::paired_block).
#[inline(always)]
pub fn paired_block(pairs: &Pairs<'_>, patch: &mut [u32], out: Dst<'_>, step: usize) -> Option<()> {
    (patch.len() == pairs.patch_words()).then_some(())?;
    let lanes: &[i16] = bytemuck::must_cast_slice(patch);
    for (index, pair) in pieces(pairs.stream(), pairs.pair_words()).enumerate() {
        let pair = Pair::new(pair)?;
        for (pixel, lanes) in pieces(lanes, pairs.taps()).enumerate() {
            let at = pixel.checked_mul(step)?;
            let sums = pair.start.plus(pair.weights, lanes);
            pair.store(pairs, index, sums, out, at)?;
        }
    }
    Some(())
}

/// Pairs, and taps, that [`paired_pixel`] computes at a time.
const PIXEL_PAIRS: usize = 4;
const PIXEL_TAPS: usize = 64;

/// See [`Isa::paired_pixel`](crate::arch::Isa::paired_pixel). Some taps are expanded for several pairs.
#[inline(always)]
pub fn paired_pixel(pairs: &Pairs<'_>, patch: Src<'_>, out: Dst<'_>) -> Option<()> {
    (patch.len() == pairs.taps()).then_some(())?;
    let pair_words = pairs.pair_words();
    let mut stream = pairs.stream();
    let mut first = 0;
    while !stream.is_empty() {
        let len = stream.len().min(pair_words.checked_mul(PIXEL_PAIRS)?);
        let (some, rest) = stream.split_at_checked(len)?;
        stream = rest;
        let mut sums = [Sums::default(); PIXEL_PAIRS];
        for (sums, pair) in sums.iter_mut().zip(pieces(some, pair_words)) {
            *sums = Pair::new(pair)?.start;
        }
        let mut tap = 0;
        while tap < patch.len() {
            let count = PIXEL_TAPS.min(patch.len().wrapping_sub(tap));
            let mut lanes = [0; PIXEL_TAPS];
            let lanes = lanes.get_mut(..count)?;
            expand_run(patch.slice(tap, count)?, lanes)?;
            for (sums, pair) in sums.iter_mut().zip(pieces(some, pair_words)) {
                let weights = Pair::new(pair)?.weights.get(tap..)?.get(..count)?;
                *sums = sums.plus(weights, lanes);
            }
            tap = tap.wrapping_add(count);
        }
        for (sums, pair) in sums.into_iter().zip(pieces(some, pair_words)) {
            Pair::new(pair)?.store(pairs, first, sums, out, 0)?;
            first = first.checked_add(1)?;
        }
    }
    Some(())
}

/// Two channels, as the format orders them.
struct Pair<'a> {
    start: Sums,
    weights: &'a [i16],
    multipliers: [i32; 2],
}

/// The sums of a pair, as the format names them.
#[derive(Clone, Copy, Default)]
pub(super) struct Sums {
    pub(super) full: i32,
    pub(super) low: i32,
}

impl Sums {
    /// The sums after some more taps.
    #[inline(always)]
    pub(super) fn plus(mut self, weights: &[i16], lanes: &[i16]) -> Self {
        for (&v, &x) in weights.iter().zip(lanes) {
            self.full = i32::from(v).wrapping_mul(x.into()).wrapping_add(self.full);
            self.low = i32::from(v as i8).wrapping_mul(x.into()).wrapping_add(self.low);
        }
        self
    }
}

impl<'a> Pair<'a> {
    #[inline(always)]
    fn new(stream: &'a [u32]) -> Option<Self> {
        let [full, low, words @ .., m0, m1] = stream else {
            return None;
        };
        Some(Self {
            start: Sums { full: *full as i32, low: *low as i32 },
            weights: bytemuck::must_cast_slice(words),
            multipliers: [*m0, *m1].map(|multiplier| multiplier as i32),
        })
    }

    /// Writes the sums of pair `index` behind `at` of `out`.
    #[inline(always)]
    fn store(
        &self,
        pairs: &Pairs<'_>,
        index: usize,
        sums: Sums,
        out: Dst<'_>,
        at: usize,
    ) -> Option<()> {
        let (channels, zero) = (pairs.channels(), pairs.zero());
        Finish { channels, zero, multipliers: self.multipliers }.store(index, sums, out, at)
    }
}

/// How the sums of a pair of `channels` channels become outputs.
pub(super) struct Finish {
    pub(super) channels: usize,
    /// Zero point of the output.
    pub(super) zero: i8,
    pub(super) multipliers: [i32; 2],
}

impl Finish {
    /// Requantises the sums of pair `index` and writes them to where they belong in the outputs of a
    /// pixel, which start at `at` of `out`.
    #[inline(always)]
    pub(super) fn store(self, index: usize, sums: Sums, out: Dst<'_>, at: usize) -> Option<()> {
        let requantizer = Requantizer { shift: 0, zero: self.zero, min: i8::MIN, max: i8::MAX };
        let first = index.checked_mul(2)?;
        let channels = self.channels.checked_sub(first)?;
        let at = at.checked_add(first)?;
        let sums = [sums.low, sums.full.wrapping_sub(sums.low) >> 8];
        let both = sums.into_iter().zip(self.multipliers).take(channels);
        for (n, (sum, multiplier)) in both.enumerate() {
            out.set(at.checked_add(n)?, requantizer.apply(sum, multiplier))?;
        }
        Some(())
    }
}
