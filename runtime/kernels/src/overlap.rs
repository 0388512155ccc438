//! For the compiler: how far a convolution's output may lie over its input.
//!
//! The specification of the format says of some opcodes in which order they read and write, and
//! their kernels, for whichever core, keep to it. What may overlap follows from that order and the
//! record alone.

use fixie_format::Opcode;
use fixie_format::op;

use crate::arch::paired::BLOCK;
use crate::ops::depthwise_planar;

/// How an output may lie over its operator's input, if the operator runs as a single step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overlap {
    /// On the very same bytes.
    InPlace,
    /// Anywhere that starts at least so many bytes before the input.
    Trailing(usize),
}

/// How the output of a convolution by `opcode` may lie over its input; `None` if they must be
/// apart, or if `opcode` is no convolution.
pub fn overlap(params: &op::Conv, opcode: Opcode) -> Option<Overlap> {
    match opcode {
        Opcode::ConvPaired | Opcode::ConvSparse if params.groups == 1 => {
            Some(Overlap::Trailing(paired_lead(&params.window)))
        }
        Opcode::DepthwisePlanar if depthwise_planar::works_in_place(params) => {
            Some(Overlap::InPlace)
        }
        _ => None,
    }
}

/// The least number of bytes by which the output of `ConvPaired` and `ConvSparse` must start before the
/// input.
///
/// Pixels are computed row by row, three at a time, all channels of them. Before anything of such a
/// block is written everything that it sees was read. A last block of fewer pixels starts so much
/// earlier, and computes some pixels twice. If there are fewer than three pixels in all, they are
/// computed one by one, and read until all of the pixel is written.
///
/// With the output `lead` bytes before the input, output byte *k* lies on input byte *k − lead*. Let
/// *F(p)* be the first input byte that any output pixel from *p* on sees, and let pixels have *C*
/// output channels. When the reading for a block that starts with pixel *s* ends, the first *w*
/// pixels may be written, that is output bytes below *w · C*. Nothing that this block or a later one
/// sees is overwritten before just if *w · C − lead ≤ F(s)*, where
///
/// - *w* is a multiple of 3, and *s = w*, but *s = pixels − 3* for the last block;
/// - with fewer than three pixels *w = s + 1*, for every *s*.
///
/// The lead is the largest *w · C − F(s)*. Since *F* never falls, and a larger lead only makes the
/// left side smaller, the output may start earlier still.
fn paired_lead(window: &op::Window) -> usize {
    let (pixels, channels) = (pixels(window), usize::from(window.out_c));
    let (mut lead, mut first_needed) = (0, usize::MAX);
    for pixel in (0..pixels).rev() {
        first_needed = first_needed.min(first_seen(window, pixel).unwrap_or(usize::MAX));
        let starts_block = pixel % BLOCK == 0 && pixel + BLOCK <= pixels;
        let written = if pixels < BLOCK {
            pixel + 1
        } else if starts_block || pixel + BLOCK == pixels {
            pixel.next_multiple_of(BLOCK)
        } else {
            continue;
        };
        lead = lead.max((written * channels).saturating_sub(first_needed));
    }
    lead
}

/// Output pixels.
fn pixels(window: &op::Window) -> usize {
    usize::from(window.out_h) * usize::from(window.out_w)
}

/// The first byte of the input that an output pixel sees, whatever the channel; `None` if it sees
/// nothing but padding.
fn first_seen(window: &op::Window, pixel: usize) -> Option<usize> {
    let (y, x) = (pixel / usize::from(window.out_w), pixel % usize::from(window.out_w));
    let row = first_inside(
        y * usize::from(window.stride_h),
        usize::from(window.pad_top),
        usize::from(window.dilation_h),
        usize::from(window.kernel_h),
    );
    let column = first_inside(
        x * usize::from(window.stride_w),
        usize::from(window.pad_left),
        usize::from(window.dilation_w),
        usize::from(window.kernel_w),
    );
    let (row, column) = (row?, column?);
    let inside = row < usize::from(window.in_h) && column < usize::from(window.in_w);
    inside.then(|| (row * usize::from(window.in_w) + column) * usize::from(window.in_c))
}

