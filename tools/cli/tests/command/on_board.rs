//! Boards on a probe: a micro:bit in QEMU. These build firmware, so they run where that can be built.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

use assert_cmd::cargo::cargo_bin;
use fixie_tests::pictures::clip;
use serde_json::{Deserializer, Value};

use crate::common::{Workbench, digits};

const DIGITS: usize = 5;

/// A directory with the digit classifier for the micro:bit, by rows, and a recording for its serial
/// line.
fn workbench() -> Workbench {
    let bench = Workbench::new();
    let (model, calib) = (digits("digits.onnx"), digits("calib.npz"));
    let arguments = ["convert", &model, "--calib", &calib, "--target", "cortex-m0"];
    let rows = ["--input-rows", "-o", "digits.fixie"];
    bench.succeeds(arguments.into_iter().chain(rows));
    bench.file("clip.bin", clip(0, DIGITS).on_serial_line());
    bench
}

/// `fixie flash digits.fixie --app camera --monitor` on the emulated micro:bit, running.
fn flash_camera(bench: &Workbench) -> Child {
    Command::new(cargo_bin!("fixie"))
        .current_dir(bench.path("."))
        .args(["flash", "digits.fixie", "--chip", "microbit", "--app", "camera"])
        .args(["--probe", "emulated", "--serial", "clip.bin", "--monitor", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
#[ignore = "builds firmware and runs it in QEMU: `cargo xtask test --only emulated`"]
fn from_onnx_to_decisions_in_two_commands() {
    let bench = workbench();
    let mut child = flash_camera(&bench);
    let stdout = BufReader::new(child.stdout.take().unwrap());
    let mut objects = Deserializer::from_reader(stdout).into_iter::<Value>();
    let summary = objects.next().unwrap().unwrap();
    let image = fs::metadata(bench.path("digits.fixie")).unwrap().len();
    assert_eq!((&summary["board"], &summary["image_bytes"]), (&"microbit".into(), &image.into()));
    assert_eq!(summary["image_address"], 0x3_0000);

    let told = objects.filter_map(|line| {
        let line = line.unwrap();
        let (label, _) = line["message"].as_str()?.split_once(" with score ")?;
        label.parse::<usize>().ok()
    });
    let news = clip(0, DIGITS).news;
    assert_eq!(told.take(news.len()).collect::<Vec<_>>(), news);
    child.kill().unwrap();
    child.wait().unwrap();
}

/// The emulator is ended, which for the probe is a board that is gone.
#[test]
#[cfg(target_os = "linux")]
#[ignore = "builds firmware and runs it in QEMU: `cargo xtask test --only emulated`"]
fn a_cable_that_comes_off_while_the_log_is_shown() {
    let bench = workbench();
    let mut child = flash_camera(&bench);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("started\"")));
    let emulators: Vec<_> = fs::read_dir(format!("/proc/{}/task", child.id()))
        .unwrap()
        .flat_map(|task| {
            let children = fs::read_to_string(task.unwrap().path().join("children")).unwrap();
            children.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(emulators.len(), 1, "{emulators:?}");
    assert!(Command::new("kill").arg(&emulators[0]).status().unwrap().success());

    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1), "{stderr}");
    let stderr: String = stderr.split_whitespace().collect::<Vec<_>>().join(" ");
    for text in ["connection to the chip was lost", "repeat the command"] {
        assert!(stderr.contains(text), "`{text}` is not in {stderr}");
    }
}

#[test]
#[ignore = "runs QEMU: `cargo xtask test --only emulated`"]
fn another_chip_than_the_one_that_was_named() {
    let bench = workbench();
    let arguments = ["flash", "digits.fixie", "--chip", "nrf52840-dk", "--probe", "emulated"];
    bench.fails(arguments, &["is not nRF52840_xxAA", "Cortex-M0", "nothing was written"]);
}
