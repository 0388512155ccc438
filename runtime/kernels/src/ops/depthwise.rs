//! `Depthwise`: every output channel sees one input channel; for every core.
//!
//! ```text
//! for every output pixel, for every few output channels:
//!     sums = bias
//!     for every tap: sums += weights of the tap · channels of the pixel that it sees
//!     requantise, store
//! ```
//!
//! An instruction set that computes many pixels in one loop gets strips of them instead: pixels of
//! an output row that see no padding, or one that does.

use core::marker::PhantomData;
use core::ops::Range;

use fixie_format::Image;
use fixie_format::op;

use crate::arch::taps::{MAX_CHANNELS, MAX_TAPS, Scene, TapFilters, TapStrip};
use crate::arch::view::{Dst, Src};
use crate::arch::{Isa, Native};
use crate::memory::{DstRows, Memory};
use crate::ops::Operator;
use crate::ops::conv::{Rings, check_conv, patches};
use crate::ops::patch::{Patches, Shape};
use crate::requantize::Requantizer;
use crate::rule::{Rule, check_data, check_that};

/// Channels whose sums are kept at a time: enough that finding a tap costs little per channel.
const BLOCK: usize = 32;

/// [`Opcode::Depthwise`](fixie_format::Opcode::Depthwise), its inner loops by `I`.
pub struct Depthwise<I = Native>(PhantomData<I>);

impl<I: Isa> Operator for Depthwise<I> {
    type Params = op::Conv;

    fn check(params: &op::Conv, rows: u16, image: &Image<'_>) -> Result<(), Rule> {
        let shape = check_conv(params, rows, image)?;
        check_that(params.groups == params.window.in_c, "groups")?;
        let out_c = usize::from(params.window.out_c);
        check_data::<i8>(image, params.weights, out_c.checked_mul(shape.taps))?;
        check_data::<i32>(image, params.bias, Some(out_c))?;
        check_data::<i32>(image, params.multipliers, Some(out_c))
    }

    // Not inlined, so that the stack holds the frame of one operator only.
    #[inline(never)]
    fn run(params: &op::Conv, rows: Range<usize>, memory: &mut Memory<'_>) -> Option<()> {
        let shape = Shape::new(params)?;
        let rings = Rings::new(params, memory.image())?;
        let tensors = memory.tensors();
        let out_c = usize::from(params.window.out_c);
        let row_bytes = usize::from(params.window.out_w).checked_mul(out_c)?;
        let output = tensors.dst_rows(params.output, row_bytes)?;
        let kernel = Kernel {
            patches: Patches {
                channels: params.window.in_c.into(),
                ..patches(params, 0, &shape, &tensors, rings)?
            },
            // As many output channels as a group has see the same input channel.
            multiplier: shape.group_out,
            weights: tensors.data(params.weights, out_c.checked_mul(shape.taps)?)?,
            bias: tensors.data(params.bias, out_c)?,
            multipliers: tensors.data(params.multipliers, out_c)?,
            requantizer: Requantizer {
                shift: params.shift,
                zero: params.out_zero,
                min: params.act_min,
                max: params.act_max,
            },
        };
        if I::READS_STRIPS && kernel.multiplier == 1 && shape.taps <= MAX_TAPS {
            for first in (0..out_c).step_by(MAX_CHANNELS) {
                let channels = first..out_c.min(first.saturating_add(MAX_CHANNELS));
                kernel.rows::<I>(rows.clone(), channels, &output)?;
            }
            return Some(());
        }
        for y in rows {
            let row = output.row(y)?;
            for x in 0..usize::from(params.window.out_w) {
                kernel.pixel(y, x, row.slice(x.checked_mul(out_c)?, out_c)?)?;
            }
        }
        Some(())
    }
}

