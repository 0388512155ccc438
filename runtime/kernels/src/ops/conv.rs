//! `Conv`: convolution and matrix product, for every core.
//!
//! ```text
//! for every group, for every two output pixels:
//!     gather their patches into scratch memory
//!     for every two output channels: 2×2 dot products, requantise, store
//! ```
//!
//! A patch is gathered once and used for all channels of its group; weights are read once for two
//! pixels. Where only one pixel is left, as in dense layers, four channels share its patch.

use core::cell::Cell;
use core::marker::PhantomData;
use core::ops::Range;

use fixie_format::Image;
use fixie_format::op;

use crate::arch::view::Dst;
use crate::arch::{Isa, Native};
use crate::coded::{
    Any, ArrayOrder, Constants, Rows, Storage, check_constants, decoded_len, decoder,
    for_each_part, is_coded,
};
use crate::memory::{Memory, Tensors, words_mut};
use crate::ops::Operator;
use crate::ops::patch::{Patches, Shape};
use crate::ops::window::check_window;
use crate::requantize::Requantizer;
use crate::rule::{Rule, check_output, check_row_tensor, check_rows, check_scratch, check_that};

/// [`Opcode::Conv`](fixie_format::Opcode::Conv), its inner loops by `I`.
pub struct Conv<I = Native, S = Any>(PhantomData<(I, S)>);

/// Output pixels that share the weights.
const BLOCK: usize = 2;

/// Bytes of scratch memory: the patches of a block of pixels, and room to decode so many channels at
/// a time.
pub fn scratch_len(params: &op::Conv, channels: usize) -> Option<usize> {
    let shape = Shape::new(params)?;
    let order = ArrayOrder { taps: shape.taps, by_tap: false };
    let decoded = decoded_len(params, &order, (channels, shape.group_out))?;
    patches_len(params, &shape)?.checked_add(decoded)
}

/// Bytes of the patches of a block, in whole words where something follows them.
fn patches_len(params: &op::Conv, shape: &Shape) -> Option<usize> {
    let len = shape.taps.checked_mul(BLOCK)?;
    if is_coded(params) { len.checked_next_multiple_of(size_of::<u32>()) } else { Some(len) }
}

impl<I: Isa, S: Storage> Operator for Conv<I, S> {
    type Params = op::Conv;

    fn check(params: &op::Conv, rows: u16, image: &Image<'_>) -> Result<(), Rule> {
        let shape = check_conv(params, rows, image)?;
        let tensors = [params.input, params.output];
        check_scratch(image, params.scratch, scratch_len(params, 1), &tensors)?;
        check_constants::<S>(params, shape.taps, image)
    }

    // Not inlined, so that the stack holds the frame of one operator only.
    #[inline(never)]
    fn run(params: &op::Conv, rows: Range<usize>, memory: &mut Memory<'_>) -> Option<()> {
        let shape = Shape::new(params)?;
        let rings = Rings::new(params, memory.image())?;
        let (scratch, tensors) = memory.with_scratch(params.scratch)?;
        let (decoder, scratch) = decoder::<S>(params, &tensors, scratch)?;
        let (gathered, rest) = scratch.split_at_mut_checked(patches_len(params, &shape)?)?;
        let gathered = gathered.get_mut(..shape.taps.checked_mul(BLOCK)?)?;
        let gathered: &mut [i8] = bytemuck::must_cast_slice_mut(gathered);
        let buffer = if decoder.is_some() { words_mut(rest)? } else { &mut [] };
        let requantizer = Requantizer {
            shift: params.shift,
            zero: params.out_zero,
            min: params.act_min,
            max: params.act_max,
        };
        let mut source = Rows::<S>::new(params, &shape, &tensors, (decoder, buffer))?;
        for_each_part(params.groups.into(), shape.group_out, |group, first, left| {
            let patches = patches(params, group, &shape, &tensors, rings)?;
            let constants = source.next(left)?;
            let channels = Channels { constants, taps: shape.taps, requantizer };
            for_each_span(params, &rows, rings, &tensors, |span| {
                let out_c = usize::from(params.window.out_c);
                let out = span.out.slice(first, span.out.len().checked_sub(first)?)?;
                let span = Span { out, ..span };
                channels.blocks::<I>(&patches, &span, out_c, gathered)
            })?;
            Some(constants.bias.len())
        })
    }
}

