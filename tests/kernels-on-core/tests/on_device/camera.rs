//! A real application: pictures on the serial line, digits in the log.

use std::io::Write;

use crc::{CRC_8_SMBUS, Crc};
use fixie_applications::camera::{HEIGHT, SHIPPED, WIDTH};
use fixie_compiler::lower::Inputs;
use fixie_device::{Device, Log, LogLine, LogTable};
use fixie_tests::shipped;
use ndarray::{Array1, ArrayD};
use ndarray_npy::NpzReader;

use crate::stand::{Stand, convert, digits};

/// Each digit is held before the camera for so many pictures.
const HELD: usize = 3;
const DIGITS: usize = 5;

static CRC: Crc<u8> = Crc::<u8>::new(&CRC_8_SMBUS);

/// What a camera sends of the evaluation data, from the picture `first` on, and what is to be told.
fn recording(first: usize) -> (Vec<u8>, Vec<String>) {
    let file = std::fs::File::open(shipped("digits/eval.npz")).unwrap();
    let mut file = NpzReader::new(file).unwrap();
    let x: ArrayD<u8> = file.by_name("x.npy").unwrap();
    let y: Array1<i64> = file.by_name("y.npy").unwrap();
    let pixels = x.into_raw_vec_and_offset().0;
    let pictures = pixels.chunks_exact(WIDTH * HEIGHT).skip(first).take(DIGITS);
    let shown = pictures.flat_map(|picture| std::iter::repeat_n(picture, HELD));
    let bytes = shown.flat_map(|picture| picture.chunks(WIDTH).enumerate().flat_map(row)).collect();
    // A digit that follows itself is not news.
    let mut digits = y.to_vec()[first..first + DIGITS].to_vec();
    digits.dedup();
    let labels = digits.iter().map(|&digit| SHIPPED.labels[digit as usize].to_owned());
    (bytes, labels.collect())
}

/// A row on the line. The data's 0 to 16 are the camera's 0 to 255.
fn row((index, pixels): (usize, &[u8])) -> Vec<u8> {
    let mut checked = vec![index as u8];
    checked.extend(pixels.iter().map(|&pixel| (u16::from(pixel) * 255 / 16) as u8));
    let crc = CRC.checksum(&checked);
    [&[0xF1, 0x3E], &checked[..], &[crc]].concat()
}

/// The log of running firmware, up to the line that `is_last`.
fn log_until(
    stand: &Stand,
    device: &mut Device,
    is_last: impl Fn(&[LogLine]) -> bool,
) -> Vec<LogLine> {
    let table = LogTable::of(Some(&stand.firmware)).unwrap();
    let mut log = Log::attach(device, Some(&stand.firmware), &table).unwrap();
    let mut lines = Vec::new();
    while !is_last(&lines) {
        lines.extend(log.read(device).unwrap());
    }
    lines
}

/// Plays a recording to running firmware, and gives what it tells.
fn told(stand: &Stand, device: &mut Device, recording: &[u8], count: usize) -> Vec<String> {
    (&*stand.serial).write_all(recording).unwrap();
    let labels = |lines: &[LogLine]| -> Vec<_> {
        let labels = lines.iter().filter_map(|line| line.message.split_once(" with score "));
        labels.map(|(label, _)| label.to_owned()).collect()
    };
    let lines = log_until(stand, device, |lines| labels(lines).len() >= count);
    assert!(lines.iter().all(|line| line.level == Some("info")), "{lines:?}");
    labels(&lines)
}

#[test]
fn from_onnx_to_a_decision_over_rtt() {
    let (model, _) = digits();
    let network = convert(&model, Inputs::ByRows, false);
    let stand = Stand::new("camera");
    let (bytes, expected) = recording(0);
    let mut device = stand.start(Some(&stand.firmware), network.bytes(), &[]);
    assert_eq!(told(&stand, &mut device, &bytes, expected.len()), expected);
    drop(device);

    // Another image for the firmware that is there.
    let before = stand.firmware_region();
    let stripped = convert(&model, Inputs::ByRows, true);
    assert_ne!(stripped.bytes(), network.bytes());
    let (bytes, expected) = recording(DIGITS);
    let mut device = stand.start(None, stripped.bytes(), &[]);
    assert_eq!(told(&stand, &mut device, &bytes, expected.len()), expected);
    assert_eq!(stand.firmware_region(), before);
}

/// The firmware says what is wrong with an image that is not for it, and works with the next one.
#[test]
fn an_image_that_wants_its_input_otherwise() {
    let (model, _) = digits();
    let stand = Stand::new("camera");
    let whole = convert(&model, Inputs::Whole, false);
    let mut device = stand.start(Some(&stand.firmware), whole.bytes(), &[]);
    let is_error = |line: &LogLine| line.level == Some("error");
    let lines = log_until(&stand, &mut device, |lines| lines.iter().any(is_error));
    let error = lines.iter().find(|line| is_error(line)).unwrap();
    assert!(error.message.contains("--input-rows"), "{error:?}");
    drop(device);

    let (bytes, expected) = recording(0);
    let mut device = stand.start(None, convert(&model, Inputs::ByRows, false).bytes(), &[]);
    assert_eq!(told(&stand, &mut device, &bytes, expected.len()), expected);
}

/// A cable that comes off while firmware and image are written, at any time: what is left is flashed
/// again by the same steps, and works.
#[test]
fn a_board_whose_cable_came_off_works_when_it_is_flashed_again() {
    let (model, _) = digits();
    let network = convert(&model, Inputs::ByRows, false);
    let stand = Stand::new("camera");
    let plan = stand.plan(Some(&stand.firmware), network.bytes(), &[]).unwrap();
    for accesses in [2_000, 10_000] {
        let mut device = stand.attach();
        stand.emulated.set_wire(|wire| wire.unplug_after = Some(accesses));
        let error = device.flash(&plan, &mut |_| {}).unwrap_err();
        let text = format!("{error}; {}", error.help().unwrap());
        assert!(text.contains("was lost while") && text.contains("repeat the command"), "{text}");
        stand.emulated.set_wire(|wire| wire.unplug_after = None);
    }
    let (bytes, expected) = recording(0);
    let mut device = stand.start(Some(&stand.firmware), network.bytes(), &[]);
    assert_eq!(told(&stand, &mut device, &bytes, expected.len()), expected);
}
