//! The reductions on the models of MLPerf Tiny: not a byte of any output changes.
//!
//! The models and their data are not part of the repository (`shared_models`).

use std::path::Path;

use fixie_compiler::compile::{Options, compile};
use fixie_compiler::data::Dataset;
use fixie_compiler::onnx::{ImportOptions, Model};
use fixie_compiler::reduce::Reduction;
use fixie_compiler::session::Network;
use fixie_tests::shared_models;

/// Multiply-accumulates of the person detector without the 971 channels whose weights are zero, and
/// its weights: a published count, found by hand in the official int8 model;
/// zero in all if that is nothing.
const VWW_ALIVE: (u64, usize) = (3_742_091, 29_580);

#[test]
fn keyword_spotting() {
    check("kws");
}

#[test]
fn image_classification() {
    check("ic");
}

#[test]
fn visual_wake_words() {
    for reduction in check("vww").into_iter().flatten() {
        let (macs, weights) = VWW_ALIVE;
        assert_eq!(reduction.macs_before, 7_489_664);
        assert_eq!(reduction.weights_before, 208_112);
        assert!(reduction.macs_after <= macs, "{reduction:?}");
        assert!(reduction.weights_after <= weights, "{reduction:?}");
    }
}

#[test]
fn anomaly_detection() {
    check("ad");
}

#[test]
fn streaming_wake_word() {
    check("sww");
}

/// Compares the outputs for all evaluation data; gives what was saved in the float model, quantised
/// here, and in the official int8 model;
/// zero in all if that is nothing.
fn check(name: &str) -> Option<[Reduction; 2]> {
    let folder = shared_models(name)?.join("mlperf-tiny").join(name);
    Some(["float.onnx", "int8_qdq.onnx"].map(|file| {
        let reduction = compare(&folder, file);
        println!("{name}/{file}: {reduction:?}");
        reduction
    }))
}

fn compare(folder: &Path, file: &str) -> Reduction {
    let model = Model::load(folder.join(file), &ImportOptions::default()).unwrap();
    let set = |file: &str| Dataset::load(&folder.join(file), model.inputs()).unwrap();
    let calibration = (file == "float.onnx").then(|| set("calib.npz"));
    let network = |reduce: bool| {
        let options = Options { reduce, ..Options::default() };
        let compiled = compile(&model, calibration.as_ref(), &options, &mut |_| {}).unwrap();
        (Network::new(&compiled.image).unwrap(), compiled.metadata.reduction)
    };
    let ((whole, none), (reduced, reduction)) = (network(false), network(true));
    assert_eq!(none, None);
    let data = set("eval.npz");
    let [mut arena, mut reduced_arena] = [whole.arena(), reduced.arena()];
    let mut whole = whole.session(&mut arena).unwrap();
    let mut reduced = reduced.session(&mut reduced_arena).unwrap();
    for index in 0..data.len() {
        let sample = data.sample(index);
        whole.run(&sample).unwrap();
        reduced.run(&sample).unwrap();
        let outputs = (whole.raw_outputs().unwrap(), reduced.raw_outputs().unwrap());
        assert_eq!(outputs.0, outputs.1, "{file}: sample {index}");
    }
    reduction.unwrap_or_default()
}
