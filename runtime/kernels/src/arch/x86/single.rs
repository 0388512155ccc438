//! What `ConvPaired` does with a single pixel: a lane of a vector is two of its taps, since weights
//! that are looked at only once are not worth transposing.

#![allow(clippy::wildcard_imports, reason = "vectors of each length have the same functions")]

use core::arch::x86_64::*;

use bytemuck::must_cast;

use crate::arch::paired::Pairs;
use crate::arch::scalar::pieces;
use crate::arch::view::{Dst, Src};
use crate::arch::x86::lanes::avx2::requantized;
use crate::requantize::clamp;

/// Pairs that are computed at a time.
const PAIRS: usize = 4;

/// The constants of some pairs. Those that there are not have no weights.
#[derive(Default)]
struct Quartet<'a> {
    starts: [[u32; PAIRS]; 2],
    weights: [&'a [u32]; PAIRS],
    multipliers: [[u32; PAIRS]; 2],
}

impl<'a> Quartet<'a> {
    fn new(pairs: impl Iterator<Item = &'a [u32]>) -> Option<Self> {
        let mut all = Self::default();
        let [full, low] = &mut all.starts;
        let [first, second] = &mut all.multipliers;
        for (n, pair) in pairs.enumerate() {
            let [start, low_start, weights @ .., m0, m1] = pair else {
                return None;
            };
            *full.get_mut(n)? = *start;
            *low.get_mut(n)? = *low_start;
            *all.weights.get_mut(n)? = weights;
            *first.get_mut(n)? = *m0;
            *second.get_mut(n)? = *m1;
        }
        Some(all)
    }

    /// The channels, from the sums of the products of both channels and of the lower ones.
    #[target_feature(enable = "avx2")]
    fn channels(&self, [full, low]: [__m128i; 2], zero: i8) -> [[i8; 2]; PAIRS] {
        let [full_start, low_start] = self.starts;
        let full = _mm_add_epi32(full, must_cast(full_start));
        let low = _mm_add_epi32(low, must_cast(low_start));
        let high = _mm_srai_epi32::<8>(_mm_sub_epi32(full, low));
        let values = requantized(must_cast([low, high]), must_cast(self.multipliers), zero);
        let [first, second]: [[i32; PAIRS]; 2] = must_cast(values);
        let mut channels = [[0; 2]; PAIRS];
        for (channels, (a, b)) in channels.iter_mut().zip(first.into_iter().zip(second)) {
            *channels = [clamp(a, i8::MIN, i8::MAX), clamp(b, i8::MIN, i8::MAX)];
        }
        channels
    }
}

/// The loops for the vectors of a module of [`lanes`](crate::arch::x86::lanes).
macro_rules! loops {
    ($module:ident, $features:literal) => {
        pub mod $module {
            use super::*;
            use crate::arch::x86::lanes::$module::*;

            /// See [`Isa::paired_pixel`](crate::arch::Isa::paired_pixel).
            #[target_feature(enable = $features)]
            pub fn paired_pixel(pairs: &Pairs<'_>, patch: Src<'_>, out: Dst<'_>) -> Option<()> {
                (patch.len() == pairs.taps()).then_some(())?;
                let len = pairs.pair_words().checked_mul(PAIRS)?;
                for (n, some) in pairs.stream().chunks(len).enumerate() {
                    let quartet = Quartet::new(pieces(some, pairs.pair_words()))?;
                    let sums = sums(quartet.weights, patch)?;
                    let values = quartet.channels(sums, pairs.zero());
                    let first = n.checked_mul(2 * PAIRS)?;
                    let channels = (first..pairs.channels()).zip(values.as_flattened());
                    for (channel, &value) in channels {
                        out.set(channel, value)?;
                    }
                }
                Some(())
            }

            /// The sums of the products of both channels of some pairs, and of the lower ones.
            #[target_feature(enable = $features)]
            fn sums(weights: [&[u32]; PAIRS], patch: Src<'_>) -> Option<[__m128i; 2]> {
                let [mut full, mut low] = [[zeros(); PAIRS]; 2];
                let mut at = 0;
                while at < patch.len() {
                    let seen = taps(bytes(patch, at)?);
                    for ((full, low), weights) in full.iter_mut().zip(&mut low).zip(weights) {
                        let both = start(weights.get(at / 2..).unwrap_or_default());
                        *full = add_products(*full, both, seen);
                        *low = add_products(*low, low_bytes(both), seen);
                    }
                    at = at.checked_add(2 * LANES)?;
                }
                Some([lane_sums(full), lane_sums(low)])
            }
        }
    };
}

loops!(avx2, "avx2");
loops!(avx512, "avx512f,avx512bw,avx512vl,avx512vnni");

/// The bytes from `at` on; zeros behind the end.
#[inline(always)]
fn bytes<const N: usize>(patch: Src<'_>, at: usize) -> Option<[i8; N]> {
    if let Some(bytes) = patch.chunk(at) {
        return Some(bytes);
    }
    let mut bytes = [0; N];
    let rest = patch.len().checked_sub(at)?;
    patch.slice(at, rest)?.copy_to(bytes.get_mut(..rest)?)?;
    Some(bytes)
}
