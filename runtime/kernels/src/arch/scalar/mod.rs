//! Every inner loop in plain Rust: what the instruction sets must equal, and what hosts and cores
//! without a variant of their own run. The loops are shaped so that a compiler vectorises them.

pub mod paired;
pub mod planar;
mod sparse;
mod strips;
mod vectors;

use core::cell::Cell;
use core::{iter, mem};

use crate::arch::Isa;
use crate::arch::blocked::{self, Filters};
use crate::arch::depthwise::{self, PADDING, Taps};
use crate::arch::paired::Pairs;
use crate::arch::sum::Sum;
use crate::arch::view::{Dst, Src};
use crate::requantize::{self, Requantizer};

pub use paired::{by_blocks, paired_block, paired_expand, paired_pixel, paired_strip};
pub use planar::{planar_channels, planar_expand, planar_fill};
pub use sparse::{sparse_block, sparse_pixel};
pub use strips::{depthwise_strip, gather};
pub use vectors::vectors_strip;

/// No instruction set in particular.
pub struct Scalar;

/// The whole pieces of `len` items of a slice, one behind the other. Unlike `chunks_exact` it has
/// no panicking path: a length of 0 gives no pieces.
#[inline(always)]
pub fn pieces<T>(slice: &[T], len: usize) -> impl Iterator<Item = &[T]> {
    let mut rest = slice;
    iter::from_fn(move || {
        let (piece, behind) = rest.split_at_checked(len).filter(|_| len != 0)?;
        rest = behind;
        Some(piece)
    })
}

/// As [`pieces`], to write.
#[inline(always)]
fn pieces_mut<T>(slice: &mut [T], len: usize) -> impl Iterator<Item = &mut [T]> {
    let mut rest = slice;
    iter::from_fn(move || {
        let (piece, behind) =
            mem::take(&mut rest).split_at_mut_checked(len).filter(|_| len != 0)?;
        rest = behind;
        Some(piece)
    })
}

impl Isa for Scalar {
    const NAME: &'static str = "scalar";

    type Pairs<'a> = Pairs<'a>;
}

/// See [`Isa::dot_2x2`].
#[inline(always)]
pub fn dot_2x2([x0, x1]: [&[i8]; 2], [w0, w1]: [&[i8]; 2]) -> [[i32; 2]; 2] {
    let mut sums = [[0; 2]; 2];
    for (((&x0, &x1), &w0), &w1) in x0.iter().zip(x1).zip(w0).zip(w1) {
        let (x, w) = ([x0, x1].map(i32::from), [w0, w1].map(i32::from));
        for (sums, x) in sums.iter_mut().zip(x) {
            for (sum, w) in sums.iter_mut().zip(w) {
                *sum = x.wrapping_mul(w).wrapping_add(*sum);
            }
        }
    }
    sums
}

/// See [`Isa::dot_1x4`].
#[inline(always)]
pub fn dot_1x4(patch: &[i8], rows: [&[i8]; 4]) -> [i32; 4] {
    dot(patch, rows)
}

/// See [`Isa::dot_wide`].
#[inline(always)]
pub fn dot_wide(patch: &[i16], rows: [&[i8]; 4]) -> [i32; 4] {
    dot(patch, rows)
}

/// Dot products of elements of any length with four rows of weights.
#[inline(always)]
fn dot<T: Copy + Into<i32>>(x: &[T], [w0, w1, w2, w3]: [&[i8]; 4]) -> [i32; 4] {
    let mut sums = [0; 4];
    for ((((&x, &w0), &w1), &w2), &w3) in x.iter().zip(w0).zip(w1).zip(w2).zip(w3) {
        for (sum, w) in sums.iter_mut().zip([w0, w1, w2, w3]) {
            *sum = x.into().wrapping_mul(w.into()).wrapping_add(*sum);
        }
    }
    sums
}

