//! The constants of a convolution, some output channels at a time.

use fixie_format::op::coded::CODED;
use fixie_format::op::packed::PACKED;
use fixie_format::{Image, op};

use crate::coded::decoder::{Decoder, Grid, working_len};
use crate::coded::rans::check_coded;
use crate::coded::unpacker::check_packed;
use crate::memory::Tensors;
use crate::rule::Rule;

/// Which constants kernels can use besides those that lie in the image as the opcode orders them: what
/// decodes others is not linked.
pub trait Storage {
    /// Coded ones.
    const CODED: bool;
    /// Packed ones.
    const PACKED: bool;
    /// Some of them.
    const DECODES: bool = Self::CODED || Self::PACKED;
}

/// Constants of every kind.
pub struct Any;

impl Storage for Any {
    const CODED: bool = true;
    const PACKED: bool = true;
}

/// Whether the constants of a convolution are a stream.
pub fn is_coded(params: &op::Conv) -> bool {
    params.coding != 0
}

/// Checks constants that are a stream, with so many weights per channel; `None` if they are none.
pub fn check_stream<S: Storage>(
    params: &op::Conv,
    taps: usize,
    image: &Image<'_>,
) -> Option<Result<(), Rule>> {
    let check = || match params.coding {
        CODED if S::CODED => check_coded(image, params.weights),
        PACKED if S::PACKED => {
            check_packed(image, params.weights, params.window.out_c.into(), taps)
        }
        _ => Err(Rule::Parameter("coding")),
    };
    is_coded(params).then(check)
}

/// How an opcode lays out the constants of consecutive output channels.
pub trait Order {
    /// Channels that share words.
    const UNIT: usize;

    /// Words of so many channels; `None` if they overflow.
    fn words(&self, channels: usize) -> Option<usize>;

    /// Fills `words` with the next channels; `None` if they are not as many as they must be. Words
    /// that are never written are 0.
    fn decode<S: Storage>(
        &self,
        decoder: &mut Decoder<'_, '_, S>,
        channels: usize,
        words: &mut [u32],
    ) -> Option<()>;
}

/// Decodes channels of `len` words each: bias, multiplier, and weights in a `grid`, with zeros between
/// those as they were.
#[inline(always)]
pub fn decode_channels<S: Storage>(
    decoder: &mut Decoder<'_, '_, S>,
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
    order.words(channels)?.checked_mul(size_of::<u32>())?.checked_add(working_len(params))
}

/// A decoder of constants that are a stream, and the scratch memory that it leaves. There is none, and
/// all is left, if they are not.
pub fn decoder<'a, 's, S: Storage>(
    params: &op::Conv,
    tensors: &Tensors<'a>,
    scratch: &'s mut [u8],
) -> Option<(Option<Decoder<'a, 's, S>>, &'s mut [u8])> {
    if !S::DECODES || !is_coded(params) {
        return Some((None, scratch));
    }
    let (decoder, rest) = Decoder::new(params, tensors, scratch)?;
    Some((Some(decoder), rest))
}

/// Output channels that are being decoded.
pub struct Stream<'a, 's, O, S> {
    decoder: Decoder<'a, 's, S>,
    order: O,
    /// Where they are decoded.
    buffer: &'s mut [u32],
}

impl<'a, 's, O: Order, S: Storage> Stream<'a, 's, O, S> {
    /// Decodes as many channels at a time as `buffer` has room for.
    pub fn new(decoder: Decoder<'a, 's, S>, order: O, buffer: &'s mut [u32]) -> Self {
        // What fills up words beside the weights, for all channels.
        buffer.fill(0);
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
pub enum Source<'a, 's, O, S> {
    /// As the opcode orders them.
    Image {
        /// Of the channels to come.
        rest: &'a [u32],
        /// That order.
        order: O,
    },
    /// To be decoded.
    Stream(Stream<'a, 's, O, S>),
}

impl<'a, 's, O: Order, S: Storage> Source<'a, 's, O, S> {
    /// Takes `words` words from the image if there is no decoder, otherwise decodes to `buffer`.
    pub fn new(
        params: &op::Conv,
        order: O,
        words: usize,
        tensors: &Tensors<'a>,
        (decoder, buffer): (Option<Decoder<'a, 's, S>>, &'s mut [u32]),
    ) -> Option<Self> {
        Some(match decoder {
            Some(decoder) if S::DECODES => Self::Stream(Stream::new(decoder, order, buffer)),
            _ => Self::Image { rest: tensors.data(params.weights, words)?, order },
        })
    }

    /// The words of the next channels, at most `limit`, and the number of channels: all that there
    /// may be, unless they are decoded.
    pub fn next(&mut self, limit: usize) -> Option<(&[u32], usize)> {
        match self {
            Self::Stream(stream) if S::DECODES => stream.next(limit),
            Self::Stream(_) => None,
            Self::Image { rest, order } => {
                let (words, behind) = rest.split_at_checked(order.words(limit)?)?;
                *rest = behind;
                Some((words, limit))
            }
        }
    }
}
