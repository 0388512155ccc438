//! From a planned program to the bytes of an image.

use fixie_format::table::{Place, State, Step, Tensor};

use crate::lower::program::Program;
use crate::plan::Plan;

/// Writes the image.
pub(crate) fn pack(mut program: Program, plan: &Plan, metadata: String) -> Vec<u8> {
    let image = &mut program.image;
    for (buffer, &offset) in program.buffers.iter().zip(&plan.offsets) {
        let (place, offset) = match buffer.data {
            Some(data) => (Place::Data, data),
            None => (Place::Arena, offset as u32),
        };
        image.tensor(Tensor {
            offset,
            len_bytes: buffer.len_bytes as u32,
            dtype: buffer.dtype as u8,
            place: place as u8,
            ring_rows: 0,
        });
    }
    for op in &program.ops {
        let index = op.params.write(image, op.opcode, op.rows);
        image.step(Step { op: index, first_row: 0, rows: op.rows });
    }
    program.inputs.iter().for_each(|&port| image.input(port));
    program.outputs.iter().for_each(|&port| image.output(port));
    for state in &program.states {
        image.state(State { tensor: state.buffer.0, fill: state.fill, reserved: 0 });
    }
    image.arena_len(plan.arena_len as u32);
    image.metadata(metadata);
    image.build()
}
