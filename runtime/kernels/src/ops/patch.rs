//! Patches: what one output pixel of a convolution sees, gathered from the input.

use fixie_format::op;

use crate::arch::neighbours::{Neighbours, Piece, Sight};
use crate::arch::view::Src;

/// The extents of a convolution, in elements.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Input channels of one group.
    pub group_in: usize,
    /// Output channels of one group.
    pub group_out: usize,
    /// Bytes of a kernel row of one group: `kernel_w · group_in`.
    pub row_taps: usize,
    /// Weights per output channel: `kernel_h · kernel_w · group_in`.
    pub taps: usize,
}

impl Shape {
    /// The extents of `params`; `None` if the groups do not divide the channels, something is zero
    /// or a patch is too large to be addressed.
    pub fn new(params: &op::Conv) -> Option<Self> {
        let op::Window { in_c, out_c, kernel_h, kernel_w, .. } = params.window;
        let groups = usize::from(params.groups);
        let (in_c, out_c) = (usize::from(in_c), usize::from(out_c));
        let divides = |channels: usize| channels != 0 && channels.checked_rem(groups) == Some(0);
        (divides(in_c) && divides(out_c)).then_some(())?;
        let group_in = in_c.checked_div(groups)?;
        let row_taps = usize::from(kernel_w).checked_mul(group_in)?;
        let taps = row_taps.checked_mul(kernel_h.into())?;
        (taps != 0).then_some(Self {
            group_in,
            group_out: out_c.checked_div(groups)?,
            row_taps,
            taps,
        })
    }
}

/// Whether every output pixel sees exactly one pixel inside the input.
pub fn is_pointwise(window: &op::Window) -> bool {
    let reaches = |output: u16, stride: u16, input: u16| {
        u32::from(output.saturating_sub(1)).checked_mul(stride.into()) < Some(input.into())
    };
    (window.kernel_h, window.kernel_w) == (1, 1)
        && (window.pad_top, window.pad_left) == (0, 0)
        && reaches(window.out_h, window.stride_h, window.in_h)
        && reaches(window.out_w, window.stride_w, window.in_w)
}

/// Where patches come from: the channels of one group of the input, surrounded by padding.
#[derive(Clone, Copy)]
pub struct Patches<'a> {
    /// Geometry.
    pub window: op::Window,
    /// The memory of the input, `[in_h, in_w, in_c]`.
    pub memory: Src<'a>,
    /// Bytes of a row.
    pub row_bytes: usize,
    /// If not 0, the memory is a ring of so many rows: row *y* in slot *y* mod `ring_rows`.
    pub ring_rows: usize,
    /// The group's first input channel.
    pub channel: usize,
    /// The group's input channels.
    pub channels: usize,
    /// What stands outside the input.
    pub pad_value: i8,
}

/// Where the patch of an output pixel lies in the input.
pub struct Location {
    /// The output pixel.
    y: usize,
    x: usize,
    /// First input row.
    top: i32,
    /// The part of a kernel row that lies inside the input, if it is one run of bytes.
    inside: Option<Inside>,
}

/// The part of a kernel row that lies inside the input.
struct Inside {
    /// It is the whole kernel row.
    whole: bool,
    /// Where it starts in its input row.
    start: usize,
    /// Where it starts in the kernel row.
    skipped: usize,
    /// Its bytes.
    len: usize,
}

impl<'a> Patches<'a> {
    /// Row and column of an output pixel, counted row by row.
    #[inline(always)]
    pub fn position(&self, pixel: usize) -> Option<(usize, usize)> {
        let width = usize::from(self.window.out_w);
        Some((pixel.checked_div(width)?, pixel.checked_rem(width)?))
    }

    /// The first input row that the output pixels of row `y` see; it may lie above the input.
    #[inline(always)]
    pub fn top(&self, y: usize) -> i32 {
        start(y, self.window.stride_h, self.window.pad_top)
    }

    /// The first input column that output column `x` sees; it may lie left of the input.
    #[inline(always)]
    pub fn left(&self, x: usize) -> i32 {
        start(x, self.window.stride_w, self.window.pad_left)
    }

