//! The core of applications that look at the last frames of a stream.

use fixie::{Port, RunError};
use fixie_decision::Decider;
use heapless::Deque;

use crate::network::{Delivery, Network, Step};
use crate::{Classes, Decision, StartError, Status};

/// Classifies the last `LEN` frames of `WIDTH` int8 features, every `stride` frames, and decides
/// from the average of the last `AVERAGE` results.
///
/// Frames may come while an inference is under way: it works on its own copy. An inference that is
/// due then starts when the other is complete, on the frames that are the last ones by then.
#[derive(Debug)]
pub struct WindowClassifier<
    'a,
    const OPS: u64,
    const WIDTH: usize,
    const LEN: usize,
    const CLASSES: usize,
    const AVERAGE: usize,
> {
    network: Network<'a, OPS, WIDTH, CLASSES>,
    is_running: bool,
    frames: Deque<[i8; WIDTH], LEN>,
    stride: usize,
    /// Frames until the next inference is due.
    missing: usize,
    decider: Decider<CLASSES, AVERAGE>,
    classes: &'static Classes<CLASSES>,
    /// Samples that had come with the last frame, and when the inference under way began.
    last_sample: u64,
    inference_sample: u64,
}

impl<
    'a,
    const OPS: u64,
    const WIDTH: usize,
    const LEN: usize,
    const CLASSES: usize,
    const AVERAGE: usize,
> WindowClassifier<'a, OPS, WIDTH, LEN, CLASSES, AVERAGE>
{
    /// Binds an image whose input is `LEN` rows of `WIDTH` in memory, and whose output is `CLASSES`
    /// scores. Gives the description of the input too. The first result comes after `LEN` frames, the
    /// next ones after each `stride` more.
    ///
    /// # Errors
    ///
    /// [`StartError`]: what is wrong with the image.
    pub fn new(
        image: &'a [u8],
        arena: &'a mut [u8],
        stride: usize,
        classes: &'static Classes<CLASSES>,
    ) -> Result<(Self, Port), StartError> {
        let (network, input) = Network::new(image, arena, LEN, Delivery::Whole)?;
        let classifier = Self {
            network,
            is_running: false,
            frames: Deque::new(),
            stride,
            missing: LEN,
            decider: Decider::new(classes.settings),
            classes,
            last_sample: 0,
            inference_sample: 0,
        };
        Ok((classifier, input))
    }

    /// Takes the next frame, the last sample of which was number `sample` of the stream.
    pub fn push_frame(&mut self, frame: [i8; WIDTH], sample: u64) {
        if self.frames.is_full() {
            self.frames.pop_front();
        }
        // There is room for it: one was taken out.
        let _ = self.frames.push_back(frame);
        self.last_sample = sample;
        self.missing = self.missing.saturating_sub(1);
    }

    /// Does the next piece of work: see [`Application::poll`](crate::Application::poll).
    ///
    /// # Errors
    ///
    /// [`RunError`] if the image changed while it was in use.
    pub fn poll(&mut self) -> Result<Status, RunError> {
        if self.is_running {
            return Ok(match self.network.step()? {
                Step::Done(scores) => {
                    self.is_running = false;
                    Status::Inferred(self.decide(&scores))
                }
                Step::Running | Step::NeedsRow => Status::Busy,
            });
        }
        if self.missing > 0 {
            return Ok(Status::Idle);
        }
        self.missing = self.stride;
        self.inference_sample = self.last_sample;
        self.network.fill(self.frames.iter());
        self.is_running = true;
        Ok(Status::Busy)
    }

    fn decide(&mut self, scores: &[i8; CLASSES]) -> Option<Decision> {
        let detection = self.decider.push(scores)?;
        Some(Decision::new(detection, self.classes, self.inference_sample))
    }
}
