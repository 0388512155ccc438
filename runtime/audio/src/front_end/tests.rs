//! Against a computation by definition: Hann, DFT, filters and logarithm in `f64`.

use core::f64::consts::PI;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::Config;

const fn config(fft: usize, window_len: usize) -> Config {
    Config {
        sample_rate_hz: 16_000,
        window_len,
        hop_len: fft / 2 - 7,
        low_hz: 60.0,
        high_hz: 7600.0,
        offset: 1,
    }
}

fn hann(n: usize, len: usize) -> f64 {
    0.5 - 0.5 * (2.0 * PI * n as f64 / len as f64).cos()
}

/// `Σ x[n] w[n] e^(−2πikn/N)` for every bin.
fn dft(samples: &[i16], fft: usize) -> Vec<(f64, f64)> {
    let factors: Vec<_> = (0..fft).map(|n| (2.0 * PI * n as f64 / fft as f64).sin_cos()).collect();
    let windowed: Vec<_> =
        samples.iter().enumerate().map(|(n, &x)| f64::from(x) * hann(n, samples.len())).collect();
    (0..=fft / 2)
        .map(|k| {
            windowed.iter().enumerate().fold((0.0, 0.0), |(re, im), (n, x)| {
                let (sin, cos) = factors[n * k % fft];
                (re + x * cos, im - x * sin)
            })
        })
        .collect()
}

/// Weight of a frequency in filter `m`, from the corners on the mel scale.
fn mel_weight(config: &Config, mels: usize, m: usize, hz: f64) -> f64 {
    let mel = |hz: f64| 2595.0 * (1.0 + hz / 700.0).log10();
    let corner = |i: usize| {
        let (low, high) = (mel(config.low_hz), mel(config.high_hz));
        let at = low + (high - low) * i as f64 / (mels + 1) as f64;
        700.0 * (10_f64.powf(at / 2595.0) - 1.0)
    };
    let (left, peak, right) = (corner(m), corner(m + 1), corner(m + 2));
    ((hz - left) / (peak - left)).min((right - hz) / (right - peak)).max(0.0)
}

/// Holds spectrum and features of one window to the bounds that the crate states.
fn check<const FFT: usize, const BINS: usize, const MELS: usize>(
    tables: &Tables<FFT, BINS, MELS>,
    config: &Config,
    samples: &[i16],
) {
    let exact = dft(samples, FFT);
    // The window's rounding, all of one sign.
    let of_window = samples.iter().map(|&x| f64::from(x).abs()).sum::<f64>() * 0.5_f64.powi(16);
    let of_bin = of_window + (FFT * FFT) as f64 * 0.5_f64.powi(14);

    let mut front_end = FrontEnd::new(tables);
    let features = *front_end.advance(&mut &samples[..]).expect("a whole window");
    let one = f64::from(1 << fraction_bits(FFT));
    let errors: Vec<f64> = front_end
        .bins
        .iter()
        .zip(&exact)
        .map(|(bin, (re, im))| (f64::from(bin.re) / one - re).hypot(f64::from(bin.im) / one - im))
        .collect();
    errors.iter().for_each(|error| assert!(*error <= of_bin, "bin: {error} > {of_bin}"));
    let rms = (errors.iter().map(|e| e * e).sum::<f64>() / BINS as f64).sqrt();
    let of_rms = 7.0 * (FFT as f64 / 2.0).sqrt() / one;
    // The window's error is a signal of at most 2^-16 of each sample: Parseval again.
    let energy: f64 = samples.iter().map(|&x| f64::from(x).powi(2)).sum();
    let window_rms = 0.5_f64.powi(16) * (energy * 2.0).sqrt();
    assert!(rms <= of_rms + window_rms, "RMS: {rms} > {of_rms} + {window_rms}");

    for (m, &feature) in features.iter().enumerate() {
        let (mut energy, mut slack) = (0.0, 1.0);
        for (k, (re, im)) in exact.iter().enumerate() {
            let power = re * re + im * im;
            let weight = mel_weight(config, MELS, m, k as f64 * 16_000.0 / FFT as f64);
            energy += power * weight;
            if weight > 0.0 {
                let of_power = 2.0 * power.sqrt() * of_bin + of_bin * of_bin + 1.0;
                slack += weight * of_power + (power + of_power) * 0.5_f64.powi(16);
            }
        }
        let (least, most) = ((energy - slack).max(0.0) + 1.0, energy + slack + 1.0);
        let feature = f64::from(feature) / 65536.0;
        let of_log = 0.5_f64.powi(13);
        assert!(feature >= least.log2() - of_log, "filter {m}: {feature} < {}", least.log2());
        assert!(feature <= most.log2() + of_log, "filter {m}: {feature} > {}", most.log2());
    }
}

