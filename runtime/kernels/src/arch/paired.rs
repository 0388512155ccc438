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

impl AsRef<Self> for Pairs<'_> {
    fn as_ref(&self) -> &Self {
        self
    }
}

/// Where the kernel rows of a pixel lie: runs of bytes, each `step` bytes after the one before.
/// From the one behind `before` on they lie `ring_bytes` lower, at the other end of a ring.
#[derive(Clone, Copy)]
pub struct Rows {
    /// Where the first one starts.
    pub first: usize,
    /// Bytes from one to the next.
    pub step: usize,
    /// Their number.
    pub count: usize,
    /// How many of them lie before the end of a ring, at least 1; all of them if there is none.
    pub before: usize,
    /// Bytes of the ring.
    pub ring_bytes: usize,
}

impl Rows {
    /// Where row `i` starts; `None` if it leaves the ring at its start.
    pub fn start(&self, i: usize) -> Option<usize> {
        let start = self.first.checked_add(i.checked_mul(self.step)?)?;
        if i < self.before { Some(start) } else { start.checked_sub(self.ring_bytes) }
    }
}

/// Neighbouring pixels whose patches lie in the input as they are: for each pixel some rows of
/// `quads` times four bytes.
#[derive(Clone, Copy)]
pub struct Strip<'a> {
    source: Src<'a>,
    rows: Rows,
    quads: usize,
    pixel_step: usize,
    blocks: usize,
}

impl<'a> Strip<'a> {
    /// As many whole blocks of at most `pixels` pixels as `source` holds, each pixel `pixel_step`
    /// bytes behind the one before; `None` if it holds none.
    pub fn new(
        source: Src<'a>,
        rows: Rows,
        quads: usize,
        (pixels, pixel_step): (usize, usize),
    ) -> Option<Self> {
        let last = rows.count.checked_sub(1)?;
        let mut furthest = rows.start(last.min(rows.before.checked_sub(1)?))?;
        if rows.before <= last {
            rows.start(rows.before)?;
            furthest = furthest.max(rows.start(last)?);
        }
        let extent = furthest.checked_add(quads.checked_mul(paired::TAP_ALIGN)?)?;
        let behind = source.len().checked_sub(extent)?;
        let held = behind.checked_div(pixel_step)?.checked_add(1)?;
        let blocks = pixels.min(held) / BLOCK;
        let some = blocks != 0 && quads != 0;
        some.then_some(Self { source, rows, quads, pixel_step, blocks })
    }

    /// Kernel row `row` of three pixels from `first` on; `None` if there are not so many.
    #[inline(always)]
    pub fn runs(&self, first: usize, row: usize) -> Option<[Src<'a>; BLOCK]> {
        let start = self.rows.start(row)?;
        let len = self.quads.checked_mul(paired::TAP_ALIGN)?;
        let [a, b, c] = [0, 1, 2].map(|pixel: usize| {
            let pixel = first.wrapping_add(pixel).checked_mul(self.pixel_step)?;
            self.source.slice(start.checked_add(pixel)?, len)
        });
        Some([a?, b?, c?])
    }

    /// The memory in which the pixels lie.
    pub fn source(&self) -> Src<'a> {
        self.source
    }

    /// The rows of the first pixel.
    pub fn rows(&self) -> &Rows {
        &self.rows
    }

    /// Groups of four bytes per row.
    pub fn quads(&self) -> usize {
        self.quads
    }

    /// Bytes from one pixel to the next.
    pub fn pixel_step(&self) -> usize {
        self.pixel_step
    }

    /// Number of blocks, at least 1.
    pub fn blocks(&self) -> usize {
        self.blocks
    }

    /// Number of pixels.
    pub fn pixels(&self) -> usize {
        // Cannot overflow: `new` divided.
        self.blocks.wrapping_mul(BLOCK)
    }
}
