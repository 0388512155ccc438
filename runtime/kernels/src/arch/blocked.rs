//! What the inner loops of `ConvBlocked` work on.

use fixie_format::op::blocked;

/// Output pixels that are computed at a time.
pub const BLOCK: usize = 4;

/// Words of the expanded patches of a block, per tap.
pub const PATCH_WORDS: usize = 2;

/// The output channels of one group: a checked stream of weights, see [`blocked`].
#[derive(Clone, Copy)]
pub struct Filters<'a> {
    stream: &'a [u32],
    quads: usize,
    channels: usize,
    zero: i8,
}

impl<'a> Filters<'a> {
    /// A stream of `channels` channels with `quads` times four taps, both at least 1; `zero` is
    /// the output's zero point. `None` if the stream has another length, or if a patch is too
    /// large to be addressed.
    pub fn new(stream: &'a [u32], quads: usize, channels: usize, zero: i8) -> Option<Self> {
        quads.checked_mul(blocked::TAP_ALIGN * PATCH_WORDS * size_of::<u32>())?;
        let len = channels.checked_mul(blocked::channel_words(quads))?;
        let fits = len == stream.len() && channels != 0 && quads != 0;
        fits.then_some(Self { stream, quads, channels, zero })
    }

    /// The whole stream.
    pub fn stream(&self) -> &'a [u32] {
        self.stream
    }

    /// Words of one channel.
    pub fn channel_words(&self) -> usize {
        blocked::channel_words(self.quads)
    }

    /// Groups of four taps.
    pub fn quads(&self) -> usize {
        self.quads
    }

    /// Words of the expanded patches of a block.
    pub fn patch_words(&self) -> usize {
        self.quads.wrapping_mul(blocked::TAP_ALIGN * PATCH_WORDS)
    }

    /// Number of output channels.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Zero point of the output.
    pub fn zero(&self) -> i8 {
        self.zero
    }
}
