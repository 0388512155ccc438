//! Inputs that are given row by row: the same outputs, in less memory.

use std::path::Path;

use fixie_compiler::compile::{Options, compile};
use fixie_compiler::data::Dataset;
use fixie_compiler::lower::Inputs;
use fixie_compiler::onnx::{ImportOptions, Model};
use fixie_compiler::plan::Optimize;
use fixie_compiler::session::Network;
use fixie_compiler::trace::trace;
use fixie_tests::{shared_models, shipped};

/// Samples that are compared.
const SAMPLES: usize = 40;

/// Compares the outputs and gives the bytes of the arenas: with the inputs whole, and by rows.
fn check(folder: &Path, onnx: &str, optimize: Optimize) -> [usize; 2] {
    let model = Model::load(folder.join(onnx), &ImportOptions::default()).unwrap();
    let set = |file: &str| Dataset::load(&folder.join(file), model.inputs()).unwrap();
    let (calibration, data) = (set("calib.npz"), set("eval.npz"));
    let networks = [Inputs::Whole, Inputs::ByRows].map(|inputs| {
        let options = Options { inputs, optimize, ..Options::default() };
        let compiled = compile(&model, Some(&calibration), &options, &mut |_| {}).unwrap();
        Network::new(&compiled.image).unwrap()
    });
    let [mut whole_arena, mut rows_arena] = networks.each_ref().map(Network::arena);
    let mut whole = networks[0].session(&mut whole_arena).unwrap();
    let mut rows = networks[1].session(&mut rows_arena).unwrap();
    for index in 0..SAMPLES.min(data.len()) {
        let sample = data.sample(index);
        whole.run(&sample).unwrap();
        rows.run(&sample).unwrap();
        let outputs = [&whole, &rows].map(|session| session.raw_outputs().unwrap());
        assert_eq!(outputs[0], outputs[1], "{onnx}: sample {index}");
    }
    let bytes = rows.quantize(&data.sample(0)).unwrap();
    assert_eq!(bytes, whole.quantize(&data.sample(0)).unwrap());
    let traces = [&mut whole, &mut rows].map(|session| trace(session).unwrap());
    assert_eq!(traces[0].inputs, traces[1].inputs, "{onnx}: a trace has the inputs whole");
    networks.map(|network| network.image().arena_len())
}

#[test]
fn shipped_models() {
    for name in ["digits", "motion"] {
        for optimize in [Optimize::Latency, Optimize::Balanced, Optimize::Ram] {
            let [whole, rows] = check(&shipped(name), &format!("{name}.onnx"), optimize);
            println!("{name}, {optimize}: {whole} bytes whole, {rows} by rows");
            assert!(rows <= whole, "{name}, {optimize}: {rows} {whole}");
        }
    }
}

#[test]
fn a_camera_needs_no_frame_buffer() {
    let Some(models) = shared_models("visual wake words by rows") else { return };
    let folder = models.join("mlperf-tiny/vww");
    let [whole, rows] = check(&folder, "float.onnx", Optimize::Ram);
    println!("vww: {whole} bytes whole, {rows} by rows");
    // The frame alone has 96 rows of 96 pixels of 3 bytes.
    assert!(rows < 96 * 96 * 3 && rows < whole, "{rows} {whole}");
}

#[test]
fn vectors_have_no_rows() {
    let model = Model::load(shipped("perceptron/perceptron.onnx"), &ImportOptions::default());
    let model = model.unwrap();
    let data = Dataset::load(&shipped("perceptron/calib.npz"), model.inputs()).unwrap();
    let options = Options { inputs: Inputs::ByRows, ..Options::default() };
    let error = compile(&model, Some(&data), &options, &mut |_| {}).unwrap_err();
    assert!(error.to_string().contains("row"), "{error}");
}
