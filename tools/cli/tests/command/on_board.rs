//! Boards on a probe: a micro:bit in QEMU. These build firmware, so they run where that can be built.

use std::fs;
use std::io::{BufReader, Read};
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

/// `fixie flash digits.fixie --app camera --monitor` on the emulated micro:bit, running. It ends with
/// the test, and its emulator too.
struct Flashing(Child);

impl Flashing {
    fn start(bench: &Workbench) -> Self {
        let child = Command::new(cargo_bin!("fixie"))
            .current_dir(bench.path("."))
            .args(["flash", "digits.fixie", "--chip", "microbit", "--app", "camera"])
            .args(["--probe", "emulated", "--serial", "clip.bin", "--monitor", "--json"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        Self(child.unwrap())
    }

    /// The JSON objects that it prints.
    fn objects(&mut self) -> impl Iterator<Item = Value> + use<> {
        let stdout = BufReader::new(self.0.stdout.take().unwrap());
        Deserializer::from_reader(stdout).into_iter().map(Result::unwrap)
    }

    /// Ends the emulator, which for the probe is a board that is gone.
    fn unplug(&self) {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.0.id())).into_iter().flatten();
        for task in tasks.flatten() {
            let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
            for emulator in children.split_whitespace() {
                Command::new("kill").arg(emulator).status().unwrap();
            }
        }
    }
}

impl Drop for Flashing {
    fn drop(&mut self) {
        self.unplug();
        // It may have ended because of that.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
#[ignore = "builds firmware and runs it in QEMU: `cargo xtask test --only emulated`"]
fn from_onnx_to_decisions_in_two_commands() {
    let bench = workbench();
    let mut flashing = Flashing::start(&bench);
    let mut objects = flashing.objects();
    let summary = objects.next().unwrap();
    let image = fs::metadata(bench.path("digits.fixie")).unwrap().len();
    assert_eq!((&summary["board"], &summary["image_bytes"]), (&"microbit".into(), &image.into()));
    assert_eq!(summary["image_address"], 0x3_0000);

    let told = objects.filter_map(|line| {
        let (label, _) = line["message"].as_str()?.split_once(" with score ")?;
        label.parse::<usize>().ok()
    });
    let news = clip(0, DIGITS).news;
    assert_eq!(told.take(news.len()).collect::<Vec<_>>(), news);
}

#[test]
#[ignore = "builds firmware and runs it in QEMU: `cargo xtask test --only emulated`"]
fn a_cable_that_comes_off_while_the_log_is_shown() {
    let bench = workbench();
    let mut flashing = Flashing::start(&bench);
    let mut objects = flashing.objects();
    assert!(objects.any(|object| object["message"] == "started"));
    flashing.unplug();

    let mut stderr = String::new();
    flashing.0.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!(flashing.0.wait().unwrap().code(), Some(1), "{stderr}");
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
