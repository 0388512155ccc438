//! What the pooling operators share: a walk over the output pixels, and the mean of what one sees.

use core::ops::Range;

use fixie_format::Image;
use fixie_format::op::Window;
use fixie_format::table::TensorId;

use crate::arch::Isa;
use crate::arch::view::{Dst, Src};
use crate::memory::{SrcRows, Tensors};
use crate::ops::window::{Axis, Taps, check_window};
use crate::requantize::Requantizer;
use crate::rule::{Rule, check_output, check_row_tensor, check_rows, check_that};

/// Channels which are summed up at a time, so that the sums need little stack.
const CHANNEL_BLOCK: usize = 16;

/// Checks a pooling operator of `rows` rows: its window and its two tensors.
///
/// # Errors
///
/// Any [`Rule`] but those of constants and scratch memory.
pub fn check_pool(
    window: &Window,
    rows: u16,
    image: &Image<'_>,
    (input, output): (TensorId, TensorId),
) -> Result<(), Rule> {
    check_window(window)?;
    check_that(window.in_c == window.out_c, "window.out_c")?;
    check_rows(rows, window.out_h)?;
    let row_bytes = |width: u16| usize::from(width).checked_mul(window.in_c.into());
    check_row_tensor(image, input, window.in_h, row_bytes(window.in_w))?;
    check_row_tensor(image, output, window.out_h, row_bytes(window.out_w))?;
    check_output(image, output, &[], &[input])
}

/// The pixels of an input that one output pixel sees.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// The rows of the input.
    pub input: SrcRows<'a>,
    /// Bytes per pixel.
    pub channels: usize,
    /// Which rows.
    pub rows: Taps,
    /// Which pixels of these rows.
    pub columns: Taps,
}

impl View<'_> {
    /// Number of pixels in it.
    pub fn pixel_count(&self) -> usize {
        self.rows.count.wrapping_mul(self.columns.count)
    }

    /// Shows the pixels of each row, from `channel` of the first one on.
    fn for_each_row(
        &self,
        channel: usize,
        mut show: impl FnMut(Src<'_>) -> Option<()>,
    ) -> Option<()> {
        let at = self.columns.first.checked_mul(self.channels)?.checked_add(channel)?;
        for y in self.rows.positions() {
            let row = self.input.row(y)?;
            show(row.slice(at, row.len().checked_sub(at)?)?)?;
        }
        Some(())
    }

    /// Shows the channels of every pixel.
    pub fn for_each(&self, mut show: impl FnMut(Src<'_>)) -> Option<()> {
        for y in self.rows.positions() {
            let row = self.input.row(y)?;
            for x in self.columns.positions() {
                show(row.slice(x.checked_mul(self.channels)?, self.channels)?);
            }
        }
        Some(())
    }

    /// Writes `requantizer(Σ (in − in_zero))` for every channel.
    pub fn average<I: Isa>(
        &self,
        in_zero: i8,
        requantizer: Requantizer,
        multiplier: i32,
        pixel: Dst<'_>,
    ) -> Option<()> {
        let zeros = (self.pixel_count() as i32).wrapping_mul(in_zero.into());
        let step = self.columns.dilation.checked_mul(self.channels)?;
        for (block, cells) in pixel.cells().chunks(CHANNEL_BLOCK).enumerate() {
            let mut sums = [zeros.wrapping_neg(); CHANNEL_BLOCK];
            let sums = sums.get_mut(..cells.len())?;
            if self.columns.count != 0 {
                self.for_each_row(block.wrapping_mul(CHANNEL_BLOCK), |row| {
                    I::pixel_sums(row, (self.columns.count, step), sums)
                })?;
            }
            for (cell, sum) in cells.iter().zip(sums) {
                cell.set(requantizer.apply(*sum, multiplier));
            }
        }
        Some(())
    }
}

/// Computes `rows` of a pooling operator: hands every output pixel to `pixel`, with what it sees.
pub fn pool(
    window: &Window,
    rows: Range<usize>,
    tensors: Tensors<'_>,
    (input, output): (TensorId, TensorId),
    mut pixel: impl FnMut(View<'_>, Dst<'_>) -> Option<()>,
) -> Option<()> {
    let channels = usize::from(window.out_c);
    let row_bytes = |width: u16| usize::from(width).checked_mul(channels);
    let input = tensors.src_rows(input, row_bytes(window.in_w)?)?;
    let output = tensors.dst_rows(output, row_bytes(window.out_w)?)?;
    let (vertical, horizontal) = (Axis::vertical(window), Axis::horizontal(window));
    for y in rows {
        let out_row = output.row(y)?;
        for x in 0..usize::from(window.out_w) {
            let view =
                View { input, channels, rows: vertical.taps(y), columns: horizontal.taps(x) };
            pixel(view, out_row.slice(x.checked_mul(channels)?, channels)?)?;
        }
    }
    Some(())
}