    /// How many output columns from `x` on, whose windows start at input column `left` and behind,
    /// see no padding to the right.
    pub fn pixels_inside(&self, x: usize, left: usize) -> Option<usize> {
        let window = &self.window;
        let reach =
            usize::from(window.kernel_w).checked_sub(1)?.checked_mul(window.dilation_w.into())?;
        let last = usize::from(window.in_w).checked_sub(reach.checked_add(1)?)?;
        let steps = last.checked_sub(left)?.checked_div(window.stride_w.into())?;
        Some(usize::from(window.out_w).checked_sub(x)?.min(steps.checked_add(1)?))
    }

    /// Gathers the patch of an output pixel: `[kernel_h][kernel_w][channels]`, as long as `patch`.
    pub fn copy(&self, pixel: usize, patch: &mut [i8]) -> Option<()> {
        let (y, x) = self.position(pixel)?;
        let row_taps = usize::from(self.window.kernel_w).checked_mul(self.channels)?;
        for (i, run) in patch.chunks_mut(row_taps.max(1)).enumerate() {
            self.copy_row(y, x, i, run)?;
        }
        Some(())
    }

    /// Bytes of a patch; `None` if they overflow.
    pub fn taps(&self) -> Option<usize> {
        let row_taps = usize::from(self.window.kernel_w).checked_mul(self.channels)?;
        row_taps.checked_mul(self.window.kernel_h.into())
    }

