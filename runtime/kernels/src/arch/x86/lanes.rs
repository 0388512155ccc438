//! What the loops do with vectors, for each length of vectors that processors have.
//!
//! A lane has 32 bits: a sum, or two taps.

#![allow(clippy::wildcard_imports, reason = "intrinsics have long names, and there are many")]

use core::arch::x86_64::*;

use bytemuck::must_cast;
use fixie_format::op::paired::TAP_ORDER;

/// As many words as the longest vector has.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub struct Row(pub [u32; avx512::LANES]);

/// The first items; zeros if there are fewer.
#[inline(always)]
pub fn first<T: Copy + Default, const N: usize>(items: &[T]) -> [T; N] {
    let mut some = [T::default(); N];
    let items = if let Some(items) = items.first_chunk() {
        items
    } else {
        for (to, from) in some.iter_mut().zip(items) {
            *to = *from;
        }
        &some
    };
    *items
}

/// Vectors of 256 bits.
pub mod avx2 {
    use super::*;

    /// Lanes of a vector.
    pub const LANES: usize = 8;
    /// Words that [`columns`] transposes.
    pub const COLUMNS: usize = 8;

    /// The first half of a row, or the second one.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub fn load(row: &Row, half: usize) -> __m256i {
        let [first, second] = must_cast(row.0);
        if half == 0 { first } else { second }
    }

    /// 0 in each lane.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub fn zeros() -> __m256i {
        _mm256_setzero_si256()
    }

    /// The same word in each lane.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub fn splat(word: u32) -> __m256i {
        _mm256_set1_epi32(word as i32)
    }

    /// Words `at..at + COLUMNS` of each row, a row being a lane; zeros behind their ends.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub fn columns(rows: &[&[u32]; LANES], at: usize) -> [__m256i; COLUMNS] {
        let mut lanes = [_mm256_setzero_si256(); LANES];
        for (lane, row) in lanes.iter_mut().zip(rows) {
            *lane = start(row.get(at..).unwrap_or_default());
        }
        let [a, b, c, d, e, f, g, h] = lanes;
        let [a, b, c, d] = transposed_halves([a, b, c, d]);
        let [e, f, g, h] = transposed_halves([e, f, g, h]);
        [
            _mm256_permute2x128_si256::<0x20>(a, e),
            _mm256_permute2x128_si256::<0x20>(b, f),
            _mm256_permute2x128_si256::<0x20>(c, g),
            _mm256_permute2x128_si256::<0x20>(d, h),
            _mm256_permute2x128_si256::<0x31>(a, e),
            _mm256_permute2x128_si256::<0x31>(b, f),
            _mm256_permute2x128_si256::<0x31>(c, g),
            _mm256_permute2x128_si256::<0x31>(d, h),
        ]
    }

    /// The first words of a vector; zeros if there are fewer.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub fn start(words: &[u32]) -> __m256i {
        must_cast(first::<_, LANES>(words))
    }

    /// Both squares of four rows, transposed.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn transposed_halves([a, b, c, d]: [__m256i; 4]) -> [__m256i; 4] {
        let [ab, ab_behind] = [_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b)];
        let [cd, cd_behind] = [_mm256_unpacklo_epi32(c, d), _mm256_unpackhi_epi32(c, d)];
        [
            _mm256_unpacklo_epi64(ab, cd),
            _mm256_unpackhi_epi64(ab, cd),
            _mm256_unpacklo_epi64(ab_behind, cd_behind),
            _mm256_unpackhi_epi64(ab_behind, cd_behind),
        ]
    }

    /// Bytes of a pixel in the order of the weights of `ConvPaired`, as lanes of 16 bits.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub fn taps(bytes: [i8; 2 * LANES]) -> __m256i {
        const { assert!(matches!(TAP_ORDER, [0, 2, 1, 3])) };
        let order = _mm_setr_epi8(0, 2, 1, 3, 4, 6, 5, 7, 8, 10, 9, 11, 12, 14, 13, 15);
        _mm256_cvtepi8_epi16(_mm_shuffle_epi8(must_cast(bytes), order))
    }

    /// The sums of the lanes of each vector.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub fn lane_sums([a, b, c, d]: [__m256i; 4]) -> __m128i {
        let [ab, cd] = [_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d)];
        let halves = _mm256_hadd_epi32(ab, cd);
        _mm_add_epi32(_mm256_castsi256_si128(halves), _mm256_extracti128_si256::<1>(halves))
    }

    /// The lower bytes of lanes of 16 bits, with their signs.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub fn low_bytes(lanes: __m256i) -> __m256i {
        _mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(lanes))
    }

    /// The sums of each lane.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub fn add(a: __m256i, b: __m256i) -> __m256i {
        _mm256_add_epi32(a, b)
    }

    /// `sums` and the products of both taps of each lane.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub fn add_products(sums: __m256i, a: __m256i, b: __m256i) -> __m256i {
        _mm256_add_epi32(sums, _mm256_madd_epi16(a, b))
    }

    /// The sums of second channels.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub fn upper(full: __m256i, low: __m256i) -> __m256i {
        _mm256_srai_epi32::<8>(_mm256_sub_epi32(full, low))
    }

    /// Scaled sums beside the zero point, not limited to 8 bits: see
    /// [`requantize`](crate::requantize::requantize), without a shift.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub fn requantized(sums: __m256i, multipliers: __m256i, zero: i8) -> __m256i {
        let half = _mm256_set1_epi64x(1 << 31);
        let even = _mm256_mul_epi32(sums, multipliers);
        let [sums, multipliers] =
            [_mm256_srli_epi64::<32>(sums), _mm256_srli_epi64::<32>(multipliers)];
        let odd = _mm256_mul_epi32(sums, multipliers);
        let [even, odd] = [_mm256_add_epi64(even, half), _mm256_add_epi64(odd, half)];
        let scaled = _mm256_blend_epi32::<0b1010_1010>(_mm256_srli_epi64::<32>(even), odd);
        add(scaled, splat(i32::from(zero) as u32))
    }

    /// Requantises the sums of two channels of each lane; these lie side by side in what becomes of
    /// them.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub fn activations(sums: [__m256i; 2], multipliers: [__m256i; 2], zero: i8) -> [i8; 2 * LANES] {
        let ([a, b], [m, n]) = (sums, multipliers);
        let [a, b] = [requantized(a, m, zero), requantized(b, n, zero)];
        // Each half has four first channels and then the second ones of the same lanes.
        let lanes = _mm256_packs_epi32(a, b);
        let bytes = _mm256_packs_epi16(lanes, lanes);
        let order = _mm_setr_epi8(0, 4, 1, 5, 2, 6, 3, 7, -1, -1, -1, -1, -1, -1, -1, -1);
        let first = _mm_shuffle_epi8(_mm256_castsi256_si128(bytes), order);
        let second = _mm_shuffle_epi8(_mm256_extracti128_si256::<1>(bytes), order);
        must_cast(_mm_unpacklo_epi64(first, second))
    }
}

