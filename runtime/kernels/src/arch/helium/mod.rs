//! Cortex-M55, M85 and every other core with Helium, the vector extension of Armv8.1-M.
//!
//! Vectors are 128 bits wide: 16, 8 or 4 lanes. What is not here is either the DSP extension's,
//! which these cores have as well, or plain Rust that the compiler vectorises.

mod bytes;
mod depthwise;
mod planar;
mod vectors;

use crate::arch::neighbours::Neighbours;
use crate::arch::paired::Pairs;
use crate::arch::planar::{Channels, Placed, Planes};
use crate::arch::sum::Sum;
use crate::arch::taps::{TapFilters, TapStrip};
use crate::arch::vectors as isa_vectors;
use crate::arch::view::{Dst, Src};
use crate::arch::{Isa, dsp};

/// Helium for integers.
pub struct Helium;

impl Isa for Helium {
    const NAME: &'static str = "helium";
    const READS_STRIPS: bool = true;

    type Pairs<'a> = Pairs<'a>;

    fn gather(neighbours: &Neighbours<'_>, patches: &mut [i8], pitch: usize) -> Option<()> {
        vectors::gather(neighbours, patches, pitch)
    }

    fn vectors_strip(
        filters: &isa_vectors::Filters<'_>,
        strip: &isa_vectors::Strip<'_>,
    ) -> Option<()> {
        vectors::strip(filters, strip)
    }

    fn depthwise_strip(filters: &TapFilters<'_>, strip: &TapStrip<'_>) -> Option<()> {
        depthwise::strip(filters, strip)
    }

    fn planar_fill(planes: &mut Planes<'_>, value: i8) {
        planar::fill(planes, value);
    }

    fn planar_expand(placed: &Placed<'_>, channel: usize, planes: &mut Planes<'_>) -> Option<()> {
        planar::expand(placed, channel, planes)
    }

    fn planar_channels(channels: &Channels<'_>, table: &mut [u32]) -> Option<()> {
        planar::channels(channels, table)
    }

    fn arrange_wide(patch: &mut [i16]) {
        dsp::wide::arrange(patch);
    }

    fn dot_wide(patch: &[i16], rows: [&[i8]; 4]) -> [i32; 4] {
        dsp::wide::dot(patch, rows)
    }

    fn pixel_sums(pixels: Src<'_>, (count, step): (usize, usize), sums: &mut [i32]) -> Option<()> {
        bytes::pixel_sums(pixels, (count, step), sums)
    }

    fn sums(sum: &Sum, a: Src<'_>, b: Src<'_>, out: Dst<'_>) -> Option<()> {
        bytes::sums(sum, a, b, out)
    }

    fn clamp(bytes: Dst<'_>, bounds: (i8, i8)) {
        bytes::clamp(bytes, bounds);
    }
}
