//! The constants of a convolution, some output channels at a time.

use core::marker::PhantomData;

use fixie_format::op::coded::CODED;
use fixie_format::{Image, op};

use crate::coded::decoder::{Decoder, Grid, Table, check_stream};
use crate::memory::{Tensors, words_mut};
use crate::rule::{Rule, check_that};

/// Whether kernels can decode their constants: what they do not need is not linked.
pub trait Storage {
    /// They can.
    const DECODES: bool;
}

/// Constants that lie in the image as the opcode orders them.
pub struct Plain;

impl Storage for Plain {
    const DECODES: bool = false;
}

/// Constants that may be coded.
pub struct Coded;

impl Storage for Coded {
    const DECODES: bool = true;
}

/// Whether the constants of a convolution are coded.
pub fn is_coded(params: &op::Conv) -> bool {
    params.coding != 0
}

/// Checks coded constants; `None` if they are not coded.
pub fn check_coded<S: Storage>(params: &op::Conv, image: &Image<'_>) -> Option<Result<(), Rule>> {
    let check = || {
        check_that(S::DECODES && params.coding == CODED, "coding")?;
        check_stream(image, params.weights)
    };
    is_coded(params).then(check)
}

/// How an opcode lays out the constants of consecutive output channels.
pub trait Order {
    /// Channels that share words.
    const UNIT: usize;

    /// Words of so many channels; `None` if they overflow.
    fn words(&self, channels: usize) -> Option<usize>;

    /// Fills `words` with the next channels; `None` if they are not as many as they must be.
    fn decode(
        &self,
        decoder: &mut Decoder<'_, '_>,
        channels: usize,
        words: &mut [u32],
    ) -> Option<()>;
}

/// Decodes channels of `len` words each: bias, multiplier, and weights in a `grid`, zeros between.
#[inline(always)]
pub fn decode_channels(
    decoder: &mut Decoder<'_, '_>,
    words: &mut [u32],
    len: usize,
    grid: Grid,
) -> Option<()> {
    for channel in words.chunks_mut(len.max(1)) {
        let [bias, multiplier, weights @ ..] = channel else {
            return None;
        };
        *bias = decoder.bias() as u32;
        *multiplier = decoder.multiplier() as u32;
        weights.fill(0);
        decoder.weights(bytemuck::must_cast_slice_mut(weights), grid)?;
    }
    Some(())
}

/// Goes through the output channels in order, never beyond a group at once: `run` gets the group, the
/// next channel and how many of the group are left from there on, and says how many it has done.
#[inline(always)]
pub fn for_each_part(
    groups: usize,
    group_out: usize,
    mut run: impl FnMut(usize, usize, usize) -> Option<usize>,
) -> Option<()> {
    for group in 0..groups {
        let mut first = group.checked_mul(group_out)?;
        let end = first.checked_add(group_out)?;
        while first < end {
            first = first.checked_add(run(group, first, end.wrapping_sub(first))?)?;
        }
    }
    Some(())
}

/// Bytes of scratch memory with which a kernel can decode `channels` output channels at a time, of
/// the `all` that it has in a group, or the few that it must; 0 if its constants are not coded.
pub fn decoded_len<O: Order>(
    params: &op::Conv,
    order: &O,
    (channels, all): (usize, usize),
) -> Option<usize> {
    if !is_coded(params) {
        return Some(0);
    }
    let channels = channels.clamp(1, all.max(1)).next_multiple_of(O::UNIT).min(all);
    order.words(channels)?.checked_mul(size_of::<u32>())?.checked_add(size_of::<Table>())
}

/// A decoder of coded constants, which takes its table from the start of `scratch`, and the rest of
/// that. There is none, and all is left, if the constants are not coded.
pub fn decoder<'a, 's, S: Storage>(
    params: &op::Conv,
    tensors: &Tensors<'a>,
    scratch: &'s mut [u8],
) -> Option<(Option<Decoder<'a, 's>>, &'s mut [u8])> {
    if !S::DECODES || !is_coded(params) {
        return Some((None, scratch));
    }
    let (table, rest) = scratch.split_at_mut_checked(size_of::<Table>())?;
    let table = words_mut(table)?.first_chunk_mut()?;
    Some((Some(Decoder::new(tensors.data_from(params.weights)?, table)?), rest))
}

/// Output channels that are being decoded.
pub struct Stream<'a, 's, O> {
    decoder: Decoder<'a, 's>,
    order: O,
    /// Where they are decoded.
    buffer: &'s mut [u32],
}

impl<'a, 's, O: Order> Stream<'a, 's, O> {
    /// Decodes as many channels at a time as `buffer` has room for.
    pub fn new(decoder: Decoder<'a, 's>, order: O, buffer: &'s mut [u32]) -> Self {
        Self { decoder, order, buffer }
    }

    /// The next channels, at most `limit`, and their number; `None` if there is no room for any.
    pub fn next(&mut self, limit: usize) -> Option<(&[u32], usize)> {
        let room = self.buffer.len();
        let channels = if self.order.words(limit)? <= room {
            limit
        } else {
            room.checked_div(self.order.words(O::UNIT)?)?.wrapping_mul(O::UNIT)
        };
        let words = self.buffer.get_mut(..self.order.words(channels)?)?;
        self.order.decode(&mut self.decoder, channels, words)?;
        (channels != 0).then_some((words, channels))
    }
}

/// The constants of all output channels in order, from an image or a stream.
pub struct Source<'a, 's, O, S> {
    place: Place<'a, 's, O>,
    storage: PhantomData<S>,
}

enum Place<'a, 's, O> {
    Image { rest: &'a [u32], order: O },
    Stream(Stream<'a, 's, O>),
}

impl<'a, 's, O: Order, S: Storage> Source<'a, 's, O, S> {
    /// Takes `words` words from the image if there is no decoder, otherwise decodes to `buffer`.
    pub fn new(
        params: &op::Conv,
        order: O,
        words: usize,
        tensors: &Tensors<'a>,
        (decoder, buffer): (Option<Decoder<'a, 's>>, &'s mut [u32]),
    ) -> Option<Self> {
        let place = match decoder {
            Some(decoder) if S::DECODES => Place::Stream(Stream::new(decoder, order, buffer)),
            _ => Place::Image { rest: tensors.data(params.weights, words)?, order },
        };
        Some(Self { place, storage: PhantomData })
    }

    /// The words of the next channels, at most `limit`, and the number of channels: all that there
    /// may be, unless they are decoded.
    pub fn next(&mut self, limit: usize) -> Option<(&[u32], usize)> {
        match &mut self.place {
            Place::Stream(stream) if S::DECODES => stream.next(limit),
            Place::Stream(_) => None,
            Place::Image { rest, order } => {
                let (words, behind) = rest.split_at_checked(order.words(limit)?)?;
                *rest = behind;
                Some((words, limit))
            }
        }
    }
}
