//! Instruction sets: the only place with `unsafe` and assembly.
//!
//! [`Isa`] lists the inner loops of the operators. [`Scalar`] defines in plain Rust what each of
//! them computes; an instruction set replaces those that it does better, and must give the same
//! bytes. What the loops may rely on is checked by the constructors of their arguments
//! ([`neighbours`], [`taps`], [`paired`], [`sparse`], [`planar`], [`blocked`], [`depthwise`],
//! [`vectors`]), so that an assembly loop behind them cannot leave its buffers.

pub mod blocked;
pub mod depthwise;
#[cfg(fixie_dsp)]
mod dsp;
#[cfg(fixie_helium)]
mod helium;
pub mod neighbours;
pub mod paired;
pub mod planar;
pub mod products;
#[cfg(all(target_arch = "riscv32", target_feature = "m"))]
mod rv32;
mod scalar;
pub mod sparse;
pub mod sum;
pub mod taps;
#[cfg(any(fixie_armv6m, fixie_armv7m))]
mod thumb;
pub mod vectors;
pub mod view;
#[cfg(all(feature = "std", target_arch = "x86_64"))]
mod x86;

#[cfg(fixie_dsp)]
pub use dsp::Dsp;
#[cfg(fixie_helium)]
pub use helium::Helium;
#[cfg(all(target_arch = "riscv32", target_feature = "m"))]
pub use rv32::Rv32;
pub use scalar::{Scalar, by_blocks, each_pair};
#[cfg(any(fixie_armv6m, fixie_armv7m))]
pub use thumb::Thumb;
#[cfg(all(feature = "std", target_arch = "x86_64"))]
pub use x86::X86;

use neighbours::Neighbours;
use paired::{BLOCK, Pairs, Strip};
use planar::{Channels, Placed, Planes};
use sparse::SparsePairs;
use sum::Sum;
use taps::{TapFilters, TapStrip};
use view::{Dst, Src};

/// The instruction set of the core that is compiled for: the one place that chooses.
///
/// `build.rs` knows which cores have Helium or the DSP extension: stable Rust shows no such target
/// feature.
#[cfg(fixie_helium)]
pub type Native = Helium;
/// The instruction set of the core that is compiled for: the one place that chooses.
#[cfg(all(fixie_dsp, not(fixie_helium)))]
pub type Native = Dsp;
/// The instruction set of the core that is compiled for: the one place that chooses.
#[cfg(all(feature = "std", target_arch = "x86_64"))]
pub type Native = X86;
/// The instruction set of the core that is compiled for: the one place that chooses.
#[cfg(any(fixie_armv6m, fixie_armv7m))]
pub type Native = Thumb;
/// The instruction set of the core that is compiled for: the one place that chooses.
#[cfg(all(target_arch = "riscv32", target_feature = "m"))]
pub type Native = Rv32;
/// The instruction set of the core that is compiled for: the one place that chooses.
#[cfg(not(any(
    fixie_dsp,
    fixie_armv6m,
    fixie_armv7m,
    all(target_arch = "riscv32", target_feature = "m"),
    all(feature = "std", target_arch = "x86_64")
)))]
pub type Native = Scalar;

/// Inner loops. A `None` means that the arguments contradict each other; nothing panics.
pub trait Isa: Sized {
    /// What reports call it.
    const NAME: &'static str;

    /// Whether `Depthwise` hands over strips of pixels to
    /// [`depthwise_strip`](Self::depthwise_strip).
    const READS_STRIPS: bool = false;

    /// Whether loops must know what [`products`] of sums and multipliers take.
    const MEASURES_PRODUCTS: bool = false;

    /// What the loops of `ConvPaired` make of the channels, which they may look at many times.
    type Pairs<'a>: From<Pairs<'a>> + AsRef<Pairs<'a>>;

    /// Dot products of two patches with two rows of weights, all equally long:
    /// `sums[patch][row]`.
    // Not inlined: the loop needs all registers of a small core for itself.
    #[inline(never)]
    fn dot_2x2(patches: [&[i8]; 2], rows: [&[i8]; 2]) -> [[i32; 2]; 2] {
        scalar::dot_2x2(patches, rows)
    }

    /// Dot products of a patch with four rows of weights, all equally long.
    #[inline(never)]
    fn dot_1x4(patch: &[i8], rows: [&[i8]; 4]) -> [i32; 4] {
        scalar::dot_1x4(patch, rows)
    }

    /// Brings a patch of 16-bit elements into an order which only [`dot_wide`](Self::dot_wide) knows.
    fn arrange_wide(_patch: &mut [i16]) {}

    /// As [`dot_1x4`](Self::dot_1x4), with a patch of 16-bit elements that was arranged.
    #[inline(never)]
    fn dot_wide(patch: &[i16], rows: [&[i8]; 4]) -> [i32; 4] {
        scalar::dot_wide(patch, rows)
    }

    /// All channels of the pixels of a strip of a depthwise convolution.
    fn depthwise_strip(filters: &TapFilters<'_>, strip: &TapStrip<'_>) -> Option<()> {
        scalar::depthwise_strip(filters, strip)
    }

