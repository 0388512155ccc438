//! Which rows of its inputs an operator needs for some rows of its output.

use std::ops::Range;

use fixie_format::op;

use crate::lower::program::{BufferId, Params, ProgramOp};

/// The rows of `input` that output rows `rows` depend on; `None` where the operator does not work
/// row by row on that input.
pub fn needed(op: &ProgramOp, input: BufferId, rows: &Range<usize>) -> Option<Range<usize>> {
    if !op.reads.contains(&input) || op.rows < 2 {
        return None;
    }
    if let Some(window) = op.params.window() {
        return Some(window_rows(window, rows));
    }
    match &op.params {
        // Operands that are broadcast along the rows are no tensors of that many rows.
        Params::Binary(binary) => {
            let row = binary.dims[1..].iter().product::<u32>();
            let whole = |id: u16, stride: u32| id != input.0 || stride == row;
            let by_rows =
                whole(binary.a, binary.a_strides[0]) && whole(binary.b, binary.b_strides[0]);
            by_rows.then(|| rows.clone())
        }
        _ => None,
    }
}

/// Rows inside the input that the windows of some output rows see.
fn window_rows(window: &op::Window, rows: &Range<usize>) -> Range<usize> {
    let at = |y: usize| y * usize::from(window.stride_h);
    let span = usize::from(window.kernel_h - 1) * usize::from(window.dilation_h) + 1;
    let (pad, height) = (usize::from(window.pad_top), usize::from(window.in_h));
    let start = at(rows.start).saturating_sub(pad).min(height);
    let end = (at(rows.end.saturating_sub(1)) + span).saturating_sub(pad).min(height);
    start..end.max(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_see_rows_around_them() {
        let window = op::Window {
            in_h: 10,
            in_w: 1,
            in_c: 1,
            out_h: 5,
            out_w: 1,
            out_c: 1,
            kernel_h: 3,
            kernel_w: 1,
            stride_h: 2,
            stride_w: 1,
            dilation_h: 1,
            dilation_w: 1,
            pad_top: 1,
            pad_left: 0,
        };
        assert_eq!(window_rows(&window, &(0..1)), 0..2);
        assert_eq!(window_rows(&window, &(1..3)), 1..6);
        assert_eq!(window_rows(&window, &(4..5)), 7..10);
    }
}
