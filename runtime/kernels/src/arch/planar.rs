//! What the inner loops of `DepthwisePlanar` work on.
//!
//! A plane holds one channel of some input rows as 16-bit lanes, padding included. Rows come in
//! pairs, so that two taps of a column can be one word. In which order the lanes of four planes lie
//! is the instruction set's affair.

use core::num::NonZeroUsize;
use core::ptr;

use fixie_format::op::planar;

use crate::arch::view::{Dst, Src};

/// Words of a table entry, see [`Window::table_words`].
const ENTRY_WORDS: usize = 3;

/// The kernel of a depthwise convolution and the planes which it slides over.
#[derive(Clone, Copy)]
pub struct Window {
    /// Rows of the kernel.
    pub kernel_h: usize,
    /// Columns of the kernel.
    pub kernel_w: usize,
    /// Rows from one output to the next.
    pub stride_h: usize,
    /// Columns from one output to the next.
    pub stride_w: usize,
    /// Distance between the kernel's columns.
    pub dilation_w: usize,
    /// Columns of a plane.
    pub columns: usize,
    /// Rows of a plane, in pairs.
    pub row_pairs: usize,
}

impl Window {
    /// Row pairs that `rows` output rows need, so that every word of two taps can be read, even if
    /// one of them has no weight. `None` if they overflow.
    pub fn row_pairs_for(&self, rows: usize) -> Option<usize> {
        let last = rows.checked_sub(1)?.checked_mul(self.stride_h)?;
        (last / 2).checked_add(self.kernel_h / 2)?.checked_add(1)
    }

    /// Output rows for which `row_pairs` row pairs are enough, 0 if for none: the inverse of
    /// [`row_pairs_for`](Self::row_pairs_for). `None` if they overflow.
    pub fn rows_for(&self, row_pairs: usize) -> Option<usize> {
        let Some(more) = row_pairs.checked_sub((self.kernel_h / 2).checked_add(1)?) else {
            return Some(0);
        };
        more.checked_mul(2)?.checked_add(1)?.checked_div(self.stride_h)?.checked_add(1)
    }

    /// Columns that `columns` output columns need; `None` if they overflow.
    pub fn columns_for(&self, columns: usize) -> Option<usize> {
        let last = columns.checked_sub(1)?.checked_mul(self.stride_w)?;
        let extent = self.kernel_w.checked_sub(1)?.checked_mul(self.dilation_w)?;
        last.checked_add(extent)?.checked_add(1)
    }

    /// The stride of a kernel for which there are loops of their own: one of 3×3 taps without gaps, at
    /// strides of 1 or 2.
    pub fn square_stride(&self) -> Option<NonZeroUsize> {
        let square = (self.kernel_h, self.kernel_w, self.dilation_w) == (3, 3, 1)
            && self.stride_h == self.stride_w
            && matches!(self.stride_w, 1 | 2);
        if square { NonZeroUsize::new(self.stride_w) } else { None }
    }

    /// Words of one plane; `None` if they overflow.
    pub fn plane_words(&self) -> Option<usize> {
        self.row_pairs.checked_mul(self.columns)
    }

    /// Words of the table in which a kernel's weights are unpacked: three for every two taps of a
    /// column, for twice as many taps as a word of packed weights. `None` if they overflow.
    pub fn table_words(&self) -> Option<usize> {
        let column = planar::column_words(self.kernel_h).checked_mul(2 * ENTRY_WORDS)?;
        column.checked_mul(self.kernel_w)
    }
}

/// Where the outputs of a channel go.
#[derive(Clone, Copy)]
pub struct Outputs<'a> {
    out: Dst<'a>,
    /// Where the first one is.
    first: usize,
    rows: usize,
    columns: usize,
    row_step: isize,
    column_step: usize,
    /// Where the one that is furthest behind is.
    last: usize,
}

