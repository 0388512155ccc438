//! The constants of `Conv`: weights in rows, biases and multipliers beside them.

use core::marker::PhantomData;

use fixie_format::op;

use crate::coded::decoder::{Decoder, Grid};
use crate::coded::source::{Order, Storage, Stream};
use crate::memory::Tensors;
use crate::ops::patch::Shape;

/// The constants of some output channels.
#[derive(Clone, Copy, Default)]
pub struct Constants<'a> {
    /// One per channel.
    pub bias: &'a [i32],
    /// One per channel.
    pub multipliers: &'a [i32],
    /// `[channels][taps]`.
    pub weights: &'a [i8],
}

impl<'a> Constants<'a> {
    /// As [`RowOrder`] lays them out.
    fn decoded(words: &'a [u32], channels: usize, taps: usize) -> Option<Self> {
        let (bias, rest) = words.split_at_checked(channels)?;
        let (multipliers, weights) = rest.split_at_checked(channels)?;
        let weights: &[i8] = bytemuck::must_cast_slice(weights);
        Some(Self {
            bias: bytemuck::must_cast_slice(bias),
            multipliers: bytemuck::must_cast_slice(multipliers),
            weights: weights.get(..channels.checked_mul(taps)?)?,
        })
    }

    /// Some channels, and those behind them.
    fn split(&self, channels: usize, taps: usize) -> Option<(Self, Self)> {
        let bias = self.bias.split_at_checked(channels)?;
        let multipliers = self.multipliers.split_at_checked(channels)?;
        let weights = self.weights.split_at_checked(channels.checked_mul(taps)?)?;
        let first = Self { bias: bias.0, multipliers: multipliers.0, weights: weights.0 };
        Some((first, Self { bias: bias.1, multipliers: multipliers.1, weights: weights.1 }))
    }
}

/// Decoded constants of some channels: biases, multipliers, weights.
pub struct RowOrder {
    /// Weights of a channel.
    pub taps: usize,
}

impl Order for RowOrder {
    const UNIT: usize = 1;

    fn words(&self, channels: usize) -> Option<usize> {
        let weights = channels.checked_mul(self.taps)?.div_ceil(size_of::<u32>());
        weights.checked_add(channels.checked_mul(2)?)
    }

    #[inline(never)]
    fn decode(
        &self,
        decoder: &mut Decoder<'_, '_>,
        channels: usize,
        words: &mut [u32],
    ) -> Option<()> {
        let (bias, rest) = words.split_at_mut_checked(channels)?;
        let (multipliers, weights) = rest.split_at_mut_checked(channels)?;
        let weights: &mut [i8] = bytemuck::must_cast_slice_mut(weights);
        let rows = weights.chunks_mut(self.taps.max(1));
        for ((bias, multiplier), row) in bias.iter_mut().zip(multipliers).zip(rows) {
            *bias = decoder.bias() as u32;
            *multiplier = decoder.multiplier() as u32;
            decoder.weights(row, Grid::line(self.taps, 1))?;
        }
        Some(())
    }
}

/// The constants of all output channels in order, from an image or a stream.
pub struct Rows<'a, 's, S> {
    /// Of the channels to come.
    stored: Constants<'a>,
    stream: Option<Stream<'a, 's, RowOrder>>,
    taps: usize,
    storage: PhantomData<S>,
}

impl<'a, 's, S: Storage> Rows<'a, 's, S> {
    /// Decodes to `buffer` if there is a decoder.
    pub fn new(
        params: &op::Conv,
        shape: &Shape,
        tensors: &Tensors<'a>,
        (decoder, buffer): (Option<Decoder<'a, 's>>, &'s mut [u32]),
    ) -> Option<Self> {
        let (taps, out_c) = (shape.taps, usize::from(params.window.out_c));
        let stored = if decoder.is_some() {
            Constants::default()
        } else {
            Constants {
                bias: tensors.data(params.bias, out_c)?,
                multipliers: tensors.data(params.multipliers, out_c)?,
                weights: tensors.data(params.weights, out_c.checked_mul(taps)?)?,
            }
        };
        let stream = decoder.map(|decoder| Stream::new(decoder, RowOrder { taps }, buffer));
        Some(Self { stored, stream, taps, storage: PhantomData })
    }

    /// The next channels: `limit` of them, or fewer if they are decoded.
    pub fn next(&mut self, limit: usize) -> Option<Constants<'_>> {
        match &mut self.stream {
            Some(stream) if S::DECODES => {
                let (words, channels) = stream.next(limit)?;
                Constants::decoded(words, channels, self.taps)
            }
            _ => {
                let (next, rest) = self.stored.split(limit, self.taps)?;
                self.stored = rest;
                Some(next)
            }
        }
    }
}
