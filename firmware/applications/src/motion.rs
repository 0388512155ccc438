//! Activity recognition from an accelerometer, with or without a gyroscope.

use fixie::RunError;
use fixie_decision::Settings;

use crate::{Affine, Application, Classes, StartError, Status, WindowClassifier};

/// Samples that the model looks at: 10 s.
pub const WINDOW_LEN: usize = 100;
/// Samples from one inference to the next: 1 s.
pub const STRIDE: usize = 10;
/// Results that are averaged.
pub const AVERAGE: usize = 3;

/// Samples a second that the shipped model was trained on.
pub const SAMPLE_RATE_HZ: u32 = 10;
/// Values of its samples: acceleration along x, y, z, then the rate of turn around them.
pub const AXES: usize = 6;

/// The classes of the shipped model. An activity has begun when it is the most likely one of the
/// last 3 s, with a probability of at least 0.6; it can begin again once it fell below 0.4.
pub static SHIPPED: Classes<4> = Classes {
    labels: ["badminton", "running", "standing", "walking"],
    settings: Settings { threshold: 26, release: -26, min_count: 1, refractory: 0, background: 0 },
};

/// Tells when an activity begins.
#[derive(Debug)]
pub struct ActivityRecognizer<'a, const OPS: u64, const AXES: usize, const CLASSES: usize> {
    classifier: WindowClassifier<'a, OPS, AXES, WINDOW_LEN, CLASSES, AVERAGE>,
    axes: [Affine; AXES],
    samples: u64,
}

impl<'a, const OPS: u64, const AXES: usize, const CLASSES: usize>
    ActivityRecognizer<'a, OPS, AXES, CLASSES>
{
    /// Binds an image. `steps` is what one step of the sensor is on each axis, in the units that the
    /// model was trained on: m/s² and rad/s for the shipped one.
    ///
    /// # Errors
    ///
    /// [`StartError`]: what is wrong with the image.
    pub fn new(
        image: &'a [u8],
        arena: &'a mut [u8],
        classes: &'static Classes<CLASSES>,
        steps: [f32; AXES],
    ) -> Result<Self, StartError> {
        let (classifier, input) = WindowClassifier::new(image, arena, STRIDE, classes)?;
        let axes = steps.map(|step| Affine::new(step, 0.0, &input));
        Ok(Self { classifier, axes, samples: 0 })
    }
}

impl<const OPS: u64, const AXES: usize, const CLASSES: usize> Application
    for ActivityRecognizer<'_, OPS, AXES, CLASSES>
{
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
