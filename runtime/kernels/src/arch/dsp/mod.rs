//! Cortex-M4, M7, M33 and every other core with the DSP extension of Armv7-M or Armv8-M.
//!
//! The loops are whole functions in assembly, since they need all 14 registers. They may read
//! bytes from any address with `LDR`, as compiled code does on these cores: `CCR.UNALIGN_TRP`
//! must be 0, which it is after reset.

mod conv;
mod depthwise;
mod sparse;
pub(super) mod wide;

use crate::arch::Isa;
use crate::arch::paired::{BLOCK, Pairs, Strip};
use crate::arch::planar::{Channels, Placed, Planes};
use crate::arch::sparse::SparsePairs;
use crate::arch::view::{Dst, Src};

/// The DSP extension: two 16-bit multiplications per instruction.
pub struct Dsp;

impl Isa for Dsp {
    const NAME: &'static str = "dsp";

    type Pairs<'a> = Pairs<'a>;

    fn paired_strip(
        pairs: &Pairs<'_>,
        strip: &Strip<'_>,
        patch: &mut [u32],
        out: Dst<'_>,
        step: usize,
    ) -> Option<()> {
        conv::strip(pairs, strip, patch, out, step)
    }

    fn paired_expand(runs: [Src<'_>; BLOCK], patch: &mut [u32], quad: usize) -> Option<()> {
        conv::expand(runs, patch, quad)
    }

    fn paired_block(pairs: &Pairs<'_>, patch: &mut [u32], out: Dst<'_>, step: usize) -> Option<()> {
        conv::block(pairs, patch, out, step)
    }

    fn paired_pixel(pairs: &Pairs<'_>, patch: Src<'_>, out: Dst<'_>) -> Option<()> {
        conv::pixel(pairs, patch, out)
    }

    fn sparse_block(
        pairs: &SparsePairs<'_>,
        patch: &mut [u32],
        out: Dst<'_>,
        step: usize,
    ) -> Option<()> {
        sparse::block(pairs, patch, out, step)
    }

    fn sparse_pixel(pairs: &SparsePairs<'_>, patch: Src<'_>, out: Dst<'_>) -> Option<()> {
        sparse::pixel(pairs, patch, out)
    }

    fn arrange_wide(patch: &mut [i16]) {
        wide::arrange(patch);
    }

    fn dot_wide(patch: &[i16], rows: [&[i8]; 4]) -> [i32; 4] {
        wide::dot(patch, rows)
    }

    fn clamp(bytes: Dst<'_>, bounds: (i8, i8)) {
        conv::clamp(bytes, bounds);
    }

    fn planar_expand(placed: &Placed<'_>, channel: usize, planes: &mut Planes<'_>) -> Option<()> {
        depthwise::expand(placed, channel, planes)
    }

    fn planar_channels(channels: &Channels<'_>, table: &mut [u32]) -> Option<()> {
        depthwise::channels(channels, table)
    }
}
