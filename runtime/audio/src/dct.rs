//! The cosine transform that makes MFCCs of log-mel energies.

use crate::math;

/// Fraction bits of the matrix.
const BITS: u32 = 15;

/// The first `COEFFS` rows of the orthonormal DCT-II of `MELS` points
/// (`scipy.fft.dct(x, norm="ortho")`).
///
/// ```
/// static DCT: fixie_audio::Dct<40, 10> = fixie_audio::Dct::new();
/// let coefficients: [i32; 10] = DCT.transform(&[1 << 16; 40]);
/// assert_eq!(coefficients[1..], [0; 9]); // a flat spectrum has the first one only
/// ```
#[derive(Debug)]
pub struct Dct<const MELS: usize, const COEFFS: usize> {
    rows: [[i16; MELS]; COEFFS],
}

impl<const MELS: usize, const COEFFS: usize> Dct<MELS, COEFFS> {
    /// `√(2/M) cos(πk(2m + 1) / 2M)`, the first row divided by `√2`; for a `static`.
    ///
    /// # Panics
    ///
    /// At compile time, unless `1 ≤ COEFFS ≤ MELS` and `2 ≤ MELS`.
    pub const fn new() -> Self {
        assert!(MELS >= 2 && COEFFS >= 1 && COEFFS <= MELS, "1 to MELS coefficients");
        let (mut rows, mut k) = ([[0; MELS]; COEFFS], 0);
        while k < COEFFS {
            let scale = math::sqrt((if k == 0 { 1.0 } else { 2.0 }) / MELS as f64);
            let mut m = 0;
            while m < MELS {
                let value = scale * math::cos_turn(k * (2 * m + 1), 4 * MELS);
                let rounded = math::round(value * (1 << BITS) as f64);
                // Only with two points does an entry come near 1.
                rows[k][m] = if rounded > 32767 { 32767 } else { rounded as i16 };
                m += 1;
            }
            k += 1;
        }
        Self { rows }
    }

    /// Transforms features; the fraction bits stay as they are.
    ///
    /// Rounding of the matrix moves a coefficient by at most `2⁻¹⁶ Σ│mel│`, that of the result by
    /// half a step.
    pub fn transform(&self, mel: &[i32; MELS]) -> [i32; COEFFS] {
        self.rows.each_ref().map(|row| {
            let sum: i64 = row.iter().zip(mel).map(|(&w, &x)| i64::from(w) * i64::from(x)).sum();
            ((sum + (1 << (BITS - 1))) >> BITS) as i32
        })
    }
}

impl<const MELS: usize, const COEFFS: usize> Default for Dct<MELS, COEFFS> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use core::array;
    use core::f64::consts::PI;

    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn as_by_definition(mel in prop::array::uniform32(0..1_i32 << 22)) {
            static DCT: Dct<32, 13> = Dct::new();
            let bound = mel.iter().map(|&x| x as f64).sum::<f64>() * 0.5_f64.powi(16) + 0.5;
            let expected: [f64; 13] = array::from_fn(|k| {
                let scale = if k == 0 { 1.0 / 32.0_f64 } else { 2.0 / 32.0 }.sqrt();
                mel.iter().enumerate().map(|(m, &x)| {
                    x as f64 * scale * (PI * k as f64 * (2 * m + 1) as f64 / 64.0).cos()
                }).sum()
            });
            for (got, expected) in DCT.transform(&mel).iter().zip(expected) {
                prop_assert!((*got as f64 - expected).abs() <= bound);
            }
        }
    }
}
