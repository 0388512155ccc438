//! `ConvPaired`: convolution and matrix product with the DSP extension's dual multiplications.
//!
//! ```text
//! for every group, for every three output pixels:
//!     expand their patches to interleaved 16-bit lanes in scratch memory
//!     for every pair of output channels: 3×2 dot products, requantise, store
//! ```
//!
//! - A patch inside the input is expanded from where it lies; one that touches the padding, or
//!   whose rows are no whole words, is gathered beside the patches first.
//! - Spans of pixels are cut into blocks without regard to rows. A last block of fewer than three
//!   pixels starts so much earlier that some are computed twice.
//! - Where there are fewer than three pixels in all and a pixel is its own patch, as in dense
//!   layers, nothing is expanded beforehand and no scratch memory is needed.

use core::marker::PhantomData;
use core::ops::Range;

use fixie_format::op::paired;
use fixie_format::{Image, op};

use crate::arch::view::Src;
use crate::arch::{Isa, Native, Pairs, Runs, clamp_bytes};
use crate::memory::{Memory, Tensors};
use crate::ops::Operator;
use crate::ops::conv::{Span, check_conv, for_each_span, patches};
use crate::ops::patch::{Patches, Shape};
use crate::rule::{Rule, check_data, check_scratch, check_that};

/// Output pixels that are computed at a time.
pub const BLOCK: usize = 3;

/// [`Opcode::ConvPaired`](fixie_format::Opcode::ConvPaired), its inner loops by `I`.
pub struct ConvPaired<I = Native>(PhantomData<I>);

/// How the patches of a convolution are expanded.
#[derive(Clone, Copy)]
struct Plan {
    /// Taps with padding.
    padded_taps: usize,
    /// A pixel is its own patch, in whole words: `taps` contiguous bytes.
    pixels_are_patches: bool,
    /// Taps that are expanded at a time: a kernel row, or all if rows are no whole words.
    run_taps: usize,
    /// Bytes of the memory in which runs of a block are gathered.
    stage_len: usize,
    /// There are blocks.
    blocks: bool,
}

impl Plan {
    fn new(params: &op::Conv, shape: &Shape) -> Option<Self> {
        let window = &params.window;
        let padded_taps = paired::padded_taps(shape.taps)?;
        let whole_words = shape.row_taps.is_multiple_of(paired::TAP_ALIGN);
        let run_taps = if whole_words { shape.row_taps } else { padded_taps };
        let pixels_are_patches = whole_words && is_pointwise(window);
        let pixels = u32::from(window.out_h).checked_mul(window.out_w.into())?;
        Some(Self {
            padded_taps,
            pixels_are_patches,
            run_taps,
            stage_len: if pixels_are_patches { 0 } else { run_taps.checked_mul(BLOCK)? },
            blocks: pixels >= BLOCK as u32 || !pixels_are_patches,
        })
    }

    /// Bytes of the expanded patches of a block.
    fn patch_len(&self) -> Option<usize> {
        self.padded_taps.checked_mul(size_of::<i16>() * BLOCK)
    }

    fn scratch_len(&self) -> Option<usize> {
        if self.blocks { self.patch_len()?.checked_add(self.stage_len) } else { Some(0) }
    }
}

/// Whether every output pixel sees exactly one pixel inside the input.
fn is_pointwise(window: &op::Window) -> bool {
    let reaches = |output: u16, stride: u16, input: u16| {
        u32::from(output.saturating_sub(1)).checked_mul(stride.into()) < Some(input.into())
    };
    (window.kernel_h, window.kernel_w) == (1, 1)
        && (window.pad_top, window.pad_left) == (0, 0)
        && reaches(window.out_h, window.stride_h, window.in_h)
        && reaches(window.out_w, window.stride_w, window.in_w)
}

/// Bytes of scratch memory: the expanded patches of a block, and room to gather what cannot be
/// expanded from where it lies.
pub fn scratch_len(params: &op::Conv) -> Option<usize> {
    Plan::new(params, &Shape::new(params)?)?.scratch_len()
}

/// Words of the weights of one group.
pub fn group_words(shape: &Shape) -> Option<usize> {
    let pair_words = paired::pair_words(paired::padded_taps(shape.taps)?);
    shape.group_out.div_ceil(2).checked_mul(pair_words)
}

impl<I: Isa> Operator for ConvPaired<I> {
    type Params = op::Conv;

    fn check(params: &op::Conv, rows: u16, image: &Image<'_>) -> Result<(), Rule> {
        let shape = check_conv(params, rows, image)?;
        check_that(params.shift == 0, "shift")?;
        check_scratch(image, params.scratch, scratch_len(params), &[params.input, params.output])?;
        let words = group_words(&shape).and_then(|words| words.checked_mul(params.groups.into()));
        check_data::<u32>(image, params.weights, words)
    }