/// Checks what all convolutions have in common: everything but weights and scratch memory.
///
/// # Errors
///
/// Any [`Rule`] but those of constants and scratch memory.
pub fn check_conv(params: &op::Conv, rows: u16, image: &Image<'_>) -> Result<Shape, Rule> {
    let window = &params.window;
    check_window(window)?;
    let shape = Shape::new(params).ok_or(Rule::Parameter("groups"))?;
    check_that(params.shift < 32, "shift")?;
    check_that(params.act_min <= params.act_max, "act_min")?;
    check_rows(rows, window.out_h)?;
    let row_bytes = |width: u16, channels: u16| usize::from(width).checked_mul(channels.into());
    let in_row = row_bytes(window.in_w, window.in_c);
    check_row_tensor(image, params.input, window.in_h, in_row)?;
    let out_row = row_bytes(window.out_w, window.out_c);
    check_row_tensor(image, params.output, window.out_h, out_row)?;
    check_output(image, params.output, &[], &[params.input])?;
    Ok(shape)
}

/// How many rows the tensors hold, if they are rings, otherwise 0.
#[derive(Clone, Copy)]
pub struct Rings {
    /// Of the input.
    pub input: u16,
    /// Of the output.
    pub output: u16,
}

impl Rings {
    /// As the image says; `None` if it lacks a tensor. It does not matter where single rows lie.
    pub fn new(params: &op::Conv, image: &Image<'_>) -> Option<Self> {
        if (params.window.in_h, params.window.out_h) == (1, 1) {
            return Some(Self { input: 0, output: 0 });
        }
        let ring_rows = |id: u16| Some(image.tensor(id.into())?.ring_rows);
        Some(Self { input: ring_rows(params.input)?, output: ring_rows(params.output)? })
    }
}

/// Where the patches of `group` come from.
pub fn patches<'a>(
    params: &op::Conv,
    group: usize,
    shape: &Shape,
    tensors: &Tensors<'a>,
    rings: Rings,
) -> Option<Patches<'a>> {
    let window = params.window;
    let row_bytes = usize::from(window.in_w).checked_mul(window.in_c.into())?;
    Some(Patches {
        window,
        memory: tensors.src(params.input)?,
        row_bytes,
        ring_rows: rings.input.into(),
        channel: group.checked_mul(shape.group_in)?,
        channels: shape.group_in,
        pad_value: params.pad_value,
    })
}

/// Output pixels that lie one behind the other in memory.
pub struct Span<'a> {
    /// The first pixel, counted row by row.
    pub first: usize,
    /// Number of pixels.
    pub len: usize,
    /// Their memory, `[len, out_c]`.
    pub out: Dst<'a>,
}

/// Hands out the pixels of `rows` in as few spans as there are: one, or two and more where the
/// output is a ring and they go round its end.
pub fn for_each_span<'a>(
    params: &op::Conv,
    rows: &Range<usize>,
    rings: Rings,
    tensors: &Tensors<'a>,
    mut run: impl FnMut(Span<'a>) -> Option<()>,
) -> Option<()> {
    let width = usize::from(params.window.out_w);
    let row_bytes = width.checked_mul(params.window.out_c.into())?;
    let output = tensors.dst(params.output)?;
    let slots = if rings.output == 0 { rows.end } else { rings.output.into() };
    let mut y = rows.start;
    while y < rows.end {
        let slot = y.checked_rem(slots)?;
        let count = rows.end.checked_sub(y)?.min(slots.checked_sub(slot)?);
        run(Span {
            first: y.checked_mul(width)?,
            len: count.checked_mul(width)?,
            out: output.slice(slot.checked_mul(row_bytes)?, count.checked_mul(row_bytes)?)?,
        })?;
        y = y.checked_add(count)?;
    }
    Some(())
}

