//! `Depthwise`: every output channel sees one input channel; for every core.
//!
//! ```text
//! for every output pixel:
//!     look up where its taps lie, or for a run of pixels that see no padding, where those of the
//!     first one lie
//!     for every few channels: sums over the taps, requantise, store
//! ```
//!
//! An instruction set that computes many pixels in one loop gets strips of them instead: pixels of
//! an output row that see no padding, or one that does: see [`strips`].

use core::marker::PhantomData;
use core::ops::Range;

use fixie_format::Image;
use fixie_format::op;

use crate::arch::depthwise::{Channels, PADDING, Taps};
use crate::arch::taps::MAX_TAPS;
use crate::arch::view::Dst;
use crate::arch::{Isa, Native};
use crate::coded::{
    Any, ArrayOrder, Constants, Decoder, Order, Storage, check_constants, decoded_len, decoder,
};
use crate::memory::{Memory, words_mut};
use crate::ops::Operator;
use crate::ops::conv::{Rings, check_conv, patches};
use crate::ops::depthwise_strips::strips;
use crate::ops::patch::{Patches, Shape};
use crate::rule::{Rule, check_scratch, check_that};

/// [`Opcode::Depthwise`](fixie_format::Opcode::Depthwise), its inner loops by `I`.
pub struct Depthwise<I = Native, S = Any>(PhantomData<(I, S)>);

/// Bytes of scratch memory: a table of taps, a pixel of padding, and room to decode all channels.
pub fn scratch_len(params: &op::Conv) -> Option<usize> {
    let (shape, channels) = (Shape::new(params)?, usize::from(params.window.out_c));
    let table = shape.taps.checked_mul(size_of::<u32>())?;
    let decoded = decoded_len(params, &order(shape.taps), (channels, channels))?;
    table.checked_add(decoded)?.checked_add(params.window.in_c.into())
}

/// How constants are decoded: with weights `[taps][channels]`.
fn order(taps: usize) -> ArrayOrder {
    ArrayOrder { taps, by_tap: true }
}

impl<I: Isa, S: Storage> Operator for Depthwise<I, S> {
    type Params = op::Conv;

    fn check(params: &op::Conv, rows: u16, image: &Image<'_>) -> Result<(), Rule> {
        let shape = check_conv(params, rows, image)?;
        check_that(params.groups == params.window.in_c, "groups")?;
        check_scratch(image, params.scratch, scratch_len(params), &[params.input, params.output])?;
        check_constants::<S>(params, shape.taps, image)
    }

    // Not inlined, so that the stack holds the frame of one operator only.
    #[inline(never)]
    fn run(params: &op::Conv, rows: Range<usize>, memory: &mut Memory<'_>) -> Option<()> {
        let shape = Shape::new(params)?;
        let rings = Rings::new(params, memory.image())?;
        let (scratch, tensors) = memory.with_scratch(params.scratch)?;
        let (in_c, out_c) = (usize::from(params.window.in_c), usize::from(params.window.out_c));
        let (decoder, scratch) = decoder::<S>(params, &tensors, scratch)?;
        let (constants, scratch) = match decoder {
            Some(decoder) if S::DECODES => decoded(params, shape.taps, decoder, scratch)?,
            _ => (Constants::stored(params, shape.taps, &tensors)?, scratch),
        };
        let (table, padding) =
            scratch.split_at_mut_checked(shape.taps.checked_mul(size_of::<u32>())?)?;
        let padding: &mut [i8] = bytemuck::must_cast_slice_mut(padding.get_mut(..in_c)?);
        padding.fill(params.pad_value);
        let row_bytes = usize::from(params.window.out_w).checked_mul(out_c)?;
        let output = tensors.dst_rows(params.output, row_bytes)?;
        let channels = Channels::new(
            constants.weights,
            constants.bias,
            constants.multipliers,
            (params.shift, params.out_zero),
        )?;
        let mut kernel = Kernel::<I> {
            patches: Patches { channels: in_c, ..patches(params, 0, &shape, &tensors, rings)? },
            // As many output channels as a group has see the same input channel.
            multiplier: shape.group_out,
            channels: if I::MEASURES_PRODUCTS { channels.measured() } else { channels },
            table: bytemuck::try_cast_slice_mut(table).ok()?,
            padding,
            isa: PhantomData,
        };
        if I::READS_STRIPS && kernel.multiplier == 1 && shape.taps <= MAX_TAPS {
            return strips::<I>(params, &kernel.patches, &kernel.channels, rows, &output);
        }
        let bounds = (params.act_min, params.act_max);
        for y in rows {
            let row = output.row(y)?;
            kernel.row(y, row)?;
            if bounds != (i8::MIN, i8::MAX) {
                I::clamp(row, bounds);
            }
        }
        Some(())
    }
}

