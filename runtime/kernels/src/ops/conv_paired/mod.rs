//! `ConvPaired`: convolution and matrix product with the DSP extension's dual multiplications.
//!
//! ```text
//! for every group, for every three output pixels:
//!     expand their patches to interleaved 16-bit lanes in scratch memory
//!     for every pair of output channels: 3×2 dot products, requantise, store
//! ```
//!
//! - Where the patches of neighbouring pixels lie inside the input, whole strips of such blocks are
//!   left to the instruction set. Where some touch the padding, their kernel rows are gathered one
//!   by one beside the patches.
//! - Spans of pixels are cut into blocks without regard to rows. A last block of fewer than three
//!   pixels starts so much earlier that some are computed twice.
//! - Fewer than three pixels, as in dense layers, go one by one, expanded on the way. Where a pixel
//!   is its own patch that needs no scratch memory.

mod order;
pub mod pixels;

use core::marker::PhantomData;
use core::ops::Range;

use fixie_format::{Image, op};

use crate::arch::paired::Pairs;
use crate::arch::{Isa, Native};
use crate::coded::{
    Any, Order, Source, Storage, check_stream, decoded_len, decoder, for_each_part,
};
use crate::memory::Memory;
use crate::ops::Operator;
use crate::ops::conv::{Rings, check_conv, for_each_span, limit, patches};
use crate::ops::conv_paired::order::PairOrder;
use crate::ops::conv_paired::pixels::{Kernel, Paired, Plan, Room};
use crate::ops::patch::Shape;
use crate::rule::{Rule, check_data, check_scratch, check_that, tensor};

/// [`Opcode::ConvPaired`](fixie_format::Opcode::ConvPaired), its inner loops by `I`.
pub struct ConvPaired<I = Native, S = Any>(PhantomData<(I, S)>);

/// Bytes of scratch memory: the expanded patches of a block, room to gather what cannot be expanded
/// from where it lies, and room to decode so many channels at a time.
pub fn scratch_len(params: &op::Conv, channels: usize) -> Option<usize> {
    let shape = Shape::new(params)?;
    let plan = Plan::new(params, &shape)?;
    let decoded = decoded_len(params, &order(&plan, &shape), (channels, shape.group_out))?;
    plan.scratch_len()?.checked_add(decoded)
}

/// How constants are ordered.
fn order(plan: &Plan, shape: &Shape) -> PairOrder {
    PairOrder { row_taps: shape.row_taps, run_quads: plan.run_quads, quads: plan.quads }
}

/// Words of the weights of all groups.
fn weights_words(plan: &Plan, params: &op::Conv, shape: &Shape) -> Option<usize> {
    order(plan, shape).words(shape.group_out)?.checked_mul(params.groups.into())
}

impl<I: Isa, S: Storage> Operator for ConvPaired<I, S> {
    type Params = op::Conv;

    fn check(params: &op::Conv, rows: u16, image: &Image<'_>) -> Result<(), Rule> {
        let shape = check_conv(params, rows, image)?;
        check_that(params.shift == 0, "shift")?;
        let aligned = tensor(image, params.input)?.offset.is_multiple_of(4);
        check_that(aligned, "input.offset")?;
        let tensors = [params.input, params.output];
        check_scratch(image, params.scratch, scratch_len(params, 1), &tensors)?;
        let plan = Plan::new(params, &shape);
        let words = plan.and_then(|plan| weights_words(&plan, params, &shape));
        check_stream::<S>(params, shape.taps, image)
            .unwrap_or_else(|| check_data::<u32>(image, params.weights, words))
    }

    // Not inlined, so that the stack holds the frame of one operator only.
    #[inline(never)]
    fn run(params: &op::Conv, rows: Range<usize>, memory: &mut Memory<'_>) -> Option<()> {
        let shape = Shape::new(params)?;
        let plan = Plan::new(params, &shape)?;
        let rings = Rings::new(params, memory.image())?;
        let (scratch, tensors) = memory.with_scratch(params.scratch)?;
        let (decoder, scratch) = decoder::<S>(params, &tensors, scratch)?;
        let (room, buffer) = plan.split(params, scratch)?;
        let (order, words) = (order(&plan, &shape), weights_words(&plan, params, &shape)?);
        let mut source = Source::<_, S>::new(params, order, words, &tensors, (decoder, buffer))?;
        for_each_part(params.groups.into(), shape.group_out, |group, first_channel, left| {
            let (stream, channels) = source.next(left)?;
            let mut kernel = Kernel::<I, _> {
                params,
                plan,
                shape,
                patches: patches(params, group, &shape, &tensors, rings)?,
                filters: Paired::<I>(
                    Pairs::new(stream, plan.quads, channels, params.out_zero)?.into(),
                ),
                first_channel,
                room: Room { patch: &mut *room.patch, stage: &mut *room.stage },
                isa: PhantomData,
            };
            for_each_span(params, &rows, rings, &tensors, |span| kernel.span(&span))?;
            Some(channels)
        })?;
        limit::<I>(params, &rows, rings, &tensors)
    }
}

#[cfg(test)]
mod tests;
