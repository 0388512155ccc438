//! Constants in three arrays: biases, multipliers, weights.

use fixie_format::{Image, op};

use crate::coded::decoder::{Decoder, Grid};
use crate::coded::source::{Order, Storage, Stream, check_stream};
use crate::memory::Tensors;
use crate::ops::patch::Shape;
use crate::rule::{Rule, check_data};

/// Checks constants, in arrays or coded.
///
/// # Errors
///
/// [`Rule::Data`] where they leave the data section, [`Rule::Parameter`] where a stream is wrong.
pub fn check_constants<S: Storage>(
    params: &op::Conv,
    taps: usize,
    image: &Image<'_>,
) -> Result<(), Rule> {
    let out_c = usize::from(params.window.out_c);
    if let Some(coded) = check_stream::<S>(params, taps, image) {
        return coded;
    }
    check_data::<i8>(image, params.weights, out_c.checked_mul(taps))?;
    check_data::<i32>(image, params.bias, Some(out_c))?;
    check_data::<i32>(image, params.multipliers, Some(out_c))
}

/// The constants of some output channels.
#[derive(Clone, Copy, Default)]
pub struct Constants<'a> {
    /// One per channel.
    pub bias: &'a [i32],
    /// One per channel.
    pub multipliers: &'a [i32],
    /// `[channels][taps]`, or `[taps][channels]`.
    pub weights: &'a [i8],
}

impl<'a> Constants<'a> {
    /// Those of all channels, from the image.
    pub fn stored(params: &op::Conv, taps: usize, tensors: &Tensors<'a>) -> Option<Self> {
        let out_c = usize::from(params.window.out_c);
        Some(Self {
            bias: tensors.data(params.bias, out_c)?,
            multipliers: tensors.data(params.multipliers, out_c)?,
            weights: tensors.data(params.weights, out_c.checked_mul(taps)?)?,
        })
    }

    /// As [`ArrayOrder`] lays them out.
    pub fn decoded(words: &'a [u32], channels: usize, taps: usize) -> Option<Self> {
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
pub struct ArrayOrder {
    /// Weights of a channel.
    pub taps: usize,
    /// Weights lie `[taps][channels]`, otherwise `[channels][taps]`.
    pub by_tap: bool,
}

impl Order for ArrayOrder {
    const UNIT: usize = 1;

    fn words(&self, channels: usize) -> Option<usize> {
        let weights = channels.checked_mul(self.taps)?.div_ceil(size_of::<u32>());
        weights.checked_add(channels.checked_mul(2)?)
    }

    #[inline(never)]
    fn decode<S: Storage>(
        &self,
        decoder: &mut Decoder<'_, '_, S>,
        channels: usize,
        words: &mut [u32],
    ) -> Option<()> {
        let (bias, rest) = words.split_at_mut_checked(channels)?;
        let (multipliers, weights) = rest.split_at_mut_checked(channels)?;
        let weights: &mut [i8] = bytemuck::must_cast_slice_mut(weights);
        // From one channel's weights to the next one's, and from one weight of a channel to the next.
        let (step, tap_step) = if self.by_tap { (1, channels) } else { (self.taps, 1) };
        let mut start = 0_usize;
        for (bias, multiplier) in bias.iter_mut().zip(multipliers) {
            *bias = decoder.bias() as u32;
            *multiplier = decoder.multiplier() as u32;
            decoder.weights(weights.get_mut(start..)?, Grid::line(self.taps, tap_step))?;
            start = start.wrapping_add(step);
        }
        Some(())
    }
}

/// The constants of all output channels in order, from an image or a stream.
pub struct Rows<'a, 's, S> {
    /// Of the channels to come.
    stored: Constants<'a>,
    stream: Option<Stream<'a, 's, ArrayOrder, S>>,
    taps: usize,
}

impl<'a, 's, S: Storage> Rows<'a, 's, S> {
    /// Decodes to `buffer` if there is a decoder.
    pub fn new(
        params: &op::Conv,
        shape: &Shape,
        tensors: &Tensors<'a>,
        (decoder, buffer): (Option<Decoder<'a, 's, S>>, &'s mut [u32]),
    ) -> Option<Self> {
        let taps = shape.taps;
        let stored = if decoder.is_some() {
            Constants::default()
        } else {
            Constants::stored(params, taps, tensors)?
        };
        let stream =
            decoder.map(|decoder| Stream::new(decoder, ArrayOrder { taps, by_tap: false }, buffer));
        Some(Self { stored, stream, taps })
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
