//! What the inner loops of `DepthwisePlanar` work on.
//!
//! A plane holds one channel of some input rows as 16-bit lanes, padding included. The lanes of
//! rows 2*r* and 2*r* + 1 belong together, so that two taps of a column can be one word; in which
//! order they lie is the instruction set's affair.

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
    /// Row pairs that `rows` output rows need: one more than they see where that makes a whole
    /// word of the last tap. `None` if they overflow.
    pub fn row_pairs_for(&self, rows: usize) -> Option<usize> {
        let last = rows.checked_sub(1)?.checked_mul(self.stride_h)?;
        (last / 2).checked_add(self.kernel_h / 2)?.checked_add(1)
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

/// Where the outputs of one channel go.
#[derive(Clone, Copy)]
pub struct Outputs<'a> {
    out: Dst<'a>,
    rows: usize,
    columns: usize,
    row_step: usize,
    column_step: usize,
}

impl<'a> Outputs<'a> {
    /// `rows` times `columns` bytes in `out`, so far apart; `None` if they leave it or there are
    /// none.
    pub fn new(
        out: Dst<'a>,
        (rows, columns): (usize, usize),
        (row_step, column_step): (usize, usize),
    ) -> Option<Self> {
        let last_row = rows.checked_sub(1)?.checked_mul(row_step)?;
        let last_column = columns.checked_sub(1)?.checked_mul(column_step)?;
        let inside = last_row.checked_add(last_column)? < out.len();
        inside.then_some(Self { out, rows, columns, row_step, column_step })
    }

    /// Their memory.
    pub fn out(&self) -> Dst<'a> {
        self.out
    }

    /// Output rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Output columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Bytes from one row to the next.
    pub fn row_step(&self) -> usize {
        self.row_step
    }

    /// Bytes from one column to the next.
    pub fn column_step(&self) -> usize {
        self.column_step
    }
}

/// One channel: its plane, its weights, its outputs.
#[derive(Clone, Copy)]
pub struct Channel<'a> {
    window: Window,
    plane: &'a [u32],
    stream: &'a [u32],
    outputs: Outputs<'a>,
    zero: i8,
}

impl<'a> Channel<'a> {
    /// A channel whose outputs' windows all lie in `plane`, and whose `stream` is as
    /// [`planar`] describes it; `zero` is the output's zero point. `None` if it is not so.
    pub fn new(
        window: Window,
        plane: &'a [u32],
        stream: &'a [u32],
        outputs: Outputs<'a>,
        zero: i8,
    ) -> Option<Self> {
        let fits = window.row_pairs_for(outputs.rows)? <= window.row_pairs
            && window.columns_for(outputs.columns)? <= window.columns
            && window.plane_words()? == plane.len()
            && planar::channel_words(window.kernel_h, window.kernel_w)? == stream.len()
            && [window.kernel_h, window.stride_h, window.stride_w].iter().all(|&n| n != 0);
        fits.then_some(Self { window, plane, stream, outputs, zero })
    }

    /// The kernel and the plane's extents.
    pub fn window(&self) -> &Window {
        &self.window
    }

    /// The plane.
    pub fn plane(&self) -> &'a [u32] {
        self.plane
    }

    /// Bias, multiplier and weights.
    pub fn stream(&self) -> &'a [u32] {
        self.stream
    }

    /// Where the outputs go.
    pub fn outputs(&self) -> &Outputs<'a> {
        &self.outputs
    }

    /// Zero point of the output.
    pub fn zero(&self) -> i8 {
        self.zero
    }
}

/// Some pixels of two rows, of which four channels are read.
#[derive(Clone, Copy)]
pub struct Lines<'a> {
    rows: [Src<'a>; 2],
    steps: [usize; 2],
    count: usize,
}

impl<'a> Lines<'a> {
    /// `count` pixels of each row from its start on, `steps` bytes apart; `None` if they leave it
    /// or there are none.
    pub fn new(rows: [Src<'a>; 2], steps: [usize; 2], count: usize) -> Option<Self> {
        let last = count.checked_sub(1)?;
        for (row, step) in rows.iter().zip(steps) {
            let end = last.checked_mul(step)?.checked_add(planar::CHANNELS)?;
            (end <= row.len()).then_some(())?;
        }
        Some(Self { rows, steps, count })
    }

    /// The bytes of each row, from the first pixel's first channel on.
    pub fn rows(&self) -> [Src<'a>; 2] {
        self.rows
    }

    /// Bytes from one pixel to the next in each row.
    pub fn steps(&self) -> [usize; 2] {
        self.steps
    }

    /// Number of pixels.
    pub fn count(&self) -> usize {
        self.count
    }
}

/// Four planes, one behind the other.
pub struct Planes<'a> {
    words: &'a mut [u32],
    row_pairs: usize,
    columns: usize,
}

impl<'a> Planes<'a> {
    /// The planes of `window` in `words`; `None` if that has another length.
    pub fn new(words: &'a mut [u32], window: &Window) -> Option<Self> {
        let len = window.plane_words()?.checked_mul(planar::CHANNELS)?;
        let (row_pairs, columns) = (window.row_pairs, window.columns);
        (len == words.len()).then_some(Self { words, row_pairs, columns })
    }

    /// All words.
    pub fn words(&mut self) -> &mut [u32] {
        self.words
    }

    /// The words of one plane.
    pub fn plane(&self, channel: usize) -> Option<&[u32]> {
        let len = self.plane_words();
        let start = channel.checked_mul(len)?;
        self.words.get(start..start.checked_add(len)?)
    }

    /// Words per plane.
    pub fn plane_words(&self) -> usize {
        // Cannot overflow: `new` found that four of them do not.
        self.row_pairs.wrapping_mul(self.columns)
    }

    /// Columns of a plane.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Where `count` columns from `column` on of a row pair lie in each plane; `None` if they
    /// leave it.
    pub fn place(&self, row_pair: usize, column: usize, count: usize) -> Option<usize> {
        let inside = row_pair < self.row_pairs && column.checked_add(count)? <= self.columns;
        inside.then(|| row_pair.wrapping_mul(self.columns).wrapping_add(column))
    }
}
