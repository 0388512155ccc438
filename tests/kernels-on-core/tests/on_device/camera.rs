//! A real application: pictures on the serial line, digits in the log.

use std::io::Write;

use fixie_applications::camera::SHIPPED;
use fixie_compiler::lower::Inputs;
use fixie_device::{Device, Log, LogLine, LogTable};
use fixie_tests::pictures::{Clip, clip};

use crate::stand::{Stand, convert, digits};

const DIGITS: usize = 5;

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

/// Whether running firmware tells what the clip on its serial line shows.
fn sees(stand: &Stand, device: &mut Device, clip: &Clip) {
    (&*stand.serial).write_all(&clip.on_serial_line()).unwrap();
    let labels = |lines: &[LogLine]| -> Vec<_> {
        let labels = lines.iter().filter_map(|line| line.message.split_once(" with score "));
        labels.map(|(label, _)| label.to_owned()).collect()
    };
    let lines = log_until(stand, device, |lines| labels(lines).len() >= clip.news.len());
    assert!(lines.iter().all(|line| line.level == Some("info")), "{lines:?}");
    let news = clip.news.iter().map(|&digit| SHIPPED.labels[digit]);
    assert_eq!(labels(&lines), news.collect::<Vec<_>>());
}

#[test]
fn from_onnx_to_a_decision_over_rtt() {
    let (model, _) = digits();
    let network = convert(&model, Inputs::ByRows, false);
    let stand = Stand::new("camera");
    let mut device = stand.start(Some(&stand.firmware), network.bytes(), &[]);
    sees(&stand, &mut device, &clip(0, DIGITS));
    drop(device);

    // Another image for the firmware that is there.
    let before = stand.firmware_region();
    let stripped = convert(&model, Inputs::ByRows, true);
    assert_ne!(stripped.bytes(), network.bytes());
    let mut device = stand.start(None, stripped.bytes(), &[]);
    sees(&stand, &mut device, &clip(DIGITS, DIGITS));
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

    let mut device = stand.start(None, convert(&model, Inputs::ByRows, false).bytes(), &[]);
    sees(&stand, &mut device, &clip(0, DIGITS));
}

/// A cable that comes off while firmware and image are written, at any time, and is back before the
/// tool has let go of the chip: what is left is flashed again by the same steps, and works.
#[test]
fn a_board_whose_cable_came_off_works_when_it_is_flashed_again() {
    let (model, _) = digits();
    let network = convert(&model, Inputs::ByRows, false);
    let stand = Stand::new("camera");
    let plan = stand.plan(Some(&stand.firmware), network.bytes(), &[]).unwrap();
    // What comes of it, and how many of so many accesses are left.
    let flash_for = |accesses| {
        let mut device = stand.attach();
        stand.emulated.set_wire(|wire| wire.unplug_after = Some(accesses));
        let result = device.flash(&plan, &mut |_| {});
        let left = stand.emulated.wire().unplug_after.unwrap();
        stand.emulated.set_wire(|wire| wire.unplug_after = None);
        (result, left)
    };
    let enough = 1 << 40;
    let (result, left) = flash_for(enough);
    result.unwrap();
    for part in 1..20 {
        let error = flash_for((enough - left) * part / 20).0.unwrap_err();
        let text = format!("{error}; {}", error.help().unwrap());
        assert!(text.contains("was lost while") && text.contains("repeat the command"), "{text}");
    }
    let mut device = stand.start(Some(&stand.firmware), network.bytes(), &[]);
    sees(&stand, &mut device, &clip(0, DIGITS));
}
