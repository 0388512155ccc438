//! What the inner loops of `ConvBlocked` work on.

use fixie_format::op::blocked;

use crate::arch::products::Products;
use crate::arch::scalar::pieces;

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
    is_short: bool,
}

impl<'a> Filters<'a> {
    /// A stream of `channels` channels with `quads` times four taps, both at least 1; `zero` is
    /// the output's zero point. `None` if the stream has another length, or if a patch is too
    /// large to be addressed.
    pub fn new(stream: &'a [u32], quads: usize, channels: usize, zero: i8) -> Option<Self> {
        quads.checked_mul(blocked::TAP_ALIGN * PATCH_WORDS * size_of::<u32>())?;
        let len = channels.checked_mul(blocked::channel_words(quads))?;
        let fits = len == stream.len() && channels != 0 && quads != 0;
        fits.then_some(Self { stream, quads, channels, zero, is_short: false })
    }

    /// Finds out whether products are [`Products::Short`].
    #[must_use]
    pub fn measured(self) -> Self {
        // In most layers in which they are not, the first channel says so.
        if self.stream.get(1).is_some_and(|multiplier| multiplier & 0xffff != 0) {
            return self;
        }
        let constants = pieces(self.stream, self.channel_words()).map(|channel| match channel {
            [bias, multiplier, ..] => (*bias as i32, *multiplier as i32),
            _ => (0, 0),
        });
        let taps = self.quads.wrapping_mul(blocked::TAP_ALIGN);
        Self { is_short: Products::of(taps, constants) == Products::Short, ..self }
    }

    /// Whether products are known to be [`Products::Short`].
    pub fn is_short(&self) -> bool {
        self.is_short
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
