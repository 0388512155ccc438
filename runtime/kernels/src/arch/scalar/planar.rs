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
            let [a, b, c, d] = row.chunk(x.wrapping_mul(step).wrapping_add(first))?;
            *pixel = [a.into(), b.into(), c.into(), d.into()];
        }
    }
    Some(())
}

/// Outputs of a row that are computed at a time: fewer would be no vectors to the compiler.
pub const OUTPUTS: usize = 8;

/// See [`Isa::planar_channels`](crate::arch::Isa::planar_channels). Outputs behind the end of a row are computed, but not written.
#[inline(always)]
pub fn planar_channels(channels: &Channels<'_>, _table: &mut [u32]) -> Option<()> {
    let streams = Streams::new(channels)?;
    for y in 0..channels.outputs().rows() {
        for x in (0..channels.outputs().columns()).step_by(OUTPUTS) {
            let sums = planar_sums(channels, &streams, y, x)?;
            let requantizer =
                Requantizer { shift: 0, zero: channels.zero(), min: i8::MIN, max: i8::MAX };
            let mut pixels = [[0; CHANNELS]; OUTPUTS];
            for (pixel, sums) in pixels.iter_mut().zip(sums) {
                for ((value, acc), multiplier) in
                    pixel.iter_mut().zip(sums).zip(streams.multipliers)
                {
                    *value = requantizer.apply(acc, multiplier);
                }
            }
            store(channels, (y, x), pixels)?;
        }
    }
    Some(())
}

/// The constants of four channels.
pub struct Streams<'a> {
    /// Empty for channels that are skipped.
    weights: [&'a [i8]; CHANNELS],
    pub bias: [i32; CHANNELS],
    pub multipliers: [i32; CHANNELS],
    /// Bytes of a kernel column.
    column_len: usize,
}

impl<'a> Streams<'a> {
    #[inline(always)]
    pub fn new(channels: &Channels<'a>) -> Option<Self> {
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
    pub fn tap(&self, i: usize, j: usize) -> [i16; CHANNELS] {
        let at = j.wrapping_mul(self.column_len).wrapping_add(i);
        let mut tap = [0; CHANNELS];
        for (tap, weights) in tap.iter_mut().zip(self.weights) {
            *tap = weights.get(at).copied().unwrap_or(0).into();
        }
        tap
    }
}

/// Writes outputs of row `y` from column `x` on, as far as there are any, all channels.
#[inline(always)]
pub fn store(
    channels: &Channels<'_>,
    (y, x): (usize, usize),
    pixels: [[i8; CHANNELS]; OUTPUTS],
) -> Option<()> {
    let outputs = channels.outputs();
    if channels.skipped() == 0 {
        return outputs.set((y, x), pixels);
    }
    for (n, channel) in (channels.skipped()..CHANNELS).enumerate() {
        let values = pixels.iter().filter_map(|pixel| Some([*pixel.get(channel)?]));
        outputs.behind(n)?.set((y, x), values)?;
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
    for i in 0..window.kernel_h {
        let mut tap = row.checked_mul(window.columns)?.checked_add(first_column)?;
        for j in 0..window.kernel_w {
            let weights = streams.tap(i, j);
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
pub fn seen(lanes: &[[i16; CHANNELS]], step: usize) -> [[i16; CHANNELS]; OUTPUTS] {
    if let (1, Some(neighbours)) = (step, lanes.first_chunk()) {
        return *neighbours;
    }
    let mut seen = [[0; CHANNELS]; OUTPUTS];
    for (seen, lanes) in seen.iter_mut().zip(lanes.iter().step_by(step.max(1))) {
        *seen = *lanes;
    }
    seen
}
