//! Pixels by which `ConvPaired` and `ConvSparse` work: in which order, and how their patches are
//! expanded. What is multiplied with a patch is up to [`Filters`].

use core::marker::PhantomData;

use fixie_format::op::{self, paired};

use crate::arch::Isa;
use crate::arch::by_blocks;
use crate::arch::paired::{BLOCK, PATCH_WORDS, Rows, Strip};
use crate::arch::sparse::SparsePairs;
use crate::arch::view::{Dst, Src};
use crate::memory::words_mut;
use crate::ops::conv::Span;
use crate::ops::patch::{Patches, Shape, is_pointwise};

/// How the patches of a convolution are expanded.
#[derive(Clone, Copy)]
pub struct Plan {
    /// Groups of four taps of a kernel row, padding included.
    pub run_quads: usize,
    /// Groups of four taps of a patch.
    pub quads: usize,
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
    /// For a convolution.
    pub fn new(params: &op::Conv, shape: &Shape) -> Option<Self> {
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
    pub fn has_blocks(&self) -> bool {
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

    /// Bytes of both.
    pub fn scratch_len(&self) -> Option<usize> {
        let words = self.patch_words()?.checked_add(self.stage_words()?)?;
        words.checked_mul(size_of::<u32>())
    }

    /// Both, at the front of scratch memory, and the words that are left of it.
    pub fn split<'s>(
        &self,
        params: &op::Conv,
        scratch: &'s mut [u8],
    ) -> Option<(Room<'s>, &'s mut [u32])> {
        let (patch, rest) = words_mut(scratch)?.split_at_mut_checked(self.patch_words()?)?;
        let (stage, rest) = rest.split_at_mut_checked(self.stage_words()?)?;
        // What stands in for the padding of a kernel row must not depend on what was here before.
        stage.fill(0);
        let run_words = self.run_quads.checked_mul(BLOCK)?.min(stage.len());
        let pad: &mut [i8] = bytemuck::must_cast_slice_mut(stage.get_mut(run_words..)?);
        pad.fill(params.pad_value);
        Some((Room { patch, stage }, rest))
    }
}

/// Working memory.
pub struct Room<'s> {
    /// Expanded patches of a block, or the bytes of one.
    pub patch: &'s mut [u32],
    /// Where kernel rows of a block are gathered, `[BLOCK][run_quads · 4]` bytes,
    /// and one of padding.
    pub stage: &'s mut [u32],
}

/// Output channels of one group, as an instruction set computes them.
pub trait Filters<I: Isa> {
    /// Their number.
    fn channels(&self) -> usize;

    /// Taps of a patch with padding.
    fn taps(&self) -> usize;

    /// All channels of the pixels of a strip, whose outputs are `step` bytes apart.
    fn strip(&self, strip: &Strip<'_>, patch: &mut [u32], out: Dst<'_>, step: usize) -> Option<()> {
        by_blocks::<I>(strip, patch, (out, step), |patch, out| self.block(patch, out, step))
    }

    /// All channels of a block whose patches are expanded.
    fn block(&self, patch: &mut [u32], out: Dst<'_>, step: usize) -> Option<()>;

    /// All channels of one pixel, from the bytes of its patch.
    fn pixel(&self, patch: Src<'_>, out: Dst<'_>) -> Option<()>;
}

/// The channels of `ConvPaired`.
pub struct Paired<'a, I: Isa>(pub I::Pairs<'a>);

impl<I: Isa> Filters<I> for Paired<'_, I> {
    #[inline(always)]
    fn channels(&self) -> usize {
        self.0.as_ref().channels()
    }

    #[inline(always)]
    fn taps(&self) -> usize {
        self.0.as_ref().taps()
    }

    #[inline(always)]
    fn strip(&self, strip: &Strip<'_>, patch: &mut [u32], out: Dst<'_>, step: usize) -> Option<()> {
        I::paired_strip(&self.0, strip, patch, out, step)
    }

    #[inline(always)]
    fn block(&self, patch: &mut [u32], out: Dst<'_>, step: usize) -> Option<()> {
        I::paired_block(&self.0, patch, out, step)
    }

    #[inline(always)]
    fn pixel(&self, patch: Src<'_>, out: Dst<'_>) -> Option<()> {
        I::paired_pixel(&self.0, patch, out)
    }
}

impl<I: Isa> Filters<I> for SparsePairs<'_> {
    #[inline(always)]
    fn channels(&self) -> usize {
        SparsePairs::channels(self)
    }

    #[inline(always)]
    fn taps(&self) -> usize {
        SparsePairs::taps(self)
    }

    #[inline(always)]
    fn block(&self, patch: &mut [u32], out: Dst<'_>, step: usize) -> Option<()> {
        I::sparse_block(self, patch, out, step)
    }

    #[inline(always)]
    fn pixel(&self, patch: Src<'_>, out: Dst<'_>) -> Option<()> {
        I::sparse_pixel(self, patch, out)
    }
}

/// Some output channels of one group of a convolution.
pub struct Kernel<'p, 'a, 's, I, F> {
    /// The convolution.
    pub params: &'p op::Conv,
    /// Of it.
    pub plan: Plan,
    /// Of it.
    pub shape: Shape,
    /// Where the group's patches come from.
    pub patches: Patches<'a>,
    /// The output channels.
    pub filters: F,
    /// The first of them.
    pub first_channel: usize,
    /// As [`Plan::split`] gives it.
    pub room: Room<'s>,
    /// Who computes.
    pub isa: PhantomData<I>,
}

impl<'a, I: Isa, F: Filters<I>> Kernel<'_, 'a, '_, I, F> {
    /// Computes the channels of a span of pixels.
    pub fn span(&mut self, span: &Span<'_>) -> Option<()> {
        let out_c = usize::from(self.params.window.out_c);
        let mut at = 0;
        while at < span.len {
            let last = span.len.checked_sub(BLOCK);
            at = at.min(last.unwrap_or(at));
            let pixel = span.first.checked_add(at)?;
            let start = at.checked_mul(out_c)?.checked_add(self.first_channel)?;
            let out = span.out.slice(start, span.out.len().checked_sub(start)?)?;
            let done = if last.is_none() {
                self.pixel(pixel, out.slice(0, self.filters.channels())?)?;
                1
            } else if let Some(strip) = self.strip(pixel, span.len.checked_sub(at)?) {
                self.filters.strip(&strip, self.room.patch, out, out_c)?;
                strip.pixels()
            } else {
                self.gather([pixel, pixel.checked_add(1)?, pixel.checked_add(2)?])?;
                self.filters.block(self.room.patch, out, out_c)?;
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
        let stage: &mut [i8] = bytemuck::must_cast_slice_mut(self.room.stage);
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
            I::paired_expand(runs, self.room.patch, i.checked_mul(self.plan.run_quads)?)?;
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
            return self.filters.pixel(patch, out);
        }
        let bytes: &mut [i8] = bytemuck::must_cast_slice_mut(self.room.patch);
        let bytes = bytes.get_mut(..self.filters.taps())?;
        bytes.fill(0);
        let run_len = self.plan.run_quads.checked_mul(paired::TAP_ALIGN)?;
        for i in 0..usize::from(self.params.window.kernel_h) {
            let run = bytes.get_mut(i.checked_mul(run_len)?..)?.get_mut(..self.shape.row_taps)?;
            self.patches.copy_row(y, x, i, run)?;
        }
        self.filters.pixel(Src::from(&*bytes), out)
    }
}