impl<'a> Outputs<'a> {
    /// `rows` times `columns` bytes in `out` from `first` on, so far apart; `None` if they leave it
    /// or there are none.
    pub fn new(
        (out, first): (Dst<'a>, usize),
        (rows, columns): (usize, usize),
        (row_step, column_step): (isize, usize),
    ) -> Option<Self> {
        let rows_behind = isize::try_from(rows.checked_sub(1)?).ok()?;
        let last_row = first.checked_add_signed(rows_behind.checked_mul(row_step)?)?;
        let last_column = columns.checked_sub(1)?.checked_mul(column_step)?;
        let last = first.max(last_row).checked_add(last_column)?;
        let inside = last < out.len();
        inside.then_some(Self { out, first, rows, columns, row_step, column_step, last })
    }

    /// The same of another channel, `channels` behind; `None` if they leave the bytes.
    #[inline(always)]
    pub fn behind(&self, channels: usize) -> Option<Self> {
        let last = self.last.checked_add(channels)?;
        let inside = last < self.out.len();
        // Cannot overflow: `last` is not below `first`.
        inside.then_some(Self { first: self.first.wrapping_add(channels), last, ..*self })
    }

    /// The first one, for an assembly loop.
    pub fn first(&self) -> *mut i8 {
        self.out.as_mut_ptr().wrapping_add(self.first)
    }

    /// Where the one at `(y, x)` is; `None` if that overflows.
    #[inline(always)]
    fn place(&self, (y, x): (usize, usize)) -> Option<usize> {
        let row = self.first.checked_add_signed((y as isize).checked_mul(self.row_step)?)?;
        row.checked_add(x.checked_mul(self.column_step)?)
    }

    /// Writes those from `(y, x)` on, as far as the row goes, of this channel and the next ones.
    #[inline(always)]
    pub fn set<const N: usize>(
        &self,
        (y, x): (usize, usize),
        pixels: impl IntoIterator<Item = [i8; N]>,
    ) -> Option<()> {
        let mut at = self.place((y, x))?;
        for (_, values) in (x..self.columns).zip(pixels) {
            self.out.set_chunk(at, values)?;
            at = at.wrapping_add(self.column_step);
        }
        Some(())
    }

    /// Output rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Output columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Bytes from one row to the next, which may lie before it.
    pub fn row_step(&self) -> isize {
        self.row_step
    }

    /// Bytes from one column to the next.
    pub fn column_step(&self) -> usize {
        self.column_step
    }
}

/// What some outputs see of a plane: all that is the same for every channel.
pub struct Sight<'a> {
    window: &'a Window,
    first_pair: usize,
    outputs: Outputs<'a>,
}

impl<'a> Sight<'a> {
    /// Outputs of a first channel, which see row pair `first_pair` and those behind it; the last one
    /// of a plane is followed by the first one. `None` if their windows need more than planes of
    /// `window` have.
    pub fn new(window: &'a Window, first_pair: usize, outputs: Outputs<'a>) -> Option<Self> {
        let fits = window.row_pairs_for(outputs.rows)? <= window.row_pairs
            && window.columns_for(outputs.columns)? <= window.columns
            && first_pair < window.row_pairs
            && [window.kernel_h, window.stride_h, window.stride_w].iter().all(|&n| n != 0);
        fits.then_some(Self { window, first_pair, outputs })
    }
}

/// Some channels: their planes, their weights, their outputs.
pub struct Channels<'a> {
    planes: &'a Planes<'a>,
    skipped: usize,
    first_pair: usize,
    streams: &'a [u32],
    outputs: Outputs<'a>,
    zero: i8,
}

