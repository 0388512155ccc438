//! For the compiler: how far a convolution's output may lie over its input.
//!
//! The specification of the format says in which order each opcode reads and writes, and every
//! kernel, for whichever core, keeps to it. What may overlap follows from that order and the
//! record alone.

use fixie_format::Opcode;
use fixie_format::op;

use crate::arch::paired;
use crate::ops::{conv, depthwise_planar};

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
    let depthwise = params.groups == params.window.in_c;
    let pixels = pixels(&params.window);
    let order = match opcode {
        Opcode::Conv if params.groups == 1 => Order::Blocks { len: conv::BLOCK, full: false },
        Opcode::ConvPaired if params.groups == 1 && pixels >= paired::BLOCK => {
            Order::Blocks { len: paired::BLOCK, full: true }
        }
        Opcode::ConvPaired if params.groups == 1 => Order::Pixels,
        Opcode::Depthwise if depthwise => Order::Pixels,
        Opcode::DepthwisePlanar => {
            return depthwise_planar::works_in_place(params).then_some(Overlap::InPlace);
        }
        _ => return None,
    };
    Some(Overlap::Trailing(order.lead(&params.window)))
}

/// The order in which a kernel goes over the output pixels, row by row. It computes all channels of
/// a pixel before it goes on.
#[derive(Clone, Copy)]
enum Order {
    /// `len` pixels at a time; before it writes anything of such a block it has read everything
    /// that the block sees. The last block has fewer pixels, or, if blocks must be `full`, starts
    /// so much earlier that some pixels are computed twice.
    Blocks { len: usize, full: bool },
    /// Pixel by pixel, each of which may be read until all of it is written.
    Pixels,
}

impl Order {
    /// The least number of bytes by which the output must start before the input.
    ///
    /// With the output `lead` bytes before the input, output byte *k* lies on input byte
    /// *k − lead*. Let *F(p)* be the first input byte that any output pixel from *p* on sees, and
    /// let pixels have *C* output channels. When the reading for a block that starts with pixel
    /// *s* begins, pixels below some *w* are written, so output bytes below *w · C*. Nothing that
    /// is still to be read is overwritten just if *w · C − lead ≤ F(s)*.
    ///
    /// - `Blocks`: *w* is a multiple of `len`, and *s = w*; but a last block that is moved to be
    ///   full starts at *s = pixels − len*.
    /// - `Pixels`: reading for pixel *s* ends when it is written, so *w = s + 1*.
    ///
    /// The lead is the largest *w · C − F(s)* of all blocks. *F* never falls, and a larger lead
    /// only makes the left side smaller, so that the output may start earlier still.
    fn lead(self, window: &op::Window) -> usize {
        let (pixels, channels) = (pixels(window), usize::from(window.out_c));
        let (mut lead, mut first_needed) = (0, usize::MAX);
        for pixel in (0..pixels).rev() {
            first_needed = first_needed.min(first_seen(window, pixel).unwrap_or(usize::MAX));
            let written = match self {
                Self::Pixels => pixel + 1,
                Self::Blocks { len, full: true } if pixel + len == pixels => {
                    pixel.next_multiple_of(len)
                }
                Self::Blocks { len, .. } if pixel % len == 0 => pixel,
                Self::Blocks { .. } => continue,
            };
            lead = lead.max((written * channels).saturating_sub(first_needed));
        }
        lead
    }
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
    use crate::ops::{Conv, ConvPaired, Depthwise, DepthwisePlanar};
    use crate::testing::windows;

    /// The output of a layer that starts `lead` bytes before the input.
    fn run(layer: &Layer, opcode: Opcode, lead: usize) -> Vec<i8> {
        let packed = layer.trailing(opcode, lead);
        let (bench, params) = packed.expect("every opcode takes these layers");
        let whole = [0..usize::from(params.window.out_h)];
        match opcode {
            Opcode::Conv => bench.run_steps::<Conv>(&params, whole, params.output),
            Opcode::ConvPaired => bench.run_steps::<ConvPaired>(&params, whole, params.output),
            Opcode::Depthwise => bench.run_steps::<Depthwise>(&params, whole, params.output),
            _ => bench.run_steps::<DepthwisePlanar>(&params, whole, params.output),
        }
    }

    /// The least lead that is allowed.
    fn lead(layer: &Layer, opcode: Opcode) -> Option<usize> {
        match overlap(&layer.params, opcode)? {
            Overlap::InPlace => Some(0),
            Overlap::Trailing(lead) => Some(lead),
        }
    }

    /// How many of some layers are wrong if the output starts `less` bytes behind the place that is
    /// allowed.
    fn broken(layers: impl Iterator<Item = Layer>, opcode: Opcode, less: usize) -> usize {
        let is_wrong = |layer: &Layer| {
            let least = lead(layer, opcode).unwrap();
            least >= less && run(layer, opcode, least - less) != layer.expected()
        };
        layers.filter(is_wrong).count()
    }

