//! What the inner loops of `DepthwisePlanar` work on.
//!
//! A plane holds one channel of some input rows as 16-bit lanes, padding included. Rows come in
//! pairs, so that two taps of a column can be one word. In which order the lanes of four planes lie
//! is the instruction set's affair.

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

    /// The first one, for an assembly loop.
    pub fn first(&self) -> *mut i8 {
        self.out.as_mut_ptr().wrapping_add(self.first)
    }

    /// Writes the one at `(y, x)` of the channel `channel` places behind.
    #[inline(always)]
    pub fn set(&self, (y, x): (usize, usize), channel: usize, value: i8) -> Option<()> {
        let row = self.first.checked_add_signed((y as isize).checked_mul(self.row_step)?)?;
        let pixel = row.checked_add(x.checked_mul(self.column_step)?)?;
        self.out.set(pixel.checked_add(channel)?, value)
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

/// Some channels: their planes, their weights, their outputs.
#[derive(Clone, Copy)]
pub struct Channels<'a> {
    window: Window,
    planes: &'a [u32],
    skipped: usize,
    first_pair: usize,
    streams: &'a [u32],
    outputs: Outputs<'a>,
    zero: i8,
}

/// Which part of four planes is looked at.
#[derive(Clone, Copy)]
pub struct Part {
    /// Channels that are left out.
    pub skipped: usize,
    /// The first row pair that outputs see; the last one of a plane is followed by the first one.
    pub first_pair: usize,
}

impl<'a> Channels<'a> {
    /// The channels of a part of four planes. Their `streams`, see [`planar`], lie one behind the
    /// other, and their outputs side by side: `outputs` are those of the first. `zero` is the
    /// output's zero point.
    ///
    /// `None` if the windows of the outputs need more than the planes have, or if there are not as
    /// many channels in all of them.
    pub fn new(
        window: Window,
        (planes, part): (&'a [u32], Part),
        streams: &'a [u32],
        outputs: Outputs<'a>,
        zero: i8,
    ) -> Option<Self> {
        let Part { skipped, first_pair } = part;
        let count = planar::CHANNELS.checked_sub(skipped)?;
        let words = planar::channel_words(window.kernel_h, window.kernel_w)?;
        let fits = window.row_pairs_for(outputs.rows)? <= window.row_pairs
            && window.columns_for(outputs.columns)? <= window.columns
            && count != 0
            && window.plane_words()?.checked_mul(planar::CHANNELS)? == planes.len()
            && words.checked_mul(count)? == streams.len()
            && first_pair < window.row_pairs
            && outputs.last.checked_add(count)? <= outputs.out.len()
            && [window.kernel_h, window.stride_h, window.stride_w].iter().all(|&n| n != 0);
        fits.then_some(Self { window, planes, skipped, first_pair, streams, outputs, zero })
    }

    /// The kernel and the planes' extents.
    pub fn window(&self) -> &Window {
        &self.window
    }

    /// Number of channels.
    pub fn count(&self) -> usize {
        // Cannot underflow: `new` subtracted.
        planar::CHANNELS.wrapping_sub(self.skipped)
    }

    /// The planes of all four channels.
    pub fn planes(&self) -> &'a [u32] {
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
}

impl<'a> Lines<'a> {
    /// `count` pixels of each row of a pair from its start on, `steps` bytes apart, of a single
    /// pair of rows; `None` if they leave it or there are none.
    pub fn pair(rows: [Src<'a>; 2], steps: [usize; 2], count: usize) -> Option<Self> {
        let lines = Self { rows, steps, count, pairs: 1, pair_step: 0 };
        lines.are_inside()?.then_some(lines)
    }

    /// `count` pixels of `pairs` pairs of rows from the starts of the first pair on: pixels `step`
    /// bytes apart, pairs `pair_step`; `None` if they leave it or there are none.
    pub fn pairs(
        rows: [Src<'a>; 2],
        (count, step): (usize, usize),
        (pairs, pair_step): (usize, usize),
    ) -> Option<Self> {
        let lines = Self { rows, steps: [step; 2], count, pairs, pair_step };
        lines.are_inside()?.then_some(lines)
    }

    fn are_inside(&self) -> Option<bool> {
        let last_pair = self.pairs.checked_sub(1)?.checked_mul(self.pair_step)?;
        let last_pixel = self.count.checked_sub(1)?;
        let mut inside = true;
        for (row, step) in self.rows.iter().zip(self.steps) {
            let last = last_pair.checked_add(last_pixel.checked_mul(step)?)?;
            inside &= last.checked_add(planar::CHANNELS)? <= row.len();
        }
        Some(inside)
    }

    /// The bytes of each row of the first pair, from the first pixel's first channel on.
    pub fn rows(&self) -> [Src<'a>; 2] {
        self.rows
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

/// Four planes, one behind the other.
pub struct Planes<'a> {
    words: &'a mut [u32],
    window: Window,
}

impl<'a> Planes<'a> {
    /// The planes of `window` in `words`; `None` if that has another length.
    pub fn new(words: &'a mut [u32], window: &Window) -> Option<Self> {
        let len = window.plane_words()?.checked_mul(planar::CHANNELS)?;
        (len == words.len()).then_some(Self { words, window: *window })
    }

    /// The kernel and the planes' extents.
    pub fn window(&self) -> &Window {
        &self.window
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

    /// Where lines from row pair `row_pair` and `column` on start in each plane; `None` if they
    /// leave it.
    pub fn place(&self, lines: &Lines<'_>, row_pair: usize, column: usize) -> Option<usize> {
        let inside = row_pair.checked_add(lines.pairs)? <= self.window.row_pairs
            && column.checked_add(lines.count)? <= self.window.columns;
        inside.then(|| row_pair.wrapping_mul(self.window.columns).wrapping_add(column))
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
