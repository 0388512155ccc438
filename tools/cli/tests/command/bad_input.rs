//! What the command says about input that it cannot use: what is wrong, where, and what to do; an
//! exit code of 1; and no file left behind.

use std::fs;

use crate::common::{Workbench, digits};
use fixie_tests::damage;
use fixie_tests::shipped;
use ndarray::ArrayD;
use ndarray_npy::write_npy;

/// Expects the conversion of a damaged digit classifier to fail.
fn convert_fails(model: impl AsRef<[u8]>, texts: &[&str]) {
    let bench = Workbench::new();
    bench.file("model.onnx", model);
    let calib = digits("calib.npz");
    let arguments = ["convert", "model.onnx", "--calib", &calib, "-o", "model.fixie"];
    bench.fails(arguments, &[&["cannot convert model.onnx"], texts].concat());
}

/// Expects the conversion of the sound digit classifier with these samples to fail.
fn calibration_fails(shape: &[usize], texts: &[&str]) {
    let bench = Workbench::new();
    write_npy(bench.path("calib.npy"), &ArrayD::<f32>::zeros(shape)).unwrap();
    let model = digits("digits.onnx");
    let arguments = ["convert", &model, "--calib", "calib.npy", "-o", "digits.fixie"];
    bench.fails(arguments, &[&["cannot calibrate with calib.npy", "help:"], texts].concat());
}

#[test]
fn a_truncated_model() {
    let model = fs::read(shipped("digits/digits.onnx")).unwrap();
    convert_fails(&model[..model.len() / 2], &["not an ONNX model, or cut off", "export it again"]);
}

#[test]
fn an_unknown_operator() {
    let model = damage::edit_onnx(&shipped("digits/digits.onnx"), damage::unknown_operator);
    convert_fails(model, &["Frobnicate"]);
}

#[test]
fn a_dynamic_shape() {
    let model = damage::edit_onnx(&shipped("digits/digits.onnx"), damage::dynamic_shape);
    convert_fails(model, &["no fixed size on axis 3", "--shape"]);
}

#[test]
fn a_weight_that_is_no_number() {
    let model = damage::edit_onnx(&shipped("digits/digits.onnx"), damage::nan_weight);
    convert_fails(model, &["NaN"]);
}

#[test]
fn a_float_model_without_calibration() {
    let bench = Workbench::new();
    let model = digits("digits.onnx");
    bench.fails(["convert", &model, "-o", "digits.fixie"], &["cannot convert", "--calib"]);
}

#[test]
fn calibration_data_of_the_wrong_shape() {
    calibration_fails(&[4, 8, 8, 1], &["array `x` has shape [4, 8, 8, 1]", "[1, 8, 8]"]);
}

#[test]
fn an_empty_set() {
    calibration_fails(&[0, 1, 8, 8], &["holds no samples"]);
}

#[test]
fn missing_files() {
    let bench = Workbench::new();
    let (model, calib) = (digits("digits.onnx"), digits("calib.npz"));
    bench.fails(["convert", "none.onnx", "--calib", &calib, "-o", "m.fixie"], &["none.onnx"]);
    let arguments = ["convert", &model, "--calib", "none.npz", "-o", "m.fixie"];
    bench.fails(arguments, &["none.npz", "help:"]);
    bench.fails(["inspect", "none.fixie"], &["none.fixie", "check the path"]);
    bench.fails(["run", "none.fixie", "--input", "x.npy"], &["none.fixie"]);
    bench.fails(["eval", "none.fixie", "--data", "x.npz"], &["none.fixie"]);
    bench.fails(["bench", "none.fixie", "--target", "cortex-m4"], &["none.fixie"]);
}

#[test]
fn outputs_that_cannot_be_written() {
    let bench = Workbench::new();
    bench.file("plain", "");
    fs::create_dir(bench.path("directory")).unwrap();
    let (model, calib) = (digits("digits.onnx"), digits("calib.npz"));
    let fails = |output: &str, texts: &[&str]| {
        bench.fails(["convert", &model, "--calib", &calib, "-o", output], texts);
    };
    fails("nowhere/m.fixie", &["cannot write nowhere/m.fixie", "check the path"]);
    fails("plain/m.fixie", &["cannot write plain/m.fixie", "plain is not a directory"]);
    fails("directory", &["cannot write directory", "it is a directory"]);
}

