//! `ConvVectors`: convolution and matrix product for cores that multiply whole vectors.
//!
//! ```text
//! for every group, for every few output pixels:
//!     gather their patches in scratch memory, unless they lie in the input as they are
//!     for every eight output channels: dot products, requantise, store
//! ```
//!
//! The weights of a channel are filled up with zeros to whole vectors, so that it does not matter
//! what lies behind a patch, if only it can be read.

use core::marker::PhantomData;
use core::ops::Range;

use fixie_format::op::vectors;
use fixie_format::{Image, op};

use crate::arch::vectors::{Filters, Strip, TOGETHER};
use crate::arch::view::{Dst, Src};
use crate::arch::{Isa, Native};
use crate::coded::is_coded;
use crate::memory::{Memory, Tensors};
use crate::ops::Operator;
use crate::ops::conv::{Rings, Span, check_conv, for_each_span, limit, patches};
use crate::ops::patch::{Patches, Shape};
use crate::rule::{Rule, check_data, check_scratch, check_that};

/// [`Opcode::ConvVectors`](fixie_format::Opcode::ConvVectors), its inner loops by `I`.
pub struct ConvVectors<I = Native>(PhantomData<I>);

/// Bytes of gathered patches that are worth their memory; those of a whole row may be more.
const PATCHES_LEN: usize = 1536;
const ROW_LEN: usize = 4608;

/// Taps of a vector.
const LANES: u16 = vectors::LANES as u16;

/// Bytes of scratch memory: some patches. Where they lie in the input as they are, one is gathered
/// only if a vector would reach behind the input.
pub fn scratch_len(params: &op::Conv) -> Option<usize> {
    let taps = Shape::new(params)?.taps;
    let len = vectors::patch_vectors(taps).checked_mul(vectors::LANES)?;
    let pixels = usize::from(params.window.out_h).checked_mul(params.window.out_w.into())?;
    let worth = |bytes: usize| bytes.checked_div(len).unwrap_or(0);
    let row = usize::from(params.window.out_w).min(worth(ROW_LEN));
    let gathered = pixels.min(row.max(worth(PATCHES_LEN)).max(TOGETHER));
    let patches = match is_matrix_product(params) {
        true if taps == len => 0,
        true => 1,
        false => gathered,
    };
    patches.checked_mul(len)
}

/// Whether the operator takes this convolution.
pub fn takes(params: &op::Conv, shape: &Shape) -> bool {
    params.shift == 0 && shape.group_out >= vectors::CHANNELS
}

/// Words of the weights of a group of `channels` output channels.
fn group_words(taps: usize, channels: usize) -> Option<usize> {
    let len = vectors::block_len(vectors::patch_vectors(taps))?;
    (len / size_of::<u32>()).checked_mul(channels.div_ceil(vectors::CHANNELS))
}

impl<I: Isa> Operator for ConvVectors<I> {
    type Params = op::Conv;

    fn check(params: &op::Conv, rows: u16, image: &Image<'_>) -> Result<(), Rule> {
        let shape = check_conv(params, rows, image)?;
        check_that(takes(params, &shape), "groups")?;
        check_that(!is_coded(params), "coding")?;
        let tensors = [params.input, params.output];
        check_scratch(image, params.scratch, scratch_len(params), &tensors)?;
        let words = group_words(shape.taps, shape.group_out)
            .and_then(|words| words.checked_mul(params.groups.into()));
        check_data::<u32>(image, params.weights, words)
    }

    // Not inlined, so that the stack holds the frame of one operator only.
    #[inline(never)]
    fn run(params: &op::Conv, rows: Range<usize>, memory: &mut Memory<'_>) -> Option<()> {
        let rings = Rings::new(params, memory.image())?;
        let is_matrix_product = is_matrix_product(params);
        // What `scratch_len` says, for less: a small layer would notice.
        let gathers_none = is_matrix_product && params.window.in_c.is_multiple_of(LANES);
        let (scratch, tensors) = if gathers_none {
            (<&mut [u8]>::default(), memory.tensors())
        } else {
            memory.with_scratch(params.scratch)?
        };
        let scratch: &mut [i8] = bytemuck::must_cast_slice_mut(scratch);
        if is_matrix_product {
            matrix_product::<I>(params, &rows, rings, &tensors, scratch)?;
        } else {
            windows::<I>(params, &rows, rings, &tensors, scratch)?;
        }
        limit::<I>(params, &rows, rings, &tensors)
    }
}

/// Whether each output pixel sees the input pixel at the same place.
fn is_matrix_product(params: &op::Conv) -> bool {
    let window = &params.window;
    (window.kernel_h, window.kernel_w, params.groups) == (1, 1, 1)
        && (window.pad_top, window.pad_left) == (0, 0)
        && (window.stride_h, window.stride_w) == (1, 1)
        && (window.out_h, window.out_w) == (window.in_h, window.in_w)
}