    /// The output pixels from `pixel` on in its row, at most `limit`, whose patches lie alike, one
    /// at least; `None` if kernel rows are no runs of bytes, not as far apart as input rows, or too many
    /// for a ring.
    pub fn neighbours(&self, pixel: usize, limit: usize) -> Option<Neighbours<'a>> {
        let window = &self.window;
        (window.dilation_h == 1 && self.is_contiguous()).then_some(())?;
        let (y, x) = self.position(pixel)?;
        let (top, left) = (self.top(y), self.left(x));
        let (rows_skipped, rows) = inside(top, window.kernel_h, window.in_h);
        let (columns_skipped, columns) = inside(left, window.kernel_w, window.in_w);
        let whole_rows = columns == usize::from(window.kernel_w);
        let row_taps = usize::from(window.kernel_w).checked_mul(self.channels)?;
        let in_c = usize::from(window.in_c);
        let column = (left as usize).wrapping_add(columns_skipped);
        let from = column.wrapping_mul(in_c).wrapping_add(self.channel);
        let to = rows_skipped.checked_mul(row_taps)?;
        let to = to.checked_add(columns_skipped.checked_mul(self.channels)?)?;
        let count = if columns == 0 { 0 } else { rows };
        let slot = self.slot((top as usize).wrapping_add(rows_skipped));
        // In a ring the rows may go on at its start, once.
        (self.ring_rows == 0 || count <= self.ring_rows).then_some(())?;
        let first = match self.ring_rows {
            0 => count,
            ring_rows => count.min(ring_rows.checked_sub(slot)?),
        };
        let upper =
            Piece { from: slot.wrapping_mul(self.row_bytes).wrapping_add(from), to, rows: first };
        let lower = Piece {
            from,
            to: to.checked_add(first.checked_mul(row_taps)?)?,
            rows: count.wrapping_sub(first),
        };
        let sight = Sight {
            memory: self.memory,
            pieces: [upper, lower],
            steps: [self.row_bytes, row_taps],
            run: columns.checked_mul(self.channels)?,
            pixels: if whole_rows { self.pixels_inside(x, left as usize)?.min(limit) } else { 1 },
            pixel_step: usize::from(window.stride_w).checked_mul(in_c)?,
            padding: (!whole_rows || count != window.kernel_h.into()).then_some(self.pad_value),
        };
        Neighbours::new(sight, self.taps()?)
    }

    /// Where the patch of an output pixel lies. `stage` gets the padding beside its rows; it is as
    /// long as a kernel row, or longer.
    pub fn locate(&self, pixel: usize, stage: &mut [i8]) -> Option<Location> {
        let (y, x) = self.position(pixel)?;
        self.locate_at(y, x, stage)
    }

    /// As [`locate`](Self::locate), for the output pixel at `(y, x)`.
    pub fn locate_at(&self, y: usize, x: usize, stage: &mut [i8]) -> Option<Location> {
        let inside = if self.is_contiguous() { Some(self.columns_inside(x)?) } else { None };
        if let Some(inside) = &inside
            && !inside.whole
        {
            let row_taps = usize::from(self.window.kernel_w).checked_mul(self.channels)?;
            self.pad_beside(inside, stage.get_mut(..row_taps)?)?;
        }
        Some(Location { y, x, top: self.top(y), inside })
    }

    /// Where in their input rows the patches start of `count` output pixels from `(y, x)` on, one
    /// beside the other, if they lie in the input as they are: the first one, and the distance of
    /// the next.
    pub fn columns(&self, y: usize, x: usize, count: usize) -> Option<(usize, usize)> {
        let window = &self.window;
        let (top, left) = (self.top(y), self.left(x));
        let reach = |kernel: u16, dilation: u16| {
            i32::from(kernel).wrapping_sub(1).wrapping_mul(dilation.into())
        };
        let bottom = top.wrapping_add(reach(window.kernel_h, window.dilation_h));
        let end = x.checked_add(count)?;
        let right =
            self.left(end.checked_sub(1)?).wrapping_add(reach(window.kernel_w, window.dilation_w));
        let inside = self.is_contiguous()
            && end <= usize::from(window.out_w)
            && top >= 0
            && left >= 0
            && bottom < i32::from(window.in_h)
            && right < i32::from(window.in_w);
        inside.then_some(())?;
        let in_c = usize::from(window.in_c);
        let start = (left as usize).checked_mul(in_c)?.checked_add(self.channel)?;
        Some((start, in_c.checked_mul(window.stride_w.into())?))
    }

    /// Whether what a kernel row sees inside the input is one run of bytes.
    fn is_contiguous(&self) -> bool {
        self.window.kernel_w == 1
            || (self.window.dilation_w == 1 && self.channels == usize::from(self.window.in_c))
    }

    /// The columns of the input that output column `x` sees, if a kernel row is one run of bytes.
    fn columns_inside(&self, x: usize) -> Option<Inside> {
        let columns = i32::from(self.window.kernel_w);
        let left = self.left(x);
        let skipped = left.wrapping_neg().clamp(0, columns);
        let end = i32::from(self.window.in_w).wrapping_sub(left).clamp(skipped, columns);
        let first = left.wrapping_add(skipped) as usize;
        Some(Inside {
            whole: end.wrapping_sub(skipped) == columns,
            start: first.wrapping_mul(self.window.in_c.into()).wrapping_add(self.channel),
            skipped: (skipped as usize).checked_mul(self.channels)?,
            len: (end.wrapping_sub(skipped) as usize).checked_mul(self.channels)?,
        })
    }

    /// Writes the padding beside the part of a kernel row that lies inside the input.
    fn pad_beside(&self, inside: &Inside, run: &mut [i8]) -> Option<()> {
        let end = inside.skipped.checked_add(inside.len)?;
        run.get_mut(..inside.skipped)?.fill(self.pad_value);
        run.get_mut(end..)?.fill(self.pad_value);
        Some(())
    }

    /// Copies the part of a kernel row that lies inside the input, in input row `row`.
    fn copy_inside(&self, row: usize, inside: &Inside, run: &mut [i8]) -> Option<()> {
        if inside.len == 0 {
            return Some(());
        }
        let end = inside.skipped.checked_add(inside.len)?;
        let part = run.get_mut(inside.skipped..end)?;
        self.bytes(row, inside.start, inside.len)?.copy_to(part)
    }

    /// Kernel row `i` of the output pixel at `location`, `[kernel_w][channels]`, and what follows
    /// it: `run_len` bytes from where they lie in the input; or gathered in `stage`, which
    /// [`locate`](Self::locate) prepared; or `pad` where the row is padding.
    pub fn run<'s>(
        &'s self,
        location: &Location,
        i: usize,
        run_len: usize,
        stage: &'s mut [i8],
        pad: &'s [i8],
    ) -> Option<Src<'s>> {
        let down = (i as i32).wrapping_mul(self.window.dilation_h.into());
        let row = location.top.wrapping_add(down);
        if !(0..i32::from(self.window.in_h)).contains(&row) {
            return Some(Src::from(pad));
        }
        let row = row as usize;
        let Some(inside) = &location.inside else {
            let row_taps = usize::from(self.window.kernel_w).checked_mul(self.channels)?;
            self.copy_row(location.y, location.x, i, stage.get_mut(..row_taps)?)?;
            return Some(Src::from(&*stage));
        };
        if inside.whole
            && let Some(run) = self.bytes(row, inside.start, run_len)
        {
            return Some(run);
        }
        self.copy_inside(row, inside, stage)?;
        Some(Src::from(&*stage))
    }

    /// Where in its ring row `y` lies; `y` if there is none.
    #[inline(always)]
    pub fn slot(&self, y: usize) -> usize {
        y.checked_rem(self.ring_rows).unwrap_or(y)
    }

    /// The slot of the row `rows` behind that in `slot`.
    #[inline(always)]
    pub fn slot_behind(&self, slot: usize, rows: usize) -> usize {
        let behind = slot.wrapping_add(rows);
        // Dividing is a long loop on the smallest cores: only where the ring ends.
        if behind < self.ring_rows { behind } else { self.slot(behind) }
    }

    /// Input row `y`.
    #[inline(always)]
    pub fn row(&self, y: usize) -> Option<Src<'a>> {
        self.bytes(y, 0, self.row_bytes)
    }

    /// `len` bytes from `start` on of row `y`, and of what follows that row in memory.
    #[inline(always)]
    pub fn bytes(&self, y: usize, start: usize, len: usize) -> Option<Src<'a>> {
        self.memory.slice(self.row_start(y).checked_add(start)?, len)
    }

    /// Where in the memory row `y` of the input starts; for any other row, anywhere.
    #[inline(always)]
    pub fn row_start(&self, y: usize) -> usize {
        self.slot(y).wrapping_mul(self.row_bytes)
    }

    /// Gathers kernel row `i` of the output pixel at `(y, x)`: `[kernel_w][channels]`.
    pub fn copy_row(&self, y: usize, x: usize, i: usize, run: &mut [i8]) -> Option<()> {
        let down = (i as i32).wrapping_mul(self.window.dilation_h.into());
        let row = self.top(y).wrapping_add(down);
        let inside = (0..i32::from(self.window.in_h)).contains(&row);
        if !inside {
            run.fill(self.pad_value);
            return Some(());
        }
        if self.is_contiguous() {
            let inside = self.columns_inside(x)?;
            self.pad_beside(&inside, run)?;
            return self.copy_inside(row as usize, &inside, run);
        }
        let row = self.row(row as usize)?;
        let mut column = self.left(x);
        for pixel in run.chunks_exact_mut(self.channels.max(1)) {
            if (0..i32::from(self.window.in_w)).contains(&column) {
                let at = (column as usize).checked_mul(self.window.in_c.into())?;
                let at = at.checked_add(self.channel)?;
                row.slice(at, pixel.len())?.copy_to(pixel)?;
            } else {
                pixel.fill(self.pad_value);
            }
            column = column.wrapping_add(self.window.dilation_w.into());
        }
        Some(())
    }
}

/// Which of `kernel` positions from `start` on lie inside `0..input`: how many do not before them,
/// and their number.
#[inline(always)]
fn inside(start: i32, kernel: u16, input: u16) -> (usize, usize) {
    let kernel = i32::from(kernel);
    let skipped = start.wrapping_neg().max(0).min(kernel);
    let end = i32::from(input).wrapping_sub(start).max(skipped).min(kernel);
    (skipped as usize, end.wrapping_sub(skipped) as usize)
}

/// Where the window of output `index` starts along one axis.
#[inline(always)]
fn start(index: usize, stride: u16, pad: u16) -> i32 {
    (index as i32).wrapping_mul(stride.into()).wrapping_sub(pad.into())
}
