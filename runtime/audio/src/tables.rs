//! The constants of a front end, computed at compile time.

use crate::math;

/// Fraction bits of the twiddle factors.
pub const TWIDDLE_BITS: u32 = 30;
/// Fraction bits of the window and of the mel weights: 1 is 32768.
pub const WEIGHT_BITS: u32 = 15;

/// What a front end computes; the training script must do the same.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Config {
    /// Samples per second.
    pub sample_rate_hz: u32,
    /// Samples of a window, at most the points of the FFT; the rest is padded with zeros.
    pub window_len: usize,
    /// Samples from one window to the next, at most `window_len`.
    pub hop_len: usize,
    /// Where the first filter begins.
    pub low_hz: f64,
    /// Where the last filter ends, at most half the sample rate.
    pub high_hz: f64,
    /// Added to a filter's energy before the logarithm, in squared steps of a 16-bit sample; at
    /// least 1. For samples scaled to ±1 and `log(mel + 1e-6)` it is `1e-6 · 2^30`, 1074.
    pub offset: u32,
}

/// Window, twiddle factors and mel filters of an FFT of `FFT` points, with `BINS = FFT / 2 + 1`.
///
/// The window is the periodic Hann window (`scipy.signal.get_window("hann", n)`). The filters are
/// triangles over frequency whose corners are equally spaced on the mel scale of O'Shaughnessy,
/// `2595 log10(1 + f / 700)`, with peaks of 1: `torchaudio.functional.melscale_fbanks` with its
/// defaults, `librosa.filters.mel` with `htk=True, norm=None`.
#[derive(Debug)]
pub struct Tables<const FFT: usize, const BINS: usize, const MELS: usize> {
    pub(crate) window_len: usize,
    pub(crate) hop_len: usize,
    pub(crate) offset: u32,
    /// Zero from `window_len` on.
    pub(crate) window: [u16; FFT],
    /// `sin(2πk / FFT)`.
    pub(crate) sines: [i32; BINS],
    pub(crate) mel: MelBins<BINS>,
}

/// The filters, seen from the bins.
///
/// Corners cut the frequencies into segments. In segment `s` filter `s` rises and filter `s − 1`
/// falls, and their weights add up to 1: one weight per bin is enough.
#[derive(Debug)]
pub struct MelBins<const BINS: usize> {
    /// Segment of each bin: 0 to the number of filters; [`MelBins::OUTSIDE`] beyond the corners.
    pub segments: [u8; BINS],
    /// Weight of each bin in the filter that rises.
    pub rising: [u16; BINS],
}

impl<const FFT: usize, const BINS: usize, const MELS: usize> Tables<FFT, BINS, MELS> {
    /// Computes the tables; for a `static`, as it is slow on a device.
    ///
    /// # Panics
    ///
    /// At compile time, if `FFT` is not 256, 512 or 1024, `BINS` not `FFT / 2 + 1`, or a field of
    /// the configuration out of the range that its documentation gives.
    pub const fn new(config: &Config) -> Self {
        assert!(matches!(FFT, 256 | 512 | 1024), "the FFT has 256, 512 or 1024 points");
        assert!(BINS == FFT / 2 + 1, "BINS must be FFT / 2 + 1");
        assert!(MELS >= 1 && MELS <= 128, "1 to 128 mel filters");
        assert!(config.window_len >= 1 && config.window_len <= FFT, "the window exceeds the FFT");
        assert!(config.hop_len >= 1 && config.hop_len <= config.window_len, "gaps between windows");
        assert!(config.low_hz >= 0.0 && config.low_hz < config.high_hz, "no band of frequencies");
        assert!(config.high_hz <= config.sample_rate_hz as f64 / 2.0, "beyond half the rate");
        assert!(config.offset >= 1, "the logarithm of zero");
        Self {
            window_len: config.window_len,
            hop_len: config.hop_len,
            offset: config.offset,
            window: hann(config.window_len),
            sines: sines::<FFT, BINS>(),
            mel: MelBins::new::<FFT, MELS>(config),
        }
    }

    /// Bin `k`'s twiddle factor `e^(−2πik/FFT)` as (cosine, −sine), `0 ≤ k ≤ FFT/2`.
    #[inline]
    pub(crate) fn twiddle(&self, k: usize) -> (i32, i32) {
        let sine = |at: usize| self.sines.get(at).copied().unwrap_or(0);
        let quarter = FFT / 4;
        let cosine = if k <= quarter { sine(quarter - k) } else { -sine(k - quarter) };
        (cosine, -sine(k))
    }
}

const fn hann<const FFT: usize>(len: usize) -> [u16; FFT] {
    let (mut window, mut n) = ([0; FFT], 0);
    while n < len {
        let value = 0.5 - 0.5 * math::cos_turn(n, len);
        window[n] = math::round(value * (1 << WEIGHT_BITS) as f64) as u16;
        n += 1;
    }
    window
}

const fn sines<const FFT: usize, const BINS: usize>() -> [i32; BINS] {
    let (mut sines, mut k) = ([0; BINS], 0);
    while k < BINS {
        sines[k] = math::round(math::sin_turn(k, FFT) * (1_i64 << TWIDDLE_BITS) as f64) as i32;
        k += 1;
    }
    sines
}

impl<const BINS: usize> MelBins<BINS> {
    /// The segment of bins that belong to no filter.
    pub const OUTSIDE: u8 = u8::MAX;

    const fn new<const FFT: usize, const MELS: usize>(config: &Config) -> Self {
        let (mut segments, mut rising) = ([Self::OUTSIDE; BINS], [0; BINS]);
        let (mut segment, mut k) = (0, 0);
        while k < BINS {
            let hz = k as f64 * config.sample_rate_hz as f64 / FFT as f64;
            while segment <= MELS && hz >= corner_hz(config, MELS, segment + 1) {
                segment += 1;
            }
            if hz >= config.low_hz && segment <= MELS {
                let (from, to) =
                    (corner_hz(config, MELS, segment), corner_hz(config, MELS, segment + 1));
                segments[k] = segment as u8;
                rising[k] =
                    math::round((hz - from) / (to - from) * (1 << WEIGHT_BITS) as f64) as u16;
            }
            k += 1;
        }
        Self { segments, rising }
    }
}

/// The frequency of a corner: `MELS + 2` of them, equally spaced on the mel scale.
const fn corner_hz(config: &Config, mels: usize, corner: usize) -> f64 {
    let (low, high) =
        (math::ln(1.0 + config.low_hz / 700.0), math::ln(1.0 + config.high_hz / 700.0));
    let at = low + (high - low) * corner as f64 / (mels + 1) as f64;
    700.0 * (math::exp(at) - 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twiddles_go_round_half_the_circle() {
        let tables = Tables::<256, 129, 8>::new(&Config {
            sample_rate_hz: 8000,
            window_len: 256,
            hop_len: 128,
            low_hz: 0.0,
            high_hz: 4000.0,
            offset: 1,
        });
        let one = 1 << TWIDDLE_BITS;
        let quarters = [0, 64, 128].map(|k| tables.twiddle(k));
        assert_eq!(quarters, [(one, 0), (0, -one), (-one, 0)]);
        assert_eq!([0, 64, 128, 192].map(|n| tables.window[n]), [0, 1 << 14, 1 << 15, 1 << 14]);
    }
}