/// Computes the pixels of some rows from where they lie: as many at a time as lie one behind the
/// other, in the input as in the output.
fn matrix_product<I: Isa>(
    params: &op::Conv,
    rows: &Range<usize>,
    rings: Rings,
    tensors: &Tensors<'_>,
    scratch: &mut [i8],
) -> Option<()> {
    let op::Window { out_w, in_c, out_c, .. } = params.window;
    let [width, in_c, out_c] = [out_w, in_c, out_c].map(usize::from);
    let stream = tensors.data(params.weights, group_words(in_c, out_c)?)?;
    let filters = Filters::new(stream, vectors::patch_vectors(in_c), out_c, params.out_zero)?;
    let (input, output) = (tensors.src(params.input)?, tensors.dst(params.output)?);
    let mut y = rows.start;
    while y < rows.end {
        let (mut from, mut to, mut count) = (y, y, rows.end.wrapping_sub(y));
        for (slot, ring_rows) in [(&mut from, rings.input), (&mut to, rings.output)] {
            if ring_rows != 0 {
                *slot = y.checked_rem(ring_rows.into())?;
                count = count.min(usize::from(ring_rows).wrapping_sub(*slot));
            }
        }
        let mut left = count.checked_mul(width)?;
        let mut from = from.checked_mul(width)?.checked_mul(in_c)?;
        let mut to = to.checked_mul(width)?.checked_mul(out_c)?;
        while left != 0 {
            let source = input.slice(from, input.len().checked_sub(from)?)?;
            let out = (output.slice(to, output.len().checked_sub(to)?)?, out_c);
            let strip = if let Some(strip) = Strip::new(&filters, left, (source, in_c), out) {
                strip
            } else {
                // A vector would reach behind the input.
                source.slice(0, in_c)?.copy_to(scratch.get_mut(..in_c)?)?;
                Strip::new(&filters, 1, (Src::from(&*scratch), in_c), out)?
            };
            I::vectors_strip(&filters, &strip)?;
            left = left.wrapping_sub(strip.pixels());
            from = from.wrapping_add(strip.pixels().wrapping_mul(in_c));
            to = to.wrapping_add(strip.pixels().wrapping_mul(out_c));
        }
        y = y.wrapping_add(count);
    }
    Some(())
}

/// Computes the pixels of some rows by gathering their patches.
fn windows<I: Isa>(
    params: &op::Conv,
    rows: &Range<usize>,
    rings: Rings,
    tensors: &Tensors<'_>,
    scratch: &mut [i8],
) -> Option<()> {
    let shape = Shape::new(params)?;
    // What lies behind the taps of a patch is multiplied by 0.
    let scratch = scratch.get_mut(..scratch_len(params)?)?;
    for group in 0..usize::from(params.groups) {
        let mut kernel = Kernel::<I> {
            patches: patches(params, group, &shape, tensors, rings)?,
            filters: filters(params, group, &shape, tensors)?,
            first_channel: group.checked_mul(shape.group_out)?,
            out_c: params.window.out_c.into(),
            scratch: &mut *scratch,
            isa: PhantomData,
        };
        for_each_span(params, rows, rings, tensors, |span| kernel.span(&span))?;
    }
    Some(())
}

/// The weights of one group.
fn filters<'a>(
    params: &op::Conv,
    group: usize,
    shape: &Shape,
    tensors: &Tensors<'a>,
) -> Option<Filters<'a>> {
    let words = group_words(shape.taps, shape.group_out)?;
    let start = group.checked_mul(words)?;
    let all = tensors.data(params.weights, words.checked_mul(params.groups.into())?)?;
    let stream = all.get(start..start.checked_add(words)?)?;
    let patch_vectors = vectors::patch_vectors(shape.taps);
    Filters::new(stream, patch_vectors, shape.group_out, params.out_zero)
}

/// One group of a convolution.
struct Kernel<'a, 's, I> {
    patches: Patches<'a>,
    filters: Filters<'a>,
    /// The group's first output channel.
    first_channel: usize,
    out_c: usize,
    /// Room for some patches.
    scratch: &'s mut [i8],
    isa: PhantomData<I>,
}

impl<I: Isa> Kernel<'_, '_, I> {
    /// Computes the group's channels of a span of pixels.
    fn span(&mut self, span: &Span<'_>) -> Option<()> {
        let len = self.filters.patch_len();
        let block = self.scratch.len().checked_div(len)?;
        // Pixels of which patches are there but no outputs.
        let mut waiting = 0..0;
        while waiting.end < span.len {
            let pixel = span.first.checked_add(waiting.end)?;
            let left = span.len.wrapping_sub(waiting.end);
            let alike = self.patches.neighbours(pixel, left);
            let count = alike.map_or(1, |alike| alike.pixels());
            let mut done = 0;
            while done < count {
                let room = self.scratch.get_mut(waiting.len().checked_mul(len)?..)?;
                let some = if let Some(alike) = &alike {
                    let part = alike.part(done, block.checked_sub(waiting.len())?)?;
                    I::gather(&part, room, len)?;
                    part.pixels()
                } else {
                    self.patches.copy(pixel, room.get_mut(..self.patches.taps()?)?)?;
                    1
                };
                done = done.checked_add(some)?;
                waiting.end = waiting.end.checked_add(some)?;
                if waiting.len() == block {
                    self.compute(span, &waiting)?;
                    waiting.start = waiting.end;
                }
            }
        }
        if waiting.is_empty() { Some(()) } else { self.compute(span, &waiting) }
    }

