//! Each verb on sound input.

use std::fs;
use std::io::Read;
use std::process::Stdio;

use crate::common::{Workbench, argument, digits};
use fixie_tests::shipped;
use ndarray::{Array2, ArrayD};
use ndarray_npy::{NpzReader, read_npy, write_npy};
use serde_json::Value;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn convert_writes_one_ordinary_file() {
    let bench = Workbench::new();
    let image = bench.convert_digits();
    assert_eq!(bench.files(), ["digits.fixie"]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(&image).unwrap().permissions().mode();
        assert_eq!(mode & 0o400, 0o400);
        assert_eq!(mode & 0o111, 0);
    }
    let (model, calib) = (digits("digits.onnx"), digits("calib.npz"));
    let arguments = ["convert", &model, "--calib", &calib, "-o", "again.fixie", "--json"];
    let summary = json(&bench.succeeds(arguments));
    assert_eq!(summary["image_bytes"], fs::metadata(&image).unwrap().len());
    assert_eq!(summary["calibration_sha256"].as_str().unwrap().len(), 64);
    assert_eq!(fs::read(&image).unwrap(), fs::read(bench.path("again.fixie")).unwrap());
}

#[test]
fn a_stripped_image_computes_the_same() {
    let bench = Workbench::new();
    let image = bench.convert_digits();
    let (model, calib, data) = (digits("digits.onnx"), digits("calib.npz"), digits("eval.npz"));
    bench.succeeds(["convert", &model, "--calib", &calib, "-o", "bare.fixie", "--strip"]);
    assert!(
        fs::metadata(bench.path("bare.fixie")).unwrap().len() < fs::metadata(image).unwrap().len()
    );
    let digest = |image: &str| {
        json(&bench.succeeds(["run", image, "--input", &data, "--json"]))["output_sha256"].clone()
    };
    assert_eq!(digest("bare.fixie"), digest("digits.fixie"));
    assert!(bench.succeeds(["inspect", "bare.fixie"]).contains("stripped"));
}

#[test]
fn eval_reports_the_keys_and_figures() {
    let bench = Workbench::new();
    bench.convert_digits();
    let (data, model) = (digits("eval.npz"), digits("digits.onnx"));
    let report = json(&bench.succeeds(["eval", "digits.fixie", "--data", &data, "--json"]));
    let mut keys: Vec<_> = report.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    let originals = ["original_accuracy", "original_auc"];
    let figures = ["accuracy", "agreement", "auc", "believed_loss"].into_iter().chain(originals);
    assert_eq!(keys, figures.chain(["samples", "sqnr_db"]).collect::<Vec<_>>());
    assert_eq!(report["original_accuracy"], accuracy_of_recorded_outputs(&data));
    assert_eq!((&report["samples"], &report["auc"]), (&Value::from(360), &Value::Null));
    let recorded = accuracy_of_recorded_outputs(&data);
    let accuracy = report["accuracy"].as_f64().unwrap();
    assert!((accuracy - recorded).abs() <= 0.01, "{accuracy}, the float model has {recorded}");
    let arguments = ["eval", "digits.fixie", "--data", &data, "--reference", &model, "--json"];
    let computed = json(&bench.succeeds(arguments));
    let difference = computed["sqnr_db"].as_f64().unwrap() - report["sqnr_db"].as_f64().unwrap();
    assert!(difference.abs() < 0.01, "tract and the recorded outputs differ by {difference} dB");
}

/// The accuracy of the float model, from its recorded outputs.
fn accuracy_of_recorded_outputs(data: &str) -> f64 {
    let mut data = NpzReader::new(fs::File::open(data).unwrap()).unwrap();
    let outputs: Array2<f32> = data.by_name("ref").unwrap();
    let labels: ndarray::Array1<i64> = data.by_name("y").unwrap();
    let right = outputs.outer_iter().zip(&labels).filter(|(scores, label)| {
        let best = scores.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
        best.unwrap().0 as i64 == **label
    });
    right.count() as f64 / labels.len() as f64
}

#[test]
fn an_autoencoder_gets_an_area_under_the_curve() {
    let bench = Workbench::new();
    let file = |name: &str| argument(&shipped("autoencoder").join(name));
    let (model, calib, data) = (file("autoencoder.onnx"), file("calib.npz"), file("eval.npz"));
    bench.succeeds(["convert", &model, "--calib", &calib, "-o", "ad.fixie"]);
    let report = json(&bench.succeeds(["eval", "ad.fixie", "--data", &data, "--json"]));
    assert_eq!(report["accuracy"], Value::Null);
    assert!(report["auc"].as_f64().unwrap() > 0.8, "{report}");
}

