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

use core::marker::PhantomData;
use core::ops::Range;

use fixie_format::op::paired;
use fixie_format::{Image, op};

use crate::arch::paired::{BLOCK, PATCH_WORDS, Pairs, Rows, Strip};
use crate::arch::view::{Dst, Src};
use crate::arch::{Isa, Native};
use crate::coded::{
    Any, Order, Source, Storage, check_stream, decoded_len, decoder, for_each_part,
};
use crate::memory::{Memory, words_mut};
use crate::ops::Operator;
use crate::ops::conv::{Rings, Span, check_conv, for_each_span, limit, patches};
use crate::ops::conv_paired::order::PairOrder;
use crate::ops::patch::{Patches, Shape, is_pointwise};
use crate::rule::{Rule, check_data, check_scratch, check_that, tensor};

/// [`Opcode::ConvPaired`](fixie_format::Opcode::ConvPaired), its inner loops by `I`.
pub struct ConvPaired<I = Native, S = Any>(PhantomData<(I, S)>);

/// How the patches of a convolution are expanded.
#[derive(Clone, Copy)]
struct Plan {
    /// Groups of four taps of a kernel row, padding included.
    run_quads: usize,
    /// Groups of four taps of a patch.
    quads: usize,
    /// A kernel row is one run of bytes of the input.
    contiguous: bool,
    /// A pixel of the input is a patch, in whole words.
    pixels_are_patches: bool,
    /// Output pixel *n* sees pixel *n* of the input and nothing else.
    flat: bool,
    /// Output pixels.
    pixels: u32,
}

impl Plan {
    fn new(params: &op::Conv, shape: &Shape) -> Option<Self> {
        let window = &params.window;
        let run_quads = paired::row_quads(shape.row_taps);
        let whole_words = shape.row_taps.is_multiple_of(paired::TAP_ALIGN);
        Some(Self {
            run_quads,
            quads: run_quads.checked_mul(window.kernel_h.into())?,
            contiguous: window.kernel_w == 1 || (window.dilation_w == 1 && params.groups == 1),
            pixels_are_patches: whole_words && is_pointwise(window),
            flat: is_pointwise(window)
                && (window.stride_h, window.stride_w) == (1, 1)
                && window.in_w == window.out_w,
            pixels: u32::from(window.out_h).checked_mul(window.out_w.into())?,
        })
    }

    /// Whether there are enough pixels for a block.
    fn has_blocks(&self) -> bool {
        self.pixels >= BLOCK as u32
    }

    /// Words of the expanded patches of a block, or of the bytes of one patch.
    fn patch_words(&self) -> Option<usize> {
        if self.has_blocks() {
            self.quads.checked_mul(PATCH_WORDS)
        } else if self.pixels_are_patches {
            Some(0)
        } else {
            Some(self.quads)
        }
    }

    /// Words of the kernel rows of a block that are gathered at a time, and of one of padding.
    fn stage_words(&self) -> Option<usize> {
        if self.has_blocks() && !self.pixels_are_patches {
            self.run_quads.checked_mul(BLOCK + 1)
        } else {
            Some(0)
        }
    }

    /// Words of the weights of all groups.
    fn weights_words(&self, params: &op::Conv, shape: &Shape) -> Option<usize> {
        self.order(shape).words(shape.group_out)?.checked_mul(params.groups.into())
    }

    /// How constants are ordered.
    fn order(&self, shape: &Shape) -> PairOrder {
        PairOrder { row_taps: shape.row_taps, run_quads: self.run_quads, quads: self.quads }
    }

    fn scratch_len(&self) -> Option<usize> {
        let words = self.patch_words()?.checked_add(self.stage_words()?)?;
        words.checked_mul(size_of::<u32>())
    }
}

