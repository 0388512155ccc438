//! A model small enough to be worked out by hand.

use fixie_format::table::{Dtype, NO_TENSOR, Place, Port, Step, Tensor};
use fixie_format::{ImageBuilder, Opcode, op};

/// Elements of the input and of the output.
pub const LEN: usize = 64;

/// An image of `output[i] = second[first[input[i]]]`, as two operators, in an arena of
/// `arena_bytes`.
pub fn two_tables(first: &[i8; 256], second: &[i8; 256], arena_bytes: u32) -> Vec<u8> {
    let mut image = ImageBuilder::new();
    image.arena_len(arena_bytes);
    let mut tensor = |offset: u32| {
        image.tensor(Tensor {
            offset,
            len_bytes: LEN as u32,
            dtype: Dtype::I8 as u8,
            place: Place::Arena as u8,
            ring_rows: 0,
        })
    };
    let [input, middle, output] = [0, 64, 128].map(&mut tensor);
    for (table, input, output) in [(first, input, middle), (second, middle, output)] {
        let table = image.data(table);
        let op = image.op(Opcode::Lut, 1, op::Lut { input, output, table });
        image.step(Step { op, first_row: 0, rows: 1 });
    }
    image.input(port(input));
    image.output(port(output));
    assert_ne!(output, NO_TENSOR);
    image.build()
}

fn port(tensor: u16) -> Port {
    Port {
        tensor,
        rank: 1,
        dtype: Dtype::I8 as u8,
        scale: 1.0,
        zero_point: 0,
        dims: [LEN as u32, 1, 1, 1, 1, 1],
        order: [0; 6],
        rows: 0,
    }
}
