//! What the inner loops of `Conv` work on.

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