/// Bytes of scratch memory: the expanded patches of a block, room to gather what cannot be expanded
/// from where it lies, and room to decode so many channels at a time.
pub fn scratch_len(params: &op::Conv, channels: usize) -> Option<usize> {
    let shape = Shape::new(params)?;
    let plan = Plan::new(params, &shape)?;
    let decoded = decoded_len(params, &plan.order(&shape), (channels, shape.group_out))?;
    plan.scratch_len()?.checked_add(decoded)
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
        let words = plan.and_then(|plan| plan.weights_words(params, &shape));
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
        let (patch, scratch) = words_mut(scratch)?.split_at_mut_checked(plan.patch_words()?)?;
        let (stage, buffer) = scratch.split_at_mut_checked(plan.stage_words()?)?;
        // What stands in for the padding of a kernel row must not depend on what was here before.
        stage.fill(0);
        let run_words = plan.run_quads.checked_mul(BLOCK)?.min(stage.len());
        let pad: &mut [i8] = bytemuck::must_cast_slice_mut(stage.get_mut(run_words..)?);
        pad.fill(params.pad_value);
        let (order, words) = (plan.order(&shape), plan.weights_words(params, &shape)?);
        let mut source = Source::<_, S>::new(params, order, words, &tensors, (decoder, buffer))?;
        for_each_part(params.groups.into(), shape.group_out, |group, first_channel, left| {
            let (stream, channels) = source.next(left)?;
            let mut kernel = Kernel::<I> {
                params,
                plan,
                shape,
                patches: patches(params, group, &shape, &tensors, rings)?,
                pairs: Pairs::new(stream, plan.quads, channels, params.out_zero)?.into(),
                first_channel,
                patch: &mut *patch,
                stage: &mut *stage,
                isa: PhantomData,
            };
            for_each_span(params, &rows, rings, &tensors, |span| kernel.span(&span))?;
            Some(channels)
        })?;
        limit::<I>(params, &rows, rings, &tensors)
    }
}

/// Some output channels of one group of a convolution.
struct Kernel<'p, 'a, 's, I: Isa> {
    params: &'p op::Conv,
    plan: Plan,
    shape: Shape,
    patches: Patches<'a>,
    pairs: I::Pairs<'s>,
    /// The first output channel.
    first_channel: usize,
    /// Expanded patches of a block, or the bytes of one.
    patch: &'s mut [u32],
    /// Where kernel rows of a block are gathered, `[BLOCK][run_quads · 4]` bytes,
    /// and one of padding.
    stage: &'s mut [u32],
    isa: PhantomData<I>,
}

impl<'a, I: Isa> Kernel<'_, 'a, '_, I> {
    /// Computes the channels of a span of pixels.
    fn span(&mut self, span: &Span<'_>) -> Option<()> {
        let out_c = usize::from(self.params.window.out_c);
        let mut at = 0;
        while at < span.len {
            let last = span.len.checked_sub(BLOCK);
            at = at.min(last.unwrap_or(at));
            let pixel = span.first.checked_add(at)?;
            let start = at.checked_mul(out_c)?.checked_add(self.first_channel)?;
            let out = span.out.slice(start, span.out.len().checked_sub(start)?)?;
            let done = if last.is_none() {
                self.pixel(pixel, out.slice(0, self.pairs.as_ref().channels())?)?;
                1
            } else if let Some(strip) = self.strip(pixel, span.len.checked_sub(at)?) {
                I::paired_strip(&self.pairs, &strip, self.patch, out, out_c)?;
                strip.pixels()
            } else {
                self.gather([pixel, pixel.checked_add(1)?, pixel.checked_add(2)?])?;
                I::paired_block(&self.pairs, self.patch, out, out_c)?;
                BLOCK
            };
            at = at.checked_add(done)?;
        }
        Some(())
    }

