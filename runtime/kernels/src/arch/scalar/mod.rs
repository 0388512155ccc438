//! Every inner loop in plain Rust: what the instruction sets must equal, and what hosts and cores
//! without a variant of their own run. The loops are shaped so that a compiler vectorises them.

mod strips;
mod vectors;

use core::cell::Cell;
use core::{iter, mem};

use fixie_format::op::paired::TAP_ORDER;
use fixie_format::op::planar::{self, CHANNELS};

use crate::arch::Isa;
use crate::arch::blocked::{self, Filters};
use crate::arch::depthwise::{self, PADDING, Taps};
use crate::arch::paired::{BLOCK, PATCH_WORDS, Pairs, Strip};
use crate::arch::planar::{Channels, Lines, Planes};
use crate::arch::sum::Sum;
use crate::arch::view::{Dst, Src};
use crate::requantize::{self, Requantizer};

pub use strips::{depthwise_strip, gather};
pub use vectors::vectors_strip;

/// No instruction set in particular.
pub struct Scalar;

/// The whole pieces of `len` items of a slice, one behind the other. Unlike `chunks_exact` it has
/// no panicking path: a length of 0 gives no pieces.
#[inline(always)]
fn pieces<T>(slice: &[T], len: usize) -> impl Iterator<Item = &[T]> {
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
pub fn dot_1x4(x: &[i8], [w0, w1, w2, w3]: [&[i8]; 4]) -> [i32; 4] {
    let mut sums = [0; 4];
    for ((((&x, &w0), &w1), &w2), &w3) in x.iter().zip(w0).zip(w1).zip(w2).zip(w3) {
        for (sum, w) in sums.iter_mut().zip([w0, w1, w2, w3]) {
            *sum = i32::from(x).wrapping_mul(w.into()).wrapping_add(*sum);
        }
    }
    sums
}

/// See [`Isa::paired_strip`].
#[inline(always)]
pub fn paired_strip(
    pairs: &Pairs<'_>,
    strip: &Strip<'_>,
    patch: &mut [u32],
    out: Dst<'_>,
    step: usize,
) -> Option<()> {
    let run_len = strip.quads().checked_mul(TAP_ORDER.len())?;
    let mut first = 0;
    while first < strip.pixels() {
        for row in 0..strip.rows().count {
            let start = strip.rows().start(row)?;
            let [a, b, c] = [0, 1, 2].map(|pixel: usize| {
                let pixel = first.wrapping_add(pixel).checked_mul(strip.pixel_step())?;
                strip.source().slice(start.checked_add(pixel)?, run_len)
            });
            paired_expand([a?, b?, c?], patch, row.checked_mul(strip.quads())?)?;
        }
        let at = first.checked_mul(step)?;
        let out = out.slice(at, out.len().checked_sub(at)?)?;
        paired_block(pairs, patch, out, step)?;
        first = first.wrapping_add(BLOCK);
    }
    Some(())
}

/// See [`Isa::paired_expand`]. The lanes of each pixel lie together, `[pixel][tap]`, in the order
/// of the weights.
#[inline(always)]
pub fn paired_expand(runs: [Src<'_>; BLOCK], patch: &mut [u32], quad: usize) -> Option<()> {
    let taps = patch.len() / PATCH_WORDS * TAP_ORDER.len();
    let first = quad.checked_mul(TAP_ORDER.len())?;
    let lanes: &mut [i16] = bytemuck::must_cast_slice_mut(patch);
    for (run, lanes) in runs.into_iter().zip(pieces_mut(lanes, taps)) {
        expand_run(run, lanes.get_mut(first..)?.get_mut(..run.len())?)?;
    }
    Some(())
}

/// One run of bytes as lanes, every four of them in [`TAP_ORDER`].
#[inline(always)]
fn expand_run(run: Src<'_>, lanes: &mut [i16]) -> Option<()> {
    for (quad, lanes) in lanes.as_chunks_mut::<4>().0.iter_mut().enumerate() {
        let bytes = run.chunk(quad.wrapping_mul(4))?;
        *lanes = in_order(bytes);
    }
    Some(())
}

/// Four taps as lanes in [`TAP_ORDER`].
#[inline(always)]
fn in_order([a, b, c, d]: [i8; 4]) -> [i16; 4] {
    // Indexing by `TAP_ORDER` would have to be checked.
    const { assert!(matches!(TAP_ORDER, [0, 2, 1, 3])) };
    [a, c, b, d].map(i16::from)
}

/// See [`Isa::paired_block`].
#[inline(always)]
pub fn paired_block(pairs: &Pairs<'_>, patch: &mut [u32], out: Dst<'_>, step: usize) -> Option<()> {
    (patch.len() == pairs.patch_words()).then_some(())?;
    let lanes: &[i16] = bytemuck::must_cast_slice(patch);
    for (index, pair) in pieces(pairs.stream(), pairs.pair_words()).enumerate() {
        let pair = Pair::new(pair)?;
        for (pixel, lanes) in pieces(lanes, pairs.taps()).enumerate() {
            let at = pixel.checked_mul(step)?.checked_add(index.checked_mul(2)?)?;
            let sums = pair.start.plus(pair.weights, lanes);
            pair.store(pairs, index, sums, out, at)?;
        }
    }
    Some(())
}

/// Pairs, and taps, that [`paired_pixel`] computes at a time.
const PIXEL_PAIRS: usize = 4;
const PIXEL_TAPS: usize = 64;

/// See [`Isa::paired_pixel`]. Some taps are expanded for several pairs.
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
            Pair::new(pair)?.store(pairs, first, sums, out, first.checked_mul(2)?)?;
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
struct Sums {
    full: i32,
    low: i32,
}

impl Sums {
    /// The sums after some more taps.
    #[inline(always)]
    fn plus(mut self, weights: &[i16], lanes: &[i16]) -> Self {
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

    /// Requantises the sums of pair `index` and writes them to `at` of `out`.
    #[inline(always)]
    fn store(
        &self,
        pairs: &Pairs<'_>,
        index: usize,
        sums: Sums,
        out: Dst<'_>,
        at: usize,
    ) -> Option<()> {
        let requantizer = Requantizer { shift: 0, zero: pairs.zero(), min: i8::MIN, max: i8::MAX };
        let channels = pairs.channels().checked_sub(index.checked_mul(2)?)?;
        let sums = [sums.low, sums.full.wrapping_sub(sums.low) >> 8];
        let both = sums.into_iter().zip(self.multipliers).take(channels);
        for (n, (sum, multiplier)) in both.enumerate() {
            out.set(at.checked_add(n)?, requantizer.apply(sum, multiplier))?;
        }
        Some(())
    }
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

/// See [`Isa::sums`].
#[inline(always)]
pub fn sums(sum: &Sum, a: Src<'_>, b: Src<'_>, out: Dst<'_>) -> Option<()> {
    // A copy: a reference would be read anew after every write.
    let sum = *sum;
    let of = move |a: i8, b: i8| requantize::clamp(sum.of(a, b), i8::MIN, i8::MAX);
    let mut at = 0;
    while let (Some(a), Some(b)) = (a.chunk::<CHUNK>(at), b.chunk::<CHUNK>(at)) {
        let [a0, a1, a2, a3] = a;
        let [b0, b1, b2, b3] = b;
        out.set_chunk(at, [of(a0, b0), of(a1, b1), of(a2, b2), of(a3, b3)])?;
        at = at.wrapping_add(CHUNK);
    }
    while at < out.len() {
        out.set(at, of(a.get(at)?, b.get(at)?))?;
        at = at.wrapping_add(1);
    }
    Some(())
}

/// See [`Isa::clamp`].
#[inline(always)]
pub fn clamp(bytes: Dst<'_>, (min, max): (i8, i8)) {
    for byte in bytes.cells() {
        // Not `clamp`, which panics if the bounds are the wrong way round.
        byte.set(byte.get().max(min).min(max));
    }
}

/// See [`Isa::planar_fill`].
#[inline(always)]
pub fn planar_fill(planes: &mut Planes<'_>, value: i8) {
    let lane = u32::from(i16::from(value) as u16);
    planes.words_mut().fill(lane << 16 | lane);
}

/// See [`Isa::planar_expand`]. The lanes of the four planes lie in the order
/// `[row][column][channel]`, so that four channels can be computed at a time.
#[inline(always)]
pub fn planar_expand(
    lines: &Lines<'_>,
    planes: &mut Planes<'_>,
    row_pair: usize,
    column: usize,
) -> Option<()> {
    planes.place(lines, row_pair, column)?;
    let row_len = planes.columns().checked_mul(CHANNELS)?;
    let lanes: &mut [i16] = bytemuck::must_cast_slice_mut(planes.words_mut());
    let first_row = row_pair.checked_mul(2)?.checked_mul(row_len)?;
    let rows = pieces_mut(lanes.get_mut(first_row..)?, row_len);
    for (y, lanes) in rows.take(lines.pair_count().checked_mul(2)?).enumerate() {
        let (row, step) = (lines.rows().get(y % 2).copied()?, *lines.steps().get(y % 2)?);
        let first = (y / 2).checked_mul(lines.pair_step())?;
        let pixels = lanes.as_chunks_mut::<CHANNELS>().0.iter_mut().skip(column);
        for (x, pixel) in pixels.take(lines.count()).enumerate() {
            let bytes = row.chunk::<CHANNELS>(x.wrapping_mul(step).wrapping_add(first))?;
            *pixel = bytes.map(i16::from);
        }
    }
    Some(())
}

/// See [`Isa::planar_channels`]. Each weight is looked up once for several outputs of a row; a last
/// few of them start so much earlier that some are computed twice.
#[inline(always)]
pub fn planar_channels(channels: &Channels<'_>, _table: &mut [u32]) -> Option<()> {
    let columns = channels.outputs().columns();
    let streams = Streams::new(channels)?;
    for y in 0..channels.outputs().rows() {
        let mut x = 0;
        while x < columns {
            let left = columns.wrapping_sub(x);
            x = if left >= 8 {
                planar_outputs::<8>(channels, &streams, y, x)?
            } else if columns >= 4 {
                planar_outputs::<4>(channels, &streams, y, x.min(columns.wrapping_sub(4)))?
            } else {
                planar_outputs::<1>(channels, &streams, y, x)?
            };
        }
    }
    Some(())
}

/// The constants of four channels.
struct Streams<'a> {
    /// Empty for channels that are skipped.
    weights: [&'a [i8]; CHANNELS],
    bias: [i32; CHANNELS],
    multipliers: [i32; CHANNELS],
    /// Bytes of a kernel column.
    column_len: usize,
}

impl<'a> Streams<'a> {
    #[inline(always)]
    fn new(channels: &Channels<'a>) -> Option<Self> {
        let mut all = Self {
            weights: [&[]; CHANNELS],
            bias: [0; CHANNELS],
            multipliers: [0; CHANNELS],
            column_len: planar::column_words(channels.window().kernel_h).checked_mul(4)?,
        };
        let words = channels.streams().len().checked_div(channels.count())?;
        for (n, stream) in pieces(channels.streams(), words).enumerate() {
            let n = n.checked_add(channels.skipped())?;
            let [bias, multiplier, weights @ ..] = stream else {
                return None;
            };
            *all.bias.get_mut(n)? = *bias as i32;
            *all.multipliers.get_mut(n)? = *multiplier as i32;
            *all.weights.get_mut(n)? = bytemuck::must_cast_slice(weights);
        }
        Some(all)
    }

    /// The weights of tap `(i, j)`.
    #[inline(always)]
    fn tap(&self, i: usize, j: usize) -> [i16; CHANNELS] {
        let at = j.wrapping_mul(self.column_len).wrapping_add(i);
        self.weights.map(|weights| weights.get(at).copied().unwrap_or(0).into())
    }
}

/// `N` outputs of row `y` from column `x` on, all channels. Gives the column behind them.
#[inline(always)]
fn planar_outputs<const N: usize>(
    channels: &Channels<'_>,
    streams: &Streams<'_>,
    y: usize,
    x: usize,
) -> Option<usize> {
    let (sums, outputs) = (planar_sums::<N>(channels, streams, y, x)?, channels.outputs());
    let requantizer = Requantizer { shift: 0, zero: channels.zero(), min: i8::MIN, max: i8::MAX };
    for (x, sums) in (x..).zip(sums) {
        let sums = sums.into_iter().zip(streams.multipliers).skip(channels.skipped());
        for (n, (acc, multiplier)) in sums.enumerate() {
            outputs.set((y, x), n, requantizer.apply(acc, multiplier))?;
        }
    }
    x.checked_add(N)
}

/// The sums of `N` outputs of row `y` from column `x` on: `[output][channel]`.
#[inline(always)]
fn planar_sums<const N: usize>(
    channels: &Channels<'_>,
    streams: &Streams<'_>,
    y: usize,
    x: usize,
) -> Option<[[i32; CHANNELS]; N]> {
    let window = channels.window();
    let (lanes, _) = bytemuck::must_cast_slice::<u32, i16>(channels.planes()).as_chunks();
    let rows = window.row_pairs.checked_mul(2)?;
    let first_row = channels.first_pair().checked_mul(2)?;
    let first_row = first_row.checked_add(y.checked_mul(window.stride_h)?)?;
    let first_column = x.checked_mul(window.stride_w)?;
    let mut sums = [streams.bias; N];
    for i in 0..window.kernel_h {
        let row = first_row.checked_add(i)?.checked_rem(rows)?;
        let row = row.checked_mul(window.columns)?.checked_add(first_column)?;
        for j in 0..window.kernel_w {
            let mut at = row.checked_add(j.checked_mul(window.dilation_w)?)?;
            let weights = streams.tap(i, j);
            for sums in &mut sums {
                let seen: &[i16; CHANNELS] = lanes.get(at)?;
                for ((sum, &seen), weight) in sums.iter_mut().zip(seen).zip(weights) {
                    *sum = i32::from(weight).wrapping_mul(seen.into()).wrapping_add(*sum);
                }
                at = at.wrapping_add(window.stride_w);
            }
        }
    }
    Some(sums)
}
