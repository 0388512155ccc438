//! Image classification from a camera that gives its picture row by row.

use fixie::RunError;
use fixie_decision::{Decider, Settings};

use crate::{Affine, Application, Classes, Decision, Delivery, Network, StartError, Status, Step};

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
/// A row has `WIDTH` bytes: for colours, three for each pixel. The network takes the rows of a
/// picture as they come, and there is never a whole picture in memory. While it computes, one row
/// can be given to this, the next ones wait in the queue behind the camera.
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
    /// A row that waits for the network, with its index in its picture.
    row: Option<(usize, [i8; WIDTH])>,
    /// Index of the next row in its picture.
    next_row: usize,
    decider: Decider<CLASSES, AVERAGE>,
    classes: &'static Classes<CLASSES>,
    rows: u64,
}

impl<'a, const OPS: u64, const WIDTH: usize, const HEIGHT: usize, const CLASSES: usize>
    ImageClassifier<'a, OPS, WIDTH, HEIGHT, CLASSES>
{
    /// Binds an image that was converted with `--input-rows` and whose input is `HEIGHT` rows of
    /// `WIDTH`.
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
        let (network, input) = Network::new(image, arena, HEIGHT, Delivery::ByRows)?;
        Ok(Self {
            network,
            pixel: Affine::new(pixels.scale, pixels.offset, &input),
            row: None,
            next_row: 0,
            decider: Decider::new(classes.settings),
            classes,
            rows: 0,
        })
    }

    /// Abandons the picture that is under way: the next row is the first of a new one. For cameras
    /// that say where a picture begins, and after rows were lost.
    pub fn restart_picture(&mut self) {
        self.network.reset();
        (self.row, self.next_row) = (None, 0);
    }

    /// Gives the network the row that waits, if that is the one it wants; false if there is none.
    ///
    /// A network asks for no rows that change nothing. Those at the end of a picture are still
    /// waiting when it asks for the first row of the next.
    fn give_row(&mut self) -> bool {
        let Some((index, row)) = self.row.take() else {
            return false;
        };
        if self.network.wanted_row() == index {
            self.network.give_row(&row);
        }
        true
    }
}

impl<const OPS: u64, const WIDTH: usize, const HEIGHT: usize, const CLASSES: usize> Application
    for ImageClassifier<'_, OPS, WIDTH, HEIGHT, CLASSES>
{
    type Sample = [u8; WIDTH];

    fn room(&self) -> usize {
        usize::from(self.row.is_none())
    }

    fn push_samples(&mut self, rows: &[Self::Sample]) {
        for row in rows {
            self.row = Some((self.next_row, row.map(|pixel| self.pixel.apply(pixel.into()))));
            self.next_row = if self.next_row + 1 < HEIGHT { self.next_row + 1 } else { 0 };
            self.rows += 1;
        }
    }

    fn poll(&mut self) -> Result<Status, RunError> {
        Ok(match self.network.step()? {
            Step::Running => Status::Busy,
            Step::NeedsRow if self.give_row() => Status::Busy,
            Step::NeedsRow => Status::Idle,
            Step::Done(scores) => {
                let detection = self.decider.push(&scores);
                let decide = |detection| Decision::new(detection, self.classes, self.rows);
                Status::Inferred(detection.map(decide))
            }
        })
    }
}
