//! The loop of `Depthwise`: some channels of a pixel, whose taps are looked up in a table.

use crate::arch::depthwise::{Channels, Taps};
use crate::arch::products::Products;
use crate::arch::scalar;
use crate::arch::view::Dst;

/// Channels that are computed at a time.
#[cfg(fixie_armv6m)]
const BLOCK: usize = 4;
/// Channels that are computed at a time.
#[cfg(fixie_armv7m)]
const BLOCK: usize = 8;

/// Taps of a pass of the loop.
const UNROLL: usize = 3;

/// Arguments of `fixie_depthwise_channels`.
#[repr(C)]
struct Args {
    /// What the table counts from: a channel of the input, [`BLOCK`] of them for each block.
    base: *const i8,
    /// As many weights per block, for each tap `channels` bytes behind those of the one before.
    weights: *const i8,
    bias: *const i32,
    multipliers: *const i32,
    out: *mut i8,
    /// At least 1.
    blocks: usize,
    table: *const u32,
    /// At least one tap behind `table`.
    table_end: *const u32,
    channels: usize,
    zero: i32,
    #[cfg(fixie_armv7m)]
    shift: u32,
    /// Whether products are short, 0 or 1.
    #[cfg(fixie_armv6m)]
    is_short: u32,
    /// Taps of the first pass that are not there: with them they are whole passes.
    skipped: usize,
}

unsafe extern "C" {
    fn fixie_depthwise_channels(args: &Args);
}

/// See [`Isa::depthwise_pixels`](crate::arch::Isa::depthwise_pixels).
pub fn pixels(channels: &Channels<'_>, taps: &mut Taps<'_, '_>, out: Dst<'_>) -> Option<()> {
    let count = channels.count();
    let fits = taps.table().len() == channels.taps()
        && taps.padding().len() == count
        && taps.pixels().checked_mul(count)? <= out.len();
    fits.then_some(())?;
    // Where a product of 32 bits is all there is, not every sum can be requantised.
    let is_narrow = !cfg!(fixie_armv6m)
        || (channels.products() <= Products::Narrow && channels.requantizer().shift == 0);
    if count < BLOCK || !is_narrow {
        return scalar::depthwise_pixels(channels, taps, out);
    }
    let source = taps.memory().as_ptr();
    taps.locate_padding();
    let table = taps.table().as_ptr_range();
    let whole_passes = taps.table().len().checked_next_multiple_of(UNROLL)?;
    let skipped = whole_passes.checked_sub(taps.table().len())?;
    let requantizer = channels.requantizer();
    let whole = Args {
        base: source,
        weights: channels.weights().as_ptr(),
        bias: channels.bias().as_ptr(),
        multipliers: channels.multipliers().as_ptr(),
        out: out.as_mut_ptr(),
        blocks: count / BLOCK,
        table: table.start,
        table_end: table.end,
        channels: count,
        zero: requantizer.zero.into(),
        #[cfg(fixie_armv7m)]
        shift: requantizer.shift.into(),
        #[cfg(fixie_armv6m)]
        is_short: (channels.products() == Products::Short).into(),
        skipped,
    };
    // Channels that are no whole block are computed with some before them once more.
    let tail = count.wrapping_sub(BLOCK);
    let last = Args {
        base: whole.base.wrapping_add(tail),
        weights: whole.weights.wrapping_add(tail),
        bias: whole.bias.wrapping_add(tail),
        multipliers: whole.multipliers.wrapping_add(tail),
        out: whole.out.wrapping_add(tail),
        blocks: 1,
        ..whole
    };
    let mut parts = [whole, last];
    let parts = if count.is_multiple_of(BLOCK) { &mut parts[..1] } else { &mut parts };
    for _ in 0..taps.pixels() {
        for args in &mut *parts {
            // SAFETY: the blocks of channels from a part's first on are no more than `count`. For
            // each it reads their weights of all taps, which are `[taps][count]`; their bias and
            // multipliers, which are `[count]`; and for each entry of the table, which is not
            // empty, as many bytes from there on: `Taps::new` found all channels of each pixel,
            // `step` bytes behind the one before, to lie inside the memory, and what sees padding
            // was led to `count` bytes of it, which only happens where there is but one pixel. It
            // writes the channels to `out`, which has `count` bytes for every pixel; those are
            // cells, and nothing that it reads overlaps them but the input.
            unsafe { fixie_depthwise_channels(args) };
            args.base = args.base.wrapping_add(taps.step());
            args.out = args.out.wrapping_add(count);
        }
    }
    Some(())
}
