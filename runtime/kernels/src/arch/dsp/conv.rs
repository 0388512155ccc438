//! The loops of `ConvPaired`.

use core::arch::global_asm;
use core::cell::Cell;

use crate::arch::paired::{BLOCK, PATCH_WORDS, Pairs, Strip};
use crate::arch::scalar;
use crate::arch::view::{Dst, Src};

// With link-time optimisation LLVM reads module-level assembly before it knows the core, and would
// refuse instructions that not all of Armv8-M has.
#[cfg(fixie_armv8m)]
global_asm!(".cpu cortex-m33");
#[cfg(fixie_dual_issue)]
global_asm!(".equ DUAL_ISSUE, 1");
#[cfg(not(fixie_dual_issue))]
global_asm!(".equ DUAL_ISSUE, 0");
// One text, since the second one uses macros of the first.
global_asm!(include_str!("conv.s"), include_str!("sparse.s"), options(raw));

/// Arguments of `fixie_paired_blocks`.
#[repr(C)]
struct BlocksArgs {
    /// The lanes of a block, 24 bytes per group of four taps.
    patch: *mut u32,
    zero: i32,
    /// Bytes between the outputs of neighbouring pixels.
    step: usize,
    /// The first pixel's outputs, two bytes per pair.
    out: *mut i8,
    /// The pairs' weights end here, a whole number of pairs, at least 1, after `weights`.
    weights_end: *const u32,
    /// Groups of four taps, at least 1.
    quads: usize,
    weights: *const u32,
    /// As `out`.
    out_block: *mut i8,
    patch_end: *const u32,
    /// 1 if the last pair's second byte is not written.
    odd: usize,
    /// At least 1.
    blocks: usize,
    source: *const i8,
    pixel_step: usize,
    /// Runs of bytes per pixel; 0 if the patches of a single block are expanded already.
    rows: usize,
    /// From one run's end to the next one's start.
    gap: isize,
    /// Groups of four bytes per run, at least 1.
    run_quads: usize,
    /// How many runs are left where they go on `wrap` bytes lower; 0 if they do not.
    wrap_at: usize,
    wrap: usize,
}

/// Arguments of `fixie_paired_expand`.
#[repr(C)]
struct ExpandArgs {
    /// Where the lanes go: 24 bytes per group of four.
    patch: *mut u32,
    runs: [*const i8; BLOCK],
    /// Groups of four bytes, at least 1.
    quads: usize,
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
    fn fixie_paired_blocks(args: &BlocksArgs);
    fn fixie_paired_expand(args: &ExpandArgs);
    fn fixie_paired_pixel(args: &PixelArgs);
    fn fixie_clamp(bytes: *mut i8, words: usize, low: u32, high: u32);
}

/// See [`Isa::paired_strip`](crate::arch::Isa::paired_strip).
pub fn strip(
    pairs: &Pairs<'_>,
    strip: &Strip<'_>,
    patch: &mut [u32],
    out: Dst<'_>,
    step: usize,
) -> Option<()> {
    let run_len = strip.quads().wrapping_mul(4);
    let rows = strip.rows();
    let quads = rows.count.checked_mul(strip.quads())?;
    let last = strip.pixels().checked_sub(1)?.checked_mul(step)?;
    let fits = quads == pairs.quads()
        && patch.len() == pairs.patch_words()
        && last.checked_add(pairs.channels())? <= out.len();
    fits.then_some(())?;
    let args = BlocksArgs {
        blocks: strip.blocks(),
        source: strip.source().as_ptr().wrapping_add(rows.first),
        pixel_step: strip.pixel_step(),
        rows: rows.count,
        gap: (rows.step as isize).wrapping_sub(run_len as isize),
        run_quads: strip.quads(),
        wrap_at: rows.count.saturating_sub(rows.before),
        wrap: rows.ring_bytes,
        ..block_args(pairs, patch, out, step)
    };
    // SAFETY: it reads `rows` runs of `run_quads` groups of four bytes of each pixel, going back
    // `wrap` bytes before the last `wrap_at` of them, not before the first, which `Strip::new` found
    // inside the source, and writes as many lanes to the patch, which is that
    // long, as checked above; then it does for every block what `block` argues, with the outputs of
    // the last pixel checked above.
    unsafe { fixie_paired_blocks(&args) };
    Some(())
}