    fn run(params: &op::Conv, rows: Range<usize>, memory: &mut Memory<'_>) -> Option<()> {
        let shape = Shape::new(params)?;
        let plan = Plan::new(params, &shape)?;
        let is_ring = |id: u16| Some(memory.image().tensor(id.into())?.ring_rows != 0);
        let (in_ring, out_ring) = (is_ring(params.input)?, is_ring(params.output)?);
        let (scratch, tensors) = memory.with_scratch(params.scratch)?;
        let scratch = scratch.get_mut(..plan.scratch_len()?)?;
        let (patch, stage) = scratch.split_at_mut_checked(plan.patch_len()?.min(scratch.len()))?;
        let patch = bytemuck::try_cast_slice_mut(patch).ok()?;
        let stage: &mut [i8] = bytemuck::must_cast_slice_mut(stage);
        // What stands in for the padding of the taps must not depend on what was here before.
        stage.fill(0);
        for group in 0..usize::from(params.groups) {
            let mut kernel = Kernel::<I> {
                params,
                plan,
                shape,
                patches: patches(params, group, &shape, tensors)?,
                input: if in_ring { None } else { Some(tensors.src(params.input)?) },
                pairs: group_pairs(params, group, &shape, tensors)?,
                first_channel: group.checked_mul(shape.group_out)?,
                patch: &mut *patch,
                stage: &mut *stage,
                isa: PhantomData,
            };
            for_each_span(params, &rows, out_ring, tensors, |span| kernel.span(&span))?;
        }
        Some(())
    }
}

/// The weights of one group.
fn group_pairs<'a>(
    params: &op::Conv,
    group: usize,
    shape: &Shape,
    tensors: Tensors<'a>,
) -> Option<Pairs<'a>> {
    let words = group_words(shape)?;
    let start = group.checked_mul(words)?;
    let all = tensors.data(params.weights, words.checked_mul(params.groups.into())?)?;
    let quads = paired::padded_taps(shape.taps)? / paired::TAP_ALIGN;
    let stream = all.get(start..start.checked_add(words)?)?;
    Pairs::new(stream, quads, shape.group_out, params.out_zero)
}

/// One group of a convolution.
struct Kernel<'p, 'a, 's, I> {
    params: &'p op::Conv,
    plan: Plan,
    shape: Shape,
    patches: Patches<'a>,
    /// The input, unless it is a ring.
    input: Option<Src<'a>>,
    pairs: Pairs<'a>,
    /// The group's first output channel.
    first_channel: usize,
    /// Expanded patches of a block.
    patch: &'s mut [u32],
    /// Where runs of a block are gathered, `[BLOCK][run_taps]`.
    stage: &'s mut [i8],
    isa: PhantomData<I>,
}

impl<'a, I: Isa> Kernel<'_, 'a, '_, I> {
    /// Computes the group's channels of a span of pixels.
    fn span(&mut self, span: &Span<'_>) -> Option<()> {
        if span.len >= BLOCK {
            let last = span.len.checked_sub(BLOCK)?;
            let mut at = 0;
            loop {
                self.block(span, [at, at.checked_add(1)?, at.checked_add(2)?])?;
                if at == last {
                    break;
                }
                at = at.checked_add(BLOCK)?.min(last);
            }
        } else {
            for at in 0..span.len {
                if self.plan.pixels_are_patches {
                    self.pixel(span, at)?;
                } else {
                    self.block(span, [at; BLOCK])?;
                }
            }
        }
        let bounds = (self.params.act_min, self.params.act_max);
        if bounds != (i8::MIN, i8::MAX) {
            let out_c = usize::from(self.params.window.out_c);
            for pixel in 0..span.len {
                let at = pixel.checked_mul(out_c)?.checked_add(self.first_channel)?;
                clamp_bytes(span.out.slice(at, self.shape.group_out)?, bounds);
            }
        }
        Some(())
    }

    /// Computes three pixels: neighbours, or the same one three times.
    fn block(&mut self, span: &Span<'_>, pixels: [usize; BLOCK]) -> Option<()> {
        let [first, second, third] = pixels.map(|pixel| span.first.wrapping_add(pixel));
        self.expand([first, second, third])?;
        let out_c = usize::from(self.params.window.out_c);
        let step = if first == second { 0 } else { out_c };
        let at = pixels[0].checked_mul(out_c)?.checked_add(self.first_channel)?;
        let len = step.checked_mul(2)?.checked_add(self.shape.group_out)?;
        I::paired_block(&self.pairs, self.patch, span.out.slice(at, len)?, step)
    }

