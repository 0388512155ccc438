//! Columns of pixels as rows.
//!
//! Kernels compute neighbours in a row together. In memory a tensor one pixel wide is the same as a
//! row: a depthwise convolution along it runs faster as one along a row.

use fixie_format::{Opcode, op};

use super::Plan;
use crate::lower::program::{Params, Program};

/// Turns the depthwise convolutions of columns that one step computes from tensors that exist whole.
pub fn turn(program: &mut Program, plan: &mut Plan) {
    for step in &mut plan.steps {
        let op = &mut program.ops[step.op];
        let whole = step.rows == (0..op.rows.into());
        let rings = op.reads.iter().chain([&op.writes]).any(|id| plan.rings.contains_key(id));
        if !whole || rings || op.opcode != Opcode::Depthwise {
            continue;
        }
        let Params::Conv(conv) = &mut op.params else { continue };
        if let Some(window) = turned(&conv.window) {
            conv.window = window;
            op.rows = 1;
            step.rows = 0..1;
        }
    }
}

/// The window along a row; `None` if this one is not along a column.
fn turned(window: &op::Window) -> Option<op::Window> {
    let is_column = (window.in_w, window.out_w, window.kernel_w, window.pad_left) == (1, 1, 1, 0);
    is_column.then_some(op::Window {
        in_h: 1,
        in_w: window.in_h,
        out_h: 1,
        out_w: window.out_h,
        kernel_h: 1,
        kernel_w: window.kernel_h,
        stride_w: window.stride_h,
        dilation_w: window.dilation_h,
        pad_top: 0,
        pad_left: window.pad_top,
        ..*window
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::testing::conv_chain;
    use crate::plan::{Optimize, plan};

    /// The windows of four depthwise convolutions along a column of 32 pixels, planned for `goal`.
    fn windows(goal: Optimize) -> Vec<op::Window> {
        let mut program = conv_chain(32, 4);
        for op in &mut program.ops {
            op.opcode = Opcode::Depthwise;
            let Params::Conv(conv) = &mut op.params else { unreachable!("it is a convolution") };
            let window = &mut conv.window;
            (window.in_w, window.out_w, window.kernel_w, window.pad_left) = (1, 1, 1, 0);
        }
        let mut plan = plan(&program, goal);
        turn(&mut program, &mut plan);
        let convs = program.ops.iter().map(|op| {
            let Params::Conv(conv) = &op.params else { unreachable!("it is a convolution") };
            conv.window
        });
        convs.collect()
    }

    #[test]
    fn whole_columns_are_turned() {
        for window in windows(Optimize::Latency) {
            assert_eq!((window.in_h, window.in_w, window.pad_top, window.pad_left), (1, 32, 0, 1));
            assert_eq!((window.kernel_h, window.kernel_w), (1, 3));
        }
    }

    #[test]
    fn columns_of_rings_are_not() {
        assert!(windows(Optimize::Ram).iter().all(|window| window.in_w == 1));
    }
}