#[test]
fn run_gives_reals_or_integers_for_a_batch() {
    let bench = Workbench::new();
    bench.convert_digits();
    let x = ArrayD::from_shape_fn(vec![3, 1, 8, 8], |i| (i[0] * 5 + i[2] * i[3]) as f32 / 64.0);
    write_npy(bench.path("x.npy"), &x).unwrap();
    let run = |arguments: &[&str]| {
        let common = ["run", "digits.fixie", "--input", "x.npy"];
        bench.succeeds(common.iter().chain(arguments).copied())
    };
    let summary = json(&run(&["--output", "y.npy", "--json"]));
    run(&["--output", "q.npy", "--raw"]);
    let reals: Array2<f32> = read_npy(bench.path("y.npy")).unwrap();
    let integers: Array2<i8> = read_npy(bench.path("q.npy")).unwrap();
    assert_eq!((reals.dim(), summary["samples"].as_u64()), ((3, 10), Some(3)));
    let scale = summary["outputs"][0]["scale"].as_f64().unwrap() as f32;
    let zero = summary["outputs"][0]["zero_point"].as_i64().unwrap() as i32;
    let expected = integers.mapv(|q| (i32::from(q) - zero) as f32 * scale);
    assert_eq!(reals, expected);
    run(&["--output", "y.npz"]);
    let mut archive = NpzReader::new(fs::File::open(bench.path("y.npz")).unwrap()).unwrap();
    let by_name: Array2<f32> = archive.by_index(0).unwrap();
    assert_eq!(by_name, reals);
}

#[test]
fn raw_integers_go_in_as_they_are() {
    let bench = Workbench::new();
    bench.convert_digits();
    let info = json(&bench.succeeds(["inspect", "digits.fixie", "--json"]));
    let scale = info["inputs"][0]["scale"].as_f64().unwrap() as f32;
    let zero = info["inputs"][0]["zero_point"].as_i64().unwrap() as i32;
    let q = ArrayD::from_shape_fn(vec![1, 1, 8, 8], |i| (i[2] * 16 + i[3]) as i8);
    write_npy(bench.path("q.npy"), &q).unwrap();
    write_npy(bench.path("x.npy"), &q.mapv(|q| (i32::from(q) - zero) as f32 * scale)).unwrap();
    let digest = |arguments: &[&str]| {
        let common = ["run", "digits.fixie", "--json"];
        json(&bench.succeeds(common.iter().chain(arguments).copied()))["output_sha256"].clone()
    };
    assert_eq!(digest(&["--raw", "--input", "q.npy"]), digest(&["--input", "x.npy"]));
}

#[test]
fn inspect_tells_the_same_twice() {
    let bench = Workbench::new();
    let image = bench.convert_digits();
    let info = json(&bench.succeeds(["inspect", "digits.fixie", "--json"]));
    assert_eq!(info["image_bytes"], fs::metadata(image).unwrap().len());
    assert!(info["floor_bytes"].as_u64() <= info["arena_bytes"].as_u64());
    let macs = |layer: &Value| layer["macs"].as_u64().unwrap();
    let layers = info["layers"].as_array().unwrap();
    assert_eq!(info["macs"], layers.iter().map(macs).sum::<u64>());
    let text = bench.succeeds(["inspect", "digits.fixie"]);
    for part in ["arena", "in memory", "bytes in use", "█"] {
        assert!(text.contains(part), "`{part}` is not in:\n{text}");
    }
    assert!(!text.contains('\u{1b}'), "colours in a pipe");
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let bench = Workbench::new();
    bench.convert_digits();
    let mut child = std::process::Command::new(assert_cmd::cargo::cargo_bin!("fixie"))
        .args(["inspect", "digits.fixie"])
        .current_dir(bench.path("."))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success());
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!(stderr, "");
}

