//! What the inner loops of `Conv` work on.

use crate::arch::view::{Dst, Src};
use crate::requantize::Requantizer;

/// The output channels of one group of a convolution: constants of matching lengths.
#[derive(Clone, Copy)]
pub struct Filters<'a> {
    weights: &'a [i8],
    taps: usize,
    bias: &'a [i32],
    multipliers: &'a [i32],
    requantizer: Requantizer,
}

impl<'a> Filters<'a> {
    /// `weights` are `[channels][taps]`; `None` if the lengths contradict each other, or if there
    /// is nothing to compute.
    pub fn new(
        weights: &'a [i8],
        taps: usize,
        [bias, multipliers]: [&'a [i32]; 2],
        requantizer: Requantizer,
    ) -> Option<Self> {
        let channels = bias.len();
        let fits = weights.len() == channels.checked_mul(taps)?
            && multipliers.len() == channels
            && !weights.is_empty();
        fits.then_some(Self { weights, taps, bias, multipliers, requantizer })
    }

    /// `[channels][taps]`.
    pub fn weights(&self) -> &'a [i8] {
        self.weights
    }

    /// Weights per channel, at least 1.
    pub fn taps(&self) -> usize {
        self.taps
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
    /// `pixels` pixels for `filters`: the patch of each lies `step` bytes behind that of the one
    /// before, its outputs `out_step` bytes. `None` if there are none or if they leave the memory.
    pub fn new(
        filters: &Filters<'_>,
        pixels: usize,
        (source, step): (Src<'a>, usize),
        (out, out_step): (Dst<'a>, usize),
    ) -> Option<Self> {
        let last = pixels.checked_sub(1)?;
        let fits = last.checked_mul(step)?.checked_add(filters.taps)? <= source.len()
            && last.checked_mul(out_step)?.checked_add(filters.channels())? <= out.len();
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

    /// The pixels from `first` on; `None` if there are none.
    pub fn behind(&self, first: usize) -> Option<Self> {
        let pixels = self.pixels.checked_sub(first).filter(|&pixels| pixels != 0)?;
        let start = first.checked_mul(self.step)?;
        let out_start = first.checked_mul(self.out_step)?;
        Some(Self {
            source: self.source.slice(start, self.source.len().checked_sub(start)?)?,
            out: self.out.slice(out_start, self.out.len().checked_sub(out_start)?)?,
            pixels,
            ..*self
        })
    }
}
