//! Cortex-M cores without the DSP extension.
//!
//! The loops are whole functions in assembly, since they need all registers that the core has.

mod blocked;

use crate::arch::Isa;
use crate::arch::blocked::{BLOCK, Filters};
use crate::arch::view::{Dst, Src};

/// Thumb instructions: one multiplication at a time.
pub struct Thumb;

impl Isa for Thumb {
    const NAME: &'static str = "thumb";

    fn blocked_expand(runs: [Src<'_>; BLOCK], patch: &mut [u32], tap: usize) -> Option<()> {
        blocked::expand(runs, patch, tap)
    }

    fn blocked_channels(filters: &Filters<'_>, patch: &[u32], out: [Dst<'_>; BLOCK]) -> Option<()> {
        blocked::channels(filters, patch, out)
    }
}
