//! Image classification from a camera that gives its picture row by row.

use fixie::RunError;
use fixie_decision::{Decider, Settings};
use heapless::Vec;

use crate::{Affine, Application, Classes, Decision, Network, StartError, Status};

/// Results that are averaged: pictures that must show the same.
pub const AVERAGE: usize = 2;

/// Pixels of a row of the shipped model's pictures.
pub const WIDTH: usize = 8;
/// Rows of them.
pub const HEIGHT: usize = 8;
/// The shipped model was trained on brightness from 0 to 1.
pub const BRIGHTNESS: Pixels = Pixels { scale: 1.0 / 255.0, offset: 0.0 };

/// The classes of the shipped model. A digit is told when it is the most likely one of two pictures,
/// whatever its score, and not the one that was told last.
pub static SHIPPED: Classes<10> = Classes {
    labels: ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"],
    settings: Settings {
        threshold: i8::MIN,
        release: i8::MIN,
        min_count: 1,
        refractory: 0,
        background: 0,
    },
};

/// What a pixel of 0 to 255 is to the model: `pixel · scale + offset`.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(missing_docs, reason = "the formula says it all")]
pub struct Pixels {
    pub scale: f32,
    pub offset: f32,
}

/// Tells what the camera sees, when that changes.
///
/// A row has `WIDTH` bytes: for colours, three for each pixel. While one picture is looked at the
/// next is collected; one that is complete before the inference is, gives way to the one after it.
#[derive(Debug)]
pub struct ImageClassifier<
    'a,
    const OPS: u64,
    const WIDTH: usize,
    const HEIGHT: usize,
    const CLASSES: usize,
> {
    network: Network<'a, OPS, WIDTH, CLASSES>,
    pixel: Affine,
    picture: Vec<[i8; WIDTH], HEIGHT>,
    decider: Decider<CLASSES, AVERAGE>,
    classes: &'static Classes<CLASSES>,
    rows: u64,
    inference_row: u64,
}

impl<'a, const OPS: u64, const WIDTH: usize, const HEIGHT: usize, const CLASSES: usize>
    ImageClassifier<'a, OPS, WIDTH, HEIGHT, CLASSES>
{
    /// Binds an image whose input is `HEIGHT` rows of `WIDTH` in memory.
    ///
    /// # Errors
    ///
    /// [`StartError`]: what is wrong with the image.
    pub fn new(
        image: &'a [u8],
        arena: &'a mut [u8],
        classes: &'static Classes<CLASSES>,
        pixels: Pixels,
    ) -> Result<Self, StartError> {
        let mut network = Network::new(image, arena, HEIGHT)?;
        let input = network.input()?;
        Ok(Self {
            network,
            pixel: Affine::new(pixels.scale, pixels.offset, &input),
            picture: Vec::new(),
            decider: Decider::new(classes.settings),
            classes,
            rows: 0,
            inference_row: 0,
        })
    }

    fn push_row(&mut self, row: &[u8; WIDTH]) {
        self.rows += 1;
        if self.picture.is_full() {
            self.picture.clear();
        }
        // There is room for it: a full picture was taken out.
        let _ = self.picture.push(row.map(|pixel| self.pixel.apply(pixel.into())));
    }
}

impl<const OPS: u64, const WIDTH: usize, const HEIGHT: usize, const CLASSES: usize> Application
    for ImageClassifier<'_, OPS, WIDTH, HEIGHT, CLASSES>
{
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
            let decide = |detection| Decision::new(detection, self.classes, self.inference_row);
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
