//! What the inner loop of `ConvVectors` works on.

use fixie_format::op::vectors::{CHANNELS, LANES, block_len};

use crate::arch::view::{Dst, Src};

/// Pixels that instruction sets compute at a time, if there are as many: as many patches are gathered
/// at least.
pub const TOGETHER: usize = 3;

/// The output channels of one group: a checked stream of weights, see
/// [`vectors`](fixie_format::op::vectors).
#[derive(Clone, Copy)]
pub struct Filters<'a> {
    stream: &'a [u32],
    patch_vectors: usize,
    channels: usize,
    zero: i8,
}

impl<'a> Filters<'a> {
    /// A stream of `channels` channels, with as many taps as `patch_vectors` vectors have; `zero`
    /// is the output's zero point. `None` if the stream has another length, or if there are fewer
    /// channels than a block has.
    pub fn new(stream: &'a [u32], patch_vectors: usize, channels: usize, zero: i8) -> Option<Self> {
        let len = block_len(patch_vectors)?.checked_mul(channels.div_ceil(CHANNELS))?;
        let fits = len == size_of_val(stream) && channels >= CHANNELS && patch_vectors != 0;
        fits.then_some(Self { stream, patch_vectors, channels, zero })
    }

    /// The whole stream.
    pub fn stream(&self) -> &'a [u32] {
        self.stream
    }

    /// Vectors of a patch, at least 1.
    pub fn patch_vectors(&self) -> usize {
        self.patch_vectors
    }

    /// Bytes of a patch, those behind its taps included.
    pub fn patch_len(&self) -> usize {
        // Cannot overflow: a block of the stream has several times as many.
        self.patch_vectors.wrapping_mul(LANES)
    }

    /// Words of the weights of a block.
    pub fn weight_words(&self) -> usize {
        self.patch_len().wrapping_mul(CHANNELS / size_of::<u32>())
    }

    /// Number of output channels, at least [`CHANNELS`].
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Zero point of the output.
    pub fn zero(&self) -> i8 {
        self.zero
    }
}

/// Output pixels whose patches lie in memory at equal distances, and so do their outputs.
#[derive(Clone, Copy)]
pub struct Strip<'a> {
    source: Src<'a>,
    step: usize,
    out: Dst<'a>,
    out_step: usize,
    pixels: usize,
}

impl<'a> Strip<'a> {
    /// At most `pixels` pixels for `filters`, as many as there are whose patches can be read in
    /// whole vectors: the patch of each lies `step` bytes behind that of the one before, its
    /// outputs `out_step` bytes. `None` if there are none, or if outputs leave the memory.
    pub fn new(
        filters: &Filters<'_>,
        pixels: usize,
        (source, step): (Src<'a>, usize),
        (out, out_step): (Dst<'a>, usize),
    ) -> Option<Self> {
        let behind = source.len().checked_sub(filters.patch_len())?;
        let pixels = match behind.checked_div(step) {
            Some(more) => pixels.min(more.saturating_add(1)),
            None => pixels,
        };
        let last = pixels.checked_sub(1)?.checked_mul(out_step)?;
        let fits = last.checked_add(filters.channels)? <= out.len();
        fits.then_some(Self { source, step, out, out_step, pixels })
    }

    /// From the first patch on.
    pub fn source(&self) -> Src<'a> {
        self.source
    }

    /// Bytes from one patch to the next.
    pub fn step(&self) -> usize {
        self.step
    }

    /// From the outputs of the first pixel on.
    pub fn out(&self) -> Dst<'a> {
        self.out
    }

    /// Bytes from the outputs of one pixel to those of the next.
    pub fn out_step(&self) -> usize {
        self.out_step
    }

    /// Number of pixels, at least 1.
    pub fn pixels(&self) -> usize {
        self.pixels
    }
}
