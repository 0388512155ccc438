//! The loops of `ConvPaired`.

use core::arch::global_asm;
use core::cell::Cell;

use crate::arch::view::{Dst, Src};
use crate::arch::{PATCH_WORDS, Pairs, Runs};

// With link-time optimisation LLVM reads module-level assembly before it knows the core, and would
// refuse instructions that not all of Armv8-M has.
#[cfg(fixie_armv8m)]
global_asm!(".cpu cortex-m33");
global_asm!(include_str!("conv.s"), options(raw));

/// Arguments of `fixie_paired_expand`.
#[repr(C)]
struct ExpandArgs {
    /// Where the lanes go: 24 bytes per quad.
    patch: *mut u32,
    sources: [*const i8; 3],
    /// Runs, at least 1.
    rows: usize,
    /// From one run's end to the next one's start.
    gap: isize,
    /// Quads per run, at least 1.
    quads: usize,
}

/// Arguments of `fixie_paired_block`.
#[repr(C)]
struct BlockArgs {
    /// The lanes of three pixels, 24 bytes per quad.
    patch: *const u32,
    zero: i32,
    /// Bytes between the outputs of neighbouring pixels.
    step: usize,
    /// Two bytes per pair for each pixel.
    out: *mut i8,
    /// The pairs' weights end here, which must be a whole number of pairs after `weights`.
    weights_end: *const u32,
    /// Groups of four taps, at least 1.
    quads: usize,
    patch_end: *const u32,
    weights: *const u32,
}

/// Arguments of `fixie_paired_pixel`.
#[repr(C)]
struct PixelArgs {
    /// The bytes of a pixel, four per quad, aligned to 4.
    patch: *const i8,
    zero: i32,
    out: *mut i8,
    /// From the output of the first pair of two to that of the second.
    distance: usize,
    /// Bytes of a pair's weights.
    pair_bytes: usize,
    /// Where the last second pair's weights end.
    weights_end: *const u32,
    /// Groups of four taps, at least 1.
    quads: usize,
    patch_end: *const i8,
    /// The first two pairs' weights.
    weights: [*const u32; 2],
}

unsafe extern "C" {
    fn fixie_paired_expand(args: &ExpandArgs);
    fn fixie_paired_block(args: &BlockArgs);
    fn fixie_paired_pixel(args: &PixelArgs);
}

/// See [`Isa::paired_expand`](crate::arch::Isa::paired_expand). In the order `[quad][lanes 0, 2 of
/// each pixel][lanes 1, 3 of each pixel]`.
pub fn expand(runs: &Runs<'_>, patch: &mut [u32], quad: usize) -> Option<()> {
    let words = runs.all_quads()?.checked_mul(PATCH_WORDS)?;
    let patch = patch.get_mut(quad.checked_mul(PATCH_WORDS)?..)?.get_mut(..words)?;
    let args = ExpandArgs {
        patch: patch.as_mut_ptr(),
        sources: runs.sources().map(|source| source.as_ptr()),
        rows: runs.rows(),
        gap: (runs.row_step() as isize).wrapping_sub(runs.quads().wrapping_mul(4) as isize),
        quads: runs.quads(),
    };
    // SAFETY: it reads `rows` runs of `4 · quads` bytes, `row_step` apart, from each source, which
    // `Runs::new` found inside; it writes 6 words per quad of each run, which is `patch`'s length;
    // neither count is 0. `patch` is exclusive, so no source overlaps it.
    unsafe { fixie_paired_expand(&args) };
    Some(())
}

/// See [`Isa::paired_block`](crate::arch::Isa::paired_block).
pub fn block(pairs: &Pairs<'_>, patch: &[u32], out: Dst<'_>, step: usize) -> Option<()> {
    let len = step.checked_mul(2)?.checked_add(pairs.channels())?;
    (out.len() >= len && patch.len() == pairs.quads().checked_mul(PATCH_WORDS)?).then_some(())?;
    let odd = pairs.channels() % 2;
    let even_words = pairs.stream().len().checked_sub(odd.wrapping_mul(pairs.pair_words()))?;
    block_pairs(pairs, pairs.stream().get(..even_words)?, patch, out, step);
    if odd == 0 {
        return Some(());
    }
    // The odd channel's partner must not be written: both go aside.
    let aside = [const { Cell::new(0u8) }; 6];
    let both = Dst::from(&aside[..]);
    block_pairs(pairs, pairs.last_pair()?, patch, both, 2);
    let channel = pairs.channels().checked_sub(1)?;
    for (pixel, values) in aside.chunks(2).enumerate().rev() {
        let at = pixel.checked_mul(step)?.checked_add(channel)?;
        out.set(at, values.first()?.get() as i8)?;
    }
    Some(())
}

