//! Image classification from a camera that gives its picture row by row.

use fixie::RunError;
use fixie_decision::{Decider, Settings};
use heapless::Vec;

use crate::{Affine, Application, Decision, Network, StartError, Status};

/// Pixels of a row.
pub const WIDTH: usize = 8;
/// Rows of a picture.
pub const HEIGHT: usize = 8;
/// What the shipped model tells apart.
pub const LABELS: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
/// What a pixel of full brightness, 255, is in the unit that the model was trained on.
pub const WHITE: f32 = 1.0;

/// Results that are averaged: pictures that must show the same.
pub const AVERAGE: usize = 2;
/// The most likely digit of two pictures, whatever its score, unless it was the last one.
pub const SETTINGS: Settings =
    Settings { threshold: i8::MIN, release: i8::MIN, min_count: 1, refractory: 0, background: 0 };

/// Tells what the camera sees, when that changes.
#[derive(Debug)]
pub struct ImageClassifier<'a, const OPS: u64> {
    network: Network<'a, OPS, WIDTH, { LABELS.len() }>,
    pixel: Affine,
    picture: Vec<[i8; WIDTH], HEIGHT>,
    decider: Decider<{ LABELS.len() }, AVERAGE>,
    rows: u64,
    inference_row: u64,
}

impl<'a, const OPS: u64> ImageClassifier<'a, OPS> {
    /// Binds an image.
    ///
    /// # Errors
    ///
    /// [`StartError`]: what is wrong with the image.
    pub fn new(image: &'a [u8], arena: &'a mut [u8]) -> Result<Self, StartError> {
        let mut network = Network::new(image, arena, HEIGHT)?;
        let input = network.input()?;
        Ok(Self {
            network,
            pixel: Affine::new(WHITE / 255.0, input.scale, input.zero_point),
            picture: Vec::new(),
            decider: Decider::new(SETTINGS),
            rows: 0,
            inference_row: 0,
        })
    }

    /// Takes a row; with the last one of a picture the inference can start.
    fn push_row(&mut self, row: &[u8; WIDTH]) {
        self.rows += 1;
        if self.picture.is_full() {
            // The picture before was not looked at, as an inference was under way: this one is
            // newer.
            self.picture.clear();
        }
        // There is room for it: a full picture was taken out.
        let _ = self.picture.push(row.map(|pixel| self.pixel.apply(pixel.into())));
    }
}

impl<const OPS: u64> Application for ImageClassifier<'_, OPS> {
    type Sample = [u8; WIDTH];

    fn push_samples(&mut self, rows: &[Self::Sample]) {
        rows.iter().for_each(|row| self.push_row(row));
    }

    fn poll(&mut self) -> Result<Status, RunError> {
        if self.network.is_running() {
            let Some(scores) = self.network.step()? else {
                return Ok(Status::Busy);
            };
            let detection = self.decider.push(&scores);
            let decide = |detection| Decision::new(detection, &LABELS, self.inference_row);
            return Ok(Status::Inferred(detection.map(decide)));
        }
        if !self.picture.is_full() {
            return Ok(Status::Idle);
        }
        self.network.start(self.picture.iter());
        self.inference_row = self.rows;
        self.picture.clear();
        Ok(Status::Busy)
    }
}
