//! The spectrum of a real frame, in 32-bit integers.
//!
//! `N` real samples are taken as `N/2` complex ones, transformed by radix-2 decimation in time
//! (Cooley and Tukey, *Math. Comp.* 19, 1965) and separated with the symmetry of real signals
//! (Sorensen et al., *IEEE Trans. ASSP* 35(6), 1987, section II).
//!
//! **Nothing overflows and nothing is rescaled.** Samples enter with `F = 15 − log2 N` fraction
//! bits. Every intermediate value is a sum of samples turned by unit factors, so its magnitude is at
//! most `Σ│x[n]│ w[n] ≤ 2^15 · 2^F · N/2 = 2^29` with a Hann window, and twice that before the last
//! halving. Rounding adds far less than the factor 2 that is left.
//!
//! **Error**, in steps of the fraction, with `M = N/2`: a sample pair enters within `√2/2`. A
//! butterfly rounds both components of one product, `√2/2`, whose factor is off by `2^−31 √2` of at
//! most `2^29`, `√2/4`: 1.07 in all, added to both results. Errors of the two inputs add up, so
//! after `log2 M` stages there are at most `M (0.71 + 1.07)`; the separation doubles that and adds
//! 1.5: below `4 M`, which is `N² / 2^14` in steps of a sample. As a butterfly is `√2` times a
//! unitary map, the RMS over all values only grows by `√2` per stage: to at most
//! `√M (0.71 + 1.07 / (√2 − 1))`, and the separation ends below `7 √M`.

use crate::tables::{TWIDDLE_BITS, Tables, WEIGHT_BITS};

/// A spectral value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Complex {
    pub re: i32,
    pub im: i32,
}

impl Complex {
    /// `self · factor`, each component rounded once, halves up.
    #[inline]
    fn turn(self, (cosine, sine): (i32, i32)) -> Self {
        let (re, im) = (i64::from(self.re), i64::from(self.im));
        let (cosine, sine) = (i64::from(cosine), i64::from(sine));
        let round = |product: i64| ((product + (1 << (TWIDDLE_BITS - 1))) >> TWIDDLE_BITS) as i32;
        Self { re: round(re * cosine - im * sine), im: round(re * sine + im * cosine) }
    }

    #[inline]
    fn plus(self, other: Self) -> Self {
        Self { re: self.re.wrapping_add(other.re), im: self.im.wrapping_add(other.im) }
    }

    #[inline]
    fn minus(self, other: Self) -> Self {
        Self { re: self.re.wrapping_sub(other.re), im: self.im.wrapping_sub(other.im) }
    }

    #[inline]
    fn conjugate(self) -> Self {
        Self { im: self.im.wrapping_neg(), ..self }
    }

    #[inline]
    fn half(self) -> Self {
        Self { re: self.re >> 1, im: self.im >> 1 }
    }

    /// `│self│²`.
    #[inline]
    pub fn power(self) -> u64 {
        let square = |x: i32| (i64::from(x) * i64::from(x)) as u64;
        square(self.re) + square(self.im)
    }
}

/// Fraction bits of the spectrum of an FFT of `points`.
pub const fn fraction_bits(points: usize) -> u32 {
    15 - points.ilog2()
}

impl<const FFT: usize, const BINS: usize, const MELS: usize> Tables<FFT, BINS, MELS> {
    /// The spectrum of the windowed samples, of which the first `FFT` count; those missing are 0.
    pub(crate) fn spectrum(&self, samples: impl Iterator<Item = i16>, bins: &mut [Complex; BINS]) {
        self.load(samples, bins);
        if let Some(points) = bins.get_mut(..FFT / 2) {
            self.transform(points);
        }
        self.separate(bins);
    }

    /// Windows the samples and takes pairs of them as complex numbers, in bit-reversed order.
    fn load(&self, samples: impl Iterator<Item = i16>, bins: &mut [Complex; BINS]) {
        *bins = [Complex::default(); BINS];
        let shift = WEIGHT_BITS - fraction_bits(FFT);
        let unused_bits = usize::BITS - (FFT / 2).ilog2();
        for (n, (sample, &weight)) in samples.zip(&self.window).enumerate() {
            let value = (i32::from(sample) * i32::from(weight) + (1 << (shift - 1))) >> shift;
            let place = (n / 2).reverse_bits() >> unused_bits;
            if let Some(point) = bins.get_mut(place) {
                *(if n % 2 == 0 { &mut point.re } else { &mut point.im }) = value;
            }
        }
    }

    /// The complex transform, in place: bit-reversed order in, natural order out.
    fn transform(&self, points: &mut [Complex]) {
        for stage in 0..(FFT / 2).ilog2() {
            let half = 1 << stage;
            for block in points.chunks_mut(2 * half) {
                let Some((upper, lower)) = block.split_at_mut_checked(half) else {
                    return; // a block has two halves
                };
                for (j, (a, b)) in upper.iter_mut().zip(lower).enumerate() {
                    let turned = b.turn(self.twiddle(j * (FFT / 2 / half)));
                    (*a, *b) = (a.plus(turned), a.minus(turned));
                }
            }
        }
    }

    /// From the transform `Z` of the pairs to the spectrum `X` of the samples, in place:
    /// with `even = (Z[k] + Z*[N/2 − k]) / 2` and `odd = (Z[k] − Z*[N/2 − k]) / 2i`,
    /// `X[k] = even + odd · e^(−2πik/N)` and `X[N/2 − k] = (even − odd · e^(−2πik/N))*`.
    fn separate(&self, bins: &mut [Complex; BINS]) {
        let [first, between @ .., last] = bins.as_mut_slice() else {
            return; // the length is a constant above 2
        };
        let Complex { re, im } = *first;
        *first = Complex { re: re.wrapping_add(im), im: 0 };
        *last = Complex { re: re.wrapping_sub(im), im: 0 };
        let mut between = between.iter_mut();
        let mut k = 1;
        while let Some(low) = between.next() {
            let Some(high) = between.next_back() else {
                *low = low.conjugate(); // k = N/4 is its own partner, and its factor is −i
                return;
            };
            let even = low.plus(high.conjugate());
            let difference = low.minus(high.conjugate());
            let odd = Complex { re: difference.im, im: difference.re.wrapping_neg() };
            let turned = odd.turn(self.twiddle(k));
            *low = even.plus(turned).half();
            *high = even.minus(turned).conjugate().half();
            k += 1;
        }
    }
}