/// See [`Isa::paired_expand`](crate::arch::Isa::paired_expand). In the order `[quad][lanes 0, 2 of
/// each pixel][lanes 1, 3 of each pixel]`.
pub fn expand(runs: [Src<'_>; BLOCK], patch: &mut [u32], quad: usize) -> Option<()> {
    let [first, second, third] = runs.map(|run| run.len());
    let quads = first / 4;
    let patch = patch.get_mut(quad.checked_mul(PATCH_WORDS)?..)?;
    let patch = patch.get_mut(..quads.checked_mul(PATCH_WORDS)?)?;
    (first == second && first == third && quads != 0).then_some(())?;
    let args = ExpandArgs { patch: patch.as_mut_ptr(), runs: runs.map(|run| run.as_ptr()), quads };
    // SAFETY: it reads `4 · quads` bytes, not more than each run has, and writes 6 words for each
    // `quads`, which is not 0: the length of `patch`, which is exclusive, so that no run overlaps.
    unsafe { fixie_paired_expand(&args) };
    Some(())
}

/// See [`Isa::paired_block`](crate::arch::Isa::paired_block).
pub fn block(pairs: &Pairs<'_>, patch: &mut [u32], out: Dst<'_>, step: usize) -> Option<()> {
    let len = step.checked_mul(BLOCK - 1)?.checked_add(pairs.channels())?;
    (out.len() >= len && patch.len() == pairs.patch_words()).then_some(())?;
    let args = block_args(pairs, patch, out, step);
    // SAFETY: it reads the patch, 24 bytes per group of four taps, which is `patch_words`, from
    // start to end; the weights in pairs of 2 + 2 · quads + 2 words, which is `pair_words`, until
    // their end, which `Pairs::new` found to be a whole number of pairs away; none of these is
    // empty. It writes one byte per channel at distances of 0, 1 and 2 steps, which lie in `out` as
    // checked above; those are cells, and neither weights nor patch, which are slices, overlap
    // them.
    unsafe { fixie_paired_blocks(&args) };
    Some(())
}

/// The arguments for one block whose patches are expanded.
fn block_args(pairs: &Pairs<'_>, patch: &mut [u32], out: Dst<'_>, step: usize) -> BlocksArgs {
    let weights = pairs.stream().as_ptr_range();
    let lanes = patch.as_mut_ptr_range();
    BlocksArgs {
        patch: lanes.start,
        zero: pairs.zero().into(),
        step,
        out: out.as_mut_ptr(),
        weights_end: weights.end,
        quads: pairs.quads(),
        weights: weights.start,
        out_block: out.as_mut_ptr(),
        patch_end: lanes.end,
        odd: pairs.channels() % 2,
        blocks: 1,
        source: core::ptr::null(),
        pixel_step: 0,
        rows: 0,
        gap: 0,
        run_quads: 0,
        wrap_at: 0,
        wrap: 0,
    }
}

/// See [`Isa::clamp`](crate::arch::Isa::clamp).
pub fn clamp(bytes: Dst<'_>, (min, max): (i8, i8)) {
    let words = bytes.len() / 4;
    if words != 0 {
        let repeat = |byte: i8| u32::from_ne_bytes([byte as u8; 4]);
        // SAFETY: it reads and writes `4 · words` bytes, which are inside, and cells.
        unsafe { fixie_clamp(bytes.as_mut_ptr(), words, repeat(min), repeat(max)) };
    }
    let done = words.wrapping_mul(4);
    if let Some(rest) = bytes.slice(done, bytes.len().wrapping_sub(done)) {
        scalar::clamp(rest, (min, max));
    }
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
        let last = pairs.stream().len().checked_sub(pair_words)?;
        pixel_pairs(pairs, pairs.stream().get(last..)?, patch, Dst::from(&aside[..]));
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
