//! The loops of `ConvSparse`, whose assembly text is beside that of `ConvPaired`.

use core::cell::Cell;

use crate::arch::paired::BLOCK;
use crate::arch::sparse::SparsePairs;
use crate::arch::view::{Dst, Src};

/// Arguments of `fixie_sparse_block`.
#[repr(C)]
struct BlockArgs {
    /// The lanes of a block, 24 bytes per group of four taps.
    patch: *const u32,
    weights: *const u32,
    zero: i32,
    /// Bytes between the outputs of neighbouring pixels.
    step: usize,
    /// The first pixel's outputs, two bytes per pair.
    out: *mut i8,
    /// 1 if the last pair's second byte is not written.
    odd: usize,
    /// The weights end here, a whole number of pairs, at least 1, after `weights`.
    weights_end: *const u32,
}

/// Arguments of `fixie_sparse_pixel`.
#[repr(C)]
struct PixelArgs {
    /// The bytes of a pixel, four per quad.
    patch: *const i8,
    weights: *const u32,
    /// Two bytes per pair.
    out: *mut i8,
    /// The last quad, in both halves.
    last: u32,
    zero: i32,
    /// The weights end here, a whole number of pairs, at least 1, after `weights`.
    weights_end: *const u32,
}

unsafe extern "C" {
    fn fixie_sparse_block(args: &BlockArgs);
    fn fixie_sparse_pixel(args: &PixelArgs);
}

/// See [`Isa::sparse_block`](crate::arch::Isa::sparse_block).
pub fn block(pairs: &SparsePairs<'_>, patch: &mut [u32], out: Dst<'_>, step: usize) -> Option<()> {
    let len = step.checked_mul(BLOCK - 1)?.checked_add(pairs.channels())?;
    let fits = out.len() >= len && patch.len() == pairs.patch_words() && pairs.is_inside();
    fits.then_some(())?;
    let weights = pairs.stream().as_ptr_range();
    let args = BlockArgs {
        patch: patch.as_ptr(),
        weights: weights.start,
        zero: pairs.zero().into(),
        step,
        out: out.as_mut_ptr(),
        odd: pairs.channels() % 2,
        weights_end: weights.end,
    };
    // SAFETY: it reads the weights pair by pair until their end, which `SparsePairs::take` reached in
    // just these steps; of the patch, 24 bytes at the place of each quad, which is inside of it, as
    // `SparsePairs::inside` found. It writes one byte per channel at distances of 0, 1 and 2 steps,
    // which lie in `out` as checked above; those are cells, and neither weights nor patch, which are
    // slices, overlap them.
    unsafe { fixie_sparse_block(&args) };
    Some(())
}

/// See [`Isa::sparse_pixel`](crate::arch::Isa::sparse_pixel).
pub fn pixel(pairs: &SparsePairs<'_>, patch: Src<'_>, out: Dst<'_>) -> Option<()> {
    (patch.len() == pairs.taps() && out.len() >= pairs.channels()).then_some(())?;
    if pairs.channels().is_multiple_of(2) {
        pixel_pairs(pairs, pairs.stream(), patch, out);
        return Some(());
    }
    // The odd channel's partner must not be written: both go aside.
    let aside = [const { Cell::new(0u8) }; 2];
    let (whole, last) = pairs.split_last()?;
    pixel_pairs(pairs, whole, patch, out);
    pixel_pairs(pairs, last, patch, Dst::from(&aside[..]));
    out.set(pairs.channels().checked_sub(1)?, aside.first()?.get() as i8)
}

/// Computes the pairs of `stream`, whole ones of `pairs`. `patch` has `taps` bytes, `out` has two
/// bytes per pair.
fn pixel_pairs(pairs: &SparsePairs<'_>, stream: &[u32], patch: Src<'_>, out: Dst<'_>) {
    if stream.is_empty() {
        return;
    }
    let weights = stream.as_ptr_range();
    let args = PixelArgs {
        patch: patch.as_ptr(),
        weights: weights.start,
        out: out.as_mut_ptr(),
        last: pairs.last_quad().wrapping_mul(0x0001_0001),
        zero: pairs.zero().into(),
        weights_end: weights.end,
    };
    // SAFETY: it reads the weights pair by pair until their end, which `SparsePairs::take` reached in
    // just these steps, and which are not empty; of the patch, 4 bytes at the place of each quad, or
    // of the last one if a place is beyond it. It writes two bytes per pair, which the caller
    // promises to lie in `out`; those are cells.
    unsafe { fixie_sparse_pixel(&args) };
}
