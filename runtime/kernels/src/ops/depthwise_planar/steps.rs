//! What is done, in which order, to compute some output rows of a group of channels: the same for all
//! groups.

use core::ops::Range;

use fixie_format::op;

use crate::arch::planar::{Lines, Outputs, Placed, Sight, Window};
use crate::arch::view::{Dst, Src};
use crate::ops::conv::Rings;
use crate::ops::depthwise_planar::plan::Plan;
use crate::ops::patch::Patches;

/// A step, as it is for the first channels.
pub enum Step<'a> {
    /// Copies some rows to the planes.
    Expand(Placed<'a>),
    /// Slides the kernels over the planes.
    Slide(Sight<'a>),
}

/// As many steps as are worth their memory: those of an image in three tiles.
pub type Script<'a> = heapless::Vec<Step<'a>, 8>;

/// The steps for some output rows, one tile after the other.
#[derive(Clone)]
pub struct Steps<'a> {
    input: Input<'a>,
    output: Output<'a>,
    plan: &'a Plan,
    /// Every tile is expanded anew.
    alone: bool,
    /// Rows that no tile has begun.
    rows: Range<usize>,
    /// The output row that row pairs are counted from.
    origin: usize,
    /// The output rows of the tile, none if it is done.
    tile: Range<usize>,
    /// The row pairs which it sees.
    seen: Range<usize>,
    /// Row pairs that are in the planes already.
    expanded: usize,
}

impl<'a> Steps<'a> {
    /// All steps for `rows`.
    pub fn new(input: Input<'a>, output: Output<'a>, plan: &'a Plan, rows: Range<usize>) -> Self {
        let (origin, none) = (rows.start, rows.start..rows.start);
        let alone = !plan.rolling || output.slots == 1;
        Self { input, output, plan, alone, rows, origin, tile: none, seen: 0..0, expanded: 0 }
    }

    /// Writes all steps to `script`; `None` if they are too many.
    #[inline(never)]
    pub fn record(&self, script: &mut Script<'a>) -> Option<()> {
        self.for_each(|step| script.push(step).ok())
    }

    /// Goes through all steps.
    #[inline(always)]
    pub fn for_each(&self, mut run: impl FnMut(Step<'a>) -> Option<()>) -> Option<()> {
        let mut steps = self.clone();
        while !(steps.tile.is_empty() && steps.rows.is_empty()) {
            run(steps.next()?)?;
        }
        Some(())
    }

    /// The next step, of which there must be one; `None` if something overflows.
    #[inline(never)]
    fn next(&mut self) -> Option<Step<'a>> {
        if self.tile.is_empty() {
            self.begin_tile()?;
        }
        let row_pairs = self.plan.window.row_pairs;
        let pair = self.expanded.max(self.seen.start);
        if pair < self.seen.end {
            let slot = pair.checked_rem(row_pairs)?;
            let limit = self.seen.end.checked_sub(pair)?.min(row_pairs.checked_sub(slot)?);
            let lines = self.input.lines(self.origin, pair, limit)?;
            self.expanded = pair.checked_add(lines.pair_count())?;
            let placed = lines.place(&self.plan.window, slot, self.input.left)?;
            return Some(Step::Expand(placed));
        }
        let outputs = self.output.rows(&self.tile)?;
        self.tile.start = self.tile.end;
        let first_pair = self.seen.start.checked_rem(row_pairs)?;
        Some(Step::Slide(Sight::new(&self.plan.window, first_pair, outputs)?))
    }

    fn begin_tile(&mut self) -> Option<()> {
        let y = self.rows.start;
        let count = self.output.rows_together(y, self.plan)?.min(self.rows.len());
        self.tile = y..y.checked_add(count)?;
        self.rows.start = self.tile.end;
        if self.alone {
            (self.origin, self.expanded) = (y, 0);
        }
        let window = &self.plan.window;
        let start = y.checked_sub(self.origin)?.checked_mul(window.stride_h)? / 2;
        self.seen = start..start.checked_add(window.row_pairs_for(count)?)?;
        if self.input.columns == 0 {
            self.expanded = self.seen.end;
        }
        Some(())
    }
}

/// Where the planes' rows come from.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    patches: &'a Patches<'a>,
    /// A pixel of padding.
    pad: Src<'a>,
    /// Columns of padding on the left of the planes.
    left: usize,
    /// Columns of the planes that come from the input.
    columns: usize,
}