/// A depthwise convolution.
struct Kernel<'a> {
    patches: Patches<'a>,
    /// Output channels per input channel.
    multiplier: usize,
    /// `[kernel_h][kernel_w][out_c]`.
    weights: &'a [i8],
    bias: &'a [i32],
    multipliers: &'a [i32],
    requantizer: Requantizer,
}

impl<'a> Kernel<'a> {
    /// Some channels of output rows, in strips; every input channel is an output channel.
    fn rows<I: Isa>(
        &self,
        rows: Range<usize>,
        channels: Range<usize>,
        output: &DstRows<'a>,
    ) -> Option<()> {
        let out_c = self.bias.len();
        let window = &self.patches.window;
        let taps = usize::from(window.kernel_h).checked_mul(window.kernel_w.into())?;
        let constants = [self.bias, self.multipliers].map(|all| all.get(channels.clone()));
        let [Some(bias), Some(multipliers)] = constants else { return None };
        let filters = TapFilters::new(
            self.weights.get(channels.start..)?,
            (taps, out_c),
            [bias, multipliers],
            self.requantizer,
        )?;
        let padding = [self.patches.pad_value; MAX_CHANNELS];
        let scene = Scene { source: self.patches.memory, padding: &padding };
        let padding = scene.padding_position();
        let step = usize::from(window.stride_w).checked_mul(out_c)?;
        let mut positions = [0; MAX_TAPS];
        let positions = positions.get_mut(..taps)?;
        for y in rows {
            let row = output.row(y)?;
            let mut x = 0;
            while x < usize::from(window.out_w) {
                let sees_padding = self.positions((y, x), channels.start, padding, positions)?;
                let pixels = if sees_padding {
                    1
                } else {
                    self.patches.pixels_inside(x, self.patches.left(x) as usize)?
                };
                let at = x.checked_mul(out_c)?.checked_add(channels.start)?;
                let out = row.slice(at, row.len().checked_sub(at)?)?;
                let seen = (scene, &*positions);
                let strip = TapStrip::new(&filters, seen, (out, out_c), (pixels, step))?;
                I::depthwise_strip(&filters, &strip)?;
                x = x.checked_add(pixels)?;
            }
        }
        Some(())
    }

    /// Where the taps of the output pixel at `(y, x)` see channel `first`: `padding` for padding.
    /// Gives whether one does.
    fn positions(
        &self,
        (y, x): (usize, usize),
        first: usize,
        padding: usize,
        positions: &mut [usize],
    ) -> Option<bool> {
        let window = self.patches.window;
        let channels = self.patches.channels;
        let (down, right) = (i32::from(window.dilation_h), i32::from(window.dilation_w));
        let step = (right as usize).wrapping_mul(channels);
        let left = self.patches.left(x);
        // A column left of the input is a large one without its sign.
        let is_inside = |position: i32, extent: u16| (position as u32) < u32::from(extent);
        let mut paddings = 0u32;
        let mut row = self.patches.top(y);
        for positions in positions.chunks_exact_mut(usize::from(window.kernel_w).max(1)) {
            let in_w = if is_inside(row, window.in_h) { window.in_w } else { 0 };
            let start = self.patches.slot(row as usize).wrapping_mul(self.patches.row_bytes);
            let mut at = start.wrapping_add((left as usize).wrapping_mul(channels));
            at = at.wrapping_add(first);
            let mut column = left;
            for position in positions {
                // A strip checks that they are inside the memory.
                let sees = is_inside(column, in_w);
                *position = if sees { at } else { padding };
                // Checked, since a vectorised loop would take longer for so few taps.
                paddings = paddings.checked_add((!sees).into())?;
                at = at.wrapping_add(step);
                column = column.wrapping_add(right);
            }
            row = row.wrapping_add(down);
        }
        Some(paddings != 0)
    }