/// The constants, decoded at the start of `scratch`, and the rest of that.
fn decoded<'s, S: Storage>(
    params: &op::Conv,
    taps: usize,
    mut decoder: Decoder<'_, '_, S>,
    scratch: &'s mut [u8],
) -> Option<(Constants<'s>, &'s mut [u8])> {
    let (order, out_c) = (order(taps), usize::from(params.window.out_c));
    let len = order.words(out_c)?.checked_mul(size_of::<u32>())?;
    let (buffer, rest) = scratch.split_at_mut_checked(len)?;
    let buffer = words_mut(buffer)?;
    order.decode(&mut decoder, out_c, buffer)?;
    Some((Constants::decoded(buffer, out_c, taps)?, rest))
}

/// A depthwise convolution.
struct Kernel<'a, 's, I> {
    patches: Patches<'a>,
    /// Output channels per input channel.
    multiplier: usize,
    channels: Channels<'a>,
    /// Where the taps of a pixel lie.
    table: &'s mut [u32],
    /// The channels of a pixel of padding.
    padding: &'s [i8],
    isa: PhantomData<I>,
}

impl<I: Isa> Kernel<'_, '_, I> {
    /// Computes an output row.
    fn row(&mut self, y: usize, out: Dst<'_>) -> Option<()> {
        let out_c = self.channels.count();
        let mut x = 0;
        while x < self.patches.window.out_w.into() {
            let inside = self.look_up(y, x)?;
            let pixels = if inside { self.columns_inside(x)? } else { 1 };
            let out = out.slice(x.checked_mul(out_c)?, pixels.checked_mul(out_c)?)?;
            let step = self.patches.channels.checked_mul(self.patches.window.stride_w.into())?;
            let mut taps =
                Taps::new(self.patches.memory, self.table, self.padding, (pixels, step))?;
            if self.multiplier == 1 {
                I::depthwise_pixels(&self.channels, &mut taps, out)?;
            } else {
                shared_inputs(&self.channels, &taps, self.multiplier, out)?;
            }
            x = x.checked_add(pixels)?;
        }
        Some(())
    }

    /// Fills the table for the output pixel at `(y, x)`; whether it sees no padding.
    // Not inlined: it would be unrolled, in several copies.
    #[inline(never)]
    fn look_up(&mut self, y: usize, x: usize) -> Option<bool> {
        let patches = &self.patches;
        let window = &patches.window;
        let mut inside = true;
        let (mut row, mut slot) = (patches.top(y), None);
        let left = patches.left(x);
        // Offsets and slots are counted on: products and quotients are slow on the smallest cores.
        // Of columns outside the offset does not matter.
        let first = (left as usize).wrapping_mul(patches.channels);
        let step = usize::from(window.dilation_w).wrapping_mul(patches.channels);
        let mut table = &mut *self.table;
        for _ in 0..window.kernel_h {
            let (taps, below) = table.split_at_mut_checked(window.kernel_w.into())?;
            table = below;
            if (0..i32::from(window.in_h)).contains(&row) {
                let slot_here = slot.unwrap_or_else(|| patches.slot(row as usize));
                slot = Some(patches.slot_behind(slot_here, window.dilation_h.into()));
                let start = slot_here.wrapping_mul(patches.row_bytes);
                let (mut column, mut at) = (left, start.wrapping_add(first));
                for tap in taps {
                    let column_inside = (0..i32::from(window.in_w)).contains(&column);
                    *tap = if column_inside { u32::try_from(at).ok()? } else { PADDING };
                    inside &= column_inside;
                    column = column.wrapping_add(window.dilation_w.into());
                    at = at.wrapping_add(step);
                }
            } else {
                taps.fill(PADDING);
                inside = false;
            }
            row = row.wrapping_add(window.dilation_h.into());
        }
        Some(inside)
    }

    /// How many output columns from `x` on, which sees none, see no padding at their sides.
    fn columns_inside(&self, x: usize) -> Option<usize> {
        let window = &self.patches.window;
        let reach = usize::from(window.kernel_w.checked_sub(1)?)
            .checked_mul(window.dilation_w.into())?
            .checked_add(self.patches.left(x) as usize)?;
        let behind = usize::from(window.in_w).checked_sub(1)?.checked_sub(reach)?;
        let more = match window.stride_w {
            1 => behind,
            stride => behind.checked_div(stride.into())?,
        };
        Some(usize::from(window.out_w).checked_sub(x)?.min(more.checked_add(1)?))
    }
}

