//! `DepthwisePlanar`: depthwise convolution with the DSP extension's dual multiplications.
//!
//! ```text
//! for every four channels, for every few output rows:
//!     expand the input rows that they see, padding included, to four planes in scratch memory
//!     for every channel: slide its kernel over its plane, requantise, store
//! ```
//!
//! The planes make neighbouring taps of a channel, which lie apart in the input, halves of one
//! word, and free the inner loops from borders. Where the channels are no multiple of four, the
//! last group of four starts so much earlier and computes only what is left. The planes of 3×3
//! kernels are rings: rows which the next output rows see again stay where they are.

use core::marker::PhantomData;
use core::ops::Range;

use fixie_format::Image;
use fixie_format::op::{self, planar};

use crate::arch::planar::{Channels, Lines, Outputs, Part, Planes, Window};
use crate::arch::view::{Dst, Src};
use crate::arch::{Isa, Native};
use crate::coded::{
    Any, Decoder, Grid, Order, Source, Storage, check_stream, decode_channels, decoded_len, decoder,
};
use crate::memory::{Memory, words_mut};
use crate::ops::Operator;
use crate::ops::conv::{Rings, check_conv, limit, patches};
use crate::ops::patch::{Patches, Shape};
use crate::rule::{Rule, check_data, check_scratch, check_that};

/// Bytes of the four planes that are worth their memory: small images fit whole, of large ones a
/// few rows at a time do.
const PLANES_LEN: usize = 2560;

/// [`Opcode::DepthwisePlanar`](fixie_format::Opcode::DepthwisePlanar), its inner loops by `I`.
pub struct DepthwisePlanar<I = Native, S = Any>(PhantomData<(I, S)>);

/// How a layer is cut.
#[derive(Clone, Copy)]
struct Plan {
    /// Kernel and planes.
    window: Window,
    /// The planes are rings.
    rolling: bool,
    /// Output rows for which the planes have room.
    tile_rows: usize,
    /// Words of the four planes.
    planes_words: usize,
    /// Words of the table of weights.
    table_words: usize,
}

impl Plan {
    /// With room for at least `rows` output rows, but not for more than there are.
    fn new(params: &op::Conv, rows: usize) -> Option<Self> {
        let mut window = Window {
            kernel_h: params.window.kernel_h.into(),
            kernel_w: params.window.kernel_w.into(),
            stride_h: params.window.stride_h.into(),
            stride_w: params.window.stride_w.into(),
            dilation_w: params.window.dilation_w.into(),
            columns: 0,
            row_pairs: 0,
        };
        window.columns = window.columns_for(params.window.out_w.into())?;
        let rolling = (window.kernel_h, window.kernel_w, window.dilation_w) == (3, 3, 1)
            && matches!((window.stride_h, window.stride_w), (1, 1) | (2, 2));
        let table_words = if rolling { 0 } else { window.table_words()? };
        Self { window, rolling, tile_rows: 0, planes_words: 0, table_words }.with_rows(params, rows)
    }

    /// The same with room for at least `rows` output rows, but not for more than there are.
    fn with_rows(mut self, params: &op::Conv, rows: usize) -> Option<Self> {
        let rows = rows.min(params.window.out_h.into()).max(1);
        self.tile_rows = rows.checked_next_multiple_of(self.unit())?;
        self.window.row_pairs = self.window.row_pairs_for(self.tile_rows)?;
        self.planes_words = self.window.plane_words()?.checked_mul(planar::CHANNELS)?;
        Some(self)
    }

    /// The same with room for as many output rows as `words` words of planes allow, but for one at
    /// least.
    fn with_planes(self, params: &op::Conv, words: usize) -> Option<Self> {
        let pairs = (words / planar::CHANNELS).checked_div(self.window.columns)?;
        let rows = self.window.rows_for(pairs)?;
        self.with_rows(params, rows.wrapping_sub(rows.checked_rem(self.unit())?))
    }

    /// The rows of every tile but the last are a multiple of this: in planes that are rings tiles
    /// start with the upper row of a pair.
    fn unit(&self) -> usize {
        if self.rolling && self.window.stride_h == 1 { 2 } else { 1 }
    }

    /// As large as is worth its memory.
    fn preferred(params: &op::Conv) -> Option<Self> {
        Self::new(params, 1)?.with_planes(params, PLANES_LEN / size_of::<u32>())
    }