/// Vectors of 256 bits whose products are added up in one instruction.
pub mod vnni {
    use super::*;

    pub use super::avx2::{LANES, activations, add, load, splat, upper, zeros};

    /// `sums` and the products of both taps of each lane.
    #[inline]
    #[target_feature(enable = "avx512vl,avx512vnni")]
    pub fn add_products(sums: __m256i, a: __m256i, b: __m256i) -> __m256i {
        _mm256_dpwssd_epi32(sums, a, b)
    }
}

/// Vectors of 512 bits.
pub mod avx512 {
    use super::*;

    /// Lanes of a vector.
    pub const LANES: usize = 16;

    /// Two vectors side by side.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn joined(first: __m256i, second: __m256i) -> __m512i {
        _mm512_inserti64x4::<1>(_mm512_castsi256_si512(first), second)
    }

    /// A row, which is one vector.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub fn load(row: &Row, _: usize) -> __m512i {
        let [first, second] = must_cast(row.0);
        joined(first, second)
    }

    /// Bytes of a pixel in the order of the weights of `ConvPaired`, as lanes of 16 bits.
    #[inline]
    #[target_feature(enable = "avx512bw")]
    pub fn taps(bytes: [i8; 2 * LANES]) -> __m512i {
        let [first, second]: [[i8; LANES]; 2] = must_cast(bytes);
        joined(avx2::taps(first), avx2::taps(second))
    }

    /// The first words of a vector; zeros if there are fewer.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub fn start(words: &[u32]) -> __m512i {
        let (first, second) = words.split_at_checked(LANES / 2).unwrap_or((words, &[]));
        joined(avx2::start(first), avx2::start(second))
    }

    /// The sums of the lanes of each vector.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub fn lane_sums(vectors: [__m512i; 4]) -> __m128i {
        let mut halves = [avx2::zeros(); 4];
        for (half, vector) in halves.iter_mut().zip(vectors) {
            let upper = _mm512_extracti64x4_epi64::<1>(vector);
            *half = _mm256_add_epi32(_mm512_castsi512_si256(vector), upper);
        }
        avx2::lane_sums(halves)
    }

    /// The lower bytes of lanes of 16 bits, with their signs.
    #[inline]
    #[target_feature(enable = "avx512bw")]
    pub fn low_bytes(lanes: __m512i) -> __m512i {
        _mm512_srai_epi16::<8>(_mm512_slli_epi16::<8>(lanes))
    }

    /// 0 in each lane.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub fn zeros() -> __m512i {
        _mm512_setzero_si512()
    }

    /// The same word in each lane.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub fn splat(word: u32) -> __m512i {
        _mm512_set1_epi32(word as i32)
    }

    /// The sums of each lane.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub fn add(a: __m512i, b: __m512i) -> __m512i {
        _mm512_add_epi32(a, b)
    }

    /// `sums` and the products of both taps of each lane.
    #[inline]
    #[target_feature(enable = "avx512f,avx512vnni")]
    pub fn add_products(sums: __m512i, a: __m512i, b: __m512i) -> __m512i {
        _mm512_dpwssd_epi32(sums, a, b)
    }

    /// The sums of second channels.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub fn upper(full: __m512i, low: __m512i) -> __m512i {
        _mm512_srai_epi32::<8>(_mm512_sub_epi32(full, low))
    }

    /// Scaled sums beside the zero point, not limited to 8 bits: see
    /// [`requantize`](crate::requantize::requantize), without a shift.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn requantized(sums: __m512i, multipliers: __m512i, zero: i8) -> __m512i {
        let half = _mm512_set1_epi64(1 << 31);
        let even = _mm512_mul_epi32(sums, multipliers);
        let [sums, multipliers] =
            [_mm512_srli_epi64::<32>(sums), _mm512_srli_epi64::<32>(multipliers)];
        let odd = _mm512_mul_epi32(sums, multipliers);
        let [even, odd] = [_mm512_add_epi64(even, half), _mm512_add_epi64(odd, half)];
        let scaled = _mm512_mask_blend_epi32(0xaaaa, _mm512_srli_epi64::<32>(even), odd);
        add(scaled, splat(i32::from(zero) as u32))
    }

    /// Requantises the sums of two channels of each lane; these lie side by side in what becomes of
    /// them.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub fn activations(sums: [__m512i; 2], multipliers: [__m512i; 2], zero: i8) -> [i8; 2 * LANES] {
        let ([a, b], [m, n]) = (sums, multipliers);
        let a = _mm512_cvtsepi32_epi8(requantized(a, m, zero));
        let b = _mm512_cvtsepi32_epi8(requantized(b, n, zero));
        must_cast([_mm_unpacklo_epi8(a, b), _mm_unpackhi_epi8(a, b)])
    }
}
