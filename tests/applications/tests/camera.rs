//! Image classification on emulated boards: recorded pictures in, row by row, the right digits out,
//! no row missed while it infers.

use std::fs::File;

use fixie_application_tests::{FAST, Shipped, play};
use fixie_applications::camera::{HEIGHT, SHIPPED, WIDTH};
use fixie_compiler::lower::Inputs;
use fixie_emulator::firmware::CAMERA;
use fixie_tests::shipped;
use ndarray::{Array1, ArrayD};
use ndarray_npy::NpzReader;

const APPLICATION: Shipped =
    Shipped { application: CAMERA, model: "digits", inputs: Inputs::ByRows };

/// Each digit is held before the camera for so many pictures.
const HELD: usize = 3;
const DIGITS: usize = 12;

/// Rows of pixels, and the digits that they show.
fn clip() -> (Vec<u8>, Vec<usize>) {
    let mut file = NpzReader::new(File::open(shipped("digits/eval.npz")).unwrap()).unwrap();
    let x: ArrayD<u8> = file.by_name("x.npy").unwrap();
    let y: Array1<i64> = file.by_name("y.npy").unwrap();
    let pixels = x.into_raw_vec_and_offset().0;
    let pictures = pixels.chunks_exact(WIDTH * HEIGHT).take(DIGITS);
    // The data's 0 to 16 are the camera's 0 to 255.
    let bright = |&pixel: &u8| (u16::from(pixel) * 255 / 16) as u8;
    let shown = pictures.flat_map(|picture| std::iter::repeat_n(picture, HELD)).flatten();
    (shown.map(bright).collect(), y.iter().take(DIGITS).map(|&digit| digit as usize).collect())
}

fn check(board: &str) {
    let (recording, digits) = clip();
    let session = play(board, APPLICATION, &recording, FAST).unwrap();
    assert_eq!((session.samples, session.missed), ((recording.len() / WIDTH) as u64, 0));
    assert_eq!(session.inferences, (DIGITS * HELD) as u64);

    // A digit that follows itself is not news.
    let mut news = digits.clone();
    news.dedup();
    let told: Vec<_> = session.decisions.iter().map(|decision| &*decision.label).collect();
    assert_eq!(told, news.iter().map(|&digit| SHIPPED.labels[digit]).collect::<Vec<_>>());
}

#[test]
fn on_cortex_m0() {
    check("cortex-m0");
}

#[test]
fn on_cortex_m3() {
    check("cortex-m3");
}

#[test]
fn on_cortex_m4() {
    check("cortex-m4");
}

#[test]
fn on_cortex_m33() {
    check("cortex-m33");
}

#[test]
fn on_rv32() {
    check("rv32");
}
