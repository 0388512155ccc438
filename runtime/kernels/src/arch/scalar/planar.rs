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

/// See [`Isa::planar_channels`](crate::arch::Isa::planar_channels). Each weight is looked up once for several outputs of a row; a last
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
    let (lanes, _) = bytemuck::must_cast_slice::<u32, i16>(channels.planes().words()).as_chunks();
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