#[test]
fn every_shipped_model_converts() {
    let bench = Workbench::new();
    for (folder, model, calib) in [
        ("digits", "digits.onnx", Some("calib.npz")),
        ("digits-nhwc", "digits_nhwc.onnx", Some("calib.npz")),
        ("digits-qdq", "digits_qdq.onnx", None),
        ("digits-qdq", "digits_qoperator.onnx", None),
        ("motion", "motion.onnx", Some("calib.npz")),
        ("autoencoder", "autoencoder.onnx", Some("calib.npz")),
        ("perceptron", "perceptron.onnx", Some("calib.npz")),
    ] {
        let file = |name: &str| argument(&shipped(folder).join(name));
        let mut arguments = vec!["convert".to_owned(), file(model)];
        arguments.extend(calib.iter().flat_map(|calib| ["--calib".to_owned(), file(calib)]));
        arguments.extend(["-o", "m.fixie", "--json"].map(str::to_owned));
        let summary = json(&bench.succeeds(arguments.iter().map(String::as_str)));
        assert!(summary["image_bytes"].as_u64().unwrap() > 0, "{model}");
        let data =
            file(if model == "digits_qoperator.onnx" { "eval_qoperator.npz" } else { "eval.npz" });
        let report = json(&bench.succeeds(["eval", "m.fixie", "--data", &data, "--json"]));
        let ratio = report["sqnr_db"].as_f64().unwrap();
        assert!(ratio > 20.0, "{model}: {report}");
    }
}

#[test]
fn the_demo_needs_nothing_but_the_program() {
    let bench = Workbench::new();
    let text = bench.succeeds(["demo", "--no-bench"]);
    for heading in ["Convert", "Evaluate", "Inspect", "Run", "best scores", "Yours"] {
        assert!(text.contains(heading), "`{heading}` is not in:\n{text}");
    }
    assert!(bench.files().is_empty());
}

/// What `bench --json` prints, as far as a comparison reads it.
fn saved_report(target: &str, instructions: u64) -> String {
    serde_json::json!({
        "target": target, "compiler": "rustc", "instructions": instructions,
        "cycles_estimate": null, "macs": 10, "arena_bytes": 64, "stack_bytes": 32,
        "code_bytes": 128, "image_bytes": 256, "layers": [{"name": "a", "instructions": 7}],
    })
    .to_string()
}

#[test]
fn saved_reports_are_compared() {
    let bench = Workbench::new();
    bench.file("old.json", saved_report("cortex-m4", 2000));
    bench.file("new.json", saved_report("cortex-m4", 1500));
    bench.file("other.json", saved_report("cortex-m3", 1500));
    bench.file("torn.json", "{\"target\": ");
    let text = bench.succeeds(["bench", "--compare", "old.json", "new.json"]);
    assert!(text.contains("−500") && text.contains("−25.0 %"), "{text}");
    let arguments = ["bench", "--compare", "old.json", "new.json", "--json"];
    assert_eq!(json(&bench.succeeds(arguments))["after"]["instructions"], 1500);
    bench.fails(["bench", "--compare", "old.json", "other.json"], &["cortex-m3", "help:"]);
    bench.fails(["bench", "--compare", "old.json", "torn.json"], &["torn.json is no report"]);
}

#[test]
fn completions_and_manual_pages_know_every_verb() {
    let bench = Workbench::new();
    let script = bench.succeeds(["completions", "bash"]);
    bench.succeeds(["man", "--output", "."]);
    let pages = bench.files();
    for verb in ["convert", "inspect", "run", "eval", "bench", "demo", "flash", "probe", "chips"] {
        assert!(script.contains(verb), "{verb}");
        assert!(pages.contains(&format!("fixie-{verb}.1")), "{verb} is not in {pages:?}");
    }
    assert!(bench.succeeds(["man"]).contains(".TH fixie 1"));
}

#[test]
fn chips_and_boards_are_listed_with_their_memory() {
    let bench = Workbench::new();
    let boards = json(&bench.succeeds(["chips", "--json"]));
    let board = |name: &str| {
        let boards = boards.as_array().unwrap();
        boards.iter().find(|board| board["board"] == name).unwrap().clone()
    };
    assert_eq!(board("nrf52840-dk")["chip"], "nRF52840_xxAA");
    assert_eq!(board("pico")["image_address"], 0x1010_0000);
    let chips = json(&bench.succeeds(["chips", "NRF52840", "--json"]));
    assert_eq!(chips[0]["chip"], "nRF52840_xxAA");
    assert_eq!(chips[0]["flash"][0], serde_json::json!([0, 1024 * 1024]));
    let text = bench.succeeds(["chips", "h743zi"]);
    assert!(text.contains("STM32H743ZI") && text.contains("2048 K at 0x8000000"), "{text}");
    assert!(!text.contains('\u{1b}'), "colours in a pipe");
}