    /// As large as `scratch_len` bytes of scratch memory allow; `None` if they are too few.
    fn within(params: &op::Conv, scratch_len: usize) -> Option<Self> {
        let smallest = Self::new(params, 1)?;
        let words = (scratch_len / size_of::<u32>()).checked_sub(smallest.table_words)?;
        let plan = smallest.with_planes(params, words)?;
        (plan.planes_words <= words).then_some(plan)
    }

    fn scratch_len(&self) -> Option<usize> {
        self.planes_words.checked_add(self.table_words)?.checked_mul(size_of::<u32>())
    }
}

/// Bytes of scratch memory for steps of `rows` rows: four planes, with room for as many rows if that
/// is worth it, and the table of a kernel's weights. More rows at a time take fewer instructions;
/// one row is enough. And room to decode four channels, if they are coded.
pub fn scratch_len(params: &op::Conv, rows: usize) -> Option<usize> {
    let plan = Plan::new(params, rows.min(Plan::preferred(params)?.tile_rows))?;
    plan.scratch_len()?.checked_add(four_decoded_len(params)?)
}

/// Bytes in which four channels are decoded; 0 if they are not coded.
fn four_decoded_len(params: &op::Conv) -> Option<usize> {
    decoded_len(params, &ColumnOrder::new(params), (planar::CHANNELS, planar::CHANNELS))
}

/// The order of [`planar`].
struct ColumnOrder {
    kernel_h: usize,
    kernel_w: usize,
}

impl ColumnOrder {
    fn new(params: &op::Conv) -> Self {
        Self { kernel_h: params.window.kernel_h.into(), kernel_w: params.window.kernel_w.into() }
    }
}

impl Order for ColumnOrder {
    const UNIT: usize = 1;

    fn words(&self, channels: usize) -> Option<usize> {
        planar::channel_words(self.kernel_h, self.kernel_w)?.checked_mul(channels)
    }

    #[inline(never)]
    fn decode<S: Storage>(
        &self,
        decoder: &mut Decoder<'_, '_, S>,
        _channels: usize,
        words: &mut [u32],
    ) -> Option<()> {
        let grid = Grid {
            rows: self.kernel_h,
            row_step: 1,
            columns: self.kernel_w,
            column_step: planar::column_words(self.kernel_h).wrapping_mul(size_of::<u32>()),
        };
        decode_channels(decoder, words, self.words(1)?, grid)
    }
}

/// How many rows are computed at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tiling {
    /// Output rows, at least 1.
    pub rows: usize,
    /// Input rows that every such tile but the first reads although the one before has read them.
    pub rows_again: usize,
    /// A number of rows that is no multiple of this takes as long as the next one.
    pub unit: usize,
}

/// What the operator does with `scratch_len` bytes of scratch memory; `None` if those are too few.
pub fn tiling(params: &op::Conv, scratch_len: usize) -> Option<Tiling> {
    let plan = Plan::within(params, scratch_len.checked_sub(four_decoded_len(params)?)?)?;
    let halo = plan.window.kernel_h.saturating_sub(plan.window.stride_h);
    Some(Tiling {
        rows: plan.tile_rows,
        rows_again: if plan.rolling { 0 } else { halo },
        unit: if plan.window.stride_h == 1 { 2 } else { 1 },
    })
}

/// Whether the operator takes this convolution.
pub fn takes(params: &op::Conv) -> bool {
    let window = &params.window;
    window.in_c == params.groups
        && window.out_c == params.groups
        && usize::from(params.groups) >= planar::CHANNELS
        && (window.stride_h == 1 || window.stride_h.is_multiple_of(2))
        && window.dilation_h == 1
        && params.shift == 0
}

/// Whether the output may replace the input byte by byte, if all rows are one step.
///
/// A group of four channels touches no byte of the others. The planes of 3×3 kernels at a stride of
/// 1 get every input row just once, and they hold it for as long as it is needed. Before output rows
/// up to *y* are written they have got input rows up to at least *y + 3 − `pad_top`*: those that are
/// overwritten are among them.
#[cfg(any(feature = "pack", test))]
pub fn works_in_place(params: &op::Conv) -> bool {
    let window = &params.window;
    takes(params)
        && Plan::new(params, 1).is_some_and(|plan| plan.rolling)
        && (window.stride_h, window.stride_w) == (1, 1)
        && (window.in_h, window.in_w) == (window.out_h, window.out_w)
        && window.pad_top <= 2
}

