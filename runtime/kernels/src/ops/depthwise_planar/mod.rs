//! `DepthwisePlanar`: depthwise convolution with the DSP extension's dual multiplications.
//!
//! ```text
//! for every four channels, for every few output rows:
//!     expand the input rows that they see, padding included, to four planes in scratch memory
//!     for every channel: slide its kernel over its plane, requantise, store
//! ```
//!
//! The planes make neighbouring taps of a channel, which lie apart in the input, halves of one
//! word, and free the inner loops from borders. Where the channels are no multiple of four, the
//! last group of four starts so much earlier and computes only what is left. The planes of 3×3
//! kernels are rings: rows which the next output rows see again stay where they are.

mod plan;
mod steps;

use core::marker::PhantomData;
use core::ops::Range;

use fixie_format::Image;
use fixie_format::op::{self, planar};

use crate::arch::planar::{Channels, Planes};
use crate::arch::view::Src;
use crate::arch::{Isa, Native};
use crate::coded::{Any, Order, Source, Storage, check_stream, decoder};
use crate::memory::{Memory, words_mut};
use crate::ops::Operator;
use crate::ops::conv::{Rings, check_conv, limit, patches};
use crate::ops::depthwise_planar::plan::{ColumnOrder, Plan};
use crate::ops::depthwise_planar::steps::{Input, Output, Script, Step, Steps};
use crate::ops::patch::Shape;
use crate::rule::{Rule, check_data, check_scratch, check_that};

#[cfg(any(feature = "pack", test))]
pub use plan::works_in_place;
pub use plan::{Tiling, scratch_len, takes, tiling};

/// [`Opcode::DepthwisePlanar`](fixie_format::Opcode::DepthwisePlanar), its inner loops by `I`.
pub struct DepthwisePlanar<I = Native, S = Any>(PhantomData<(I, S)>);

impl<I: Isa, S: Storage> Operator for DepthwisePlanar<I, S> {
    type Params = op::Conv;

    fn check(params: &op::Conv, rows: u16, image: &Image<'_>) -> Result<(), Rule> {
        let shape = check_conv(params, rows, image)?;
        check_that(takes(params), "groups")?;
        let tensors = [params.input, params.output];
        check_scratch(image, params.scratch, scratch_len(params, 1), &tensors)?;
        let words = ColumnOrder::new(params).words(params.window.out_c.into());
        check_stream::<S>(params, shape.taps, image)
            .unwrap_or_else(|| check_data::<u32>(image, params.weights, words))
    }

    // Not inlined, so that the stack holds the frame of one operator only.
    #[inline(never)]
    fn run(params: &op::Conv, rows: Range<usize>, memory: &mut Memory<'_>) -> Option<()> {
        takes(params).then_some(())?;
        let rings = Rings::new(params, memory.image())?;
        let (scratch, tensors) = memory.with_scratch(params.scratch)?;
        let (decoder, scratch) = decoder::<S>(params, &tensors, scratch)?;
        let order = ColumnOrder::new(params);
        let four = if decoder.is_some() { order.words(planar::CHANNELS)? } else { 0 };
        let (buffer, scratch) = words_mut(scratch)?.split_at_mut_checked(four)?;
        let words = order.words(params.window.out_c.into())?;
        let mut source = Source::<_, S>::new(params, order, words, &tensors, (decoder, buffer))?;
        let plan = Plan::within(params, size_of_val(scratch))?;
        let (planes, table) = scratch.split_at_mut_checked(plan.planes_words)?;
        let table = table.get_mut(..plan.table_words)?;
        let mut planes = Planes::new(planes, &plan.window)?;
        // Columns left and right of the input stay as they are.
        I::planar_fill(&mut planes, params.pad_value);
        let pad = [params.pad_value; planar::CHANNELS];
        let patches = patches(params, 0, &Shape::new(params)?, &tensors, rings)?;
        let steps = Steps::new(
            Input::new(&patches, &plan.window, Src::from(&pad[..])),
            Output::new(params, rings, tensors.dst(params.output)?)?,
            &plan,
            rows.clone(),
        );
        let mut kernel = Kernel::<I> { planes, table, zero: params.out_zero, isa: PhantomData };
        let channels = usize::from(params.window.out_c);
        let mut script = Script::new();
        let recorded = steps.record(&mut script).is_some();
        for first in (0..channels).step_by(planar::CHANNELS) {
            let (streams, _) = source.next(planar::CHANNELS.min(channels.wrapping_sub(first)))?;
            let base = first.min(channels.checked_sub(planar::CHANNELS)?);
            let group = Group { first, base, streams };
            if recorded {
                script.iter().try_for_each(|step| kernel.run(step, group))?;
            } else {
                kernel.run_all(&steps, group)?;
            }
        }
        limit::<I>(params, &rows, rings, &tensors)
    }
}

/// Up to four channels, which are expanded together.
#[derive(Clone, Copy)]
struct Group<'w> {
    /// The first channel that is computed.
    first: usize,
    /// The first of the four that are expanded; those before `first` were computed already.
    base: usize,
    /// The constants of those that are computed.
    streams: &'w [u32],
}

/// What is done to the channels of one group after the other.
struct Kernel<'s, I> {
    planes: Planes<'s>,
    table: &'s mut [u32],
    /// Zero point of the output.
    zero: i8,
    isa: PhantomData<I>,
}

impl<I: Isa> Kernel<'_, I> {
    /// Does all steps for the channels of a group.
    #[inline(never)]
    fn run_all(&mut self, steps: &Steps<'_>, group: Group<'_>) -> Option<()> {
        steps.for_each(|step| self.run(&step, group))
    }

    /// Does a step for the channels of a group.
    #[inline(never)]
    fn run(&mut self, step: &Step<'_>, group: Group<'_>) -> Option<()> {
        match step {
            Step::Expand(placed) => I::planar_expand(placed, group.base, &mut self.planes),
            Step::Slide(sight) => {
                let skipped = group.first.checked_sub(group.base)?;
                let channels = (group.first, skipped);
                let channels =
                    Channels::new(&self.planes, sight, channels, group.streams, self.zero)?;
                I::planar_channels(&channels, self.table)
            }
        }
    }
}

#[cfg(test)]
mod tests;
