//! Logs of firmware: read with the strings of its ELF file, and refused without.

mod common;

use common::two_tables;
use fixie_emulator::firmware::{Application, CALIBRATION, Firmware, MOTION};
use fixie_emulator::log::{Strings, decode};
use fixie_emulator::qemu::{Run, Speed};
use fixie_emulator::{Board, EmulatorError};

/// An image that no application can use, of two tables that change nothing.
fn unfit_image() -> Vec<u8> {
    let same = std::array::from_fn(|value| value as u8 as i8);
    two_tables(&same, &same, 192)
}

fn build(application: Application) -> Firmware {
    let board = Board::find("cortex-m4").unwrap();
    Firmware::build(board, application, Some(&unfit_image()), &|_| {}).unwrap()
}

#[test]
fn an_application_that_cannot_start_says_why() {
    let run = Run { speed: Speed::Instructions { shift: 4 }, ..Run::default() };
    let error = build(MOTION).run(&run, &|_| {}).unwrap_err();
    assert!(matches!(error, EmulatorError::Guest { board: "cortex-m4", .. }), "{error}");
    assert!(error.to_string().contains("100 rows of 6"), "{error}");
}

#[test]
fn bytes_that_are_no_log_of_this_firmware_are_refused() {
    let elf = build(MOTION).elf;
    assert_eq!(decode(&elf, &[]).unwrap(), []);
    // A frame ends with a zero; 0xFFFF is no string's index.
    let error = decode(&elf, &[0xFF, 0xFF, 0x07, 0x00]).unwrap_err();
    assert!(error.to_string().contains("does not belong to this firmware"), "{error}");
}

#[test]
fn a_record_comes_when_it_is_complete() {
    let elf = build(MOTION).elf;
    let strings = Strings::of(&elf).unwrap();
    let mut decoder = strings.decoder();
    decoder.push(&[0xFF, 0xFF]);
    assert_eq!(decoder.next_record().unwrap(), None);
    decoder.push(&[0x07, 0x00]);
    assert!(decoder.next_record().is_err());
}

#[test]
fn firmware_that_does_not_log_is_refused() {
    let error = decode(&build(CALIBRATION).elf, &[]).unwrap_err();
    assert!(error.to_string().contains("does not log with defmt"), "{error}");
}
