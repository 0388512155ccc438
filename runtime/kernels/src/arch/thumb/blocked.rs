//! The loops of `ConvBlocked`: two pixels in one word, so that they share a multiplication.

use crate::arch::blocked::{BLOCK, Filters, PATCH_WORDS};
use crate::arch::view::{Dst, Src};

/// Arguments of `fixie_blocked_expand`.
#[repr(C)]
struct ExpandArgs {
    /// Where the taps go, 8 bytes each.
    patch: *mut u32,
    runs: [*const i8; BLOCK],
    patch_end: *mut u32,
}

/// Arguments of `fixie_blocked_channels`.
#[repr(C)]
struct ChannelsArgs {
    /// The pixels' outputs, a byte per channel.
    out: [*mut i8; BLOCK],
    /// Whether products are short, 0 or 1.
    #[cfg(fixie_armv6m)]
    is_short: u32,
    zero: i32,
    /// 32 bytes per group of four taps.
    patch: *const u32,
    /// The weights end here, a whole number of channels, at least 1, after `weights`.
    weights_end: *const u32,
    /// Groups of four taps, at least 1.
    quads: usize,
    patch_end: *const u32,
    weights: *const u32,
}

unsafe extern "C" {
    fn fixie_blocked_expand(args: &ExpandArgs);
    fn fixie_blocked_channels(args: &ChannelsArgs);
}

/// See [`Isa::blocked_expand`](crate::arch::Isa::blocked_expand). In the order `[tap][pair of
/// pixels]`.
pub fn expand(runs: [Src<'_>; BLOCK], patch: &mut [u32], tap: usize) -> Option<()> {
    let len = runs[0].len();
    let patch = patch.get_mut(tap.checked_mul(PATCH_WORDS)?..)?;
    let patch = patch.get_mut(..len.checked_mul(PATCH_WORDS)?)?.as_mut_ptr_range();
    // Not by comparing arrays, which calls `memcmp`.
    (len != 0 && runs.iter().all(|run| run.len() == len)).then_some(())?;
    let args =
        ExpandArgs { patch: patch.start, runs: runs.map(|run| run.as_ptr()), patch_end: patch.end };
    // SAFETY: it writes two words per tap from start to end of `patch`, which is exclusive, so that
    // no run overlaps, and which is not empty; it reads one byte of each run per tap, and each has
    // as many, as checked above.
    unsafe { fixie_blocked_expand(&args) };
    Some(())
}

/// See [`Isa::blocked_channels`](crate::arch::Isa::blocked_channels).
pub fn channels(filters: &Filters<'_>, patch: &[u32], out: [Dst<'_>; BLOCK]) -> Option<()> {
    let fits = out.iter().all(|out| out.len() >= filters.channels());
    (fits && patch.len() == filters.patch_words()).then_some(())?;
    let (weights, patch) = (filters.stream().as_ptr_range(), patch.as_ptr_range());
    let args = ChannelsArgs {
        out: out.map(|out| out.as_mut_ptr()),
        #[cfg(fixie_armv6m)]
        is_short: filters.is_short().into(),
        zero: filters.zero().into(),
        patch: patch.start,
        weights_end: weights.end,
        quads: filters.quads(),
        patch_end: patch.end,
        weights: weights.start,
    };
    // SAFETY: it reads the patch, 32 bytes per group of four taps, which is `patch_words`, from
    // start to end; the weights in channels of 2 + quads words, which is `channel_words`, until
    // their end, which `Filters::new` found to be a whole number of channels away; none of these is
    // empty. It writes one byte per channel to each output, which has as many, as checked above;
    // those are cells, and neither weights nor patch, which are slices, overlap them.
    unsafe { fixie_blocked_channels(&args) };
    Some(())
}
