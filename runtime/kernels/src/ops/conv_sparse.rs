//! `ConvSparse`: as `ConvPaired`, but weights that are 0 take neither memory nor time if they are
//! neighbours: four taps of two channels.

use core::marker::PhantomData;
use core::ops::Range;

use fixie_format::{Image, op};

use crate::arch::sparse::SparsePairs;
use crate::arch::{Isa, Native};
use crate::memory::Memory;
use crate::ops::Operator;
use crate::ops::conv::{Rings, check_conv, for_each_span, limit, patches};
use crate::ops::conv_paired::pixels::{Kernel, Plan, Room};
use crate::ops::patch::Shape;
use crate::rule::{Rule, check_scratch, check_that};

/// [`Opcode::ConvSparse`](fixie_format::Opcode::ConvSparse), its inner loops by `I`.
pub struct ConvSparse<I = Native>(PhantomData<I>);

/// Bytes of scratch memory: the expanded patches of a block, and room to gather what cannot be
/// expanded from where it lies.
pub fn scratch_len(params: &op::Conv) -> Option<usize> {
    Plan::new(params, &Shape::new(params)?)?.scratch_len()
}

/// The words of all groups, whose number stands before them.
fn stream<'a>(
    params: &op::Conv,
    words: impl Fn(u32, usize) -> Option<&'a [u32]>,
) -> Option<&'a [u32]> {
    let len = *words(params.weights, 1)?.first()?;
    words(params.weights.checked_add(size_of::<u32>() as u32)?, len as usize)
}

/// The pairs of the next group, and the words behind them.
fn next_group<'a>(
    params: &op::Conv,
    (plan, shape): (&Plan, &Shape),
    stream: &'a [u32],
) -> Option<(SparsePairs<'a>, &'a [u32])> {
    SparsePairs::take(stream, plan.quads, shape.group_out, params.out_zero)
}

/// Whether the constants are exactly those of all groups, and no weight is outside of a patch.
fn has_pairs(params: &op::Conv, shape: &Shape, image: &Image<'_>) -> Option<()> {
    let plan = Plan::new(params, shape)?;
    let mut rest = stream(params, |at, len| image.data(at, len))?;
    for _ in 0..params.groups {
        let (pairs, behind) = next_group(params, (&plan, shape), rest)?;
        pairs.inside()?;
        rest = behind;
    }
    rest.is_empty().then_some(())
}

impl<I: Isa> Operator for ConvSparse<I> {
    type Params = op::Conv;

    fn check(params: &op::Conv, rows: u16, image: &Image<'_>) -> Result<(), Rule> {
        let shape = check_conv(params, rows, image)?;
        check_that(params.shift == 0, "shift")?;
        check_that(params.coding == 0, "coding")?;
        let tensors = [params.input, params.output];
        check_scratch(image, params.scratch, scratch_len(params), &tensors)?;
        has_pairs(params, &shape, image).ok_or(Rule::Data(params.weights))
    }

    // Not inlined, so that the stack holds the frame of one operator only.
    #[inline(never)]
    fn run(params: &op::Conv, rows: Range<usize>, memory: &mut Memory<'_>) -> Option<()> {
        let shape = Shape::new(params)?;
        let plan = Plan::new(params, &shape)?;
        let rings = Rings::new(params, memory.image())?;
        let (scratch, tensors) = memory.with_scratch(params.scratch)?;
        let (room, _) = plan.split(params, scratch)?;
        let mut rest = stream(params, |at, len| tensors.data(at, len))?;
        for group in 0..usize::from(params.groups) {
            let (pairs, behind) = next_group(params, (&plan, &shape), rest)?;
            rest = behind;
            let mut kernel = Kernel::<I, _> {
                params,
                plan,
                shape,
                patches: patches(params, group, &shape, &tensors, rings)?,
                // Worth it, and needed, where several pixels see the same weights.
                filters: if plan.has_blocks() { pairs.inside()? } else { pairs },
                first_channel: group.checked_mul(shape.group_out)?,
                room: Room { patch: &mut *room.patch, stage: &mut *room.stage },
                isa: PhantomData,
            };
            for_each_span(params, &rows, rings, &tensors, |span| kernel.span(&span))?;
        }
        limit::<I>(params, &rows, rings, &tensors)
    }
}

#[cfg(test)]
mod tests;