impl<'a> Input<'a> {
    /// For planes of `window`; `pad` is four bytes of padding.
    pub fn new(patches: &'a Patches<'a>, window: &Window, pad: Src<'a>) -> Self {
        let left = usize::from(patches.window.pad_left);
        let columns = window.columns.saturating_sub(left).min(patches.window.in_w.into());
        Self { patches, pad, left, columns }
    }

    /// At most `limit` row pairs that can be expanded together, from pair `pair` on, counted from the
    /// first row that output row `origin` sees.
    fn lines(&self, origin: usize, pair: usize, limit: usize) -> Option<Lines<'a>> {
        let upper = self.patches.top(origin).wrapping_add((pair as i32).wrapping_mul(2));
        match self.lines_inside(upper, limit) {
            Some(lines) => Some(lines),
            None => self.lines_at_border(upper),
        }
    }

    /// At most `limit` row pairs from row `upper` on, if they lie in the input as they are.
    fn lines_inside(&self, upper: i32, limit: usize) -> Option<Lines<'a>> {
        // Of a ring every row is looked up by itself.
        (self.patches.ring_rows == 0).then_some(())?;
        let input = self.patches.memory;
        let row_bytes = self.patches.row_bytes;
        let upper = usize::try_from(upper).ok()?;
        let below = usize::from(self.patches.window.in_h).checked_sub(upper)?;
        let row = |y: usize| {
            let at = y.checked_mul(row_bytes)?;
            input.slice(at, input.len().checked_sub(at)?)
        };
        let rows = [row(upper)?, row(upper.checked_add(1)?)?];
        let columns = (self.columns, self.patches.window.in_c.into());
        Lines::pairs(rows, columns, (limit.min(below / 2), row_bytes.checked_mul(2)?))
    }

    /// One row pair from row `upper` on, in which rows outside the input are padding.
    fn lines_at_border(&self, upper: i32) -> Option<Lines<'a>> {
        let line = |row: i32| {
            if (0..i32::from(self.patches.window.in_h)).contains(&row) {
                Some((self.patches.row(row as usize)?, usize::from(self.patches.window.in_c)))
            } else {
                Some((self.pad, 0))
            }
        };
        let (upper, lower) = (line(upper)?, line(upper.wrapping_add(1))?);
        Lines::pair([upper.0, lower.0], [upper.1, lower.1], self.columns)
    }
}

/// Where the output rows lie.
#[derive(Clone, Copy)]
pub struct Output<'a> {
    memory: Dst<'a>,
    /// Rows of the ring; more than there are if it is none.
    slots: usize,
    row_bytes: usize,
    columns: usize,
    channels: usize,
}

impl<'a> Output<'a> {
    /// Those of `params` in `memory`.
    pub fn new(params: &op::Conv, rings: Rings, memory: Dst<'a>) -> Option<Self> {
        let (columns, channels) = (params.window.out_w.into(), params.window.out_c.into());
        let slots = if rings.output == 0 { usize::MAX } else { rings.output.into() };
        let row_bytes = usize::checked_mul(columns, channels)?;
        Some(Self { memory, slots, row_bytes, columns, channels })
    }

    /// How many rows from `y` on can be computed together, since the planes have room for them and
    /// they are equally far apart: all up to the end of the ring, or the last and the first one. It
    /// is a multiple of the plan's unit, but in a ring of one row, where no row lies beside another.
    fn rows_together(&self, y: usize, plan: &Plan) -> Option<usize> {
        if self.slots == 1 {
            return Some(1);
        }
        let before_end = self.slots.checked_sub(y.checked_rem(self.slots)?)?;
        let unit = plan.unit();
        let whole = before_end.checked_div(unit)?.checked_mul(unit)?;
        Some(plan.tile_rows.min(whole.max(unit)))
    }

    /// The outputs of the first channel in rows that can be computed together.
    fn rows(&self, rows: &Range<usize>) -> Option<Outputs<'a>> {
        let start = |y: usize| y.checked_rem(self.slots)?.checked_mul(self.row_bytes);
        let (first, second) = (start(rows.start)?, start(rows.start.checked_add(1)?)?);
        let row_step = (second as isize).checked_sub(first as isize)?;
        let extent = (rows.len(), self.columns);
        Outputs::new((self.memory, first), extent, (row_step, self.channels))
    }
}
