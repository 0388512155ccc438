//! Keyword spotting from a microphone.

use fixie::RunError;
use fixie_audio::{Config, FrontEnd, Log, Quantizer, Tables};
use fixie_decision::Settings;

use crate::{Application, Classes, StartError, Status, WindowClassifier};

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

/// The classes of the shipped model, of which the first is everything else. A word was spoken when
/// its probability is at least 0.7 on average of 300 ms; no other is heard for a second.
pub static SHIPPED: Classes<5> = Classes {
    labels: ["background", "yes", "no", "left", "right"],
    settings: Settings {
        threshold: 51,
        release: -64,
        min_count: 1,
        refractory: 10,
        background: 0b1,
    },
};

const FFT: usize = 512;
const BINS: usize = FFT / 2 + 1;

static TABLES: Tables<FFT, BINS, MELS> = Tables::new(&FRONT_END);

/// Hears keywords.
#[derive(Debug)]
pub struct KeywordSpotter<'a, const OPS: u64, const CLASSES: usize> {
    front_end: FrontEnd<'static, FFT, BINS, MELS>,
    quantizer: Quantizer,
    classifier: WindowClassifier<'a, OPS, MELS, FRAMES, CLASSES, AVERAGE>,
    samples: u64,
}

impl<'a, const OPS: u64, const CLASSES: usize> KeywordSpotter<'a, OPS, CLASSES> {
    /// Binds an image whose input is [`FRAMES`] of [`MELS`] features by [`FRONT_END`].
    ///
    /// # Errors
    ///
    /// [`StartError`]: what is wrong with the image.
    pub fn new(
        image: &'a [u8],
        arena: &'a mut [u8],
        classes: &'static Classes<CLASSES>,
    ) -> Result<Self, StartError> {
        let (classifier, input) = WindowClassifier::new(image, arena, STRIDE, classes)?;
        // An int8 tensor's zero is one of its values.
        let zero_point = input.zero_point.clamp(i8::MIN.into(), i8::MAX.into()) as i8;
        let quantizer = Quantizer::new(Log::Natural, input.scale, zero_point).of_unit_samples();
        Ok(Self { front_end: FrontEnd::new(&TABLES), quantizer, classifier, samples: 0 })
    }
}

impl<const OPS: u64, const CLASSES: usize> Application for KeywordSpotter<'_, OPS, CLASSES> {
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