/// Limits what an operator has written to the bounds of a fused activation.
#[inline(always)]
pub fn limit<I: Isa>(
    params: &op::Conv,
    rows: &Range<usize>,
    rings: Rings,
    tensors: &Tensors<'_>,
) -> Option<()> {
    let bounds = (params.act_min, params.act_max);
    if bounds == (i8::MIN, i8::MAX) {
        return Some(());
    }
    for_each_span(params, rows, rings, tensors, |span| {
        I::clamp(span.out, bounds);
        Some(())
    })
}

/// Some output channels of one group.
struct Channels<'a> {
    constants: Constants<'a>,
    taps: usize,
    requantizer: Requantizer,
}

impl<'a> Channels<'a> {
    /// A span of pixels, whose outputs are `out_c` bytes apart, gathered block by block.
    fn blocks<I: Isa>(
        &self,
        patches: &Patches<'_>,
        span: &Span<'_>,
        out_c: usize,
        scratch: &mut [i8],
    ) -> Option<()> {
        let (first, second) = scratch.split_at_mut_checked(self.taps)?;
        let channels = self.constants.bias.len();
        let mut pixels = 0..span.len;
        while let Some(pixel) = pixels.next() {
            patches.copy(span.first.checked_add(pixel)?, first)?;
            let at = pixel.checked_mul(out_c)?;
            let out = span.out.slice(at, channels)?;
            if let Some(next) = pixels.next() {
                patches.copy(span.first.checked_add(next)?, second)?;
                let beside = span.out.slice(at.checked_add(out_c)?, channels)?;
                self.two_pixels::<I>([first, second], [out, beside])?;
            } else {
                self.one_pixel::<I>(first, out)?;
            }
        }
        Some(())
    }