/// As [`Isa::depthwise_pixels`] where `multiplier` channels see the same input channel.
fn shared_inputs(
    channels: &Channels<'_>,
    taps: &Taps<'_, '_>,
    multiplier: usize,
    out: Dst<'_>,
) -> Option<()> {
    let constants = channels.bias().iter().zip(channels.multipliers()).enumerate();
    for pixel in 0..taps.pixels() {
        for (n, (&bias, &scale)) in constants.clone() {
            let input = n.checked_div(multiplier)?;
            let weights = channels.weights().iter().skip(n).step_by(channels.count());
            let mut sum = bias;
            for (&weight, &tap) in weights.zip(taps.table()) {
                let value = if tap == PADDING {
                    *taps.padding().get(input)?
                } else {
                    let start = pixel.checked_mul(taps.step())?.checked_add(tap as usize)?;
                    taps.memory().get(start.checked_add(input)?)?
                };
                sum = i32::from(weight).wrapping_mul(value.into()).wrapping_add(sum);
            }
            let at = pixel.checked_mul(channels.count())?.checked_add(n)?;
            out.set(at, channels.requantizer().apply(sum, scale))?;
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use fixie_format::Opcode;
    use proptest::prelude::*;

    use super::*;
    use crate::ops::conv_testing::{Layer, Traits, pointwise, traits};
    use crate::testing::windows;

    /// The plain loops, but over strips.
    struct Strips;

    impl Isa for Strips {
        const NAME: &'static str = "strips";
        const READS_STRIPS: bool = true;

        type Pairs<'a> = crate::arch::paired::Pairs<'a>;
    }

    /// With strips and without.
    fn all_are_the_definition(layer: &Layer) -> Result<(), TestCaseError> {
        let expected = layer.expected();
        let found = layer.run::<Depthwise<Strips>>(Opcode::Depthwise);
        prop_assert_eq!(found.as_ref(), Some(&expected));
        prop_assert_eq!(layer.run::<Depthwise>(Opcode::Depthwise), Some(expected));
        Ok(())
    }

    proptest! {
        #[test]
        fn it_is_the_definition(window in windows(), multiplier in 1u16..4, traits in traits()) {
            let window = op::Window { out_c: window.in_c * multiplier, ..window };
            all_are_the_definition(&Layer::new(window, Traits { groups: window.in_c, ..traits }))?;
        }

        #[test]
        fn columns_are_the_definition(
            window in windows(), multiplier in 1u16..4, traits in traits(), ring_rows in 1u16..6,
        ) {
            let window = op::Window { in_w: 1, out_w: 1, kernel_w: 1, pad_left: 0, ..window };
            let window = op::Window { out_c: window.in_c * multiplier, ..window };
            let layer = Layer::new(window, Traits { groups: window.in_c, ..traits });
            all_are_the_definition(&layer)?;
            let [found, expected] =
                layer.run_on_rings::<Depthwise>(Opcode::Depthwise, ring_rows).unwrap();
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn rings_hold_the_last_rows(
            window in windows(), multiplier in 1u16..4, traits in traits(), ring_rows in 1u16..6,
        ) {
            let window = op::Window { out_c: window.in_c * multiplier, ..window };
            let layer = Layer::new(window, Traits { groups: window.in_c, ..traits });
            let [found, expected] =
                layer.run_on_rings::<Depthwise>(Opcode::Depthwise, ring_rows).unwrap();
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn strips_on_rings_hold_the_last_rows(
            window in windows(), traits in traits(), ring_rows in 1u16..6,
        ) {
            let window = op::Window { out_c: window.in_c, ..window };
            let layer = Layer::new(window, Traits { groups: window.in_c, ..traits });
            let [found, expected] =
                layer.run_on_rings::<Depthwise<Strips>>(Opcode::Depthwise, ring_rows).unwrap();
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn many_channels_go_in_parts(in_c in 127u16..300, traits in traits()) {
            let window = op::Window { in_c, out_c: in_c, ..pointwise(2, in_c, in_c) };
            let window = op::Window { kernel_w: 2, pad_left: 1, ..window };
            let layer = Layer::new(window, Traits { groups: in_c, ..traits });
            let found = layer.run::<Depthwise<Strips>>(Opcode::Depthwise);
            prop_assert_eq!(found, Some(layer.expected()));
        }

        #[test]
        fn coded_constants_are_the_same(
            window in windows(), multiplier in 1u16..4, traits in traits(),
        ) {
            let window = op::Window { out_c: window.in_c * multiplier, ..window };
            let layer = Layer::new(window, Traits { groups: window.in_c, ..traits });
            layer.survives_coding::<Depthwise>(Opcode::Depthwise);
        }
    }

    #[test]
    fn changed_parameters_are_refused_or_run() {
        for seed in 0..4 {
            Layer::small(6, seed).survives_mutations::<Depthwise>(Opcode::Depthwise);
        }
    }
}
