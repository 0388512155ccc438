//! Sliding windows: which input rows and columns an output sees.

use core::ops::Range;

use fixie_format::op::Window;

use crate::rule::{Rule, check_that};

/// One axis of a [`Window`].
#[derive(Clone, Copy)]
pub struct Axis {
    input: u16,
    output: u16,
    kernel: u16,
    stride: u16,
    dilation: u16,
    pad: u16,
}

impl Axis {
    /// The rows.
    pub fn vertical(window: &Window) -> Self {
        Self {
            input: window.in_h,
            output: window.out_h,
            kernel: window.kernel_h,
            stride: window.stride_h,
            dilation: window.dilation_h,
            pad: window.pad_top,
        }
    }

    /// The columns.
    pub fn horizontal(window: &Window) -> Self {
        Self {
            input: window.in_w,
            output: window.out_w,
            kernel: window.kernel_w,
            stride: window.stride_w,
            dilation: window.dilation_w,
            pad: window.pad_left,
        }
    }

    /// Nothing is zero but the padding, and every position fits in an `i32`.
    #[inline(never)]
    fn is_valid(self) -> bool {
        let span =
            |count: u16, step: u16| i32::from(count.wrapping_sub(1)).checked_mul(step.into());
        let last = span(self.output, self.stride)
            .zip(span(self.kernel, self.dilation))
            .and_then(|(start, extent)| start.checked_add(extent));
        let positive = [self.input, self.output, self.kernel, self.stride, self.dilation];
        !positive.contains(&0) && last.is_some()
    }

    /// What output `index` sees of the input; the padding is left out.
    #[inline(never)]
    pub fn taps(self, index: usize) -> Taps {
        let (input, kernel) = (i32::from(self.input), i32::from(self.kernel));
        let dilation = i32::from(self.dilation);
        let start = (index as i32).wrapping_mul(self.stride.into()).wrapping_sub(self.pad.into());
        let steps_to = |position: i32| steps(position.wrapping_sub(start), dilation);
        let skipped = steps_to(0);
        let end = steps_to(input).min(kernel);
        Taps {
            first: start.wrapping_add(skipped.wrapping_mul(dilation)) as usize,
            count: end.saturating_sub(skipped).max(0) as usize,
            dilation: dilation as usize,
        }
    }
}

/// How many steps of `dilation` it takes to reach `distance`: 0 where it is not ahead.
fn steps(distance: i32, dilation: i32) -> i32 {
    if distance <= 0 {
        0
    } else if dilation == 1 {
        distance
    } else {
        // Rounded up: one step before the division, one after it.
        (distance - 1).checked_div(dilation).unwrap_or(0) + 1
    }
}

/// Positions inside the input, evenly spaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taps {
    /// The first position; meaningless if there is none.
    pub first: usize,
    /// Number of positions.
    pub count: usize,
    /// Distance between them.
    pub dilation: usize,
}

impl Taps {
    /// The positions in order.
    pub fn positions(self) -> impl Iterator<Item = usize> {
        (0..self.count).map(move |step| self.first.wrapping_add(step.wrapping_mul(self.dilation)))
    }
}

impl From<Range<usize>> for Taps {
    fn from(positions: Range<usize>) -> Self {
        Self { first: positions.start, count: positions.len(), dilation: 1 }
    }
}

/// Checks the geometry of a window: extents, strides and dilations are positive, and its farthest
/// position fits in an `i32`.
///
/// # Errors
///
/// [`Rule::Parameter`].
pub fn check_window(window: &Window) -> Result<(), Rule> {
    check_that(
        Axis::vertical(window).is_valid()
            && Axis::horizontal(window).is_valid()
            && window.in_c != 0
            && window.out_c != 0,
        "window",
    )
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn taps_are_the_positions_inside_the_input(
            (input, kernel, stride, dilation, pad) in (1u16..20, 1u16..8, 1u16..5, 1u16..5, 0u16..12),
            index in 0usize..12,
        ) {
            let axis = Axis { input, output: 12, kernel, stride, dilation, pad };
            let expected: Vec<usize> = (0..i64::from(kernel))
                .map(|i| index as i64 * i64::from(stride) - i64::from(pad) + i * i64::from(dilation))
                .filter(|position| (0..i64::from(input)).contains(position))
                .map(|position| position as usize)
                .collect();
            prop_assert_eq!(axis.taps(index).positions().collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn a_window_has_no_zero_and_no_position_beyond_an_i32() {
        let window = Window {
            in_h: 1,
            in_w: 1,
            in_c: 1,
            out_h: u16::MAX,
            out_w: 1,
            out_c: 1,
            kernel_h: 2,
            kernel_w: 1,
            stride_h: 0x7fff,
            stride_w: 1,
            dilation_h: u16::MAX,
            dilation_w: 1,
            pad_top: u16::MAX,
            pad_left: u16::MAX,
        };
        assert_eq!(check_window(&window), Ok(()));
        for broken in [
            Window { stride_h: 0x8001, ..window },
            Window { stride_h: 0, ..window },
            Window { kernel_w: 0, ..window },
            Window { out_c: 0, ..window },
        ] {
            assert_eq!(check_window(&broken), Err(Rule::Parameter("window")));
        }
    }
}