/// The first position at or behind the start of the input that the taps of a window see, along one
/// axis: `at` is where the window starts, counted from the start of the padding.
fn first_inside(at: usize, pad: usize, dilation: usize, taps: usize) -> Option<usize> {
    let tap = pad.saturating_sub(at).div_ceil(dilation.max(1));
    (tap < taps).then(|| at + tap * dilation - pad)
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;
    use crate::ops::conv_testing::{Layer, Traits, pointwise, traits};
    use crate::ops::{ConvPaired, ConvSparse, DepthwisePlanar, Operator};
    use crate::testing::windows;

    /// The output of `ConvPaired` that starts `lead` bytes before the input.
    fn trailing(layer: &Layer, lead: usize) -> Vec<i8> {
        trailing_of::<ConvPaired>(Opcode::ConvPaired, layer, lead)
    }

    fn trailing_of<O: Operator<Params = op::Conv>>(
        opcode: Opcode,
        layer: &Layer,
        lead: usize,
    ) -> Vec<i8> {
        let (bench, params) = layer.trailing(opcode, lead).expect("small weights");
        let whole = 0..usize::from(params.window.out_h);
        bench.run_steps::<O>(&params, [whole], params.output)
    }

    /// A 3×3 window that keeps the size of the image.
    fn same(height: u16, width: u16, channels: u16) -> op::Window {
        op::Window {
            in_h: height,
            out_h: height,
            kernel_h: 3,
            kernel_w: 3,
            pad_top: 1,
            pad_left: 1,
            ..pointwise(width, channels, channels)
        }
    }

    fn layer(window: op::Window, groups: u16, seed: u64) -> Layer {
        let bounds = (i8::MIN, i8::MAX);
        let traits = Traits { groups, seed, shift: 0, pad_value: 3, out_zero: -4, bounds };
        Layer::new(window, traits).without_lowest_weight()
    }

    proptest! {
        #[test]
        fn outputs_trail_their_inputs(
            window in windows(), out_c in 1u16..24, further in 0usize..40, traits in traits(),
        ) {
            let window = op::Window { out_c, ..window };
            let layer = Layer::new(window, Traits { shift: 0, ..traits }).without_lowest_weight();
            let lead = paired_lead(&window) + further;
            prop_assert_eq!(trailing(&layer, lead), layer.expected());
            let sparse = layer.without_blocks(4);
            let found = trailing_of::<ConvSparse>(Opcode::ConvSparse, &sparse, lead);
            prop_assert_eq!(found, sparse.expected());
        }

        #[test]
        fn matrix_products_trail_their_inputs(
            pixels in 1u16..12, in_c in 1u16..20, out_c in 1u16..20, traits in traits(),
        ) {
            let window = pointwise(pixels, in_c, out_c);
            let layer = Layer::new(window, Traits { shift: 0, ..traits }).without_lowest_weight();
            prop_assert_eq!(trailing(&layer, paired_lead(&window)), layer.expected());
        }

        #[test]
        fn depthwise_outputs_replace_their_inputs(
            (height, width) in (1u16..40, 1u16..40), channels in 4u16..12, pad_top in 0u16..3,
            traits in traits(),
        ) {
            let opcode = Opcode::DepthwisePlanar;
            let window = op::Window { pad_top, ..same(height, width, channels) };
            let layer = Layer::new(window, Traits { groups: channels, shift: 0, ..traits });
            prop_assert_eq!(overlap(&layer.params, opcode), Some(Overlap::InPlace));
            let (bench, params) = layer.trailing(opcode, 0).expect("small weights");
            let whole = 0..usize::from(height);
            let found = bench.run_steps::<DepthwisePlanar>(&params, [whole], params.output);
            prop_assert_eq!(found, layer.expected());
        }
    }

    #[test]
    fn leads_of_common_layers() {
        // The last block of 125 pixels starts one pixel earlier, that of 124 two, that of 123 none.
        assert_eq!(paired_lead(&pointwise(125, 64, 64)), 64);
        assert_eq!(paired_lead(&pointwise(124, 64, 64)), 128);
        assert_eq!(paired_lead(&pointwise(123, 64, 64)), 0);
        // Three pixels grow before the last block of three is read.
        assert_eq!(paired_lead(&pointwise(6, 8, 12)), 3 * (12 - 8));
        // Two pixels are read where they lie.
        assert_eq!(paired_lead(&pointwise(2, 8, 12)), 2 * 12 - 8);
        // A row and a pixel above.
        assert_eq!(paired_lead(&same(6, 7, 8)), (7 + 1) * 8);
    }

    #[test]
    fn some_layers_must_be_apart() {
        let window = same(5, 7, 8);
        let of = |window, groups, opcode| overlap(&layer(window, groups, 1).params, opcode);
        assert_eq!(of(window, 8, Opcode::DepthwisePlanar), Some(Overlap::InPlace));
        let stride = op::Window { stride_h: 2, stride_w: 2, out_h: 3, out_w: 4, ..window };
        assert_eq!(of(stride, 8, Opcode::DepthwisePlanar), None);
        let kernel = op::Window { kernel_h: 5, pad_top: 2, ..window };
        assert_eq!(of(kernel, 8, Opcode::DepthwisePlanar), None);
        assert_eq!(of(window, 2, Opcode::ConvPaired), None);
        assert_eq!(of(window, 1, Opcode::Conv), None);
    }

    #[test]
    fn a_byte_less_is_too_little() {
        let windows = [pointwise(5, 12, 12), pointwise(7, 8, 20), same(4, 5, 8), same(6, 7, 8)];
        for window in windows {
            let lead = paired_lead(&window);
            let wrong = |less: usize| {
                let layers = (1..20).map(|seed| layer(window, 1, seed));
                layers.filter(|layer| trailing(layer, lead - less) != layer.expected()).count()
            };
            assert_eq!(wrong(0), 0, "{window:?}");
            assert!(wrong(1) > 0, "{window:?}");
        }
    }
}