static SMALL_CONFIG: Config = config(256, 256);
static SMALL: Tables<256, 129, 20> = Tables::new(&config(256, 256));
static MIDDLE_CONFIG: Config = config(512, 480);
static MIDDLE: Tables<512, 257, 40> = Tables::new(&config(512, 480));
static LARGE_CONFIG: Config = config(1024, 1024);
static LARGE: Tables<1024, 513, 64> = Tables::new(&config(1024, 1024));

fn check_all(sample: impl Fn(usize) -> i16) {
    let samples: Vec<i16> = (0..1024).map(sample).collect();
    check(&SMALL, &SMALL_CONFIG, &samples[..256]);
    check(&MIDDLE, &MIDDLE_CONFIG, &samples[..480]);
    check(&LARGE, &LARGE_CONFIG, &samples);
}

#[test]
fn silence_and_steady_extremes() {
    check_all(|_| 0);
    check_all(|_| i16::MIN);
    check_all(|_| i16::MAX);
}

#[test]
fn full_scale_square_waves() {
    for half_period in [1, 2, 3, 4, 7, 8, 16, 37, 64, 128, 256, 511] {
        check_all(|n| if n / half_period % 2 == 0 { i16::MIN } else { i16::MAX });
    }
}

#[test]
fn tones_of_every_loudness() {
    for (index, amplitude) in [1.0, 3.0, 100.0, 3000.0, 32767.0].into_iter().enumerate() {
        for hz in [100.0, 440.0, 1234.5, 4000.0, 7999.0] {
            let step = 2.0 * PI * hz / 16_000.0;
            check_all(|n| (amplitude * (n as f64 * step + index as f64).sin()).round() as i16);
        }
    }
}

/// What the bounds above leave open for sounds as they are: how near the features really are.
#[test]
fn features_of_noise_are_near_the_exact_ones() {
    let mut state = 1_u32;
    let samples: Vec<i16> = (0..480)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((state >> 16) as i16) / 64
        })
        .collect();
    let features = *FrontEnd::new(&MIDDLE).advance(&mut &samples[..]).unwrap();
    let exact = dft(&samples, 512);
    for (m, feature) in features.iter().enumerate() {
        let energy: f64 = exact
            .iter()
            .enumerate()
            .map(|(k, (re, im))| {
                (re * re + im * im) * mel_weight(&MIDDLE_CONFIG, 40, m, k as f64 * 31.25)
            })
            .sum();
        let error = f64::from(*feature) / 65536.0 - (energy + 1.0).log2();
        assert!(error.abs() < 0.001, "filter {m}: {error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn random_samples(samples in prop::collection::vec(any::<i16>(), 1024), quieter in 0_u32..16) {
        check_all(|n| samples[n] >> quieter);
    }

    #[test]
    fn random_corners(signs in prop::collection::vec(any::<bool>(), 1024)) {
        check_all(|n| if signs[n] { i16::MAX } else { i16::MIN });
    }

    /// A stream cut in pieces gives the frames of its windows.
    #[test]
    fn a_stream_is_its_windows(samples in prop::collection::vec(any::<i16>(), 3000),
                               piece in 1_usize..700) {
        let mut stream = FrontEnd::new(&MIDDLE);
        let mut frames = Vec::new();
        for mut piece in samples.chunks(piece) {
            while let Some(features) = stream.advance(&mut piece) {
                frames.push(*features);
            }
        }
        let Config { window_len, hop_len, .. } = MIDDLE_CONFIG;
        let windows = samples.windows(window_len).step_by(hop_len);
        prop_assert_eq!(frames.len(), windows.len());
        for (frame, mut window) in frames.iter().zip(windows) {
            let mut alone = FrontEnd::new(&MIDDLE);
            prop_assert_eq!(Some(frame), alone.advance(&mut window));
        }
        stream.reset();
        let mut window = &samples[..window_len];
        prop_assert_eq!(stream.advance(&mut window), Some(&frames[0]));
    }
}
