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
//! last group of four starts so much earlier and computes only what is left.

use core::marker::PhantomData;
use core::ops::Range;

use fixie_format::Image;
use fixie_format::op::{self, planar};

use crate::arch::planar::{Channel, Lines, Outputs, Planes, Window};
use crate::arch::view::{Dst, Src};
use crate::arch::{Isa, Native, clamp_bytes};
use crate::memory::Memory;
use crate::ops::Operator;
use crate::ops::conv::{check_conv, for_each_span, patches};
use crate::ops::patch::{Patches, Shape};
use crate::rule::{Rule, check_data, check_scratch, check_that};

/// Bytes of the four planes that are worth their memory: small images fit whole, of large ones a
/// few rows at a time do.
const PLANES_LEN: usize = 2048;

/// [`Opcode::DepthwisePlanar`](fixie_format::Opcode::DepthwisePlanar), its inner loops by `I`.
pub struct DepthwisePlanar<I = Native>(PhantomData<I>);

/// How a layer is cut.
struct Plan {
    /// Kernel and planes.
    window: Window,
    /// Output rows for which the planes have room.
    tile_rows: usize,
    /// Words of the four planes.
    planes_words: usize,
    /// Words of the table of weights.
    table_words: usize,
}

impl Plan {
    fn new(params: &op::Conv) -> Option<Self> {
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
        let row_pair_len = window.columns.checked_mul(planar::CHANNELS * size_of::<u32>())?;
        let affordable = PLANES_LEN.checked_div(row_pair_len)?;
        let fits = |rows: &usize| window.row_pairs_for(*rows).is_some_and(|n| n <= affordable);
        let tile_rows = largest(usize::from(params.window.out_h), fits).max(1);
        window.row_pairs = window.row_pairs_for(tile_rows)?;
        Some(Self {
            window,
            tile_rows,
            planes_words: window.plane_words()?.checked_mul(planar::CHANNELS)?,
            table_words: window.table_words()?,
        })
    }

    fn scratch_len(&self) -> Option<usize> {
        self.planes_words.checked_add(self.table_words)?.checked_mul(size_of::<u32>())
    }
}

/// The largest number from 1 to `limit` that is fine, if those below it are fine as well; 0 if
/// none is.
fn largest(limit: usize, fine: impl Fn(&usize) -> bool) -> usize {
    let (mut low, mut high) = (0, limit);
    while low < high {
        let middle = high.wrapping_sub(high.wrapping_sub(low) / 2);
        if fine(&middle) {
            low = middle;
        } else {
            high = middle.wrapping_sub(1);
        }
    }
    low
}

/// Bytes of scratch memory: four planes and the table of a kernel's weights.
pub fn scratch_len(params: &op::Conv) -> Option<usize> {
    Plan::new(params)?.scratch_len()
}

/// Whether the operator takes this convolution.
pub fn takes(params: &op::Conv) -> bool {
    let window = &params.window;
    window.in_c == params.groups
        && window.out_c == params.groups
        && usize::from(params.groups) >= planar::CHANNELS
        && window.dilation_h == 1
        && params.shift == 0
}

/// Words of the weights of all channels.
fn weights_words(params: &op::Conv) -> Option<usize> {
    let (kernel_h, kernel_w) = (params.window.kernel_h, params.window.kernel_w);
    planar::channel_words(kernel_h.into(), kernel_w.into())?.checked_mul(params.window.out_c.into())
}

impl<I: Isa> Operator for DepthwisePlanar<I> {
    type Params = op::Conv;

    fn check(params: &op::Conv, rows: u16, image: &Image<'_>) -> Result<(), Rule> {
        check_conv(params, rows, image)?;
        check_that(takes(params), "groups")?;
        check_scratch(image, params.scratch, scratch_len(params), &[params.input, params.output])?;
        check_data::<u32>(image, params.weights, weights_words(params))
    }

