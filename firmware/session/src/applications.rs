//! The programs: which sensor feeds which application, with the shipped models' classes.

use fixie::ALL_OPS;
use fixie_applications::StartError;
use fixie_applications::camera::{self as pictures, ImageClassifier};
use fixie_applications::keyword::{self as words, KeywordSpotter};
use fixie_applications::motion::{self as activities, ActivityRecognizer};
use fixie_sensors::{Rows, blocking, mpu6050};
use static_cell::StaticCell;

use crate::run::{run, start};
use crate::{Board, Listening, halt};

type Spotter = KeywordSpotter<'static, ALL_OPS, { words::SHIPPED.labels.len() }>;
type Recognizer = ActivityRecognizer<
    'static,
    ALL_OPS,
    { activities::AXES },
    { activities::SHIPPED.labels.len() },
>;
type Classifier = ImageClassifier<
    'static,
    ALL_OPS,
    { pictures::WIDTH },
    { pictures::HEIGHT },
    { pictures::SHIPPED.labels.len() },
>;

/// Spots keywords in what the microphone hears.
pub fn keyword<B: Listening>(board: B) -> ! {
    static SPOTTER: StaticCell<Result<Spotter, StartError>> = StaticCell::new();
    let new = |image, arena| Spotter::new(image, arena, &words::SHIPPED);
    let spotter = start(&SPOTTER, new);
    run::<B, _>(spotter, board.microphone(), &mut [0; 64])
}

/// Recognises activities from an MPU-6050 at its usual address.
pub fn motion<B: Board>(board: B) -> ! {
    static RECOGNIZER: StaticCell<Result<Recognizer, StartError>> = StaticCell::new();
    let settings = mpu6050::Settings::default();
    let new = |image, arena| Recognizer::new(image, arena, &activities::SHIPPED, settings.steps());
    let recognizer = start(&RECOGNIZER, new);
    match blocking::Mpu6050::new(board.i2c(), mpu6050::ADDRESS, settings) {
        Ok(sensor) => run::<B, _>(recognizer, sensor, &mut [[0; activities::AXES]; 8]),
        Err(error) => {
            defmt::error!("{}", defmt::Display2Format(&error));
            halt()
        }
    }
}

/// Classifies the pictures that come over the serial line.
pub fn camera<B: Board>(board: B) -> ! {
    static CLASSIFIER: StaticCell<Result<Classifier, StartError>> = StaticCell::new();
    let new =
        |image, arena| Classifier::new(image, arena, &pictures::SHIPPED, pictures::BRIGHTNESS);
    let classifier = start(&CLASSIFIER, new);
    let rows = Rows::<_, { pictures::WIDTH }, { pictures::HEIGHT }>::new(board.serial());
    run::<B, _>(classifier, rows, &mut [[0; pictures::WIDTH]; 4])
}
