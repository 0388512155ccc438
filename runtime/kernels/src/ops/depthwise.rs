//! `Depthwise`: every output channel sees one input channel; for every core.
//!
//! ```text
//! for every output pixel, for every few output channels:
//!     sums = bias
//!     for every tap: sums += weights of the tap · channels of the pixel that it sees
//!     requantise, store
//! ```

use core::ops::Range;

use fixie_format::Image;
use fixie_format::op;

use crate::arch::view::{Dst, Src};
use crate::memory::Memory;
use crate::ops::Operator;
use crate::ops::conv::{Rings, check_conv, patches};
use crate::ops::patch::{Patches, Shape};
use crate::requantize::Requantizer;
use crate::rule::{Rule, check_data, check_that};

/// Channels whose sums are kept at a time.
const BLOCK: usize = 8;

/// [`Opcode::Depthwise`](fixie_format::Opcode::Depthwise).
pub struct Depthwise;

impl Operator for Depthwise {
    type Params = op::Conv;

    fn check(params: &op::Conv, rows: u16, image: &Image<'_>) -> Result<(), Rule> {
        let shape = check_conv(params, rows, image)?;
        check_that(params.groups == params.window.in_c, "groups")?;
        let out_c = usize::from(params.window.out_c);
        check_data::<i8>(image, params.weights, out_c.checked_mul(shape.taps))?;
        check_data::<i32>(image, params.bias, Some(out_c))?;
        check_data::<i32>(image, params.multipliers, Some(out_c))
    }

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
                ..patches(params, 0, &shape, tensors, rings)?
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

impl Kernel<'_> {
    /// All channels of the output pixel at `(y, x)`.
    fn pixel(&self, y: usize, x: usize, out: Dst<'_>) -> Option<()> {
        let mut first = 0;
        let (blocks, rest) = out.cells().as_chunks::<BLOCK>();
        for _ in blocks {
            self.channels::<BLOCK>(y, x, first, out)?;
            first = first.checked_add(BLOCK)?;
        }
        for _ in rest {
            self.channels::<1>(y, x, first, out)?;
            first = first.checked_add(1)?;
        }
        Some(())
    }

    /// `N` channels from `first` on of the output pixel at `(y, x)`.
    fn channels<const N: usize>(
        &self,
        y: usize,
        x: usize,
        first: usize,
        out: Dst<'_>,
    ) -> Option<()> {
        let window = &self.patches.window;
        let mut sums: [i32; N] = *self.bias.get(first..)?.first_chunk()?;
        let mut weights = self.weights.get(first..)?;
        let mut row = self.patches.top(y);
        for _ in 0..window.kernel_h {
            let inside = (0..i32::from(window.in_h)).contains(&row);
            let pixels = if inside { Some(self.patches.input.row(row as usize)?) } else { None };
            let mut column = self.patches.left(x);
            for _ in 0..window.kernel_w {
                let inside = (0..i32::from(window.in_w)).contains(&column);
                let seen = match pixels {
                    Some(pixels) if inside => self.seen(pixels, column as usize, first)?,
                    _ => [self.patches.pad_value; N],
                };
                let (tap, _) = weights.split_first_chunk::<N>()?;
                for ((sum, &weight), seen) in sums.iter_mut().zip(tap).zip(seen) {
                    *sum = i32::from(weight).wrapping_mul(seen.into()).wrapping_add(*sum);
                }
                weights = weights.get(self.bias.len()..).unwrap_or_default();
                column = column.wrapping_add(window.dilation_w.into());
            }
            row = row.wrapping_add(window.dilation_h.into());
        }
        let multipliers: &[i32; N] = self.multipliers.get(first..)?.first_chunk()?;
        let out = out.slice(first, N)?;
        for ((cell, sum), &multiplier) in out.cells().iter().zip(sums).zip(multipliers) {
            cell.set(self.requantizer.apply(sum, multiplier));
        }
        Some(())
    }

    /// What output channels `first` to `first + N` see of the pixel at `column` of a row.
    #[inline(always)]
    fn seen<const N: usize>(&self, row: Src<'_>, column: usize, first: usize) -> Option<[i8; N]> {
        let pixel = column.checked_mul(self.patches.channels)?;
        if self.multiplier == 1 {
            return row.chunk(pixel.checked_add(first)?);
        }
        let mut seen = [0; N];
        for (n, seen) in (first..).zip(&mut seen) {
            let channel = n.checked_div(self.multiplier)?;
            *seen = row.get(pixel.checked_add(channel)?)?;
        }
        Some(seen)
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
        fn it_is_the_definition(window in windows(), multiplier in 1u16..4, traits in traits()) {
            let window = op::Window { out_c: window.in_c * multiplier, ..window };
            let layer = Layer::new(window, Traits { groups: window.in_c, ..traits });
            prop_assert_eq!(layer.run::<Depthwise>(Opcode::Depthwise), Some(layer.expected()));
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