/// See [`Isa::blocked_expand`]. As lanes, `[tap][pixel]`.
#[inline(always)]
pub fn blocked_expand(
    [a, b, c, d]: [Src<'_>; blocked::BLOCK],
    patch: &mut [u32],
    tap: usize,
) -> Option<()> {
    let lanes: &mut [i16] = bytemuck::must_cast_slice_mut(patch);
    let taps = lanes.as_chunks_mut::<{ blocked::BLOCK }>().0.get_mut(tap..)?.get_mut(..a.len())?;
    let pixels = a.iter().zip(b.iter()).zip(c.iter()).zip(d.iter());
    for (lanes, (((a, b), c), d)) in taps.iter_mut().zip(pixels) {
        *lanes = [a, b, c, d].map(i16::from);
    }
    Some(())
}

/// See [`Isa::blocked_channels`].
#[inline(always)]
pub fn blocked_channels(
    filters: &Filters<'_>,
    patch: &[u32],
    out: [Dst<'_>; blocked::BLOCK],
) -> Option<()> {
    let requantizer = Requantizer { shift: 0, zero: filters.zero(), min: i8::MIN, max: i8::MAX };
    let lanes: &[i16] = bytemuck::must_cast_slice(patch);
    let (taps, _) = lanes.as_chunks::<{ blocked::BLOCK }>();
    for (index, channel) in pieces(filters.stream(), filters.channel_words()).enumerate() {
        let [bias, multiplier, weights @ ..] = channel else {
            return None;
        };
        let weights: &[i8] = bytemuck::must_cast_slice(weights);
        let mut sums = [*bias as i32; blocked::BLOCK];
        for (&weight, lanes) in weights.iter().zip(taps) {
            for (sum, &x) in sums.iter_mut().zip(lanes) {
                *sum = i32::from(weight).wrapping_mul(x.into()).wrapping_add(*sum);
            }
        }
        for (out, sum) in out.iter().zip(sums) {
            out.set(index, requantizer.apply(sum, *multiplier as i32))?;
        }
    }
    Some(())
}

/// See [`Isa::depthwise_pixels`].
#[inline(always)]
pub fn depthwise_pixels(
    channels: &depthwise::Channels<'_>,
    taps: &mut Taps<'_, '_>,
    out: Dst<'_>,
) -> Option<()> {
    let count = channels.count();
    for pixel in 0..taps.pixels() {
        let out = out.slice(pixel.checked_mul(count)?, count)?;
        let at = pixel.checked_mul(taps.step())?;
        let (eights, rest) = out.cells().as_chunks::<8>();
        let mut first = 0;
        for cells in eights {
            depthwise_outputs(channels, taps, (at, first), cells)?;
            first = first.wrapping_add(8);
        }
        for cell in rest.as_chunks::<1>().0 {
            depthwise_outputs(channels, taps, (at, first), cell)?;
            first = first.wrapping_add(1);
        }
    }
    Some(())
}

/// The channels from `first` on of the pixel whose taps lie `at` bytes behind those of the first.
#[inline(always)]
fn depthwise_outputs<const N: usize>(
    channels: &depthwise::Channels<'_>,
    taps: &Taps<'_, '_>,
    (at, first): (usize, usize),
    cells: &[Cell<i8>; N],
) -> Option<()> {
    let mut sums: [i32; N] = *channels.bias().get(first..)?.first_chunk()?;
    let memory = taps.memory();
    let mut weights = channels.weights().get(first..)?;
    for &tap in taps.table() {
        let x: [i8; N] = match tap {
            PADDING => *taps.padding().get(first..)?.first_chunk()?,
            _ => memory.chunk((tap as usize).wrapping_add(at).wrapping_add(first))?,
        };
        for ((sum, x), &weight) in sums.iter_mut().zip(x).zip(weights.first_chunk::<N>()?) {
            *sum = i32::from(x).wrapping_mul(weight.into()).wrapping_add(*sum);
        }
        weights = weights.get(channels.count()..).unwrap_or_default();
    }
    let multipliers: &[i32; N] = channels.multipliers().get(first..)?.first_chunk()?;
    for ((cell, sum), &multiplier) in cells.iter().zip(sums).zip(multipliers) {
        cell.set(channels.requantizer().apply(sum, multiplier));
    }
    Some(())
}

/// See [`Isa::pixel_sums`].
#[inline(always)]
pub fn pixel_sums(pixels: Src<'_>, (count, step): (usize, usize), sums: &mut [i32]) -> Option<()> {
    let mut at = 0;
    for _ in 0..count {
        let values = pixels.slice(at, sums.len())?;
        for (sum, value) in sums.iter_mut().zip(values.iter()) {
            *sum = sum.wrapping_add(value.into());
        }
        at = at.wrapping_add(step);
    }
    Some(())
}

/// Elements that are read and written together.
const CHUNK: usize = 4;

/// Writes `f(a, b)` for every pair of elements.
#[inline(always)]
pub fn each_pair(a: Src<'_>, b: Src<'_>, out: Dst<'_>, f: impl Fn(i8, i8) -> i8) -> Option<()> {
    let (a, b) = (a.slice(0, out.len())?, b.slice(0, out.len())?);
    let mut at = 0;
    while let (Some(a), Some(b)) = (a.chunk::<CHUNK>(at), b.chunk::<CHUNK>(at)) {
        let [a0, a1, a2, a3] = a;
        let [b0, b1, b2, b3] = b;
        out.set_chunk(at, [f(a0, b0), f(a1, b1), f(a2, b2), f(a3, b3)])?;
        at = at.wrapping_add(CHUNK);
    }
    while at < out.len() {
        out.set(at, f(a.get(at)?, b.get(at)?))?;
        at = at.wrapping_add(1);
    }
    Some(())
}

/// See [`Isa::sums`].
#[inline(always)]
pub fn sums(sum: &Sum, a: Src<'_>, b: Src<'_>, out: Dst<'_>) -> Option<()> {
    // A copy: a reference would be read anew after every write.
    let sum = *sum;
    each_pair(a, b, out, move |a, b| requantize::clamp(sum.of(a, b), i8::MIN, i8::MAX))
}

/// See [`Isa::clamp`].
#[inline(always)]
pub fn clamp(bytes: Dst<'_>, (min, max): (i8, i8)) {
    for byte in bytes.cells() {
        // Not `clamp`, which panics if the bounds are the wrong way round.
        byte.set(byte.get().max(min).min(max));
    }
}
