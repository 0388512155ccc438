//! What `DepthwisePlanar` does with four planes.

use fixie_format::op::planar::{self, CHANNELS};

use crate::arch::planar::{Channels, Placed, Planes};
use crate::arch::scalar::{pieces, pieces_mut};
use crate::requantize::Requantizer;

/// See [`Isa::planar_fill`](crate::arch::Isa::planar_fill).
#[inline(always)]
pub fn planar_fill(planes: &mut Planes<'_>, value: i8) {
    let lane = u32::from(i16::from(value) as u16);
    planes.words_mut().fill(lane << 16 | lane);
}

/// See [`Isa::planar_expand`](crate::arch::Isa::planar_expand). The lanes of the four planes lie in the order
/// `[row][column][channel]`, so that four channels can be computed at a time.
#[inline(always)]
pub fn planar_expand(placed: &Placed<'_>, channel: usize, planes: &mut Planes<'_>) -> Option<()> {
    planes.start(placed)?;
    let (lines, row_pair, column) = (placed.lines(), placed.row_pair(), placed.column());
    let seen = lines.rows(channel)?;
    let row_len = planes.columns().checked_mul(CHANNELS)?;
    let lanes: &mut [i16] = bytemuck::must_cast_slice_mut(planes.words_mut());
    let first_row = row_pair.checked_mul(2)?.checked_mul(row_len)?;
    let rows = pieces_mut(lanes.get_mut(first_row..)?, row_len);
    for (y, lanes) in rows.take(lines.pair_count().checked_mul(2)?).enumerate() {
        let (row, step) = (*seen.get(y % 2)?, *lines.steps().get(y % 2)?);
        let first = (y / 2).checked_mul(lines.pair_step())?;
        let pixels = lanes.as_chunks_mut::<CHANNELS>().0.iter_mut().skip(column);
        for (x, pixel) in pixels.take(lines.count()).enumerate() {
            let bytes = row.chunk::<CHANNELS>(x.wrapping_mul(step).wrapping_add(first))?;
            *pixel = bytes.map(i16::from);
        }
    }
    Some(())
}

/// Outputs of a row that are computed at a time: fewer would be no vectors to the compiler.
const OUTPUTS: usize = 8;

/// See [`Isa::planar_channels`](crate::arch::Isa::planar_channels). Outputs behind the end of a row are computed, but not written.
#[inline(always)]
pub fn planar_channels(channels: &Channels<'_>, table: &mut [u32]) -> Option<()> {
    // For kernels which other instruction sets need no table for.
    let mut square = [0; 9];
    let table = if channels.window().square_stride().is_some() { &mut square } else { table };
    let streams = Streams::new(channels, table)?;
    for y in 0..channels.outputs().rows() {
        for x in (0..channels.outputs().columns()).step_by(OUTPUTS) {
            planar_outputs(channels, &streams, y, x)?;
        }
    }
    Some(())
}

/// The constants of four channels, 0 for those that are skipped.
struct Streams<'t> {
    /// By tap, row by row.
    weights: &'t [[i8; CHANNELS]],
    bias: [i32; CHANNELS],
    multipliers: [i32; CHANNELS],
}

impl<'t> Streams<'t> {
    /// Brings the weights of four channels together, in `table`.
    #[inline(always)]
    fn new(channels: &Channels<'_>, table: &'t mut [u32]) -> Option<Self> {
        let window = channels.window();
        let column_len = planar::column_words(window.kernel_h).checked_mul(4)?;
        let taps = window.kernel_h.checked_mul(window.kernel_w)?;
        let table = table.get_mut(..taps)?;
        table.fill(0);
        let table: &mut [[i8; CHANNELS]] = bytemuck::must_cast_slice_mut(table);
        let (mut bias, mut multipliers) = ([0; CHANNELS], [0; CHANNELS]);
        let words = channels.streams().len().checked_div(channels.count())?;
        for (n, stream) in pieces(channels.streams(), words).enumerate() {
            let n = n.checked_add(channels.skipped())?;
            let [its_bias, multiplier, weights @ ..] = stream else {
                return None;
            };
            *bias.get_mut(n)? = *its_bias as i32;
            *multipliers.get_mut(n)? = *multiplier as i32;
            let weights: &[i8] = bytemuck::must_cast_slice(weights);
            for (i, row) in pieces_mut(table, window.kernel_w).enumerate() {
                let column = weights.get(i..)?.iter().step_by(column_len.max(1));
                for (tap, &weight) in row.iter_mut().zip(column) {
                    *tap.get_mut(n)? = weight;
                }
            }
        }
        Some(Self { weights: table, bias, multipliers })
    }
}