    /// The outputs from pixel `first` of a span on.
    fn outputs<'o>(&self, span: &Span<'o>, first: usize) -> Option<Dst<'o>> {
        let start = first.checked_mul(self.out_c)?.checked_add(self.first_channel)?;
        span.out.slice(start, span.out.len().checked_sub(start)?)
    }

    /// Computes pixels of a span whose patches are gathered.
    fn compute(&self, span: &Span<'_>, pixels: &Range<usize>) -> Option<()> {
        let source = (Src::from(&*self.scratch), self.filters.patch_len());
        let out = (self.outputs(span, pixels.start)?, self.out_c);
        let strip = Strip::new(&self.filters, pixels.len(), source, out)?;
        (strip.pixels() == pixels.len()).then_some(())?;
        I::vectors_strip(&self.filters, &strip)
    }
}

#[cfg(test)]
mod tests {
    use fixie_format::Opcode;
    use proptest::prelude::*;

    use super::*;
    use crate::ops::conv_testing::{Layer, Traits, grouped_windows, pointwise, traits};

    /// The layer's output and the one by definition; `None` where it is left to another kernel.
    fn outputs(layer: &Layer) -> Option<[std::vec::Vec<i8>; 2]> {
        let found = layer.run::<ConvVectors>(Opcode::ConvVectors);
        assert_eq!(found.is_some(), takes(&layer.params, &Shape::new(&layer.params).unwrap()));
        Some([found?, layer.expected()])
    }

    proptest! {
        #[test]
        fn it_is_the_definition(
            (window, groups) in grouped_windows(), group_out in 1u16..20, traits in traits(),
        ) {
            let window = op::Window { out_c: group_out * groups, ..window };
            let layer = Layer::new(window, Traits { groups, shift: 0, ..traits });
            if let Some([found, expected]) = outputs(&layer) {
                prop_assert_eq!(found, expected);
            }
        }

        #[test]
        fn matrix_products_of_any_size(
            pixels in 1u16..15, in_c in 1u16..70, out_c in 8u16..30, traits in traits(),
        ) {
            let layer = Layer::new(pointwise(pixels, in_c, out_c), Traits { shift: 0, ..traits });
            let [found, expected] = outputs(&layer).unwrap();
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn rings_hold_the_last_rows(
            (window, _) in grouped_windows(), out_c in 8u16..20, traits in traits(),
            ring_rows in 1u16..6,
        ) {
            let window = op::Window { out_c, ..window };
            let layer = Layer::new(window, Traits { shift: 0, ..traits });
            let [found, expected] =
                layer.run_on_rings::<ConvVectors>(Opcode::ConvVectors, ring_rows).unwrap();
            prop_assert_eq!(found, expected);
        }
    }

    /// A small layer with a block of channels.
    fn small(seed: u64) -> Layer {
        let layer = Layer::small(1, seed);
        let window = op::Window { out_c: 9, ..layer.params.window };
        let bounds = (i8::MIN, i8::MAX);
        Layer::new(window, Traits { groups: 1, seed, shift: 0, pad_value: 3, out_zero: -4, bounds })
    }

    #[test]
    fn changed_parameters_are_refused_or_run() {
        for seed in 0..4 {
            let (bench, params) = small(seed).packed(Opcode::ConvVectors).unwrap();
            bench.survives_mutations::<ConvVectors>(params, params.window.out_h);
        }
    }

    #[test]
    fn contradictions_are_refused() {
        let (mut bench, params) = small(1).packed(Opcode::ConvVectors).unwrap();
        let needed = scratch_len(&params).unwrap() as u32;
        let short = op::Conv { scratch: bench.scratch(needed as usize - 1), ..params };
        let check = |params| bench.check::<ConvVectors>(&params, 4);
        assert_eq!(check(params), Ok(()));
        assert_eq!(check(short), Err(Rule::Scratch { needed, given: needed - 1 }));
        let behind = op::Conv { weights: params.weights + 1024, ..params };
        assert_eq!(check(behind), Err(Rule::Data(behind.weights)));
        assert_eq!(check(op::Conv { shift: 1, ..params }), Err(Rule::Parameter("groups")));
        assert_eq!(check(op::Conv { coding: 1, ..params }), Err(Rule::Parameter("coding")));
    }
}
