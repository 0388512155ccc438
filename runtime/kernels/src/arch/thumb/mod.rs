//! Cortex-M cores without the DSP extension.
//!
//! The loops are whole functions in assembly, since they need all registers that the core has.

mod blocked;
mod dense;
mod depthwise;

use core::arch::global_asm;

use crate::arch::Isa;
use crate::arch::blocked::{BLOCK, Filters};
use crate::arch::depthwise::{Channels, Taps};
use crate::arch::paired::Pairs;
use crate::arch::view::{Dst, Src};

#[cfg(fixie_armv6m)]
global_asm!(
    include_str!("requantize_v6m.s"),
    include_str!("blocked_v6m.s"),
    include_str!("depthwise_v6m.s"),
    include_str!("dense_v6m.s"),
    options(raw)
);
#[cfg(fixie_armv7m)]
global_asm!(
    include_str!("blocked_v7m.s"),
    include_str!("depthwise_v7m.s"),
    include_str!("dense_v7m.s"),
    options(raw)
);

/// Thumb instructions: one multiplication at a time.
pub struct Thumb;

impl Isa for Thumb {
    const NAME: &'static str = "thumb";
    const MEASURES_PRODUCTS: bool = cfg!(fixie_armv6m);

    type Pairs<'a> = Pairs<'a>;

    fn dot_1x4(patch: &[i8], rows: [&[i8]; 4]) -> [i32; 4] {
        dense::dot_1x4(patch, rows)
    }

    fn blocked_expand(runs: [Src<'_>; BLOCK], patch: &mut [u32], tap: usize) -> Option<()> {
        blocked::expand(runs, patch, tap)
    }

    fn blocked_channels(filters: &Filters<'_>, patch: &[u32], out: [Dst<'_>; BLOCK]) -> Option<()> {
        blocked::channels(filters, patch, out)
    }

    fn depthwise_pixels(
        channels: &Channels<'_>,
        taps: &mut Taps<'_, '_>,
        out: Dst<'_>,
    ) -> Option<()> {
        depthwise::pixels(channels, taps, out)
    }
}
