//! `ConvBlocked`: convolution for cores that multiply one number at a time.
//!
//! ```text
//! for every group, for every four output pixels:
//!     expand their patches, interleaved, in scratch memory
//!     for every output channel: 4 dot products, requantise, store
//! ```
//!
//! Such cores spend as much on loads as on multiplications: four pixels share every weight, and an
//! interleaved patch gives the taps of all four at once. A last block of fewer than four pixels
//! computes its last pixel several times, to the same place.

use core::array;
use core::marker::PhantomData;
use core::ops::Range;

use fixie_format::op::blocked;
use fixie_format::{Image, op};

use crate::arch::blocked::{BLOCK, Filters, PATCH_WORDS};
use crate::arch::{Isa, Native};
use crate::coded::{
    Any, Decoder, Grid, Order, Source, Storage, check_stream, decode_channels, decoded_len,
    decoder, for_each_part,
};
use crate::memory::{Memory, words_mut};
use crate::ops::Operator;
use crate::ops::conv::{Rings, Span, check_conv, for_each_span, limit, patches};
use crate::ops::patch::{Patches, Shape, is_pointwise};
use crate::rule::{Rule, check_data, check_scratch, check_that};

/// [`Opcode::ConvBlocked`](fixie_format::Opcode::ConvBlocked), its inner loops by `I`.
pub struct ConvBlocked<I = Native, S = Any>(PhantomData<(I, S)>);

/// How scratch memory is divided.
#[derive(Clone, Copy)]
struct Plan {
    /// Groups of four taps of a patch.
    quads: usize,
    /// Words of the expanded patches of a block.
    patch_words: usize,
    /// Bytes of a kernel row that may touch the padding; 0 if none does.
    stage_run: usize,
}

impl Plan {
    fn new(params: &op::Conv, shape: &Shape) -> Option<Self> {
        let quads = blocked::quads(shape.taps);
        Some(Self {
            quads,
            patch_words: quads.checked_mul(blocked::TAP_ALIGN * PATCH_WORDS)?,
            stage_run: if is_pointwise(&params.window) { 0 } else { shape.row_taps },
        })
    }

    /// Words of the kernel rows of a block that are gathered at a time, and of one of padding.
    fn stage_words(&self) -> Option<usize> {
        Some(self.stage_run.checked_mul(BLOCK + 1)?.div_ceil(size_of::<u32>()))
    }

    fn scratch_len(&self) -> Option<usize> {
        self.patch_words.checked_add(self.stage_words()?)?.checked_mul(size_of::<u32>())
    }
}

/// Bytes of scratch memory: the expanded patches of a block, room to gather kernel rows, and room to
/// decode so many channels at a time.
pub fn scratch_len(params: &op::Conv, channels: usize) -> Option<usize> {
    let shape = Shape::new(params)?;
    let decoded = decoded_len(params, &ChannelOrder::new(&shape), (channels, shape.group_out))?;
    Plan::new(params, &shape)?.scratch_len()?.checked_add(decoded)
}

/// The order of [`blocked`].
struct ChannelOrder {
    taps: usize,
}

impl ChannelOrder {
    fn new(shape: &Shape) -> Self {
        Self { taps: shape.taps }
    }
}

impl Order for ChannelOrder {
    const UNIT: usize = 1;

    fn words(&self, channels: usize) -> Option<usize> {
        channels.checked_mul(blocked::channel_words(blocked::quads(self.taps)))
    }

    #[inline(never)]
    fn decode<S: Storage>(
        &self,
        decoder: &mut Decoder<'_, '_, S>,
        _channels: usize,
        words: &mut [u32],
    ) -> Option<()> {
        decode_channels(decoder, words, self.words(1)?, Grid::line(self.taps, 1))
    }
}

/// Whether the operator takes this convolution: it has a block of pixels.
#[cfg(any(feature = "pack", test))]
pub fn takes(params: &op::Conv) -> bool {
    let pixels = u32::from(params.window.out_h).wrapping_mul(params.window.out_w.into());
    params.shift == 0 && pixels >= BLOCK as u32
}

impl<I: Isa, S: Storage> Operator for ConvBlocked<I, S> {
    type Params = op::Conv;