    /// All channels of the pixels of a strip, block by block; the pixels' outputs are `step` bytes
    /// apart. `patch` has [`Pairs::patch_words`] words of working memory.
    fn paired_strip(
        pairs: &Self::Pairs<'_>,
        strip: &Strip<'_>,
        patch: &mut [u32],
        out: Dst<'_>,
        step: usize,
    ) -> Option<()> {
        scalar::paired_strip::<Self>(pairs, strip, patch, out, step)
    }

    /// Expands a run of bytes of each pixel of a block to 16-bit lanes, in an order which only
    /// [`paired_block`](Self::paired_block) and [`sparse_block`](Self::sparse_block) know. They are
    /// the taps from `quad` · 4 on.
    fn paired_expand(runs: [Src<'_>; BLOCK], patch: &mut [u32], quad: usize) -> Option<()> {
        scalar::paired_expand(runs, patch, quad)
    }

    /// All channels of a block whose patches are expanded; the pixels' outputs are `step` bytes
    /// apart.
    fn paired_block(
        pairs: &Self::Pairs<'_>,
        patch: &mut [u32],
        out: Dst<'_>,
        step: usize,
    ) -> Option<()> {
        scalar::paired_block(pairs.as_ref(), patch, out, step)
    }

    /// All channels of one pixel, from the bytes of its patch.
    fn paired_pixel(pairs: &Self::Pairs<'_>, patch: Src<'_>, out: Dst<'_>) -> Option<()> {
        scalar::paired_pixel(pairs.as_ref(), patch, out)
    }

    /// As [`paired_block`](Self::paired_block), of patches expanded as for it, with pairs that were
    /// found to lie [`inside`](SparsePairs::inside) of a patch.
    fn sparse_block(
        pairs: &SparsePairs<'_>,
        patch: &mut [u32],
        out: Dst<'_>,
        step: usize,
    ) -> Option<()> {
        scalar::sparse_block(pairs, patch, out, step)
    }

    /// As [`paired_pixel`](Self::paired_pixel).
    fn sparse_pixel(pairs: &SparsePairs<'_>, patch: Src<'_>, out: Dst<'_>) -> Option<()> {
        scalar::sparse_pixel(pairs, patch, out)
    }

    /// Expands a run of bytes of each pixel of a block, in an order which only
    /// [`blocked_channels`](Self::blocked_channels) knows. They are the taps from `tap` on.
    fn blocked_expand(
        runs: [Src<'_>; blocked::BLOCK],
        patch: &mut [u32],
        tap: usize,
    ) -> Option<()> {
        scalar::blocked_expand(runs, patch, tap)
    }

    /// All channels of a block whose patches are expanded.
    fn blocked_channels(
        filters: &blocked::Filters<'_>,
        patch: &[u32],
        out: [Dst<'_>; blocked::BLOCK],
    ) -> Option<()> {
        scalar::blocked_channels(filters, patch, out)
    }

    /// Copies what some pixels see, padding included, to their patches, `pitch` bytes apart.
    fn gather(neighbours: &Neighbours<'_>, patches: &mut [i8], pitch: usize) -> Option<()> {
        scalar::gather(neighbours, patches, pitch)
    }

    /// All channels of the pixels of a strip, block by block.
    fn vectors_strip(filters: &vectors::Filters<'_>, strip: &vectors::Strip<'_>) -> Option<()> {
        scalar::vectors_strip(filters, strip)
    }

    /// All channels of some neighbouring pixels, each channel from the same one of the input.
    fn depthwise_pixels(
        channels: &depthwise::Channels<'_>,
        taps: &mut depthwise::Taps<'_, '_>,
        out: Dst<'_>,
    ) -> Option<()> {
        scalar::depthwise_pixels(channels, taps, out)
    }

    /// Adds the first channels of `count` pixels, `step` bytes apart, to the sums of those channels,
    /// of which there are at most 8.
    fn pixel_sums(pixels: Src<'_>, (count, step): (usize, usize), sums: &mut [i32]) -> Option<()> {
        scalar::pixel_sums(pixels, (count, step), sums)
    }

    /// Sums of operands that are as long as the output, and may lie on it or behind its start.
    fn sums(sum: &Sum, a: Src<'_>, b: Src<'_>, out: Dst<'_>) -> Option<()> {
        scalar::sums(sum, a, b, out)
    }

    /// Limits bytes to `min..=max`.
    fn clamp(bytes: Dst<'_>, bounds: (i8, i8)) {
        scalar::clamp(bytes, bounds);
    }

    /// Fills four planes with one value.
    fn planar_fill(planes: &mut Planes<'_>, value: i8) {
        scalar::planar_fill(planes, value);
    }

    /// Copies pixels of four channels, of which `channel` is the first, to their planes.
    fn planar_expand(placed: &Placed<'_>, channel: usize, planes: &mut Planes<'_>) -> Option<()> {
        scalar::planar_expand(placed, channel, planes)
    }

    /// All outputs of some channels whose planes are complete. `table` has
    /// [`table_words`](planar::Window::table_words) words of working memory.
    fn planar_channels(channels: &Channels<'_>, table: &mut [u32]) -> Option<()> {
        scalar::planar_channels(channels, table)
    }
}