impl<'a> Channels<'a> {
    /// Those of four planes but the first `skipped`, from channel `first` on. Their `streams`, see
    /// [`planar`], lie one behind the other, and their outputs side by side. `zero` is the output's
    /// zero point.
    ///
    /// `None` if the planes are not those which are seen, or if there are not as many channels in all
    /// of them.
    #[inline(always)]
    pub fn new(
        planes: &'a Planes<'a>,
        sight: &Sight<'a>,
        (first, skipped): (usize, usize),
        streams: &'a [u32],
        zero: i8,
    ) -> Option<Self> {
        let window = planes.window;
        let count = planar::CHANNELS.checked_sub(skipped)?;
        let words = planar::channel_words(window.kernel_h, window.kernel_w)?;
        let outputs = sight.outputs.behind(first)?;
        let fits = ptr::eq(window, sight.window)
            && count != 0
            && words.checked_mul(count)? == streams.len()
            && outputs.last.checked_add(count)? <= outputs.out.len();
        let first_pair = sight.first_pair;
        fits.then_some(Self { planes, skipped, first_pair, streams, outputs, zero })
    }

    /// The kernel and the planes' extents.
    pub fn window(&self) -> &'a Window {
        self.planes.window
    }

    /// Number of channels.
    pub fn count(&self) -> usize {
        // Cannot underflow: `new` subtracted.
        planar::CHANNELS.wrapping_sub(self.skipped)
    }

    /// The planes of all four channels.
    pub fn planes(&self) -> &'a Planes<'a> {
        self.planes
    }

    /// Channels whose planes come before the first one's.
    pub fn skipped(&self) -> usize {
        self.skipped
    }

    /// The first row pair that the outputs see.
    pub fn first_pair(&self) -> usize {
        self.first_pair
    }

    /// Bias, multiplier and weights of each.
    pub fn streams(&self) -> &'a [u32] {
        self.streams
    }

    /// Where the outputs of the first go.
    pub fn outputs(&self) -> &Outputs<'a> {
        &self.outputs
    }

    /// Zero point of the output.
    pub fn zero(&self) -> i8 {
        self.zero
    }
}

/// Some pixels of some pairs of rows, of which four channels are read.
#[derive(Clone, Copy)]
pub struct Lines<'a> {
    rows: [Src<'a>; 2],
    steps: [usize; 2],
    count: usize,
    pairs: usize,
    pair_step: usize,
    /// How many bytes there are behind those which are read, in both rows.
    rest: usize,
}

impl<'a> Lines<'a> {
    /// `count` pixels of each row of a pair from its start on, `steps` bytes apart, of a single
    /// pair of rows; `None` if they leave it or there are none. A row of pixels 0 bytes apart is
    /// the same for all channels.
    pub fn pair(rows: [Src<'a>; 2], steps: [usize; 2], count: usize) -> Option<Self> {
        Self { rows, steps, count, pairs: 1, pair_step: 0, rest: 0 }.measured()
    }

    /// `count` pixels of `pairs` pairs of rows from the starts of the first pair on: pixels `step`
    /// bytes apart, pairs `pair_step`; `None` if they leave it or there are none.
    pub fn pairs(
        rows: [Src<'a>; 2],
        (count, step): (usize, usize),
        (pairs, pair_step): (usize, usize),
    ) -> Option<Self> {
        Self { rows, steps: [step; 2], count, pairs, pair_step, rest: 0 }.measured()
    }

    /// From `row_pair` and `column` of planes of `window` on; `None` if they leave those.
    pub fn place(self, window: &'a Window, row_pair: usize, column: usize) -> Option<Placed<'a>> {
        let inside = row_pair.checked_add(self.pairs)? <= window.row_pairs
            && column.checked_add(self.count)? <= window.columns;
        inside.then_some(Placed { lines: self, row_pair, column, window })
    }

    /// The rows from the pixel of another channel on, `channels` behind; `None` if four channels from
    /// there on leave the rows.
    #[inline(always)]
    pub fn rows(&self, channels: usize) -> Option<[Src<'a>; 2]> {
        (channels <= self.rest).then_some(())?;
        let behind = |row: Src<'a>, step| {
            if step == 0 {
                Some(row)
            } else {
                row.slice(channels, row.len().checked_sub(channels)?)
            }
        };
        let ([upper, lower], [upper_step, lower_step]) = (self.rows, self.steps);
        Some([behind(upper, upper_step)?, behind(lower, lower_step)?])
    }

    /// With `rest`; `None` if there is not enough to read.
    fn measured(self) -> Option<Self> {
        let last_pair = self.pairs.checked_sub(1)?.checked_mul(self.pair_step)?;
        let last_pixel = self.count.checked_sub(1)?;
        let mut rest = usize::MAX;
        for (row, step) in self.rows.iter().zip(self.steps) {
            let last = last_pair.checked_add(last_pixel.checked_mul(step)?)?;
            let behind = row.len().checked_sub(last.checked_add(planar::CHANNELS)?)?;
            rest = if step == 0 { rest } else { rest.min(behind) };
        }
        Some(Self { rest, ..self })
    }

    /// Bytes from one pixel to the next in each row; the same if there is more than one pair.
    pub fn steps(&self) -> [usize; 2] {
        self.steps
    }

    /// Pixels per row.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Pairs of rows.
    pub fn pair_count(&self) -> usize {
        self.pairs
    }

    /// Bytes from one pair to the next.
    pub fn pair_step(&self) -> usize {
        self.pair_step
    }
}

/// Lines, and where in each of four planes they belong.
pub struct Placed<'a> {
    lines: Lines<'a>,
    row_pair: usize,
    column: usize,
    window: &'a Window,
}

impl<'a> Placed<'a> {
    /// What is copied.
    pub fn lines(&self) -> &Lines<'a> {
        &self.lines
    }

