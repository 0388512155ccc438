//! Activity recognition from an accelerometer and a gyroscope.

use fixie::RunError;
use fixie_decision::Settings;

use crate::{Affine, Application, StartError, Status, WindowClassifier};

/// Samples per second.
pub const SAMPLE_RATE_HZ: u32 = 10;
/// Values of a sample: acceleration along x, y, z, then the rate of turn around them.
pub const AXES: usize = 6;
/// Samples that the model looks at: 10 s.
pub const WINDOW_LEN: usize = 100;
/// Samples from one inference to the next: 1 s.
pub const STRIDE: usize = 10;
/// Results that are averaged.
pub const AVERAGE: usize = 3;
/// What the shipped model tells apart.
pub const LABELS: [&str; 4] = ["badminton", "running", "standing", "walking"];

/// When an activity counts as begun: it is the most likely one of the last 3 s, with a probability
/// of at least 0.6. It can begin again once it fell below 0.4.
pub const SETTINGS: Settings =
    Settings { threshold: 26, release: -26, min_count: 1, refractory: 0, background: 0 };

/// Tells when an activity begins.
#[derive(Debug)]
pub struct ActivityRecognizer<'a, const OPS: u64> {
    classifier: WindowClassifier<'a, OPS, AXES, WINDOW_LEN, { LABELS.len() }, AVERAGE>,
    axes: [Affine; AXES],
    samples: u64,
}

impl<'a, const OPS: u64> ActivityRecognizer<'a, OPS> {
    /// Binds an image. `steps` are what one step of the sensor is on each axis, in m/s² and rad/s,
    /// which the model was trained on.
    ///
    /// # Errors
    ///
    /// [`StartError`]: what is wrong with the image.
    pub fn new(
        image: &'a [u8],
        arena: &'a mut [u8],
        steps: [f32; AXES],
    ) -> Result<Self, StartError> {
        let mut classifier = WindowClassifier::new(image, arena, STRIDE, SETTINGS, &LABELS)?;
        let input = classifier.network().input()?;
        let axes = steps.map(|step| Affine::new(step, input.scale, input.zero_point));
        Ok(Self { classifier, axes, samples: 0 })
    }
}

impl<const OPS: u64> Application for ActivityRecognizer<'_, OPS> {
    type Sample = [i16; AXES];

    fn push_samples(&mut self, samples: &[Self::Sample]) {
        for sample in samples {
            self.samples += 1;
            let mut frame = [0; AXES];
            for ((value, axis), &raw) in frame.iter_mut().zip(&self.axes).zip(sample) {
                *value = axis.apply(raw);
            }
            self.classifier.push_frame(frame, self.samples);
        }
    }

    fn poll(&mut self) -> Result<Status, RunError> {
        self.classifier.poll()
    }
}