#[test]
fn damaged_images() {
    let bench = Workbench::new();
    let sound = fs::read(bench.convert_digits()).unwrap();
    let flipped = |at: usize| {
        let mut image = sound.clone();
        image[at] ^= 0x10;
        image
    };
    let cases: [(&str, Vec<u8>, &str); 6] = [
        ("cut.fixie", sound[..sound.len() / 2].to_vec(), "image truncated"),
        ("stub.fixie", sound[..20].to_vec(), "image truncated"),
        ("flipped.fixie", flipped(sound.len() / 2), "image damaged: checksum"),
        ("magic.fixie", flipped(0), "not a Fixie image"),
        ("newer.fixie", damage::newer_version(&sound), "image version 2.0 cannot be read"),
        ("empty.fixie", Vec::new(), "image truncated"),
    ];
    let (data, x) = (digits("eval.npz"), digits("eval.npz"));
    for (name, image, text) in cases {
        bench.file(name, image);
        let texts = ["cannot read the image", name, text];
        bench.fails(["inspect", name], &texts);
        bench.fails(["run", name, "--input", &x, "--output", "y.npy"], &texts);
        bench.fails(["eval", name, "--data", &data], &texts);
        bench.fails(["bench", name, "--target", "cortex-m4"], &texts);
    }
}

#[test]
fn inputs_that_do_not_fit_the_image() {
    let bench = Workbench::new();
    bench.convert_digits();
    write_npy(bench.path("wide.npy"), &ArrayD::<f32>::zeros(vec![2, 1, 8, 9])).unwrap();
    let texts = ["cannot use", "wide.npy", "shape [2, 1, 8, 9]", "[1, 8, 8]"];
    bench.fails(["run", "digits.fixie", "--input", "wide.npy", "--output", "y.npy"], &texts);
    bench.fails(["eval", "digits.fixie", "--data", "wide.npy"], &texts);
    bench.file("text.npy", "1 2 3");
    bench.fails(["run", "digits.fixie", "--input", "text.npy"], &["neither .npy nor .npz"]);
}

#[test]
fn a_reference_that_is_another_model() {
    let bench = Workbench::new();
    bench.convert_digits();
    let (data, other) = (digits("eval.npz"), shipped("perceptron/perceptron.onnx"));
    let other = crate::common::argument(&other);
    let arguments = ["eval", "digits.fixie", "--data", &data, "--reference", &other];
    bench.fails(arguments, &["perceptron.onnx"]);
}

#[test]
fn wrong_usage_has_a_code_of_its_own() {
    let bench = Workbench::new();
    for arguments in [
        &["frobnicate"][..],
        &["convert", "m.onnx"],
        &["convert", "m.onnx", "-o", "m.fixie", "--target", "cortex-m9"],
        &["convert", "m.onnx", "-o", "m.fixie", "--shape", "x"],
        &["convert", "m.onnx", "-o", "m.fixie", "--calibrator", "magic"],
        &["bench", "m.fixie", "--target", "generic"],
    ] {
        bench.fixie(arguments.iter().copied()).assert().code(2);
    }
}

/// Everything that is refused before a probe is looked for.
#[test]
fn what_cannot_be_flashed() {
    let bench = Workbench::new();
    bench.convert_digits();
    let refused = |arguments: &[&str], texts: &[&str]| {
        let common = ["flash", "digits.fixie", "--chip"];
        bench.fails(common.iter().chain(arguments).copied(), texts);
    };
    refused(&["nRF52841"], &["no chip 'nRF52841'", "nRF52840_xxAA", "fixie chips"]);
    refused(&["nRF52833_xxAA"], &["not known", "--address"]);
    refused(&["nrf52840-dk", "--address", "0x80100"], &["erase sector", "--address 0x80000"]);
    refused(&["nrf52840-dk", "--address", "0x20000000"], &["no flash", "nothing was written"]);
    refused(&["nRF52833_xxAA", "--app", "bench"], &["none of the boards", "--firmware"]);
    bench.file("text.elf", "text");
    refused(&["pico", "--firmware", "text.elf"], &["cannot use the firmware text.elf"]);
    bench.file("text.fixie", "text");
    bench.fails(["flash", "text.fixie", "--chip", "pico"], &["cannot flash text.fixie", "image"]);
    // On a machine with a probe the last step would be another one.
    if bench.succeeds(["probe", "list", "--json"]).trim() == "[]" {
        refused(&["nrf52840-dk"], &["no debug probe is connected", "fixie probe list"]);
    }
}
