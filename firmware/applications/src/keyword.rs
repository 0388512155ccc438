//! Keyword spotting from a microphone.

use fixie::RunError;
use fixie_audio::{Config, FrontEnd, Log, Quantizer, Tables};
use fixie_decision::Settings;

use crate::{Application, StartError, Status, WindowClassifier};

/// Samples per second.
pub const SAMPLE_RATE_HZ: u32 = 16_000;
/// Features of a frame.
pub const MELS: usize = 32;
/// Frames that the model looks at: 1 s.
pub const FRAMES: usize = 49;
/// Frames from one inference to the next: 100 ms.
pub const STRIDE: usize = 5;
/// Results that are averaged.
pub const AVERAGE: usize = 3;
/// What the shipped model tells apart; the first is everything else.
pub const LABELS: [&str; 5] = ["background", "yes", "no", "left", "right"];

/// The front end of `tools/models/recipes/keyword.py`, whose features are the natural logarithms of
/// energies of samples in ±1, with 10⁻⁶ added.
pub const FRONT_END: Config = Config {
    sample_rate_hz: SAMPLE_RATE_HZ,
    window_len: 480,
    hop_len: 320,
    low_hz: 125.0,
    high_hz: 7500.0,
    offset: 1074,
};

/// When a word counts as spoken: its probability is at least 0.7 on average of 300 ms, and a second
/// has passed since the last word.
pub const SETTINGS: Settings =
    Settings { threshold: 51, release: -64, min_count: 1, refractory: 10, background: 0b1 };

const FFT: usize = 512;
const BINS: usize = FFT / 2 + 1;

static TABLES: Tables<FFT, BINS, MELS> = Tables::new(&FRONT_END);

/// Hears keywords.
#[derive(Debug)]
pub struct KeywordSpotter<'a, const OPS: u64> {
    front_end: FrontEnd<'static, FFT, BINS, MELS>,
    quantizer: Quantizer,
    classifier: WindowClassifier<'a, OPS, MELS, FRAMES, { LABELS.len() }, AVERAGE>,
    samples: u64,
}

impl<'a, const OPS: u64> KeywordSpotter<'a, OPS> {
    /// Binds an image.
    ///
    /// # Errors
    ///
    /// [`StartError`]: what is wrong with the image.
    pub fn new(image: &'a [u8], arena: &'a mut [u8]) -> Result<Self, StartError> {
        let mut classifier = WindowClassifier::new(image, arena, STRIDE, SETTINGS, &LABELS)?;
        let input = classifier.network().input()?;
        // An int8 tensor's zero is one of its values.
        let zero_point = input.zero_point.clamp(i8::MIN.into(), i8::MAX.into()) as i8;
        let quantizer = Quantizer::new(Log::Natural, input.scale, zero_point).of_unit_samples();
        Ok(Self { front_end: FrontEnd::new(&TABLES), quantizer, classifier, samples: 0 })
    }
}

impl<const OPS: u64> Application for KeywordSpotter<'_, OPS> {
    type Sample = i16;

    fn push_samples(&mut self, samples: &[i16]) {
        let total = self.samples + samples.len() as u64;
        let mut rest = samples;
        while let Some(features) = self.front_end.advance(&mut rest) {
            let frame = features.map(|feature| self.quantizer.quantize(feature));
            self.classifier.push_frame(frame, total - rest.len() as u64);
        }
        self.samples = total;
    }

    fn poll(&mut self) -> Result<Status, RunError> {
        self.classifier.poll()
    }
}
