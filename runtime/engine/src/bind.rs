//! Checks an image once, so that nothing can fail later.

use fixie_format::table::{Dtype, MAX_RANK, Place, Port};
use fixie_format::{Image, OpSet, Opcode};

use crate::dispatch;
use crate::error::BindError;

/// Checks every table of an image against an arena of the length that the image states.
pub fn check<const OPS: u64>(image: &Image<'_>) -> Result<(), BindError> {
    if let Some(code) = image.op_set().first_outside(OpSet::from_bits(OPS)) {
        return Err(BindError::Operator { code });
    }
    check_tensors(image)?;
    check_ops::<OPS>(image)?;
    check_steps(image)?;
    check_ports(image)?;
    check_states(image)
}

fn check_tensors(image: &Image<'_>) -> Result<(), BindError> {
    for index in 0..image.tensor_count() {
        let tensor = image.tensor(index).ok_or(BindError::Tensor { index })?;
        let (offset, len) = (tensor.offset as usize, tensor.len_bytes as usize);
        let inside = match Place::from_u8(tensor.place) {
            Some(Place::Arena) => {
                offset.checked_add(len).is_some_and(|end| end <= image.arena_len())
            }
            Some(Place::Data) => image.data::<u8>(tensor.offset, len).is_some(),
            None => false,
        };
        let known = Dtype::from_u8(tensor.dtype).is_some();
        if !inside || !known || !offset.is_multiple_of(4) {
            return Err(BindError::Tensor { index });
        }
    }
    Ok(())
}

fn check_ops<const OPS: u64>(image: &Image<'_>) -> Result<(), BindError> {
    for index in 0..image.op_count() {
        let rule = |rule| BindError::Op { index, rule };
        let entry = image.op(index).ok_or(rule(fixie_kernels::Rule::Params))?;
        let opcode = Opcode::from_u8(entry.opcode)
            .filter(|&opcode| image.op_set().contains(opcode))
            .ok_or(BindError::Operator { code: entry.opcode })?;
        dispatch::check::<OPS>(opcode, entry, image).map_err(rule)?;
    }
    Ok(())
}

fn check_steps(image: &Image<'_>) -> Result<(), BindError> {
    for index in 0..image.step_count() {
        let sound = image.step(index).and_then(|step| {
            let entry = image.op(step.op as usize)?;
            let single = step.rows == 1 || entry.opcode != Opcode::Feed as u8;
            Some(single && step.first_row.checked_add(step.rows)? <= entry.rows)
        });
        if sound != Some(true) {
            return Err(BindError::Step { index });
        }
    }
    Ok(())
}

fn check_ports(image: &Image<'_>) -> Result<(), BindError> {
    for index in 0..image.input_count() {
        if !image.input(index).is_some_and(|port| port_is_sound(image, &port)) {
            return Err(BindError::Port { input: true, index });
        }
    }
    for index in 0..image.output_count() {
        let whole = |port: &Port| port.rows == 0 && port_is_sound(image, port);
        if !image.output(index).is_some_and(|port| whole(&port)) {
            return Err(BindError::Port { input: false, index });
        }
    }
    Ok(())
}

/// The tensor is in the arena and has the port's type; `order` is a permutation. It has the port's
/// length and is no ring unless the port is given by rows, whose `Feed` operator checks that.
fn port_is_sound(image: &Image<'_>, port: &Port) -> bool {
    let Some(tensor) = image.tensor(port.tensor as usize) else {
        return false;
    };
    let Some(dtype) = Dtype::from_u8(port.dtype) else {
        return false;
    };
    let rank = port.rank as usize;
    let (Some(dims), Some(order)) = (port.dims.get(..rank), port.order.get(..rank)) else {
        return false;
    };
    let len_bytes = dims.iter().try_fold(dtype.size_bytes(), |n, &d| n.checked_mul(d as usize));
    let axes =
        order.iter().fold(0u32, |set, &axis| set | 1u32.checked_shl(axis.into()).unwrap_or(0));
    rank <= MAX_RANK
        && axes == (1 << rank) - 1
        && (port.rows != 0 || len_bytes == Some(tensor.len_bytes as usize) && tensor.ring_rows == 0)
        && tensor.dtype == port.dtype
        && tensor.place == Place::Arena as u8
        && port.scale.is_finite()
        && port.scale > 0.0
}

fn check_states(image: &Image<'_>) -> Result<(), BindError> {
    for index in 0..image.state_count() {
        let sound = image
            .state(index)
            .and_then(|state| image.tensor(state.tensor as usize))
            .is_some_and(|tensor| tensor.place == Place::Arena as u8);
        if !sound {
            return Err(BindError::State { index });
        }
    }
    Ok(())
}
