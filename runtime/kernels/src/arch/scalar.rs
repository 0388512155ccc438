//! Every inner loop in plain Rust: what the instruction sets must equal, and what hosts and cores
//! without a variant of their own run. The loops are shaped so that a compiler vectorises them.

use fixie_format::op::paired::TAP_ORDER;
use fixie_format::op::planar;

use crate::arch::Isa;
use crate::arch::paired::{BLOCK, PATCH_WORDS, Pairs, Strip};
use crate::arch::planar::{Channels, Lines, Planes};
use crate::arch::view::{Dst, Src};
use crate::requantize::Requantizer;

/// No instruction set in particular.
pub struct Scalar;

impl Isa for Scalar {
    const NAME: &'static str = "scalar";
}

/// See [`Isa::dot_2x2`].
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
pub fn paired_strip(
    pairs: &Pairs<'_>,
    strip: &Strip<'_>,
    patch: &mut [u32],
    out: Dst<'_>,
    step: usize,
) -> Option<()> {
    let run_len = strip.quads().checked_mul(TAP_ORDER.len())?;
    for first in (0..strip.pixels()).step_by(BLOCK) {
        for row in 0..strip.rows() {
            let start = row.checked_mul(strip.row_step())?;
            let [a, b, c] = [0, 1, 2].map(|pixel| {
                let pixel = first.wrapping_add(pixel).checked_mul(strip.pixel_step())?;
                strip.source().slice(start.checked_add(pixel)?, run_len)
            });
            paired_expand([a?, b?, c?], patch, row.checked_mul(strip.quads())?)?;
        }
        let at = first.checked_mul(step)?;
        let out = out.slice(at, out.len().checked_sub(at)?)?;
        paired_block(pairs, patch, out, step)?;
    }
    Some(())
}