    /// The pixels from `pixel` on whose patches lie in the input as they are, at most `limit`;
    /// `None` if they are not enough for a block.
    fn strip(&self, pixel: usize, limit: usize) -> Option<Strip<'a>> {
        let window = &self.params.window;
        let (y, x) = self.patches.position(pixel)?;
        let (top, left) = (self.patches.top(y), self.patches.left(x));
        let reach =
            i32::from(window.kernel_h.checked_sub(1)?).checked_mul(window.dilation_h.into())?;
        let inside = self.plan.contiguous
            && top >= 0
            && left >= 0
            && top.checked_add(reach)? < i32::from(window.in_h);
        inside.then_some(())?;
        let (top, left) = (top as usize, left as usize);
        let in_c = usize::from(window.in_c);
        let at = left.checked_mul(in_c)?.checked_add(self.patches.channel)?;
        let slot = self.patches.slot(top);
        let rows = usize::from(window.kernel_h);
        let distance = usize::from(window.dilation_h);
        let rows = Rows {
            first: slot.checked_mul(self.patches.row_bytes)?.checked_add(at)?,
            step: self.patches.row_bytes.checked_mul(distance)?,
            count: rows,
            before: match self.patches.ring_rows {
                0 => rows,
                ring_rows => ring_rows.checked_sub(slot)?.div_ceil(distance.max(1)),
            },
            ring_bytes: self.patches.memory.len(),
        };
        // If output and input rows follow each other without a gap, so do their pixels.
        let pixels = if self.plan.flat && self.patches.ring_rows == 0 {
            limit
        } else {
            limit.min(self.patches.pixels_inside(x, left)?)
        };
        let pixel_step = in_c.checked_mul(window.stride_w.into())?;
        Strip::new(self.patches.memory, rows, self.plan.run_quads, (pixels, pixel_step))
    }

    /// Expands the patches of a block, row by row of the kernel.
    fn gather(&mut self, pixels: [usize; BLOCK]) -> Option<()> {
        let run_len = self.plan.run_quads.checked_mul(paired::TAP_ALIGN)?;
        let stage: &mut [i8] = bytemuck::must_cast_slice_mut(self.stage);
        // Where pixels are patches nothing is ever staged.
        let mut stages = stage.chunks_exact_mut(run_len.max(1));
        let mut stage = || stages.next().unwrap_or_default();
        let (first, second, third, pad) = (stage(), stage(), stage(), stage());
        let [a, b, c] = pixels;
        let a = self.patches.locate(a, first)?;
        let b = self.patches.locate(b, second)?;
        let c = self.patches.locate(c, third)?;
        for i in 0..usize::from(self.params.window.kernel_h) {
            let runs = [
                self.patches.run(&a, i, run_len, first, pad)?,
                self.patches.run(&b, i, run_len, second, pad)?,
                self.patches.run(&c, i, run_len, third, pad)?,
            ];
            I::paired_expand(runs, self.patch, i.checked_mul(self.plan.run_quads)?)?;
        }
        Some(())
    }

    /// Computes one pixel.
    fn pixel(&mut self, pixel: usize, out: Dst<'_>) -> Option<()> {
        let (y, x) = self.patches.position(pixel)?;
        if self.plan.pixels_are_patches {
            let (y, x) = (self.patches.top(y) as usize, self.patches.left(x) as usize);
            let at = x.checked_mul(self.params.window.in_c.into())?;
            let at = at.checked_add(self.patches.channel)?;
            let patch = self.patches.bytes(y, at, self.shape.taps)?;
            return I::paired_pixel(&self.pairs, patch, out);
        }
        let bytes: &mut [i8] = bytemuck::must_cast_slice_mut(self.patch);
        let bytes = bytes.get_mut(..self.pairs.as_ref().taps())?;
        bytes.fill(0);
        let run_len = self.plan.run_quads.checked_mul(paired::TAP_ALIGN)?;
        for i in 0..usize::from(self.params.window.kernel_h) {
            let run = bytes.get_mut(i.checked_mul(run_len)?..)?.get_mut(..self.shape.row_taps)?;
            self.patches.copy_row(y, x, i, run)?;
        }
        I::paired_pixel(&self.pairs, Src::from(&*bytes), out)
    }
}

#[cfg(test)]
mod tests;
