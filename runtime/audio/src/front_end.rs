//! Samples in, frames of log-mel energies out.

use crate::fft::{Complex, fraction_bits};
use crate::log::log2;
use crate::tables::{MelBins, Tables, WEIGHT_BITS};

/// Turns a stream of samples into frames of `MELS` features.
///
/// A feature is `log2(energy + offset)` with 16 fraction bits
/// ([`LOG_FRACTION_BITS`](crate::LOG_FRACTION_BITS)), the energy in squared steps of a sample.
/// Takes `10 FFT + 4 MELS` bytes of RAM or little more.
#[derive(Debug)]
pub struct FrontEnd<'t, const FFT: usize, const BINS: usize, const MELS: usize> {
    tables: &'t Tables<FFT, BINS, MELS>,
    /// The last `window_len` samples, as a ring.
    history: [i16; FFT],
    /// Where the oldest of them lies and the next will be written.
    oldest: usize,
    /// Samples until the next frame.
    missing: usize,
    bins: [Complex; BINS],
    features: [i32; MELS],
}

impl<'t, const FFT: usize, const BINS: usize, const MELS: usize> FrontEnd<'t, FFT, BINS, MELS> {
    /// A front end that has heard nothing yet.
    pub const fn new(tables: &'t Tables<FFT, BINS, MELS>) -> Self {
        Self {
            tables,
            history: [0; FFT],
            oldest: 0,
            missing: tables.window_len,
            bins: [Complex { re: 0, im: 0 }; BINS],
            features: [0; MELS],
        }
    }

    /// Takes samples off the front of `samples` until a frame is complete, and computes it; `None`
    /// when they ran out first. Call it until then.
    ///
    /// The first frame comes after `window_len` samples, each other after `hop_len` more.
    pub fn advance(&mut self, samples: &mut &[i16]) -> Option<&[i32; MELS]> {
        while self.missing > 0 {
            let (&sample, rest) = samples.split_first()?;
            *samples = rest;
            if let Some(place) = self.history.get_mut(self.oldest) {
                *place = sample;
            }
            self.oldest =
                if self.oldest + 1 < self.tables.window_len { self.oldest + 1 } else { 0 };
            self.missing -= 1;
        }
        self.missing = self.tables.hop_len;
        self.frame();
        Some(&self.features)
    }

    /// Forgets all samples, as after a pause of the microphone.
    pub fn reset(&mut self) {
        (self.oldest, self.missing) = (0, self.tables.window_len);
    }

    fn frame(&mut self) {
        let window = self.history.iter().take(self.tables.window_len);
        let (newer, older) = (window.clone().take(self.oldest), window.skip(self.oldest));
        self.tables.spectrum(older.chain(newer).copied(), &mut self.bins);
        for (feature, energy) in self.features.iter_mut().zip(self.tables.energies(&self.bins)) {
            *feature = log2(energy + u64::from(self.tables.offset));
        }
    }
}

impl<const FFT: usize, const BINS: usize, const MELS: usize> Tables<FFT, BINS, MELS> {
    /// The energy in each filter, rounded down.
    ///
    /// By Parseval's theorem the powers of all bins add up to at most `2^48` sample steps squared
    /// (`N/2 · Σ w² x² ≤ N/2 · 3N/8 · 2^30`), so a weighted sum stays below `2^63`.
    fn energies(&self, bins: &[Complex; BINS]) -> [u64; MELS] {
        let mut sums = [0_u64; MELS];
        let MelBins { segments, rising } = &self.mel;
        for ((bin, &segment), &rising) in bins.iter().zip(segments).zip(rising) {
            if segment == MelBins::<BINS>::OUTSIDE {
                continue;
            }
            let power = bin.power() >> (2 * fraction_bits(FFT));
            let (segment, rising) = (usize::from(segment), u64::from(rising));
            if let Some(sum) = sums.get_mut(segment) {
                *sum += power * rising;
            }
            if let Some(sum) = segment.checked_sub(1).and_then(|at| sums.get_mut(at)) {
                *sum += power * ((1 << WEIGHT_BITS) - rising);
            }
        }
        sums.map(|sum| sum >> WEIGHT_BITS)
    }
}

#[cfg(test)]
mod tests;