impl<I: Isa, S: Storage> Operator for DepthwisePlanar<I, S> {
    type Params = op::Conv;

    fn check(params: &op::Conv, rows: u16, image: &Image<'_>) -> Result<(), Rule> {
        let shape = check_conv(params, rows, image)?;
        check_that(takes(params), "groups")?;
        let tensors = [params.input, params.output];
        check_scratch(image, params.scratch, scratch_len(params, 1), &tensors)?;
        let words = ColumnOrder::new(params).words(params.window.out_c.into());
        check_stream::<S>(params, shape.taps, image)
            .unwrap_or_else(|| check_data::<u32>(image, params.weights, words))
    }

    // Not inlined, so that the stack holds the frame of one operator only.
    #[inline(never)]
    fn run(params: &op::Conv, rows: Range<usize>, memory: &mut Memory<'_>) -> Option<()> {
        takes(params).then_some(())?;
        let rings = Rings::new(params, memory.image())?;
        let (scratch, tensors) = memory.with_scratch(params.scratch)?;
        let (decoder, scratch) = decoder::<S>(params, &tensors, scratch)?;
        let order = ColumnOrder::new(params);
        let four = if decoder.is_some() { order.words(planar::CHANNELS)? } else { 0 };
        let (buffer, scratch) = words_mut(scratch)?.split_at_mut_checked(four)?;
        if decoder.is_some() {
            // The zeros behind the weights of a column.
            buffer.fill(0);
        }
        let words = order.words(params.window.out_c.into())?;
        let mut source = Source::<_, S>::new(params, order, words, &tensors, (decoder, buffer))?;
        let plan = Plan::within(params, size_of_val(scratch))?;
        let (planes, table) = scratch.split_at_mut_checked(plan.planes_words)?;
        let table = table.get_mut(..plan.table_words)?;
        let mut planes = Planes::new(planes, &plan.window)?;
        // Columns left and right of the input stay as they are.
        I::planar_fill(&mut planes, params.pad_value);
        let mut kernel = Kernel::<I> {
            params,
            patches: patches(params, 0, &Shape::new(params)?, &tensors, rings)?,
            planes,
            table,
            output: Output::new(params, rings, tensors.dst(params.output)?)?,
            plan,
            isa: PhantomData,
        };
        let channels = usize::from(params.window.out_c);
        // In a ring of one row no row lies beside another.
        let together = if rings.output == 1 { 1 } else { rows.len().max(1) };
        for first in (0..channels).step_by(planar::CHANNELS) {
            let (streams, _) = source.next(planar::CHANNELS.min(channels.wrapping_sub(first)))?;
            let base = first.min(channels.checked_sub(planar::CHANNELS)?);
            let group = Group { first, base, streams };
            for y in rows.clone().step_by(together) {
                kernel.rows(group, y..rows.end.min(y.saturating_add(together)))?;
            }
        }
        limit::<I>(params, &rows, rings, &tensors)
    }
}

/// A depthwise convolution.
struct Kernel<'p, 'a, 's, I> {
    params: &'p op::Conv,
    patches: Patches<'a>,
    planes: Planes<'s>,
    table: &'s mut [u32],
    output: Output<'a>,
    plan: Plan,
    isa: PhantomData<I>,
}

/// Where the output rows lie.
#[derive(Clone, Copy)]
struct Output<'a> {
    memory: Dst<'a>,
    /// Rows of the ring; more than there are if it is none.
    slots: usize,
    row_bytes: usize,
    columns: usize,
    channels: usize,
}

impl<'a> Output<'a> {
    fn new(params: &op::Conv, rings: Rings, memory: Dst<'a>) -> Option<Self> {
        let (columns, channels) = (params.window.out_w.into(), params.window.out_c.into());
        let slots = if rings.output == 0 { usize::MAX } else { rings.output.into() };
        let row_bytes = usize::checked_mul(columns, channels)?;
        Some(Self { memory, slots, row_bytes, columns, channels })
    }

    /// How many rows from `y` on can be computed together, since the planes have room for them and
    /// they are equally far apart: all up to the end of the ring, or the last and the first one. It
    /// is a multiple of the plan's unit.
    fn rows_together(&self, y: usize, plan: &Plan) -> Option<usize> {
        let before_end = self.slots.checked_sub(y.checked_rem(self.slots)?)?;
        let unit = plan.unit();
        let whole = before_end.checked_div(unit)?.checked_mul(unit)?;
        Some(plan.tile_rows.min(whole.max(unit)))
    }

