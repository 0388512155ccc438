//! `ConvWide`: convolution and matrix product of elements of 8 or 16 bits, for every core.
//!
//! ```text
//! for every output pixel:
//!     gather its patch into scratch memory, all groups, as elements of 16 bits
//!     for every four output channels: dot products, requantise, store
//! ```
//!
//! To gathering and storing a tensor of 16-bit elements is one of twice as many channels of a byte.

use core::marker::PhantomData;
use core::ops::Range;

use fixie_format::Image;
use fixie_format::op::{self, Window};

use crate::arch::view::Dst;
use crate::arch::{Isa, Native};
use crate::memory::{Memory, Tensors};
use crate::ops::Operator;
use crate::ops::conv::{Rings, check_conv, for_each_span, patches};
use crate::ops::patch::Shape;
use crate::ops::wide::{Output, WIDE, check_zero, element_bytes};
use crate::rule::{Rule, check_data, check_scratch, check_that};

/// [`Opcode::ConvWide`](fixie_format::Opcode::ConvWide), its inner loop by `I`.
pub struct ConvWide<I = Native>(PhantomData<I>);

/// Bytes of scratch memory: the patch of a pixel.
pub fn scratch_len(params: &op::ConvWide) -> Option<usize> {
    elements(params, &params.window, 1).and_then(|whole| whole.taps.checked_mul(WIDE))
}

/// The extents of a convolution with this window and number of groups.
fn elements(params: &op::ConvWide, window: &Window, groups: u16) -> Option<Shape> {
    Shape::new(&as_conv(params, *window, groups))
}

/// A record of what all convolutions have in common.
fn as_conv(params: &op::ConvWide, window: Window, groups: u16) -> op::Conv {
    op::Conv {
        input: params.input,
        output: params.output,
        scratch: params.scratch,
        groups,
        window,
        weights: params.weights,
        bias: params.bias,
        multipliers: params.multipliers,
        shift: params.shift,
        pad_value: params.pad_value,
        out_zero: params.out_zero,
        act_min: 0,
        act_max: 0,
        coding: 0,
        reserved: [0; 2],
    }
}

/// How an image holds the elements of a layer.
struct Format {
    /// Bytes of an element of the input.
    in_bytes: usize,
    /// How results are written.
    output: Output,
    /// The layer, its channels being bytes and its groups one.
    bytes: op::Conv,
}

impl Format {
    fn new(params: &op::ConvWide, image: &Image<'_>) -> Result<Self, Rule> {
        let in_bytes = element_bytes(image, params.input, "input")?;
        let (rounding, bounds) =
            ((params.shift, params.out_zero), (params.act_min, params.act_max));
        let output = Output::new(image, params.output, rounding, bounds)?;
        let window = params.window;
        let wider = |channels: u16, bytes: usize| channels.checked_mul(bytes as u16);
        let (Some(in_c), Some(out_c)) =
            (wider(window.in_c, in_bytes), wider(window.out_c, output.bytes))
        else {
            return Err(Rule::Parameter("window"));
        };
        let bytes = as_conv(params, Window { in_c, out_c, ..window }, 1);
        Ok(Self { in_bytes, output, bytes })
    }
}

impl<I: Isa> Operator for ConvWide<I> {
    type Params = op::ConvWide;

    fn check(params: &op::ConvWide, rows: u16, image: &Image<'_>) -> Result<(), Rule> {
        let format = Format::new(params, image)?;
        check_conv(&format.bytes, rows, image)?;
        format.output.check()?;
        check_zero(params.pad_value, format.in_bytes, "pad_value")?;
        let shape = elements(params, &params.window, params.groups);
        let shape = shape.ok_or(Rule::Parameter("groups"))?;
        check_that(params.reserved == 0, "reserved")?;
        let tensors = [params.input, params.output];
        check_scratch(image, params.scratch, scratch_len(params), &tensors)?;
        let channels = usize::from(params.window.out_c);
        check_data::<i8>(image, params.weights, channels.checked_mul(shape.taps))?;
        check_data::<i32>(image, params.bias, Some(channels))?;
        check_data::<i32>(image, params.multipliers, Some(channels))
    }

    // Not inlined, so that the stack holds the frame of one operator only.
    #[inline(never)]
    fn run(params: &op::ConvWide, rows: Range<usize>, memory: &mut Memory<'_>) -> Option<()> {
        let Format { in_bytes, output, bytes } = Format::new(params, memory.image()).ok()?;
        let rings = Rings::new(&bytes, memory.image())?;
        let gathered = Shape::new(&bytes)?;
        let (scratch, tensors) = memory.with_scratch(params.scratch)?;
        let scratch = scratch.get_mut(..scratch_len(params)?)?;
        let layer = Layer::new(params, output, &tensors)?;
        let patches = patches(&bytes, 0, &gathered, &tensors, rings)?;
        for_each_span(&bytes, &rows, rings, &tensors, |span| {
            let row = usize::from(bytes.window.out_c);
            for pixel in 0..span.len {
                // Bytes lie in the upper half, from where they are widened.
                let start = scratch.len().checked_sub(gathered.taps)?;
                let patch = bytemuck::must_cast_slice_mut(scratch.get_mut(start..)?);
                patches.copy(span.first.checked_add(pixel)?, patch)?;
                if in_bytes == 1 {
                    widen(scratch)?;
                }
                let patch: &mut [i16] = bytemuck::try_cast_slice_mut(scratch).ok()?;
                layer.pixel::<I>(patch, span.out.slice(pixel.checked_mul(row)?, row)?)?;
            }
            Some(())
        })
    }
}