    fn run(params: &op::Conv, rows: Range<usize>, memory: &mut Memory<'_>) -> Option<()> {
        takes(params).then_some(())?;
        let plan = Plan::new(params)?;
        let ring = memory.image().tensor(params.output.into())?.ring_rows != 0;
        let (scratch, tensors) = memory.with_scratch(params.scratch)?;
        let scratch = scratch.get_mut(..plan.scratch_len()?)?;
        let scratch: &mut [u32] = bytemuck::try_cast_slice_mut(scratch).ok()?;
        let (planes, table) = scratch.split_at_mut_checked(plan.planes_words)?;
        // Columns left and right of the input stay as they are.
        let pad = u32::from(i16::from(params.pad_value) as u16);
        planes.fill(pad << 16 | pad);
        let mut kernel = Kernel::<I> {
            params,
            patches: patches(params, 0, &Shape::new(params)?, tensors)?,
            planes: Planes::new(planes, &plan.window)?,
            table,
            stream: tensors.data(params.weights, weights_words(params)?)?,
            window: plan.window,
            fresh: true,
            isa: PhantomData,
        };
        let (width, channels) = (params.window.out_w.into(), params.window.out_c.into());
        let row_bytes = usize::checked_mul(width, channels)?;
        for first in (0..channels).step_by(planar::CHANNELS) {
            for_each_span(params, &rows, ring, tensors, |span| {
                let first_row = span.first.checked_div(width)?;
                let rows = span.len.checked_div(width)?;
                for y in (0..rows).step_by(plan.tile_rows) {
                    let count = plan.tile_rows.min(rows.wrapping_sub(y));
                    let start = y.checked_mul(row_bytes)?;
                    let out = span.out.slice(start, count.checked_mul(row_bytes)?)?;
                    kernel.tile(first, first_row.checked_add(y)?, count, out)?;
                }
                Some(())
            })?;
        }
        let bounds = (params.act_min, params.act_max);
        if bounds != (i8::MIN, i8::MAX) {
            for_each_span(params, &rows, ring, tensors, |span| {
                clamp_bytes(span.out, bounds);
                Some(())
            })?;
        }
        Some(())
    }
}

/// A depthwise convolution.
struct Kernel<'p, 'a, 's, I> {
    params: &'p op::Conv,
    patches: Patches<'a>,
    planes: Planes<'s>,
    table: &'s mut [u32],
    /// The weights of all channels.
    stream: &'a [u32],
    window: Window,
    /// Nothing has been written to the table yet.
    fresh: bool,
    isa: PhantomData<I>,
}

impl<I: Isa> Kernel<'_, '_, '_, I> {
    /// Computes up to four channels from `first` on of `rows` output rows from `y` on, whose
    /// memory is `out`.
    fn tile(&mut self, first: usize, y: usize, rows: usize, out: Dst<'_>) -> Option<()> {
        let channels = usize::from(self.params.window.out_c);
        let base = first.min(channels.checked_sub(planar::CHANNELS)?);
        self.expand(base, y, rows)?;
        let columns = usize::from(self.params.window.out_w);
        let row_step = columns.checked_mul(channels)?;
        let words = planar::channel_words(self.window.kernel_h, self.window.kernel_w)?;
        for n in first..base.checked_add(planar::CHANNELS)? {
            let stream = self.stream.get(n.checked_mul(words)?..)?.get(..words)?;
            let out = out.slice(n, out.len().checked_sub(n)?)?;
            let outputs = Outputs::new(out, (rows, columns), (row_step, channels))?;
            let plane = self.planes.plane(n.checked_sub(base)?)?;
            let zero = self.params.out_zero;
            let channel = Channel::new(self.window, plane, stream, outputs, zero)?;
            I::planar_channel(&channel, self.table, self.fresh)?;
            self.fresh = false;
        }
        Some(())
    }

    /// Fills the planes with what `rows` output rows from `y` on see of four channels.
    fn expand(&mut self, channel: usize, y: usize, rows: usize) -> Option<()> {
        let top = self.patches.top(y);
        let in_c = usize::from(self.params.window.in_c);
        let left = usize::from(self.params.window.pad_left);
        let width = usize::from(self.params.window.in_w);
        let count = self.window.columns.saturating_sub(left).min(width);
        if count == 0 {
            return Some(());
        }
        let pad = [self.params.pad_value; planar::CHANNELS];
        let line = |row: i32| {
            if (0..i32::from(self.params.window.in_h)).contains(&row) {
                let row = self.patches.input.row(row as usize)?;
                Some((row.slice(channel, row.len().checked_sub(channel)?)?, in_c))
            } else {
                Some((Src::from(&pad[..]), 0))
            }
        };
        for pair in 0..self.window.row_pairs_for(rows)? {
            let upper = top.wrapping_add((pair as i32).wrapping_mul(2));
            let (upper, upper_step) = line(upper)?;
            let (lower, lower_step) =
                line(top.wrapping_add((pair as i32).wrapping_mul(2)).wrapping_add(1))?;
            let lines = Lines::new([upper, lower], [upper_step, lower_step], count)?;
            I::planar_expand(&lines, &mut self.planes, pair, left)?;
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use fixie_format::Opcode;
    use proptest::prelude::*;

    use super::*;
    use crate::ops::conv_testing::{Layer, Traits, traits};
    use crate::testing::windows;

    proptest! {
        #[test]
        fn it_is_the_definition(window in windows(), more in 3u16..5, traits in traits()) {
            let channels = window.in_c + more;
            let window = op::Window { in_c: channels, out_c: channels, dilation_h: 1, ..window };
            let layer = Layer::new(window, Traits { groups: channels, shift: 0, ..traits });
            prop_assert_eq!(
                layer.run::<DepthwisePlanar>(Opcode::DepthwisePlanar),
                Some(layer.expected())
            );
        }
    }
}