    /// The outputs of channel `channel` in rows that can be computed together.
    fn rows(&self, rows: Range<usize>, channel: usize) -> Option<Outputs<'a>> {
        let start = |y: usize| {
            let slot = y.checked_rem(self.slots)?;
            slot.checked_mul(self.row_bytes)?.checked_add(channel)
        };
        let (first, second) = (start(rows.start)?, start(rows.start.checked_add(1)?)?);
        let row_step = (second as isize).checked_sub(first as isize)?;
        let extent = (rows.len(), self.columns);
        Outputs::new((self.memory, first), extent, (row_step, self.channels))
    }
}

/// Up to four channels, which are expanded together.
#[derive(Clone, Copy)]
struct Group<'w> {
    /// The first channel that is computed.
    first: usize,
    /// The first of the four that are expanded; those before `first` were computed already.
    base: usize,
    /// The constants of those that are computed.
    streams: &'w [u32],
}

impl<'a, I: Isa> Kernel<'_, 'a, '_, I> {
    /// Computes the channels of a group in some output rows.
    fn rows(&mut self, group: Group<'_>, rows: Range<usize>) -> Option<()> {
        let mut y = rows.start;
        // Row pairs that are in the planes already.
        let mut expanded = 0;
        while y < rows.end {
            let count = self.output.rows_together(y, &self.plan)?.min(rows.end.checked_sub(y)?);
            let needed = self.plan.window.row_pairs_for(count)?;
            // Row pairs are counted from the first row of all, or of the tile.
            let (origin, pairs) = if self.plan.rolling {
                let row = y.checked_sub(rows.start)?;
                let start = row.checked_mul(self.plan.window.stride_h)? / 2;
                (rows.start, start..start.checked_add(needed)?)
            } else {
                expanded = 0;
                (y, 0..needed)
            };
            let missing = expanded.max(pairs.start)..pairs.end;
            self.expand(group.base, self.patches.top(origin), missing)?;
            expanded = pairs.end;
            let first_pair = pairs.start.checked_rem(self.plan.window.row_pairs)?;
            let end = y.checked_add(count)?;
            self.tile(group, first_pair, y..end)?;
            y = end;
        }
        Some(())
    }

    /// Slides the kernels of a group over the planes: computes some output rows, of which the first
    /// sees row pair `first_pair` and those behind it.
    fn tile(&mut self, group: Group<'_>, first_pair: usize, rows: Range<usize>) -> Option<()> {
        let window = self.plan.window;
        let outputs = self.output.rows(rows, group.first)?;
        let skipped = group.first.checked_sub(group.base)?;
        let zero = self.params.out_zero;
        let part = Part { skipped, first_pair };
        let planes = (self.planes.words(), part);
        let channels = Channels::new(window, planes, group.streams, outputs, zero)?;
        I::planar_channels(&channels, self.table)
    }

    /// Copies four channels of some row pairs, counted from input row `top` on, to the planes.
    fn expand(&mut self, channel: usize, top: i32, pairs: Range<usize>) -> Option<()> {
        let left = usize::from(self.params.window.pad_left);
        let width = usize::from(self.params.window.in_w);
        let count = self.plan.window.columns.saturating_sub(left).min(width);
        let pad = [self.params.pad_value; planar::CHANNELS];
        let mut pair = pairs.start;
        while pair < pairs.end && count != 0 {
            let slot = pair.checked_rem(self.plan.window.row_pairs)?;
            let limit = pairs.end.checked_sub(pair)?;
            let limit = limit.min(self.plan.window.row_pairs.checked_sub(slot)?);
            let upper = top.wrapping_add((pair as i32).wrapping_mul(2));
            let lines = match self.lines_inside(channel, upper, limit, count) {
                Some(lines) => lines,
                None => self.lines_at_border(channel, upper, count, &pad)?,
            };
            I::planar_expand(&lines, &mut self.planes, slot, left)?;
            pair = pair.checked_add(lines.pair_count())?;
        }
        Some(())
    }