    /// A 3×3 window that keeps the size of the image.
    fn same(height: u16, width: u16, in_c: u16, out_c: u16) -> op::Window {
        op::Window {
            in_h: height,
            out_h: height,
            kernel_h: 3,
            kernel_w: 3,
            pad_top: 1,
            pad_left: 1,
            ..pointwise(width, in_c, out_c)
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
            let traits = Traits { shift: 0, ..traits };
            let layer = Layer::new(op::Window { out_c, ..window }, traits).without_lowest_weight();
            for opcode in [Opcode::Conv, Opcode::ConvPaired] {
                let lead = lead(&layer, opcode).unwrap() + further;
                prop_assert_eq!(run(&layer, opcode, lead), layer.expected(), "{:?}", opcode);
            }
        }

        #[test]
        fn matrix_products_trail_their_inputs(
            pixels in 1u16..12, in_c in 1u16..20, out_c in 1u16..20, traits in traits(),
        ) {
            let traits = Traits { shift: 0, ..traits };
            let layer = Layer::new(pointwise(pixels, in_c, out_c), traits).without_lowest_weight();
            for opcode in [Opcode::Conv, Opcode::ConvPaired] {
                let lead = lead(&layer, opcode).unwrap();
                prop_assert_eq!(run(&layer, opcode, lead), layer.expected(), "{:?}", opcode);
            }
        }

        #[test]
        fn depthwise_outputs_trail_their_inputs(
            window in windows(), multiplier in 1u16..3, further in 0usize..40, traits in traits(),
        ) {
            let window = op::Window { out_c: window.in_c * multiplier, ..window };
            let layer = Layer::new(window, Traits { groups: window.in_c, shift: 0, ..traits });
            let lead = lead(&layer, Opcode::Depthwise).unwrap() + further;
            prop_assert_eq!(run(&layer, Opcode::Depthwise, lead), layer.expected());
        }

        #[test]
        fn planar_outputs_replace_their_inputs(
            (height, width) in (1u16..40, 1u16..40), channels in 4u16..12, pad_top in 0u16..3,
            traits in traits(),
        ) {
            let window = op::Window { pad_top, ..same(height, width, channels, channels) };
            let layer = Layer::new(window, Traits { groups: channels, shift: 0, ..traits });
            prop_assert_eq!(overlap(&layer.params, Opcode::DepthwisePlanar), Some(Overlap::InPlace));
            prop_assert_eq!(run(&layer, Opcode::DepthwisePlanar, 0), layer.expected());
        }
    }

    #[test]
    fn leads_of_common_layers() {
        let lead = |window, groups, opcode| overlap(&layer(window, groups, 1).params, opcode);
        let trailing = |lead| Some(Overlap::Trailing(lead));
        // The last block of 125 pixels starts one pixel earlier, that of 124 two, that of 123 none.
        assert_eq!(lead(pointwise(125, 64, 64), 1, Opcode::ConvPaired), trailing(64));
        assert_eq!(lead(pointwise(124, 64, 64), 1, Opcode::ConvPaired), trailing(128));
        assert_eq!(lead(pointwise(123, 64, 64), 1, Opcode::ConvPaired), trailing(0));
        assert_eq!(lead(pointwise(125, 64, 64), 1, Opcode::Conv), trailing(0));
        // Three pixels grow before the last block of three is read.
        assert_eq!(lead(pointwise(6, 8, 12), 1, Opcode::ConvPaired), trailing(3 * (12 - 8)));
        // Two pixels are read where they lie.
        assert_eq!(lead(pointwise(2, 8, 12), 1, Opcode::ConvPaired), trailing(2 * 12 - 8));
        // A row and a pixel above, and the pixel itself.
        let depthwise = same(5, 7, 8, 8);
        assert_eq!(lead(depthwise, 8, Opcode::Depthwise), trailing((7 + 1 + 1) * 8));
        assert_eq!(lead(depthwise, 8, Opcode::DepthwisePlanar), Some(Overlap::InPlace));
        let stride = op::Window { stride_h: 2, stride_w: 2, out_h: 3, out_w: 4, ..depthwise };
        assert_eq!(lead(stride, 8, Opcode::DepthwisePlanar), None);
        assert_eq!(lead(same(5, 7, 8, 8), 2, Opcode::ConvPaired), None);
    }

    #[test]
    fn a_byte_less_is_too_little() {
        let windows = [pointwise(5, 12, 12), pointwise(7, 8, 20), same(4, 5, 8, 8)];
        for window in windows {
            for opcode in [Opcode::Conv, Opcode::ConvPaired] {
                let layers = || (1..20).map(|seed| layer(window, 1, seed));
                let leads = layers().any(|layer| lead(&layer, opcode).unwrap() > 0);
                assert_eq!(broken(layers(), opcode, 1) > 0, leads, "{opcode:?} {window:?}");
                assert_eq!(broken(layers(), opcode, 0), 0, "{opcode:?} {window:?}");
            }
        }
        // Our kernel has read all of a pixel of few channels before it writes it, which gives it
        // that pixel more than it may take.
        let depthwise = || (1..20).map(|seed| layer(same(4, 5, 6, 6), 6, seed));
        assert!(broken(depthwise(), Opcode::Depthwise, 6 + 1) > 0);
    }
}
