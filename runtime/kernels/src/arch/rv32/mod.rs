//! RV32 with multiplication.
//!
//! The loops are whole functions in assembly, since they need all 28 registers; they leave sums,
//! which plain Rust requantises.

use core::arch::global_asm;

use crate::arch::blocked::{BLOCK, Filters};
use crate::arch::depthwise::{Channels, Taps};
use crate::arch::paired::Pairs;
use crate::arch::view::Dst;
use crate::arch::{Isa, scalar};
use crate::requantize::Requantizer;

global_asm!(include_str!("loops.s"), options(raw));

/// Multiplications of 32 bits.
pub struct Rv32;

/// Output channels whose sums are kept at a time by `ConvBlocked`.
const FILTERS: usize = 4;

/// Channels whose sums are kept at a time by `Depthwise`.
const CHANNELS: usize = 8;

/// Arguments of `fixie_blocked_sums`.
#[repr(C)]
struct BlockedArgs {
    /// Lanes of 16 bits, `[tap][BLOCK]`.
    patch: *const u32,
    /// At least four taps, a multiple of them, behind `patch`.
    patch_end: *const u32,
    /// A byte per tap of the first filter.
    weights: *const u32,
    /// From the weights of one filter to those of the next.
    filter_bytes: usize,
}

/// Arguments of `fixie_depthwise_sums`.
#[repr(C)]
struct DepthwiseArgs {
    table: *const u32,
    /// At least one tap behind `table`.
    table_end: *const u32,
    /// [`CHANNELS`] of them for each tap, `channels` bytes behind those of the one before.
    weights: *const i8,
    /// What the table counts from.
    base: *const i8,
    channels: usize,
}

unsafe extern "C" {
    fn fixie_blocked_sums(args: &BlockedArgs, sums: &mut [[i32; BLOCK]; FILTERS]);
    fn fixie_depthwise_sums(args: &DepthwiseArgs, sums: &mut [i32; CHANNELS]);
}

impl Isa for Rv32 {
    const NAME: &'static str = "rv32";

    type Pairs<'a> = Pairs<'a>;

    fn blocked_channels(filters: &Filters<'_>, patch: &[u32], out: [Dst<'_>; BLOCK]) -> Option<()> {
        (patch.len() == filters.patch_words()).then_some(())?;
        let words = filters.channel_words();
        let requantizer =
            Requantizer { shift: 0, zero: filters.zero(), min: i8::MIN, max: i8::MAX };
        let mut stream = filters.stream();
        let mut first = 0_usize;
        while let Some((some, behind)) = stream.split_at_checked(words.checked_mul(FILTERS)?) {
            let mut sums = [[0; BLOCK]; FILTERS];
            let patch = patch.as_ptr_range();
            let args = BlockedArgs {
                patch: patch.start,
                patch_end: patch.end,
                weights: some.get(2..)?.as_ptr(),
                filter_bytes: words.checked_mul(size_of::<u32>())?,
            };
            // SAFETY: it reads the patch from start to end, four taps at a time; `patch_words` is a
            // multiple of them and not 0. For each it reads four bytes of the weights of four
            // filters, which lie behind their two constants in `some`, as long as four of them.
            unsafe { fixie_blocked_sums(&args, &mut sums) };
            let mut constants = some;
            for (n, sums) in sums.iter().enumerate() {
                let (&[bias, multiplier], _) = constants.split_first_chunk()?;
                for (sum, out) in sums.iter().zip(&out) {
                    let sum = sum.wrapping_add(bias as i32);
                    let at = first.wrapping_add(n);
                    out.set(at, requantizer.apply(sum, multiplier as i32))?;
                }
                constants = constants.get(words..).unwrap_or_default();
            }
            first = first.wrapping_add(FILTERS);
            stream = behind;
        }
        let left = filters.channels().checked_sub(first)?;
        if left == 0 {
            return Some(());
        }
        let rest = Filters::new(stream, filters.quads(), left, filters.zero())?;
        let [a, b, c, d] = out.map(|out| out.slice(first, left));
        scalar::blocked_channels(&rest, patch, [a?, b?, c?, d?])
    }

    fn depthwise_pixels(
        channels: &Channels<'_>,
        taps: &mut Taps<'_, '_>,
        out: Dst<'_>,
    ) -> Option<()> {
        let count = channels.count();
        let fits = taps.table().len() == channels.taps() && taps.padding().len() == count;
        fits.then_some(())?;
        let Some(tail) = count.checked_sub(CHANNELS) else {
            return scalar::depthwise_pixels(channels, taps, out);
        };
        let source = taps.memory().as_ptr();
        taps.locate_padding();
        let table = taps.table().as_ptr_range();
        for pixel in 0..taps.pixels() {
            let out = out.slice(pixel.wrapping_mul(count), count)?;
            let base = source.wrapping_add(pixel.wrapping_mul(taps.step()));
            for first in (0..count).step_by(CHANNELS) {
                // Those that are no whole block are computed with some before them once more.
                let first = first.min(tail);
                let mut sums: [i32; CHANNELS] = *channels.bias().get(first..)?.first_chunk()?;
                let args = DepthwiseArgs {
                    table: table.start,
                    table_end: table.end,
                    weights: channels.weights().get(first..)?.as_ptr(),
                    base: base.wrapping_add(first),
                    channels: count,
                };
                // SAFETY: `first` and the seven channels behind it are below `count`. It reads
                // their weights of all taps, which are `[taps][count]`, and for each entry of the
                // table, which is not empty, as many bytes from there on: `Taps::new` found all
                // channels of each pixel to lie inside the memory, and what sees padding was led to
                // `count` bytes of it, which only happens where there is but one pixel.
                unsafe { fixie_depthwise_sums(&args, &mut sums) };
                let multipliers: &[i32; CHANNELS] =
                    channels.multipliers().get(first..)?.first_chunk()?;
                let (cells, _) = out.cells().get(first..)?.split_first_chunk::<CHANNELS>()?;
                for ((cell, &sum), &multiplier) in cells.iter().zip(&sums).zip(multipliers) {
                    cell.set(channels.requantizer().apply(sum, multiplier));
                }
            }
        }
        Some(())
    }
}