    /// All channels of the output pixel at `(y, x)`.
    #[inline(always)]
    fn pixel(&self, y: usize, x: usize, out: Dst<'_>) -> Option<()> {
        let mut first = 0;
        let mut sums = [0; BLOCK];
        while first < out.len() {
            let len = BLOCK.min(out.len().wrapping_sub(first));
            let channels = first..first.wrapping_add(len);
            let sums = sums.get_mut(..len)?;
            sums.copy_from_slice(self.bias.get(channels.clone())?);
            self.add_taps(y, x, first, sums)?;
            let multipliers = self.multipliers.get(channels)?;
            let out = out.slice(first, len)?;
            for ((cell, &sum), &multiplier) in out.cells().iter().zip(&*sums).zip(multipliers) {
                cell.set(self.requantizer.apply(sum, multiplier));
            }
            first = first.wrapping_add(len);
        }
        Some(())
    }

    /// Adds what all taps contribute to the channels from `first` on of the output pixel at
    /// `(y, x)`.
    fn add_taps(&self, y: usize, x: usize, first: usize, sums: &mut [i32]) -> Option<()> {
        let window = &self.patches.window;
        let mut weights = self.weights.get(first..)?;
        let mut row = self.patches.top(y);
        for _ in 0..window.kernel_h {
            let inside = (0..i32::from(window.in_h)).contains(&row);
            let pixels = if inside { Some(self.patches.row(row as usize)?) } else { None };
            let mut column = self.patches.left(x);
            for _ in 0..window.kernel_w {
                let inside = (0..i32::from(window.in_w)).contains(&column);
                let pixel = match pixels {
                    Some(pixels) if inside => {
                        let channels = self.patches.channels;
                        Some(pixels.slice((column as usize).checked_mul(channels)?, channels)?)
                    }
                    _ => None,
                };
                self.add_tap(pixel, weights, first, sums)?;
                weights = weights.get(self.bias.len()..).unwrap_or_default();
                column = column.wrapping_add(window.dilation_w.into());
            }
            row = row.wrapping_add(window.dilation_h.into());
        }
        Some(())
    }

    /// Adds what one tap that sees `pixel`, or padding, contributes to the channels from `first`
    /// on.
    #[inline(always)]
    fn add_tap(
        &self,
        pixel: Option<Src<'_>>,
        weights: &[i8],
        first: usize,
        sums: &mut [i32],
    ) -> Option<()> {
        let len = sums.len();
        let taps = sums.iter_mut().zip(weights);
        let add = |sum: &mut i32, weight: i8, value: i8| {
            *sum = i32::from(weight).wrapping_mul(value.into()).wrapping_add(*sum);
        };
        match pixel {
            Some(pixel) if self.multiplier == 1 => {
                for ((sum, &weight), value) in taps.zip(pixel.slice(first, len)?.iter()) {
                    add(sum, weight, value);
                }
            }
            Some(pixel) => {
                for ((sum, &weight), n) in taps.zip(first..) {
                    add(sum, weight, pixel.get(n.checked_div(self.multiplier)?)?);
                }
            }
            None => {
                for (sum, &weight) in taps {
                    add(sum, weight, self.patches.pad_value);
                }
            }
        }
        Some(())
    }
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
    }

    proptest! {
        #[test]
        fn it_is_the_definition(window in windows(), multiplier in 1u16..4, traits in traits()) {
            let window = op::Window { out_c: window.in_c * multiplier, ..window };
            let layer = Layer::new(window, Traits { groups: window.in_c, ..traits });
            let expected = layer.expected();
            let found = layer.run::<Depthwise<Strips>>(Opcode::Depthwise);
            prop_assert_eq!(found.as_ref(), Some(&expected));
            prop_assert_eq!(layer.run::<Depthwise>(Opcode::Depthwise), Some(expected));
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
    }

    #[test]
    fn changed_parameters_are_refused_or_run() {
        for seed in 0..4 {
            let layer = Layer::small(6, seed);
            let (bench, params) = layer.packed(Opcode::Depthwise).unwrap();
            bench.survives_mutations::<Depthwise>(params, params.window.out_h);
        }
    }
}
