//! The loops of `DepthwisePlanar`: a lane of a vector is a channel of an output.
//!
//! Planes lie as in [`scalar`](crate::arch::scalar). Two taps are computed at a time: what the outputs
//! see of them is interleaved, so that the products of both are added up by one instruction.

#![allow(clippy::wildcard_imports, reason = "intrinsics have long names, and there are many")]

use core::arch::x86_64::*;

use bytemuck::must_cast;
use fixie_format::op::planar::CHANNELS;

use crate::arch::planar::Channels;
use crate::arch::scalar::planar::{self, OUTPUTS, Streams};
use crate::arch::x86::lanes::avx2::{add_products, requantized};
use crate::arch::x86::lanes::first;

/// Taps of the largest kernel that is computed here.
const TAPS: usize = 64;

/// What each channel multiplies two taps by.
type Weights = [[i16; 2]; CHANNELS];

/// See [`Isa::planar_channels`](crate::arch::Isa::planar_channels).
#[target_feature(enable = "avx2")]
pub fn planar_channels(channels: &Channels<'_>, table: &mut [u32]) -> Option<()> {
    let window = channels.window();
    if window.kernel_h.checked_mul(window.kernel_w)? > TAPS {
        return planar::planar_channels(channels, table);
    }
    match window.stride_w {
        1 => all_outputs::<1>(channels),
        2 => all_outputs::<2>(channels),
        _ => all_outputs::<0>(channels),
    }
}

/// All outputs, see [`seen`].
#[target_feature(enable = "avx2")]
fn all_outputs<const STRIDE: usize>(channels: &Channels<'_>) -> Option<()> {
    let (window, outputs) = (channels.window(), channels.outputs());
    let taps = window.kernel_h.checked_mul(window.kernel_w)?;
    let streams = Streams::new(channels)?;
    let mut weights = [Weights::default(); TAPS / 2];
    let mut tap = 0;
    for i in 0..window.kernel_h {
        for j in 0..window.kernel_w {
            for (pair, weight) in weights.get_mut(tap / 2)?.iter_mut().zip(streams.tap(i, j)) {
                *pair.get_mut(tap % 2)? = weight;
            }
            tap = tap.wrapping_add(1);
        }
    }
    let weights = weights.get(..taps.div_ceil(2))?;
    // If the number of taps is odd, the last one has none beside it, and is multiplied by 0 there.
    let mut places = [0; TAPS];
    for y in 0..outputs.rows() {
        place(channels, y, &mut places)?;
        for x in (0..outputs.columns()).step_by(OUTPUTS) {
            let sums = sums::<STRIDE>(channels, (weights, &places), streams.bias, x)?;
            let values = activations(&sums, streams.multipliers, channels.zero());
            planar::store(channels, (y, x), values)?;
        }
    }
    Some(())
}

/// Where the first output of row `y` sees each tap.
#[inline(always)]
fn place(channels: &Channels<'_>, y: usize, places: &mut [usize; TAPS]) -> Option<()> {
    let window = channels.window();
    let rows = window.row_pairs.checked_mul(2)?;
    let first_row = channels.first_pair().checked_mul(2)?;
    let row = first_row.checked_add(y.checked_mul(window.stride_h)?)?;
    // What outputs see is not more than there is, so they go round no more than once.
    let mut row = if row < rows { row } else { row.wrapping_sub(rows) };
    for places in places.chunks_mut(window.kernel_w.max(1)).take(window.kernel_h) {
        let mut place = row.wrapping_mul(window.columns);
        for to in places {
            *to = place;
            place = place.wrapping_add(window.dilation_w);
        }
        row = row.wrapping_add(1);
        row = if row < rows { row } else { 0 };
    }
    Some(())
}

/// The sums of some outputs of a row from column `x` on, two outputs in a vector.
#[target_feature(enable = "avx2")]
fn sums<const STRIDE: usize>(
    channels: &Channels<'_>,
    (weights, places): (&[Weights], &[usize; TAPS]),
    bias: [i32; CHANNELS],
    x: usize,
) -> Option<[__m256i; OUTPUTS / 2]> {
    let (lanes, _) = bytemuck::must_cast_slice::<u32, i16>(channels.planes().words()).as_chunks();
    let stride = channels.window().stride_w;
    let first = x.checked_mul(stride)?;
    let mut sums = [must_cast([bias; 2]); OUTPUTS / 2];
    for (&weights, [a, b]) in weights.iter().zip(places.as_chunks().0) {
        let weights = must_cast([weights; 2]);
        let from = |place: usize| lanes.get(place.wrapping_add(first)..).unwrap_or_default();
        let [a, a_behind] = seen::<STRIDE>(from(*a), stride);
        let [b, b_behind] = seen::<STRIDE>(from(*b), stride);
        let [even, odd, even_behind, odd_behind] = &mut sums;
        *even = add_products(*even, _mm256_unpacklo_epi16(a, b), weights);
        *odd = add_products(*odd, _mm256_unpackhi_epi16(a, b), weights);
        *even_behind =
            add_products(*even_behind, _mm256_unpacklo_epi16(a_behind, b_behind), weights);
        *odd_behind = add_products(*odd_behind, _mm256_unpackhi_epi16(a_behind, b_behind), weights);
    }
    Some(sums)
}

/// What some outputs, so many lanes apart, see of a tap, four outputs in a vector. For strides of 1 and
/// 2 this is known when it is compiled; 0 is any other.
#[inline]
#[target_feature(enable = "avx2")]
fn seen<const STRIDE: usize>(lanes: &[[i16; CHANNELS]], stride: usize) -> [__m256i; 2] {
    if STRIDE == 1 {
        return must_cast(first::<_, OUTPUTS>(lanes));
    }
    if STRIDE == 2 {
        let [a, b, c, d]: [__m256i; 4] = must_cast(first::<_, { 2 * OUTPUTS }>(lanes));
        let [ab, cd] = [_mm256_unpacklo_epi64(a, b), _mm256_unpacklo_epi64(c, d)];
        return [
            _mm256_permute4x64_epi64::<0b11_01_10_00>(ab),
            _mm256_permute4x64_epi64::<0b11_01_10_00>(cd),
        ];
    }
    must_cast(planar::seen(lanes, stride))
}

/// Requantises sums and limits them to 8 bits, in the order of the outputs.
#[target_feature(enable = "avx2")]
fn activations(
    sums: &[__m256i; OUTPUTS / 2],
    multipliers: [i32; CHANNELS],
    zero: i8,
) -> [[i8; CHANNELS]; OUTPUTS] {
    let multipliers = must_cast([multipliers; 2]);
    let mut values = *sums;
    for value in &mut values {
        *value = requantized(*value, multipliers, zero);
    }
    // Outputs 0, 2 and 1, 3 become 0, 1 and 2, 3, since halves are packed by themselves.
    let [a, b, c, d] = values;
    let [first, second] = [_mm256_packs_epi32(a, b), _mm256_packs_epi32(c, d)];
    let bytes = _mm256_packs_epi16(first, second);
    let order = _mm256_setr_epi32(0, 1, 4, 5, 2, 3, 6, 7);
    must_cast(_mm256_permutevar8x32_epi32(bytes, order))
}
