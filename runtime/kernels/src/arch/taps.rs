//! What the inner loops of `Depthwise` work on.

use crate::arch::view::{Dst, Src};
use crate::requantize::Requantizer;

/// The most taps of a kernel that is computed by [`TapStrip`]s.
pub const MAX_TAPS: usize = 32;

/// The most channels that are computed at a time.
pub const MAX_CHANNELS: usize = 128;

/// Some channels of a depthwise convolution: constants of matching lengths.
#[derive(Clone, Copy)]
pub struct TapFilters<'a> {
    weights: &'a [i8],
    taps: usize,
    pitch: usize,
    bias: &'a [i32],
    multipliers: &'a [i32],
    requantizer: Requantizer,
    is_symmetric: bool,
}

impl<'a> TapFilters<'a> {
    /// `weights` are `[taps][pitch]`, of which the channels come first; `None` if the lengths
    /// contradict each other, or if there is nothing to compute.
    pub fn new(
        weights: &'a [i8],
        (taps, pitch): (usize, usize),
        [bias, multipliers]: [&'a [i32]; 2],
        requantizer: Requantizer,
    ) -> Option<Self> {
        let channels = bias.len();
        let needed = taps.checked_sub(1)?.checked_mul(pitch)?.checked_add(channels)?;
        let fits = weights.len() >= needed
            && multipliers.len() == channels
            && (1..=pitch).contains(&channels)
            && taps <= MAX_TAPS;
        // Not by looking for it, which compilers do not vectorise.
        let is_symmetric = weights.iter().fold(i8::MAX, |least, &w| w.min(least)) > i8::MIN;
        fits.then_some(Self { weights, taps, pitch, bias, multipliers, requantizer, is_symmetric })
    }

    /// `[taps][pitch]`, of which the channels come first.
    pub fn weights(&self) -> &'a [i8] {
        self.weights
    }

    /// Number of taps, 1 to [`MAX_TAPS`].
    pub fn taps(&self) -> usize {
        self.taps
    }

    /// Bytes from the weights of one tap to those of the next.
    pub fn pitch(&self) -> usize {
        self.pitch
    }

    /// Number of channels, at least 1.
    pub fn channels(&self) -> usize {
        self.bias.len()
    }

    /// One per channel.
    pub fn bias(&self) -> &'a [i32] {
        self.bias
    }

    /// One per channel.
    pub fn multipliers(&self) -> &'a [i32] {
        self.multipliers
    }

    /// What all channels share.
    pub fn requantizer(&self) -> Requantizer {
        self.requantizer
    }

    /// Whether no weight is −128, so that two products add up in 16 bits.
    pub fn is_symmetric(&self) -> bool {
        self.is_symmetric
    }
}

/// What taps see: pixels of an input, or padding.
#[derive(Clone, Copy)]
pub struct Scene<'a> {
    /// The input.
    pub source: Src<'a>,
    /// As many channels as a pixel has.
    pub padding: &'a [i8],
}

impl Scene<'_> {
    /// What stands for padding where positions in the input are expected: its distance from there,
    /// modulo 2^32, so that a loop need not tell one from the other.
    pub fn padding_position(&self) -> usize {
        self.padding.as_ptr().addr().wrapping_sub(self.source.as_ptr().addr())
    }
}

/// Output pixels at equal distances, and what their taps see.
#[derive(Clone, Copy)]
pub struct TapStrip<'a> {
    scene: Scene<'a>,
    positions: &'a [usize],
    step: usize,
    out: Dst<'a>,
    out_step: usize,
    pixels: usize,
}

impl<'a> TapStrip<'a> {
    /// `pixels` pixels for `filters`. Tap *t* of the first one sees the channels from
    /// `positions[t]` on; what the next pixel sees lies `step` bytes behind, and its outputs
    /// `out_step` bytes. `None` if something leaves its memory, if there are no pixels, or if there
    /// are several and one sees padding.
    pub fn new(
        filters: &TapFilters<'_>,
        (scene, positions): (Scene<'a>, &'a [usize]),
        (out, out_step): (Dst<'a>, usize),
        (pixels, step): (usize, usize),
    ) -> Option<Self> {
        let last = pixels.checked_sub(1)?;
        let reach = last.checked_mul(step)?.checked_add(filters.channels())?;
        let furthest = scene.source.len().checked_sub(reach);
        let padding = scene.padding_position();
        let is_inside =
            |&position: &usize| Some(position) <= furthest || (position == padding && pixels == 1);
        let fits = positions.len() == filters.taps()
            && positions.iter().all(is_inside)
            && scene.padding.len() >= filters.channels()
            && last.checked_mul(out_step)?.checked_add(filters.channels())? <= out.len();
        fits.then_some(Self { scene, positions, step, out, out_step, pixels })
    }

    /// What taps see.
    pub fn scene(&self) -> Scene<'a> {
        self.scene
    }

    /// One per tap.
    pub fn positions(&self) -> &'a [usize] {
        self.positions
    }

    /// Bytes from what one pixel sees to what the next one does.
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