/// Computes the pairs of `stream`, whole pairs of `pairs`. `patch` has 6 words per quad and `out`
/// is at least `2 · step` bytes and two bytes per pair long.
fn block_pairs(pairs: &Pairs<'_>, stream: &[u32], patch: &[u32], out: Dst<'_>, step: usize) {
    if stream.is_empty() {
        return;
    }
    let weights = stream.as_ptr_range();
    let lanes = patch.as_ptr_range();
    let args = BlockArgs {
        patch: lanes.start,
        zero: pairs.zero().into(),
        step,
        out: out.as_mut_ptr(),
        weights_end: weights.end,
        quads: pairs.quads(),
        patch_end: lanes.end,
        weights: weights.start,
    };
    // SAFETY: it reads the patch, 24 bytes per quad, from start to end; the weights in pairs of
    // 2 + 2 · quads + 2 words, which is `pair_words`, until their end, which the caller promises
    // to be a whole number of pairs away; both are not empty. It writes two bytes per pair at
    // distances of 0, 1 and 2 steps, which the caller promises to lie in `out`; those are cells,
    // and neither weights nor patch, as shared slices, overlap them.
    unsafe { fixie_paired_block(&args) };
}

/// See [`Isa::paired_pixel`](crate::arch::Isa::paired_pixel).
pub fn pixel(pairs: &Pairs<'_>, patch: Src<'_>, out: Dst<'_>) -> Option<()> {
    let aligned = patch.as_ptr().addr().is_multiple_of(4);
    (aligned && patch.len() == pairs.taps() && out.len() >= pairs.channels()).then_some(())?;
    let pair_words = pairs.pair_words();
    let whole_pairs = pairs.channels() / 2;
    let two_words = pair_words.checked_mul(whole_pairs & !1)?;
    pixel_pairs(pairs, pairs.stream().get(..two_words)?, patch, out);
    if whole_pairs % 2 == 1 {
        let third = pairs.stream().get(two_words..two_words.checked_add(pair_words)?)?;
        pixel_pairs(
            pairs,
            third,
            patch,
            out.slice(whole_pairs.wrapping_sub(1).wrapping_mul(2), 2)?,
        );
    }
    if pairs.channels() % 2 == 1 {
        // The odd channel's partner must not be written: both go aside.
        let aside = [const { Cell::new(0u8) }; 2];
        pixel_pairs(pairs, pairs.last_pair()?, patch, Dst::from(&aside[..]));
        let channel = pairs.channels().checked_sub(1)?;
        out.set(channel, aside.first()?.get() as i8)?;
    }
    Some(())
}

/// Computes the pairs of `stream`: an even number of whole pairs of `pairs`, or a single one.
/// `patch` has `taps` bytes and is aligned, `out` has two bytes per pair.
fn pixel_pairs(pairs: &Pairs<'_>, stream: &[u32], patch: Src<'_>, out: Dst<'_>) {
    if stream.is_empty() {
        return;
    }
    let weights = stream.as_ptr_range();
    // A single pair is computed twice, to the same place.
    let (second, distance) = match stream.get(pairs.pair_words()..) {
        Some(rest) if !rest.is_empty() => (rest.as_ptr(), 2),
        _ => (weights.start, 0),
    };
    let args = PixelArgs {
        patch: patch.as_ptr(),
        zero: pairs.zero().into(),
        out: out.as_mut_ptr(),
        distance,
        pair_bytes: pairs.pair_words().wrapping_mul(4),
        weights_end: weights.end,
        quads: pairs.quads(),
        patch_end: patch.as_ptr().wrapping_add(patch.len()),
        weights: [weights.start, second],
    };
    // SAFETY: it reads the patch, 4 bytes per quad with doubleword loads from an aligned address,
    // from start to end; the weights of two pairs at a time, 2 + 2 · quads + 2 words each, which is
    // `pair_words`, until the second one ends at `weights_end`, which it does since they are an
    // even number, or one read by both; both are not empty. It writes two bytes per pair, which
    // the caller promises to lie in `out`; those are cells.
    unsafe { fixie_paired_pixel(&args) };
}
