//! Hosts, with the vectors that the processor turns out to have.
//!
//! Most loops are the scalar ones, compiled once more for AVX2: the compiler vectorises them by
//! itself, but may not assume 256-bit integers. Convolutions, where the time goes, are written with
//! vectors: what is gained is that two products are added up by one instruction, and that weights are
//! transposed once for all pixels.

mod lanes;
mod paired;
mod planar;
mod single;
#[cfg(test)]
mod tests;

use std::arch::is_x86_feature_detected;

use crate::arch::blocked::{self, Filters};
use crate::arch::depthwise::{self, Taps};
use crate::arch::paired::BLOCK;
use crate::arch::planar::{Channels, Placed, Planes};
use crate::arch::sparse::SparsePairs;
use crate::arch::sum::Sum;
use crate::arch::view::{Dst, Src};
use crate::arch::x86::paired::Arranged;
use crate::arch::{Isa, scalar, vectors};

/// x86-64, with AVX2 or AVX-512 if the processor has them.
pub struct X86;

/// Whether the processor has vectors of 256 bits.
fn has_avx2() -> bool {
    is_x86_feature_detected!("avx2")
}

/// Whether the processor has vectors of 512 bits, and adds up products in one instruction.
fn has_avx512() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512vnni")
}

/// Declares the loops: those which are the scalar ones, compiled for AVX2 or not, and the others.
macro_rules! loops {
    (
        compiled: { $(fn $name:ident($($argument:ident: $type:ty),*) -> $result:ty;)* }
        written: { $($written:item)* }
    ) => {
        impl Isa for X86 {
            const NAME: &'static str = "x86";

            $($written)*

            $(fn $name($($argument: $type),*) -> $result {
                if has_avx2() {
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
    compiled: {
        fn dot_2x2(patches: [&[i8]; 2], rows: [&[i8]; 2]) -> [[i32; 2]; 2];
        fn dot_1x4(patch: &[i8], rows: [&[i8]; 4]) -> [i32; 4];
        fn dot_wide(patch: &[i16], rows: [&[i8]; 4]) -> [i32; 4];
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
    }
    written: {
        type Pairs<'a> = Arranged<'a>;

        fn paired_expand(runs: [Src<'_>; BLOCK], patch: &mut [u32], quad: usize) -> Option<()> {
            if has_avx2() {
                // SAFETY: the processor has AVX2.
                unsafe { paired::expand(runs, patch, quad) }
            } else {
                scalar::paired_expand(runs, patch, quad)
            }
        }

        fn paired_block(
            pairs: &Arranged<'_>,
            patch: &mut [u32],
            out: Dst<'_>,
            step: usize,
        ) -> Option<()> {
            if has_avx512() {
                // SAFETY: the processor has what it is compiled for.
                unsafe { paired::by_rows(pairs, patch, out, step) }
            } else if has_avx2() {
                // SAFETY: the processor has AVX2.
                unsafe { paired::by_halves(pairs, patch, out, step) }
            } else {
                scalar::paired_block(pairs.as_ref(), patch, out, step)
            }
        }

        fn paired_pixel(pairs: &Arranged<'_>, patch: Src<'_>, out: Dst<'_>) -> Option<()> {
            if has_avx512() {
                // SAFETY: the processor has what it is compiled for.
                unsafe { single::avx512::paired_pixel(pairs.as_ref(), patch, out) }
            } else if has_avx2() {
                // SAFETY: the processor has AVX2.
                unsafe { single::avx2::paired_pixel(pairs.as_ref(), patch, out) }
            } else {
                scalar::paired_pixel(pairs.as_ref(), patch, out)
            }
        }

        fn planar_channels(channels: &Channels<'_>, table: &mut [u32]) -> Option<()> {
            if has_avx2() {
                // SAFETY: the processor has AVX2.
                unsafe { planar::planar_channels(channels, table) }
            } else {
                scalar::planar_channels(channels, table)
            }
        }
    }
}
