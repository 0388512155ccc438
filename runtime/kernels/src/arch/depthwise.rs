//! What the inner loop of `Depthwise` works on.

use crate::arch::products::Products;
use crate::arch::view::Src;
use crate::requantize::Requantizer;

/// The channels of a layer, each of which sees one input channel.
#[derive(Clone, Copy)]
pub struct Channels<'a> {
    weights: &'a [i8],
    bias: &'a [i32],
    multipliers: &'a [i32],
    requantizer: Requantizer,
    products: Products,
}

impl<'a> Channels<'a> {
    /// `weights` are `[taps][channels]`, the others `[channels]`, none empty. `None` if the
    /// lengths contradict each other. The output is limited to 8 bits and nothing else.
    pub fn new(
        weights: &'a [i8],
        bias: &'a [i32],
        multipliers: &'a [i32],
        (shift, zero): (u8, i8),
    ) -> Option<Self> {
        let fits = weights.len().checked_rem(bias.len()) == Some(0)
            && bias.len() == multipliers.len()
            && !weights.is_empty();
        let requantizer = Requantizer { shift, zero, min: i8::MIN, max: i8::MAX };
        let products = Products::Any;
        fits.then_some(Self { weights, bias, multipliers, requantizer, products })
    }

    /// Finds out what products take.
    #[must_use]
    pub fn measured(self) -> Self {
        let constants = self.bias.iter().copied().zip(self.multipliers.iter().copied());
        Self { products: Products::of(self.taps(), constants), ..self }
    }

    /// Number of channels.
    pub fn count(&self) -> usize {
        self.bias.len()
    }

    /// Number of taps.
    pub fn taps(&self) -> usize {
        self.weights.len() / self.bias.len().max(1)
    }

    /// `[taps][channels]`.
    pub fn weights(&self) -> &'a [i8] {
        self.weights
    }

    /// Per channel.
    pub fn bias(&self) -> &'a [i32] {
        self.bias
    }

    /// Per channel.
    pub fn multipliers(&self) -> &'a [i32] {
        self.multipliers
    }

    /// What products are known to take.
    pub fn products(&self) -> Products {
        self.products
    }

    /// How sums become outputs.
    pub fn requantizer(&self) -> &Requantizer {
        &self.requantizer
    }
}

/// Stands in a table of taps for one that sees padding.
pub const PADDING: u32 = u32::MAX;

/// What some neighbouring pixels of the output see.
pub struct Taps<'a, 't> {
    memory: Src<'a>,
    table: &'t mut [u32],
    padding: &'t [i8],
    see_padding: bool,
    pixels: usize,
    step: usize,
}

impl<'a, 't> Taps<'a, 't> {
    /// The taps of `pixels` pixels, whose channels start in `memory` where `table` says for the
    /// first one, and `step` bytes further for each one behind it. Padding is as long as a pixel has
    /// channels; only a pixel on its own may see it. `None` if a tap leaves the memory.
    pub fn new(
        memory: Src<'a>,
        table: &'t mut [u32],
        padding: &'t [i8],
        (pixels, step): (usize, usize),
    ) -> Option<Self> {
        let reach = pixels.checked_sub(1)?.checked_mul(step)?.checked_add(padding.len())?;
        let (mut see_padding, mut furthest) = (false, 0);
        for &tap in &*table {
            if tap == PADDING {
                see_padding = true;
            } else {
                furthest = tap.max(furthest);
            }
        }
        let fits = reach.checked_add(furthest as usize)? <= memory.len()
            && !table.is_empty()
            && (pixels == 1 || !see_padding);
        fits.then_some(Self { memory, table, padding, see_padding, pixels, step })
    }

    /// The memory of the input.
    pub fn memory(&self) -> Src<'a> {
        self.memory
    }

    /// Where the taps of the first pixel start, or [`PADDING`]: at least one.
    pub fn table(&self) -> &[u32] {
        self.table
    }

    /// Replaces [`PADDING`] in the table by where the padding lies, counted from the memory modulo
    /// 2³².
    pub fn locate_padding(&mut self) {
        if self.see_padding {
            let memory = self.memory.as_ptr().addr();
            let padding = self.padding.as_ptr().addr().wrapping_sub(memory) as u32;
            for tap in self.table.iter_mut().filter(|tap| **tap == PADDING) {
                *tap = padding;
            }
        }
    }

    /// The channels of a pixel of padding.
    pub fn padding(&self) -> &'t [i8] {
        self.padding
    }

    /// Number of pixels, at least 1.
    pub fn pixels(&self) -> usize {
        self.pixels
    }

    /// Bytes from one pixel's taps to those of the next.
    pub fn step(&self) -> usize {
        self.step
    }
}