/// The outputs of row `y` from column `x` on, all channels.
#[inline(always)]
fn planar_outputs(
    channels: &Channels<'_>,
    streams: &Streams<'_>,
    y: usize,
    x: usize,
) -> Option<()> {
    let (sums, outputs) = (planar_sums(channels, streams, y, x)?, channels.outputs());
    let requantizer = Requantizer { shift: 0, zero: channels.zero(), min: i8::MIN, max: i8::MAX };
    let mut pixels = [[0; CHANNELS]; OUTPUTS];
    for (pixel, sums) in pixels.iter_mut().zip(sums) {
        for ((value, acc), multiplier) in pixel.iter_mut().zip(sums).zip(streams.multipliers) {
            *value = requantizer.apply(acc, multiplier);
        }
    }
    for (x, pixel) in (x..outputs.columns()).zip(pixels) {
        if channels.skipped() == 0 {
            outputs.set((y, x), pixel)?;
        } else {
            let values = pixel.into_iter().skip(channels.skipped());
            for (n, value) in values.enumerate() {
                outputs.behind(n)?.set((y, x), [value])?;
            }
        }
    }
    Some(())
}

/// The sums of the outputs of row `y` from column `x` on: `[output][channel]`.
#[inline(always)]
fn planar_sums(
    channels: &Channels<'_>,
    streams: &Streams<'_>,
    y: usize,
    x: usize,
) -> Option<[[i32; CHANNELS]; OUTPUTS]> {
    let window = channels.window();
    let (lanes, _) = bytemuck::must_cast_slice::<u32, i16>(channels.planes().words()).as_chunks();
    let rows = window.row_pairs.checked_mul(2)?;
    let first_row = channels.first_pair().checked_mul(2)?;
    let first_row = first_row.checked_add(y.checked_mul(window.stride_h)?)?;
    let first_column = x.checked_mul(window.stride_w)?;
    let mut sums = [streams.bias; OUTPUTS];
    let mut row = first_row.checked_rem(rows)?;
    for weights in pieces(streams.weights, window.kernel_w) {
        let mut tap = row.checked_mul(window.columns)?.checked_add(first_column)?;
        for &weights in weights {
            // Looked up first: then no check is between the products, and they become vectors.
            let seen = seen(lanes.get(tap..).unwrap_or_default(), window.stride_w);
            for (sums, seen) in sums.iter_mut().zip(seen) {
                for ((sum, seen), weight) in sums.iter_mut().zip(seen).zip(weights) {
                    *sum = i32::from(weight).wrapping_mul(seen.into()).wrapping_add(*sum);
                }
            }
            tap = tap.wrapping_add(window.dilation_w);
        }
        row = row.wrapping_add(1);
        row = if row < rows { row } else { 0 };
    }
    Some(sums)
}

/// The lanes, so far apart, that one tap of some outputs sees; zeros behind the end.
#[inline(always)]
fn seen(lanes: &[[i16; CHANNELS]], step: usize) -> [[i16; CHANNELS]; OUTPUTS] {
    if let (1, Some(neighbours)) = (step, lanes.first_chunk()) {
        return *neighbours;
    }
    let mut seen = [[0; CHANNELS]; OUTPUTS];
    for (seen, lanes) in seen.iter_mut().zip(lanes.iter().step_by(step.max(1))) {
        *seen = *lanes;
    }
    seen
}
