//! Instruction sets: the only place with `unsafe` and assembly.
//!
//! [`Isa`] lists the inner loops of the operators. [`Scalar`] defines in plain Rust what each of
//! them computes; an instruction set replaces those that it does better, and must give the same
//! bytes. What the loops may rely on is checked by the constructors of their arguments
//! ([`Pairs`], [`Runs`], …), so that an assembly loop behind them cannot leave its buffers.

#[cfg(fixie_dsp)]
mod dsp;
mod paired;
pub mod planar;
mod scalar;
pub mod view;

#[cfg(fixie_dsp)]
pub use dsp::Dsp;
pub use paired::{PATCH_WORDS, Pairs, Runs};
pub use scalar::Scalar;

use view::Dst;

/// The instruction set of the core that is compiled for.
///
/// `build.rs` decides: stable Rust shows no `target_feature = "dsp"`.
#[cfg(fixie_dsp)]
pub type Native = Dsp;
/// The instruction set of the core that is compiled for.
#[cfg(not(fixie_dsp))]
pub type Native = Scalar;

/// Inner loops. A `None` means that the arguments contradict each other; nothing panics.
pub trait Isa {
    /// Dot products of two patches with two rows of weights, all equally long:
    /// `sums[patch][row]`.
    fn dot_2x2(patches: [&[i8]; 2], rows: [&[i8]; 2]) -> [[i32; 2]; 2] {
        scalar::dot_2x2(patches, rows)
    }

    /// Dot products of a patch with four rows of weights, all equally long.
    fn dot_1x4(patch: &[i8], rows: [&[i8]; 4]) -> [i32; 4] {
        scalar::dot_1x4(patch, rows)
    }

    /// Expands runs of bytes of three pixels to 16-bit lanes, in an order which only
    /// [`paired_block`](Self::paired_block) knows. `patch` has [`PATCH_WORDS`] words per four
    /// taps; the runs are those from `quad` · 4 on.
    fn paired_expand(runs: &Runs<'_>, patch: &mut [u32], quad: usize) -> Option<()> {
        scalar::paired_expand(runs, patch, quad)
    }

    /// All channels of three pixels whose patches are expanded: pixel *p* is written `p · step`
    /// bytes into `out`. With a step of 0 the first pixel is the one that stays.
    fn paired_block(pairs: &Pairs<'_>, patch: &[u32], out: Dst<'_>, step: usize) -> Option<()> {
        scalar::paired_block(pairs, patch, out, step)
    }

    /// All channels of one pixel, from the bytes of its patch.
    fn paired_pixel(pairs: &Pairs<'_>, patch: view::Src<'_>, out: Dst<'_>) -> Option<()> {
        scalar::paired_pixel(pairs, patch, out)
    }

    /// Copies pixels of two rows to row pair `row_pair` of four planes, from `column` on.
    fn planar_expand(
        lines: &planar::Lines<'_>,
        planes: &mut planar::Planes<'_>,
        row_pair: usize,
        column: usize,
    ) -> Option<()> {
        scalar::planar_expand(lines, planes, row_pair, column)
    }

    /// All outputs of one channel whose plane is complete. `table` has
    /// [`table_words`](planar::Window::table_words) words of working memory, which hold from one
    /// channel of a window to the next what does not change if `fresh` is false.
    fn planar_channel(channel: &planar::Channel<'_>, table: &mut [u32], fresh: bool) -> Option<()> {
        let _ = (table, fresh);
        scalar::planar_channel(channel)
    }
}

/// Limits bytes to `min..=max`.
pub fn clamp_bytes(bytes: Dst<'_>, (min, max): (i8, i8)) {
    for byte in bytes.cells() {
        // Not `clamp`, which panics if the bounds are the wrong way round.
        byte.set(byte.get().max(min).min(max));
    }
}
