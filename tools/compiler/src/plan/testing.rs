//! Small programs for the tests of planning.

use fixie_format::table::{Dtype, Port};
use fixie_format::{Opcode, op};

use crate::ir::TensorId;
use crate::lower::Layout;
use crate::lower::program::{Buffer, BufferId, Params, Program, ProgramOp};

const CHANNELS: u16 = 4;

/// A port for `buffer`.
fn port(buffer: u16) -> Port {
    Port {
        tensor: buffer,
        rank: 1,
        dtype: 0,
        scale: 1.0,
        zero_point: 0,
        dims: [1; 6],
        order: [0; 6],
        rows: 0,
    }
}

fn push_buffer(program: &mut Program, size: u16) -> BufferId {
    let len_bytes = usize::from(size) * usize::from(size) * usize::from(CHANNELS);
    program.buffers.push(Buffer {
        name: format!("t{}", program.buffers.len()),
        len_bytes,
        dtype: Dtype::I8,
        data: None,
        layout: Layout::row_major(&[len_bytes]),
    });
    BufferId(program.buffers.len() as u16 - 1)
}

fn push_op(
    program: &mut Program,
    size: u16,
    params: Params,
    reads: Vec<BufferId>,
    writes: BufferId,
) {
    program.ops.push(ProgramOp {
        name: format!("op{}", program.ops.len()),
        kind: "Conv",
        opcode: Opcode::Conv,
        rows: size,
        params,
        reads,
        writes,
        scratch: None,
        overlap: None,
        macs: u64::from(size) * u64::from(size) * u64::from(CHANNELS) * 36,
        weight_bytes: 0,
        decoding: 0.0,
        output: TensorId(0),
    });
}

/// The window of a convolution over a row of so many pixels, each by itself.
pub fn pointwise(pixels: u16, in_c: u16, out_c: u16) -> op::Window {
    op::Window {
        in_h: 1,
        in_w: pixels,
        in_c,
        out_h: 1,
        out_w: pixels,
        out_c,
        kernel_h: 1,
        kernel_w: 1,
        stride_h: 1,
        stride_w: 1,
        dilation_h: 1,
        dilation_w: 1,
        pad_top: 0,
        pad_left: 0,
    }
}

/// A convolution without constants.
pub fn conv(window: op::Window, input: BufferId, output: BufferId) -> op::Conv {
    op::Conv {
        input: input.0,
        output: output.0,
        scratch: 0,
        groups: 1,
        window,
        weights: 0,
        bias: 0,
        multipliers: 0,
        shift: 0,
        pad_value: 0,
        out_zero: 0,
        act_min: -128,
        act_max: 127,
        coding: 0,
        reserved: [0; 2],
    }
}

/// Appends a 3×3 convolution over a square image.
fn push_conv(program: &mut Program, size: u16, input: BufferId) -> BufferId {
    let output = push_buffer(program, size);
    let window = op::Window {
        in_h: size,
        out_h: size,
        kernel_h: 3,
        kernel_w: 3,
        pad_top: 1,
        pad_left: 1,
        ..pointwise(size, CHANNELS, CHANNELS)
    };
    let conv = conv(window, input, output);
    push_op(program, size, Params::Conv(conv), vec![input], output);
    output
}

/// `count` convolutions over a square image, one behind the other.
pub fn conv_chain(size: u16, count: usize) -> Program {
    let mut program = Program::default();
    let mut last = push_buffer(&mut program, size);
    program.inputs.push(port(last.0));
    for _ in 0..count {
        last = push_conv(&mut program, size, last);
    }
    program.outputs.push(port(last.0));
    program
}

/// A convolution, two more behind it, and the sum of the first and the last.
pub fn residual(size: u16) -> Program {
    let mut program = Program::default();
    let input = push_buffer(&mut program, size);
    program.inputs.push(port(input.0));
    let first = push_conv(&mut program, size, input);
    let middle = push_conv(&mut program, size, first);
    let last = push_conv(&mut program, size, middle);
    let sum = push_buffer(&mut program, size);
    let row = u32::from(size) * u32::from(CHANNELS);
    let add = op::Binary {
        a: first.0,
        b: last.0,
        output: sum.0,
        rows: size,
        dims: [size.into(), 1, 1, row],
        a_strides: [row, 0, 0, 1],
        b_strides: [row, 0, 0, 1],
        a_multiplier: 0,
        b_multiplier: 0,
        bias: 0,
        shift: 0,
        a_zero: 0,
        b_zero: 0,
        out_zero: 0,
        act_min: -128,
        act_max: 127,
        reserved: 0,
    };
    push_op(&mut program, size, Params::Binary(add), vec![first, last], sum);
    program.outputs.push(port(sum.0));
    program
}