    /// At most `limit` row pairs from row `upper` on, if they lie in the input as they are.
    fn lines_inside(
        &self,
        channel: usize,
        upper: i32,
        limit: usize,
        count: usize,
    ) -> Option<Lines<'a>> {
        // Of a ring every row is looked up by itself.
        (self.patches.ring_rows == 0).then_some(())?;
        let input = self.patches.memory;
        let in_c = usize::from(self.params.window.in_c);
        let row_bytes = self.patches.row_bytes;
        let upper = usize::try_from(upper).ok()?;
        let below = usize::from(self.params.window.in_h).checked_sub(upper)?;
        let row = |y: usize| {
            let at = y.checked_mul(row_bytes)?.checked_add(channel)?;
            input.slice(at, input.len().checked_sub(at)?)
        };
        let rows = [row(upper)?, row(upper.checked_add(1)?)?];
        Lines::pairs(rows, (count, in_c), (limit.min(below / 2), row_bytes.checked_mul(2)?))
    }

    /// One row pair from row `upper` on; rows outside the input are `pad`, a pixel.
    fn lines_at_border<'l>(
        &self,
        channel: usize,
        upper: i32,
        count: usize,
        pad: &'l [i8],
    ) -> Option<Lines<'l>>
    where
        'a: 'l,
    {
        let line = |row: i32| {
            if (0..i32::from(self.params.window.in_h)).contains(&row) {
                let row = self.patches.row(row as usize)?;
                let row = row.slice(channel, row.len().checked_sub(channel)?)?;
                Some((row, usize::from(self.params.window.in_c)))
            } else {
                Some((Src::from(pad), 0))
            }
        };
        let (upper, lower) = (line(upper)?, line(upper.wrapping_add(1))?);
        Lines::pair([upper.0, lower.0], [upper.1, lower.1], count)
    }
}

#[cfg(test)]
mod tests {
    use fixie_format::Opcode;
    use proptest::prelude::*;

    use super::*;
    use crate::ops::conv_testing::{Layer, Traits, traits};
    use crate::testing::windows;

    /// Windows that the operator takes: strides of 1 or even ones, no vertical dilation.
    fn planar_windows() -> impl Strategy<Value = op::Window> {
        (windows(), 3u16..5).prop_map(|(window, more)| {
            let channels = window.in_c + more;
            let stride_h = window.stride_h & !1 | u16::from(window.stride_h == 1);
            op::Window { in_c: channels, out_c: channels, stride_h, dilation_h: 1, ..window }
        })
    }

    proptest! {
        #[test]
        fn it_is_the_definition(window in planar_windows(), traits in traits()) {
            let layer = Layer::new(window, Traits { groups: window.in_c, shift: 0, ..traits });
            let found = layer.run::<DepthwisePlanar>(Opcode::DepthwisePlanar);
            prop_assert_eq!(found, Some(layer.expected()));
        }

        #[test]
        fn rings_hold_the_last_rows(
            window in planar_windows(), traits in traits(), ring_rows in 1u16..6,
        ) {
            let traits = Traits { groups: window.in_c, shift: 0, ..traits };
            let layer = Layer::new(window, traits);
            let [found, expected] =
                layer.run_on_rings::<DepthwisePlanar>(Opcode::DepthwisePlanar, ring_rows).unwrap();
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn coded_constants_are_the_same(window in planar_windows(), traits in traits()) {
            let traits = Traits { groups: window.in_c, shift: 0, ..traits };
            let layer = Layer::new(window, traits);
            layer.survives_coding::<DepthwisePlanar>(Opcode::DepthwisePlanar);
        }
    }

    #[test]
    fn changed_parameters_are_refused_or_run() {
        for seed in 0..4 {
            Layer::small(6, seed).survives_mutations::<DepthwisePlanar>(Opcode::DepthwisePlanar);
        }
    }

    #[test]
    fn contradictions_are_refused() {
        let layer = Layer::small(6, 1);
        let (mut bench, params) = layer.packed(Opcode::DepthwisePlanar).unwrap();
        let needed = scratch_len(&params, 1).unwrap() as u32;
        let short = op::Conv { scratch: bench.scratch(needed as usize - 1), ..params };
        let check = |params| bench.check::<DepthwisePlanar>(&params, 4);
        assert_eq!(check(params), Ok(()));
        assert_eq!(check(short), Err(Rule::Scratch { needed, given: needed - 1 }));
        let behind = op::Conv { weights: params.weights + 1024, ..params };
        assert_eq!(check(behind), Err(Rule::Data(behind.weights)));
        assert_eq!(check(op::Conv { groups: 3, ..params }), Err(Rule::Parameter("groups")));
    }
}