/// See [`Isa::paired_expand`]. The lanes of each pixel lie together, `[pixel][tap]`, in the order
/// of the weights.
pub fn paired_expand(runs: [Src<'_>; BLOCK], patch: &mut [u32], quad: usize) -> Option<()> {
    let taps = patch.len() / PATCH_WORDS * TAP_ORDER.len();
    let first = quad.checked_mul(TAP_ORDER.len())?;
    let lanes: &mut [i16] = bytemuck::must_cast_slice_mut(patch);
    for (run, lanes) in runs.into_iter().zip(lanes.chunks_exact_mut(taps.max(1))) {
        expand_run(run, lanes.get_mut(first..)?.get_mut(..run.len())?)?;
    }
    Some(())
}

/// One run of bytes as lanes, every four of them in [`TAP_ORDER`].
fn expand_run(run: Src<'_>, lanes: &mut [i16]) -> Option<()> {
    for (quad, lanes) in lanes.chunks_exact_mut(TAP_ORDER.len()).enumerate() {
        for (lane, tap) in lanes.iter_mut().zip(TAP_ORDER) {
            *lane = run.get(quad.wrapping_mul(4).wrapping_add(tap))?.into();
        }
    }
    Some(())
}

/// See [`Isa::paired_block`].
pub fn paired_block(pairs: &Pairs<'_>, patch: &[u32], out: Dst<'_>, step: usize) -> Option<()> {
    (patch.len() == pairs.patch_words()).then_some(())?;
    let lanes: &[i16] = bytemuck::must_cast_slice(patch);
    for (index, pair) in pairs.stream().chunks_exact(pairs.pair_words()).enumerate() {
        for (pixel, lanes) in lanes.chunks_exact(pairs.taps()).enumerate() {
            let at = pixel.checked_mul(step)?.checked_add(index.checked_mul(2)?)?;
            store(pairs, pair, index, sums(pair, lanes.iter().copied())?, out, at)?;
        }
    }
    Some(())
}

/// See [`Isa::paired_pixel`].
pub fn paired_pixel(pairs: &Pairs<'_>, patch: Src<'_>, out: Dst<'_>) -> Option<()> {
    (patch.len() == pairs.taps()).then_some(())?;
    for (index, pair) in pairs.stream().chunks_exact(pairs.pair_words()).enumerate() {
        let lanes = (0..pairs.quads()).flat_map(|quad| {
            TAP_ORDER
                .map(|tap| patch.get(quad.wrapping_mul(4).wrapping_add(tap)).unwrap_or(0).into())
        });
        store(pairs, pair, index, sums(pair, lanes)?, out, index.checked_mul(2)?)?;
    }
    Some(())
}

/// See [`Isa::clamp`].
pub fn clamp(bytes: Dst<'_>, (min, max): (i8, i8)) {
    for byte in bytes.cells() {
        // Not `clamp`, which panics if the bounds are the wrong way round.
        byte.set(byte.get().max(min).min(max));
    }
}

/// The sums of both channels of a pair.
fn sums(pair: &[u32], lanes: impl Iterator<Item = i16>) -> Option<[i32; 2]> {
    let ([full, low], rest) = pair.split_first_chunk()?;
    let (words, _) = rest.split_last_chunk::<2>()?;
    let weights: &[i16] = bytemuck::must_cast_slice(words);
    let (mut full, mut low) = (*full as i32, *low as i32);
    for (&v, x) in weights.iter().zip(lanes) {
        full = i32::from(v).wrapping_mul(x.into()).wrapping_add(full);
        low = i32::from(v as i8).wrapping_mul(x.into()).wrapping_add(low);
    }
    Some([low, full.wrapping_sub(low) >> 8])
}

/// Requantises the sums of pair `index` and writes them to `at` of `out`.
fn store(
    pairs: &Pairs<'_>,
    pair: &[u32],
    index: usize,
    sums: [i32; 2],
    out: Dst<'_>,
    at: usize,
) -> Option<()> {
    let requantizer = Requantizer { shift: 0, zero: pairs.zero(), min: i8::MIN, max: i8::MAX };
    let channels = pairs.channels().checked_sub(index.checked_mul(2)?)?;
    let multipliers = pair.last_chunk::<2>()?;
    for (n, (sum, &multiplier)) in sums.into_iter().zip(multipliers).enumerate().take(channels) {
        let value = requantizer.apply(sum, multiplier as i32);
        out.set(at.checked_add(n)?, value)?;
    }
    Some(())
}

/// See [`Isa::planar_expand`]. The lanes of each plane lie in the order `[row][column]`.
pub fn planar_expand(
    lines: &Lines<'_>,
    planes: &mut Planes<'_>,
    row_pair: usize,
    column: usize,
) -> Option<()> {
    planes.place(lines, row_pair, column)?;
    let (columns, plane_words) = (planes.columns(), planes.plane_words());
    let lanes: &mut [i16] = bytemuck::must_cast_slice_mut(planes.words_mut());
    for (channel, plane) in lanes.chunks_exact_mut(plane_words.checked_mul(2)?).enumerate() {
        let rows = plane.chunks_exact_mut(columns).skip(row_pair.checked_mul(2)?);
        for (y, lanes) in rows.take(lines.pair_count().checked_mul(2)?).enumerate() {
            let (rows, steps) = (lines.rows(), lines.steps());
            let (row, step) = (rows.get(y % 2)?, *steps.get(y % 2)?);
            let first = (y / 2).checked_mul(lines.pair_step())?.checked_add(channel)?;
            for (x, lane) in lanes.iter_mut().skip(column).take(lines.count()).enumerate() {
                *lane = row.get(x.wrapping_mul(step).wrapping_add(first))?.into();
            }
        }
    }
    Some(())
}

/// Outputs of a row that are computed at a time, so that their taps are neighbours.
const NEIGHBOURS: usize = 8;

/// See [`Isa::planar_channels`].
pub fn planar_channels(channels: &Channels<'_>) -> Option<()> {
    let outputs = channels.outputs();
    let requantizer = Requantizer { shift: 0, zero: channels.zero(), min: i8::MIN, max: i8::MAX };
    let planes = channels.planes().chunks_exact(channels.window().plane_words()?);
    let stream_words = channels.streams().len().checked_div(channels.count())?;
    let streams = channels.streams().chunks_exact(stream_words);
    for (n, (plane, stream)) in planes.zip(streams).enumerate() {
        let ([bias, multiplier], weights) = stream.split_first_chunk()?;
        for y in 0..outputs.rows() {
            for x in (0..outputs.columns()).step_by(NEIGHBOURS) {
                let sums = planar_sums(channels, plane, weights, y, x)?;
                let row = y.checked_mul(outputs.row_step())?.checked_add(n)?;
                for (x, sum) in (x..outputs.columns()).zip(sums) {
                    let at = row.checked_add(x.checked_mul(outputs.column_step())?)?;
                    let acc = sum.wrapping_add(*bias as i32);
                    outputs.out().set(at, requantizer.apply(acc, *multiplier as i32))?;
                }
            }
        }
    }
    Some(())
}

/// The sums of `NEIGHBOURS` outputs of row `y` from column `x` on; those beyond the plane are wrong.
fn planar_sums(
    channels: &Channels<'_>,
    plane: &[u32],
    weights: &[u32],
    y: usize,
    x: usize,
) -> Option<[i32; NEIGHBOURS]> {
    let window = channels.window();
    let weights: &[i8] = bytemuck::must_cast_slice(weights);
    let lanes: &[i16] = bytemuck::must_cast_slice(plane);
    let first_row =
        channels.first_pair().checked_mul(2)?.checked_add(y.checked_mul(window.stride_h)?)?;
    let first = x.checked_mul(window.stride_w)?;
    let mut sums = [0i32; NEIGHBOURS];
    let column_len = planar::column_words(window.kernel_h).wrapping_mul(4);
    for (j, column) in weights.chunks_exact(column_len).enumerate() {
        for (i, &weight) in column.iter().take(window.kernel_h).enumerate() {
            let row = first_row.wrapping_add(i).checked_rem(window.row_pairs.wrapping_mul(2))?;
            let at = first.wrapping_add(j.wrapping_mul(window.dilation_w));
            let seen = lanes.get(row.wrapping_mul(window.columns).wrapping_add(at)..)?;
            for (sum, &lane) in sums.iter_mut().zip(seen.iter().step_by(window.stride_w)) {
                *sum = i32::from(weight).wrapping_mul(lane.into()).wrapping_add(*sum);
            }
        }
    }
    Some(sums)
}
