//! Hosts: the scalar loops, compiled once more for AVX2 and chosen at run time.
//!
//! There is nothing here that the compiler would not vectorise by itself; it only may not assume
//! that the processor has 256-bit integers, with which wide layers take a third of the time.

use std::arch::is_x86_feature_detected;

use crate::arch::blocked::{self, Filters};
use crate::arch::depthwise::{self, Taps};
use crate::arch::paired::{BLOCK, Pairs, Strip};
use crate::arch::planar::{Channels, Placed, Planes};
use crate::arch::sparse::SparsePairs;
use crate::arch::sum::Sum;
use crate::arch::view::{Dst, Src};
use crate::arch::{Isa, scalar, vectors};

/// x86-64, with AVX2 if the processor has it.
pub struct X86;

/// Declares the loops: each calls the scalar one, compiled for AVX2 or not.
macro_rules! loops {
    ($(fn $name:ident($($argument:ident: $type:ty),*) -> $result:ty;)*) => {
        impl Isa for X86 {
            const NAME: &'static str = "x86";

            $(fn $name($($argument: $type),*) -> $result {
                if is_x86_feature_detected!("avx2") {
                    // SAFETY: the processor has AVX2.
                    unsafe { avx2::$name($($argument),*) }
                } else {
                    scalar::$name($($argument),*)
                }
            })*
        }

        /// The scalar loops once more.
        mod avx2 {
            use super::*;

            $(#[target_feature(enable = "avx2")]
            pub fn $name($($argument: $type),*) -> $result {
                scalar::$name($($argument),*)
            })*
        }
    };
}

loops! {
    fn dot_2x2(patches: [&[i8]; 2], rows: [&[i8]; 2]) -> [[i32; 2]; 2];
    fn dot_1x4(patch: &[i8], rows: [&[i8]; 4]) -> [i32; 4];
    fn dot_wide(patch: &[i16], rows: [&[i8]; 4]) -> [i32; 4];
    fn paired_strip(
        pairs: &Pairs<'_>, strip: &Strip<'_>, patch: &mut [u32], out: Dst<'_>, step: usize
    ) -> Option<()>;
    fn paired_expand(runs: [Src<'_>; BLOCK], patch: &mut [u32], quad: usize) -> Option<()>;
    fn paired_block(
        pairs: &Pairs<'_>, patch: &mut [u32], out: Dst<'_>, step: usize
    ) -> Option<()>;
    fn paired_pixel(pairs: &Pairs<'_>, patch: Src<'_>, out: Dst<'_>) -> Option<()>;
    fn sparse_block(
        pairs: &SparsePairs<'_>, patch: &mut [u32], out: Dst<'_>, step: usize
    ) -> Option<()>;
    fn sparse_pixel(pairs: &SparsePairs<'_>, patch: Src<'_>, out: Dst<'_>) -> Option<()>;
    fn blocked_expand(
        runs: [Src<'_>; blocked::BLOCK], patch: &mut [u32], tap: usize
    ) -> Option<()>;
    fn blocked_channels(
        filters: &Filters<'_>, patch: &[u32], out: [Dst<'_>; blocked::BLOCK]
    ) -> Option<()>;
    fn vectors_strip(filters: &vectors::Filters<'_>, strip: &vectors::Strip<'_>) -> Option<()>;
    fn depthwise_pixels(
        channels: &depthwise::Channels<'_>, taps: &mut Taps<'_, '_>, out: Dst<'_>
    ) -> Option<()>;
    fn sums(sum: &Sum, a: Src<'_>, b: Src<'_>, out: Dst<'_>) -> Option<()>;
    fn clamp(bytes: Dst<'_>, bounds: (i8, i8)) -> ();
    fn planar_expand(placed: &Placed<'_>, channel: usize, planes: &mut Planes<'_>) -> Option<()>;
    fn planar_channels(channels: &Channels<'_>, table: &mut [u32]) -> Option<()>;
}