    /// The row pair of the first.
    pub fn row_pair(&self) -> usize {
        self.row_pair
    }

    /// The column of the first pixels.
    pub fn column(&self) -> usize {
        self.column
    }
}

/// Four planes, one behind the other.
pub struct Planes<'a> {
    words: &'a mut [u32],
    window: &'a Window,
    square_stride: Option<NonZeroUsize>,
}

impl<'a> Planes<'a> {
    /// The planes of `window` in `words`; `None` if that has another length.
    pub fn new(words: &'a mut [u32], window: &'a Window) -> Option<Self> {
        let len = window.plane_words()?.checked_mul(planar::CHANNELS)?;
        (len == words.len()).then_some(())?;
        Some(Self { words, window, square_stride: window.square_stride() })
    }

    /// The kernel's [`square_stride`](Window::square_stride).
    pub fn square_stride(&self) -> Option<usize> {
        self.square_stride.map(NonZeroUsize::get)
    }

    /// The kernel and the planes' extents.
    pub fn window(&self) -> &'a Window {
        self.window
    }

    /// All words.
    pub fn words(&self) -> &[u32] {
        self.words
    }

    /// All words, to write.
    pub fn words_mut(&mut self) -> &mut [u32] {
        self.words
    }

    /// Words per plane.
    pub fn plane_words(&self) -> usize {
        // Cannot overflow: `new` found that four of them do not.
        self.window.row_pairs.wrapping_mul(self.window.columns)
    }

    /// Columns of a plane.
    pub fn columns(&self) -> usize {
        self.window.columns
    }

    /// Where lines start in each plane, inside which all of them lie; `None` if their place is one in
    /// other planes.
    #[inline(always)]
    pub fn start(&self, placed: &Placed<'_>) -> Option<usize> {
        let at = || placed.row_pair.wrapping_mul(self.window.columns).wrapping_add(placed.column);
        ptr::eq(self.window, placed.window).then(at)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn row_pairs_are_enough_for_so_many_rows_and_no_more(
            kernel_h in 1usize..8, stride in 0usize..4, row_pairs in 0usize..50,
        ) {
            let stride_h = (2 * stride).max(1);
            let window = Window {
                kernel_h, stride_h, kernel_w: 1, stride_w: 1, dilation_w: 1, columns: 1, row_pairs,
            };
            let rows = window.rows_for(row_pairs).unwrap();
            prop_assert!(rows == 0 || window.row_pairs_for(rows).unwrap() <= row_pairs);
            prop_assert!(window.row_pairs_for(rows + 1).unwrap() > row_pairs);
        }
    }
}