    /// All channels of two pixels.
    fn two_pixels<I: Isa>(&self, patches: [&[i8]; 2], out: [Dst<'_>; 2]) -> Option<()> {
        let ([first, second], mut weights) = (out.map(|out| out.cells()), self.constants.weights);
        let (bias, odd) = self.constants.bias.as_chunks();
        let (multipliers, _) = self.constants.multipliers.as_chunks();
        let pixels = first.as_chunks().0.iter().zip(second.as_chunks().0);
        for (([b0, b1], [m0, m1]), ([x0, x1], [y0, y1])) in bias.iter().zip(multipliers).zip(pixels)
        {
            let rows = [self.next_row(&mut weights)?, self.next_row(&mut weights)?];
            let [[sx0, sx1], [sy0, sy1]] = I::dot_2x2(patches, rows);
            self.store(x0, sx0, *b0, *m0);
            self.store(x1, sx1, *b1, *m1);
            self.store(y0, sy0, *b0, *m0);
            self.store(y1, sy1, *b1, *m1);
        }
        if let [bias] = odd {
            // An odd last channel is computed twice.
            let [[x, _], [y, _]] = I::dot_2x2(patches, [self.next_row(&mut weights)?; 2]);
            let multiplier = *self.constants.multipliers.last()?;
            self.store(first.last()?, x, *bias, multiplier);
            self.store(second.last()?, y, *bias, multiplier);
        }
        Some(())
    }

    /// All channels of one pixel.
    fn one_pixel<I: Isa>(&self, patch: &[i8], out: Dst<'_>) -> Option<()> {
        let mut weights = self.constants.weights;
        let mut constants = self.constants.bias.iter().zip(self.constants.multipliers);
        let (quads, rest) = out.cells().as_chunks::<4>();
        for quad in quads {
            let mut rows = [patch; 4];
            for row in &mut rows {
                *row = self.next_row(&mut weights)?;
            }
            for (cell, sum) in quad.iter().zip(I::dot_1x4(patch, rows)) {
                let (bias, multiplier) = constants.next()?;
                self.store(cell, sum, *bias, *multiplier);
            }
        }
        for cell in rest {
            let [sum, ..] = I::dot_1x4(patch, [self.next_row(&mut weights)?; 4]);
            let (bias, multiplier) = constants.next()?;
            self.store(cell, sum, *bias, *multiplier);
        }
        Some(())
    }

    /// Takes the weights of one channel from the front of `weights`.
    #[inline(always)]
    fn next_row(&self, weights: &mut &'a [i8]) -> Option<&'a [i8]> {
        let (row, behind) = weights.split_at_checked(self.taps)?;
        *weights = behind;
        Some(row)
    }

    /// Turns a sum of products into an output.
    #[inline(always)]
    fn store(&self, cell: &Cell<i8>, sum: i32, bias: i32, multiplier: i32) {
        cell.set(self.requantizer.apply(sum.wrapping_add(bias), multiplier));
    }
}

#[cfg(test)]
mod tests {
    use fixie_format::Opcode;
    use fixie_format::op::Window;
    use proptest::prelude::*;

    use super::*;
    use crate::ops::conv_testing::{Layer, Traits, grouped_windows, pointwise, traits};

    proptest! {
        #[test]
        fn it_is_the_definition((window, groups) in grouped_windows(), traits in traits()) {
            let layer = Layer::new(window, Traits { groups, ..traits });
            prop_assert_eq!(layer.run::<Conv>(Opcode::Conv), Some(layer.expected()));
        }

        #[test]
        fn matrix_products_of_any_size(
            pixels in 1u16..7, in_c in 1u16..40, out_c in 1u16..20, traits in traits(),
        ) {
            let layer = Layer::new(pointwise(pixels, in_c, out_c), traits);
            prop_assert_eq!(layer.run::<Conv>(Opcode::Conv), Some(layer.expected()));
        }

        #[test]
        fn rings_hold_the_last_rows(
            (window, groups) in grouped_windows(), traits in traits(), ring_rows in 1u16..6,
        ) {
            let layer = Layer::new(window, Traits { groups, ..traits });
            let [found, expected] =
                layer.run_on_rings::<Conv>(Opcode::Conv, ring_rows).unwrap();
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn coded_constants_are_the_same(
            (window, groups) in grouped_windows(), traits in traits(),
        ) {
            let layer = Layer::new(window, Traits { groups, ..traits });
            layer.survives_coding::<Conv>(Opcode::Conv);
        }
    }

    #[test]
    fn changed_parameters_are_refused_or_run() {
        for seed in 0..4 {
            Layer::small(2, seed).survives_mutations::<Conv>(Opcode::Conv);
        }
    }

    #[test]
    fn contradictions_are_refused() {
        let (bench, params) = Layer::small(2, 1).packed(Opcode::Conv).unwrap();
        let check = |params| bench.check::<Conv>(&params, 4);
        let window = params.window;
        assert_eq!(check(params), Ok(()));
        for (changed, name) in [
            (op::Conv { groups: 0, ..params }, "groups"),
            (op::Conv { groups: 4, ..params }, "groups"),
            (op::Conv { shift: 32, ..params }, "shift"),
            (op::Conv { act_min: 1, act_max: 0, ..params }, "act_min"),
            (op::Conv { window: Window { kernel_w: 0, ..window }, ..params }, "window"),
        ] {
            assert_eq!(check(changed), Err(Rule::Parameter(name)));
        }
        assert_eq!(bench.check::<Conv>(&params, 5), Err(Rule::Rows));
        let longer = op::Conv { window: Window { in_w: 6, ..window }, ..params };
        assert_eq!(
            check(longer),
            Err(Rule::Length { tensor: params.input, needed: 144, given: 120 })
        );
        let constants = op::Conv { multipliers: params.multipliers + 4, ..params };
        assert_eq!(check(constants), Err(Rule::Data(constants.multipliers)));
        let overlap = op::Conv { scratch: params.input, ..params };
        assert_eq!(check(overlap), Err(Rule::Overlap(params.input)));
    }
}
