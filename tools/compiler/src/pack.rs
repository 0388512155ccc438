//! From a planned program to the bytes of an image.

use fixie_format::table::{Place, State, Step, Tensor};

use crate::lower::program::{BufferId, Program};
use crate::plan::Plan;

/// Writes the image.
pub(crate) fn pack(mut program: Program, plan: &Plan, metadata: Vec<u8>) -> Vec<u8> {
    let image = &mut program.image;
    for (index, buffer) in program.buffers.iter().enumerate() {
        let (place, offset) = match buffer.data {
            Some(data) => (Place::Data, data),
            None => (Place::Arena, plan.offsets[index] as u32),
        };
        let ring_rows = plan.rings.get(&BufferId(index as u16)).copied().unwrap_or(0);
        image.tensor(Tensor {
            offset,
            len_bytes: plan.held_bytes[index] as u32,
            dtype: buffer.dtype as u8,
            place: place as u8,
            ring_rows: ring_rows as u16,
        });
    }
    for op in &program.ops {
        op.params.write(image, op.opcode, op.rows);
    }
    for step in &plan.steps {
        let rows = step.rows.len() as u16;
        image.step(Step { op: step.op as u16, first_row: step.rows.start as u16, rows });
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
