//! What the inner loops of `ConvPaired` work on.

use fixie_format::op::paired;

use crate::arch::view::Src;

/// Words of the expanded patches of three pixels, per four taps: two for each pixel.
pub const PATCH_WORDS: usize = 6;

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
    /// the output's zero point. `None` if the stream has another length.
    pub fn new(stream: &'a [u32], quads: usize, channels: usize, zero: i8) -> Option<Self> {
        let pair_words = paired::pair_words(quads.checked_mul(paired::TAP_ALIGN)?);
        let len = channels.div_ceil(2).checked_mul(pair_words)?;
        (len == stream.len() && channels != 0 && quads != 0).then_some(Self {
            stream,
            quads,
            channels,
            zero,
        })
    }

    /// The whole stream.
    pub fn stream(&self) -> &'a [u32] {
        self.stream
    }

    /// The stream of the last pair.
    pub fn last_pair(&self) -> Option<&'a [u32]> {
        self.stream.get(self.stream.len().checked_sub(self.pair_words())?..)
    }

    /// Words of one pair.
    pub fn pair_words(&self) -> usize {
        // Cannot overflow: `new` found a slice at least as long.
        paired::pair_words(self.taps())
    }

    /// Taps with padding, a multiple of 4.
    pub fn taps(&self) -> usize {
        // Cannot overflow: `new` multiplied it.
        self.quads.wrapping_mul(paired::TAP_ALIGN)
    }

    /// Groups of four taps.
    pub fn quads(&self) -> usize {
        self.quads
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

/// Bytes of three pixels: for each `rows` runs of `quads` times four bytes.
#[derive(Clone, Copy)]
pub struct Runs<'a> {
    sources: [Src<'a>; 3],
    rows: usize,
    row_step: usize,
    quads: usize,
}

impl<'a> Runs<'a> {
    /// The runs that start at each of `sources`, each `row_step` bytes after the one before;
    /// `None` if they leave their source, or if there are none.
    pub fn new(sources: [Src<'a>; 3], rows: usize, row_step: usize, quads: usize) -> Option<Self> {
        let run_len = quads.checked_mul(paired::TAP_ALIGN)?;
        let last = rows.checked_sub(1)?.checked_mul(row_step)?;
        let extent = last.checked_add(run_len)?;
        let inside = sources.iter().all(|source| extent <= source.len());
        (inside && quads != 0).then_some(Self { sources, rows, row_step, quads })
    }

    /// The three pixels.
    pub fn sources(&self) -> [Src<'a>; 3] {
        self.sources
    }

    /// Runs per pixel.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes between the starts of neighbouring runs.
    pub fn row_step(&self) -> usize {
        self.row_step
    }

    /// Groups of four bytes per run.
    pub fn quads(&self) -> usize {
        self.quads
    }

    /// Groups of four bytes per pixel, in all runs.
    pub fn all_quads(&self) -> Option<usize> {
        self.rows.checked_mul(self.quads)
    }
}
