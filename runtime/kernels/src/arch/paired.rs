//! What the inner loops of `ConvPaired` work on.

use fixie_format::op::paired;

use crate::arch::view::Src;

/// Output pixels that are computed at a time.
pub const BLOCK: usize = 3;

/// Words of the expanded patches of a block, per four taps: two for each pixel.
pub const PATCH_WORDS: usize = 2 * BLOCK;

/// The output channels of one group: a checked stream of weights, see [`paired`].
#[derive(Clone, Copy)]
pub struct Pairs<'a> {
    stream: &'a [u32],
    quads: usize,
    channels: usize,
    zero: i8,
}

impl<'a> Pairs<'a> {
    /// A stream of `channels` channels with `quads` times four taps, both at least 1; `zero` is
    /// the output's zero point. `None` if the stream has another length, or if a patch is too
    /// large to be addressed.
    pub fn new(stream: &'a [u32], quads: usize, channels: usize, zero: i8) -> Option<Self> {
        quads.checked_mul(PATCH_WORDS * size_of::<u32>())?;
        let len = channels.div_ceil(2).checked_mul(paired::pair_words(quads))?;
        let fits = len == stream.len() && channels != 0 && quads != 0;
        fits.then_some(Self { stream, quads, channels, zero })
    }

    /// The whole stream.
    pub fn stream(&self) -> &'a [u32] {
        self.stream
    }

    /// Words of one pair.
    pub fn pair_words(&self) -> usize {
        paired::pair_words(self.quads)
    }

    /// Groups of four taps.
    pub fn quads(&self) -> usize {
        self.quads
    }

    /// Taps with padding, a multiple of 4.
    pub fn taps(&self) -> usize {
        self.quads.wrapping_mul(paired::TAP_ALIGN)
    }

    /// Words of the expanded patches of a block.
    pub fn patch_words(&self) -> usize {
        self.quads.wrapping_mul(PATCH_WORDS)
    }

    /// Number of output channels; an odd last one is paired with nothing.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Zero point of the output.
    pub fn zero(&self) -> i8 {
        self.zero
    }
}

/// Neighbouring pixels whose patches lie in the input as they are: for each pixel `rows` runs of
/// `quads` times four bytes.
#[derive(Clone, Copy)]
pub struct Strip<'a> {
    source: Src<'a>,
    pixel_step: usize,
    rows: usize,
    row_step: usize,
    quads: usize,
    blocks: usize,
}

/// How the runs of a [`Strip`] lie.
#[derive(Clone, Copy)]
pub struct Steps {
    /// Bytes from one pixel's run to the next pixel's.
    pub pixel: usize,
    /// Bytes from one run of a pixel to its next.
    pub row: usize,
}

impl<'a> Strip<'a> {
    /// As many whole blocks of at most `pixels` pixels as `source` holds; `None` if it holds none.
    pub fn new(
        source: Src<'a>,
        steps: Steps,
        (rows, quads): (usize, usize),
        pixels: usize,
    ) -> Option<Self> {
        let last_row = rows.checked_sub(1)?.checked_mul(steps.row)?;
        let extent = last_row.checked_add(quads.checked_mul(paired::TAP_ALIGN)?)?;
        let behind = source.len().checked_sub(extent)?;
        let held = behind.checked_div(steps.pixel)?.checked_add(1)?;
        let blocks = pixels.min(held) / BLOCK;
        (blocks != 0 && quads != 0).then_some(Self {
            source,
            pixel_step: steps.pixel,
            rows,
            row_step: steps.row,
            quads,
            blocks,
        })
    }

    /// The bytes, from the first run on.
    pub fn source(&self) -> Src<'a> {
        self.source
    }

    /// Bytes from one pixel's run to the next pixel's.
    pub fn pixel_step(&self) -> usize {
        self.pixel_step
    }

    /// Runs per pixel.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes from one run of a pixel to its next.
    pub fn row_step(&self) -> usize {
        self.row_step
    }

    /// Groups of four bytes per run.
    pub fn quads(&self) -> usize {
        self.quads
    }

    /// Number of blocks, at least 1.
    pub fn blocks(&self) -> usize {
        self.blocks
    }

    /// The pixels, one behind the other.
    pub fn pixels(&self) -> usize {
        // Cannot overflow: `new` divided.
        self.blocks.wrapping_mul(BLOCK)
    }
}
