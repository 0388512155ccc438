//! Image classification on emulated boards: recorded pictures in, row by row, the right digits out,
//! no row missed while it infers.

use fixie_application_tests::{Shipped, play_fast};
use fixie_applications::camera::{HEIGHT, SHIPPED, WIDTH};
use fixie_compiler::lower::Inputs;
use fixie_emulator::firmware::CAMERA;
use fixie_tests::pictures::{HELD, clip};

const APPLICATION: Shipped =
    Shipped { application: CAMERA, model: "digits", inputs: Inputs::ByRows };

const DIGITS: usize = 12;

fn check(board: &str) {
    let clip = clip(0, DIGITS);
    let session = play_fast(board, APPLICATION, &clip.rows);
    assert_eq!(session.samples, (DIGITS * HELD * HEIGHT) as u64);
    assert_eq!((session.missed, clip.rows.len() as u64), (0, session.samples * WIDTH as u64));
    assert_eq!(session.inferences, (DIGITS * HELD) as u64);
    let told: Vec<_> = session.decisions.iter().map(|decision| &*decision.label).collect();
    assert_eq!(told, clip.news.iter().map(|&digit| SHIPPED.labels[digit]).collect::<Vec<_>>());
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