    /// Computes one pixel that is its own patch.
    fn pixel(&mut self, span: &Span<'_>, pixel: usize) -> Option<()> {
        let (y, x) = self.patches.position(span.first.checked_add(pixel)?)?;
        let (y, x) = (self.patches.top(y) as usize, self.patches.left(x) as usize);
        let at = x.checked_mul(self.params.window.in_c.into())?;
        let at = at.checked_add(self.patches.channel)?;
        let patch = self.patches.input.row(y)?.slice(at, self.shape.taps)?;
        let at = pixel.checked_mul(self.params.window.out_c.into())?;
        let out = span.out.slice(at.checked_add(self.first_channel)?, self.shape.group_out)?;
        I::paired_pixel(&self.pairs, patch, out)
    }

    /// Expands the patches of three pixels.
    fn expand(&mut self, pixels: [usize; BLOCK]) -> Option<()> {
        if let Some(runs) = self.inside(pixels) {
            return I::paired_expand(&runs, self.patch, 0);
        }
        let whole = self.plan.run_taps != self.shape.row_taps;
        let runs = if whole { 1 } else { self.params.window.kernel_h.into() };
        let run_quads = self.plan.run_taps / paired::TAP_ALIGN;
        for i in 0..runs {
            let stages = self.stage.chunks_exact_mut(self.plan.run_taps.max(1));
            for (stage, pixel) in stages.zip(pixels) {
                if whole {
                    self.patches.copy(pixel, stage.get_mut(..self.shape.taps)?)?;
                } else {
                    let (y, x) = self.patches.position(pixel)?;
                    self.patches.copy_row(y, x, i, stage)?;
                }
            }
            let stage = Src::from(&*self.stage);
            let [first, second, third] = [0, 1, 2].map(|pixel| {
                stage.slice(self.plan.run_taps.checked_mul(pixel)?, self.plan.run_taps)
            });
            let run = Runs::new([first?, second?, third?], 1, 0, run_quads)?;
            I::paired_expand(&run, self.patch, i.checked_mul(run_quads)?)?;
        }
        Some(())
    }

    /// The kernel rows of three pixels where they lie in the input; `None` if that is not possible.
    fn inside(&self, pixels: [usize; BLOCK]) -> Option<Runs<'a>> {
        let window = &self.params.window;
        let contiguous = window.kernel_w == 1
            || window.dilation_w == 1 && self.shape.group_in == usize::from(window.in_c);
        (contiguous && self.shape.row_taps == self.plan.run_taps).then_some(())?;
        let in_c = usize::from(window.in_c);
        let row_bytes = usize::from(window.in_w).checked_mul(in_c)?;
        let row_step = row_bytes.checked_mul(window.dilation_h.into())?;
        let rows = usize::from(window.kernel_h);
        let extent =
            row_step.checked_mul(rows.checked_sub(1)?)?.checked_add(self.shape.row_taps)?;
        let source = |pixel: usize| {
            let (y, x) = self.patches.position(pixel)?;
            let (top, left) = (self.patches.top(y), self.patches.left(x));
            let bottom =
                top.checked_add(i32::from(window.kernel_h - 1) * i32::from(window.dilation_h))?;
            let right = left.checked_add(i32::from(window.kernel_w - 1))?;
            let inside = top >= 0
                && left >= 0
                && bottom < i32::from(window.in_h)
                && right < i32::from(window.in_w);
            inside.then_some(())?;
            let at = (left as usize).checked_mul(in_c)?;
            let at = at.checked_add(self.patches.channel)?;
            if rows == 1 {
                return self.patches.input.row(top as usize)?.slice(at, extent);
            }
            let row = (top as usize).checked_mul(row_bytes)?;
            self.input?.slice(row.checked_add(at)?, extent)
        };
        let [first, second, third] = pixels;
        let sources = [source(first)?, source(second)?, source(third)?];
        Runs::new(sources, rows, row_step, self.shape.row_taps / paired::TAP_ALIGN)
    }
}

#[cfg(test)]
mod tests {
    use fixie_format::Opcode;
    use proptest::prelude::*;

    use super::*;
    use crate::ops::conv_testing::{Layer, Traits, grouped_windows, pointwise, traits};

    proptest! {
        #[test]
        fn it_is_the_definition((window, groups) in grouped_windows(), traits in traits()) {
            let traits = Traits { groups, shift: 0, ..traits };
            let layer = Layer::new(window, traits).without_lowest_weight();
            prop_assert_eq!(layer.run::<ConvPaired>(Opcode::ConvPaired), Some(layer.expected()));
        }

        #[test]
        fn matrix_products_of_any_size(
            pixels in 1u16..10, in_c in 1u16..40, out_c in 1u16..20, traits in traits(),
        ) {
            let layer = Layer::new(pointwise(pixels, in_c, out_c), Traits { shift: 0, ..traits })
                .without_lowest_weight();
            prop_assert_eq!(layer.run::<ConvPaired>(Opcode::ConvPaired), Some(layer.expected()));
        }
    }
}