    fn check(params: &op::Conv, rows: u16, image: &Image<'_>) -> Result<(), Rule> {
        let shape = check_conv(params, rows, image)?;
        check_that(params.shift == 0, "shift")?;
        let tensors = [params.input, params.output];
        check_scratch(image, params.scratch, scratch_len(params, 1), &tensors)?;
        let words = ChannelOrder::new(&shape).words(params.window.out_c.into());
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
        let (patch, scratch) = words_mut(scratch)?.split_at_mut_checked(plan.patch_words)?;
        let (stage, buffer) = scratch.split_at_mut_checked(plan.stage_words()?)?;
        // The taps that fill up the last four of a patch.
        patch.fill(0);
        let stage: &mut [i8] = bytemuck::must_cast_slice_mut(stage);
        let (stage, pad) = stage.split_at_mut_checked(plan.stage_run.checked_mul(BLOCK)?)?;
        pad.fill(params.pad_value);
        let order = ChannelOrder::new(&shape);
        let words = order.words(params.window.out_c.into())?;
        let mut source = Source::<_, S>::new(params, order, words, &tensors, (decoder, buffer))?;
        for_each_part(params.groups.into(), shape.group_out, |group, first_channel, left| {
            let (stream, channels) = source.next(left)?;
            let filters = Filters::new(stream, plan.quads, channels, params.out_zero)?;
            let mut kernel = Kernel::<I> {
                params,
                shape,
                patches: patches(params, group, &shape, &tensors, rings)?,
                filters: if I::MEASURES_PRODUCTS { filters.measured() } else { filters },
                first_channel,
                patch: &mut *patch,
                stage: &mut *stage,
                pad: &*pad,
                isa: PhantomData,
            };
            for_each_span(params, &rows, rings, &tensors, |span| kernel.span(&span))?;
            Some(channels)
        })?;
        limit::<I>(params, &rows, rings, &tensors)
    }
}

/// Some output channels of one group of a convolution.
struct Kernel<'p, 'a, 's, I> {
    params: &'p op::Conv,
    shape: Shape,
    patches: Patches<'a>,
    filters: Filters<'s>,
    /// The first output channel.
    first_channel: usize,
    /// Expanded patches of a block.
    patch: &'s mut [u32],
    /// Where kernel rows of a block are gathered: `[BLOCK][row_taps]`.
    stage: &'s mut [i8],
    /// A kernel row of padding.
    pad: &'s [i8],
    isa: PhantomData<I>,
}

