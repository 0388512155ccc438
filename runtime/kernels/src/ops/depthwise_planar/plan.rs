//! How a depthwise convolution is cut into tiles, and the order of its constants.

use fixie_format::op::{self, planar};

use crate::arch::planar::Window;
use crate::coded::{Decoder, Grid, Order, Storage, decode_channels, decoded_len};

/// Bytes of the four planes that are worth their memory: small images fit whole, of large ones a
/// few rows at a time do.
const PLANES_LEN: usize = 2560;

/// How a layer is cut.
#[derive(Clone, Copy)]
pub struct Plan {
    /// Kernel and planes.
    pub window: Window,
    /// The planes are rings.
    pub rolling: bool,
    /// Output rows for which the planes have room.
    pub tile_rows: usize,
    /// Words of the four planes.
    pub planes_words: usize,
    /// Words of the table of weights.
    pub table_words: usize,
}

impl Plan {
    /// With room for at least `rows` output rows, but not for more than there are.
    pub fn new(params: &op::Conv, rows: usize) -> Option<Self> {
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
        let rolling = window.square_stride().is_some();
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
    pub fn unit(&self) -> usize {
        if self.rolling && self.window.stride_h == 1 { 2 } else { 1 }
    }

    /// As large as is worth its memory.
    fn preferred(params: &op::Conv) -> Option<Self> {
        Self::new(params, 1)?.with_planes(params, PLANES_LEN / size_of::<u32>())
    }

    /// As large as `scratch_len` bytes of scratch memory allow; `None` if they are too few.
    pub fn within(params: &op::Conv, scratch_len: usize) -> Option<Self> {
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
pub struct ColumnOrder {
    kernel_h: usize,
    kernel_w: usize,
}

impl ColumnOrder {
    pub fn new(params: &op::Conv) -> Self {
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