/// Makes elements of 16 bits, in order, of the bytes in the upper half.
fn widen(scratch: &mut [u8]) -> Option<()> {
    let len = scratch.len().checked_div(WIDE)?;
    for index in 0..len {
        // Never behind the byte that is read next.
        let value = i16::from(*scratch.get(len.wrapping_add(index))? as i8);
        let at = index.wrapping_mul(WIDE);
        *scratch.get_mut(at..)?.first_chunk_mut()? = value.to_le_bytes();
    }
    Some(())
}

/// A layer's constants, and how its results are written.
struct Layer<'a> {
    shape: Shape,
    /// Input channels of all groups.
    in_c: usize,
    weights: &'a [i8],
    bias: &'a [i32],
    multipliers: &'a [i32],
    output: Output,
}

impl<'a> Layer<'a> {
    fn new(params: &op::ConvWide, output: Output, tensors: &Tensors<'a>) -> Option<Self> {
        let shape = elements(params, &params.window, params.groups)?;
        let channels = usize::from(params.window.out_c);
        Some(Self {
            shape,
            in_c: params.window.in_c.into(),
            weights: tensors.data(params.weights, channels.checked_mul(shape.taps)?)?,
            bias: tensors.data(params.bias, channels)?,
            multipliers: tensors.data(params.multipliers, channels)?,
            output,
        })
    }

    /// All channels of a pixel from its patch, `[kernel_h][kernel_w][in_c]`, which may change.
    fn pixel<I: Isa>(&self, patch: &mut [i16], out: Dst<'_>) -> Option<()> {
        let Shape { group_in, group_out, .. } = self.shape;
        if group_in == self.in_c {
            I::arrange_wide(patch);
            let dot = |_, rows| I::dot_wide(patch, rows);
            return self.by_four(out, dot, |_, row| I::dot_wide(patch, [row; 4])[0]);
        }
        let dot = |channel: usize, row: &[i8]| {
            let group = channel.checked_div(group_out).unwrap_or(0);
            self.dot(patch, group.wrapping_mul(group_in), row)
        };
        if (group_in, group_out) == (1, 1) {
            self.by_four(out, |channel, rows| self.dot_each(patch, channel, rows), dot)
        } else {
            let each = |channel: usize, rows: [&[i8]; 4]| {
                let [a, b, c, d] = rows;
                let at = |place: usize, row| dot(channel.wrapping_add(place), row);
                [at(0, a), at(1, b), at(2, c), at(3, d)]
            };
            self.by_four(out, each, dot)
        }
    }

    /// Computes four channels at a time by `four`, and what is left by `one`: both get the number of
    /// the first channel and the weights, and give sums.
    #[inline(always)]
    fn by_four(
        &self,
        out: Dst<'_>,
        four: impl Fn(usize, [&'a [i8]; 4]) -> [i32; 4],
        one: impl Fn(usize, &'a [i8]) -> i32,
    ) -> Option<()> {
        let (biases, odd_biases) = self.bias.as_chunks::<4>();
        let (multipliers, odd_multipliers) = self.multipliers.as_chunks::<4>();
        let (mut weights, mut channel) = (self.weights, 0usize);
        for (bias, multipliers) in biases.iter().zip(multipliers) {
            let rows = [
                self.next_row(&mut weights)?,
                self.next_row(&mut weights)?,
                self.next_row(&mut weights)?,
                self.next_row(&mut weights)?,
            ];
            let mut accs = four(channel, rows);
            for (acc, bias) in accs.iter_mut().zip(bias) {
                *acc = acc.wrapping_add(*bias);
            }
            self.output.store(out, channel, accs, multipliers)?;
            channel = channel.wrapping_add(4);
        }
        for (&bias, &multiplier) in odd_biases.iter().zip(odd_multipliers) {
            let acc = one(channel, self.next_row(&mut weights)?).wrapping_add(bias);
            self.output.store(out, channel, [acc], &[multiplier])?;
            channel = channel.wrapping_add(1);
        }
        Some(())
    }

    /// Takes the weights of one channel from the front of `weights`.
    #[inline(always)]
    fn next_row(&self, weights: &mut &'a [i8]) -> Option<&'a [i8]> {
        let (row, behind) = weights.split_at_checked(self.shape.taps)?;
        *weights = behind;
        Some(row)
    }

    /// The dot product of one channel's weights with the channels from `first` on, as many as a group
    /// has, of each position of a patch.
    fn dot(&self, patch: &[i16], first: usize, row: &[i8]) -> i32 {
        let (mut sum, mut at, mut rest) = (0i32, first, row);
        while let Some((weights, behind)) = rest.split_at_checked(self.shape.group_in) {
            let Some(inputs) = patch.get(at..).filter(|_| !weights.is_empty()) else {
                break;
            };
            for (&w, &x) in weights.iter().zip(inputs) {
                sum = i32::from(x).wrapping_mul(w.into()).wrapping_add(sum);
            }
            (rest, at) = (behind, at.wrapping_add(self.in_c));
        }
        sum
    }

    /// The dot products of four channels' weights, each with one channel, from `first` on, of each
    /// position of a patch.
    fn dot_each(&self, patch: &[i16], first: usize, [a, b, c, d]: [&[i8]; 4]) -> [i32; 4] {
        let (mut sums, mut at) = ([0i32; 4], first);
        for (((&a, &b), &c), &d) in a.iter().zip(b).zip(c).zip(d) {
            let Some(inputs) = patch.get(at..).and_then(<[i16]>::first_chunk::<4>) else {
                break;
            };
            for ((sum, &x), w) in sums.iter_mut().zip(inputs).zip([a, b, c, d]) {
                *sum = i32::from(x).wrapping_mul(w.into()).wrapping_add(*sum);
            }
            at = at.wrapping_add(self.in_c);
        }
        sums
    }
}

#[cfg(test)]
mod tests;