impl<I: Isa> Kernel<'_, '_, '_, I> {
    /// Computes the channels of a span of pixels.
    fn span(&mut self, span: &Span<'_>) -> Option<()> {
        let out_c = usize::from(self.params.window.out_c);
        let last = span.len.checked_sub(1)?;
        // Dividing is a long loop on the smallest cores: only once.
        let mut next = self.patches.position(span.first)?;
        // Where the outputs of that pixel start.
        let mut start = self.first_channel;
        for first in (0..span.len).step_by(BLOCK) {
            let mut at = [next; BLOCK];
            let mut out = [span.out; BLOCK];
            for (n, (at, out)) in at.iter_mut().zip(&mut out).enumerate() {
                *out = span.out.slice(start, self.filters.channels())?;
                *at = next;
                // The last pixel fills up the last block.
                if first.wrapping_add(n) < last {
                    next = self.behind(next);
                    start = start.wrapping_add(out_c);
                }
            }
            self.gather(at)?;
            I::blocked_channels(&self.filters, self.patch, out)?;
        }
        Some(())
    }

    /// The pixel behind one.
    fn behind(&self, (y, x): (usize, usize)) -> (usize, usize) {
        let beside = x.wrapping_add(1);
        let ends = beside == usize::from(self.params.window.out_w);
        if ends { (y.wrapping_add(1), 0) } else { (y, beside) }
    }

    /// Expands the patches of a block, row by row of the kernel.
    fn gather(&mut self, at: [(usize, usize); BLOCK]) -> Option<()> {
        let [(y, x), .., (last_y, last_x)] = at;
        let beside = (last_y, last_x) == (y, x.wrapping_add(BLOCK - 1));
        match self.patches.columns(y, x, BLOCK) {
            Some(columns) if beside => self.expand_inside(y, columns),
            _ => self.expand_anywhere(at),
        }
    }

    /// Expands patches that lie side by side in the input, in rows from that of output row `y` on.
    fn expand_inside(&mut self, y: usize, (start, distance): (usize, usize)) -> Option<()> {
        let len = self.shape.row_taps;
        let mut row = self.patches.top(y) as usize;
        let mut tap = 0;
        for _ in 0..self.params.window.kernel_h {
            let start = self.patches.row_start(row).wrapping_add(start);
            let run = |n: usize| {
                self.patches.memory.slice(start.wrapping_add(n.wrapping_mul(distance)), len)
            };
            I::blocked_expand([run(0)?, run(1)?, run(2)?, run(3)?], self.patch, tap)?;
            row = row.wrapping_add(self.params.window.dilation_h.into());
            tap = tap.wrapping_add(len);
        }
        Some(())
    }

    /// Expands patches that may touch the padding.
    fn expand_anywhere(&mut self, at: [(usize, usize); BLOCK]) -> Option<()> {
        let len = self.shape.row_taps;
        let mut stages = self.stage.chunks_exact_mut(len.max(1));
        // There is none where every patch is a pixel.
        let mut stages: [&mut [i8]; BLOCK] = array::from_fn(|_| stages.next().unwrap_or_default());
        let [s0, s1, s2, s3] = &mut stages;
        let [p0, p1, p2, p3] = at;
        let l0 = self.patches.locate_at(p0.0, p0.1, s0)?;
        let l1 = self.patches.locate_at(p1.0, p1.1, s1)?;
        let l2 = self.patches.locate_at(p2.0, p2.1, s2)?;
        let l3 = self.patches.locate_at(p3.0, p3.1, s3)?;
        let mut tap = 0;
        for i in 0..usize::from(self.params.window.kernel_h) {
            let runs = [
                self.patches.run(&l0, i, len, s0, self.pad)?.slice(0, len)?,
                self.patches.run(&l1, i, len, s1, self.pad)?.slice(0, len)?,
                self.patches.run(&l2, i, len, s2, self.pad)?.slice(0, len)?,
                self.patches.run(&l3, i, len, s3, self.pad)?.slice(0, len)?,
            ];
            I::blocked_expand(runs, self.patch, tap)?;
            tap = tap.wrapping_add(len);
        }
        Some(())
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
        let found = layer.run::<ConvBlocked>(Opcode::ConvBlocked);
        assert_eq!(found.is_some(), takes(&layer.params));
        Some([found?, layer.expected()])
    }

    proptest! {
        #[test]
        fn it_is_the_definition((window, groups) in grouped_windows(), traits in traits()) {
            let layer = Layer::new(window, Traits { groups, shift: 0, ..traits });
            if let Some([found, expected]) = outputs(&layer) {
                prop_assert_eq!(found, expected);
            }
        }

        #[test]
        fn matrix_products_of_any_size(
            pixels in 4u16..15, in_c in 1u16..40, out_c in 1u16..20, traits in traits(),
        ) {
            let layer = Layer::new(pointwise(pixels, in_c, out_c), Traits { shift: 0, ..traits });
            let [found, expected] = outputs(&layer).unwrap();
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn rings_hold_the_last_rows(
            (window, groups) in grouped_windows(), traits in traits(), ring_rows in 1u16..6,
        ) {
            let layer = Layer::new(window, Traits { groups, shift: 0, ..traits });
            if takes(&layer.params) {
                let [found, expected] =
                    layer.run_on_rings::<ConvBlocked>(Opcode::ConvBlocked, ring_rows).unwrap();
                prop_assert_eq!(found, expected);
            }
        }

        #[test]
        fn coded_constants_are_the_same(
            (window, groups) in grouped_windows(), traits in traits(),
        ) {
            let layer = Layer::new(window, Traits { groups, shift: 0, ..traits });
            if takes(&layer.params) {
                layer.survives_coding::<ConvBlocked>(Opcode::ConvBlocked);
            }
        }
    }

    #[test]
    fn changed_parameters_are_refused_or_run() {
        for seed in 0..4 {
            Layer::small(2, seed).survives_mutations::<ConvBlocked>(Opcode::ConvBlocked);
        }
    }

    #[test]
    fn contradictions_are_refused() {
        let (mut bench, params) = Layer::small(2, 1).packed(Opcode::ConvBlocked).unwrap();
        let needed = scratch_len(&params, 1).unwrap() as u32;
        let short = op::Conv { scratch: bench.scratch(needed as usize - 1), ..params };
        let check = |params| bench.check::<ConvBlocked>(&params, 4);
        assert_eq!(check(params), Ok(()));
        assert_eq!(check(short), Err(Rule::Scratch { needed, given: needed - 1 }));
        let behind = op::Conv { weights: params.weights + 1024, ..params };
        assert_eq!(check(behind), Err(Rule::Data(behind.weights)));
        assert_eq!(check(op::Conv { shift: 1, ..params }), Err(Rule::Parameter("shift")));
    }
}
