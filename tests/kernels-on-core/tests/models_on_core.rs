//! Whole models on every emulated core: output bytes as on the host, for real inputs and for extreme
//! ones.
//!
//! Needs the compilers and emulators that `cargo xtask setup` finds or installs. The benchmark
//! models are not part of the repository (`shared_models`); the shipped one is always there.

use std::path::{Path, PathBuf};

use fixie_compiler::compile::{Options, compile};
use fixie_compiler::data::Dataset;
use fixie_compiler::lower::Inputs;
use fixie_compiler::onnx::{ImportOptions, Model};
use fixie_compiler::session::Network;
use fixie_emulator::{Board, EmulatorError, RunRequest, run_many};
use fixie_tests::random::Random;
use fixie_tests::{shared_models, shipped};
use ndarray::ArrayD;

/// Real inputs of each model.
const REAL_INPUTS: usize = 8;

/// Folders of the benchmark models, `mlperf-tiny/NAME/{float.onnx, calib.npz, eval.npz}`.
const BENCHMARKS: [&str; 5] = ["kws", "ic", "vww", "ad", "sww"];

/// A model with the data to calibrate it and to run it on.
struct Files {
    name: &'static str,
    onnx: PathBuf,
    calibration: PathBuf,
    evaluation: PathBuf,
    /// How its inputs are given.
    feeding: &'static [Inputs],
}

fn all_files(test: &str) -> Vec<Files> {
    let digits = Files {
        name: "digits",
        onnx: shipped("digits/digits.onnx"),
        calibration: shipped("digits/calib.npz"),
        evaluation: shipped("digits/eval.npz"),
        feeding: &[Inputs::Whole, Inputs::ByRows],
    };
    let benchmark = |models: &Path, name| {
        let folder = models.join("mlperf-tiny").join(name);
        Files {
            name,
            onnx: folder.join("float.onnx"),
            calibration: folder.join("calib.npz"),
            evaluation: folder.join("eval.npz"),
            feeding: &[Inputs::Whole],
        }
    };
    let models = shared_models(test);
    let benchmarks =
        models.iter().flat_map(|models| BENCHMARKS.map(|name| benchmark(models, name)));
    [digits].into_iter().chain(benchmarks).collect()
}

/// Inputs as the device takes them, and the outputs that the host computes from them, each one after
/// the other.
struct Expected {
    inputs: Vec<u8>,
    outputs: Vec<u8>,
}

impl Expected {
    fn of(network: &Network, data: &Dataset) -> Self {
        let mut arena = network.arena();
        let mut session = network.session(&mut arena).unwrap();
        let (mut inputs, mut outputs) = (Vec::new(), Vec::new());
        for index in 0..REAL_INPUTS {
            let sample = data.sample(index);
            inputs.extend(session.quantize(&sample).unwrap());
            session.run(&sample).unwrap();
            outputs.extend(session.raw_outputs().unwrap());
        }
        for sample in extremes(network) {
            inputs.extend(session.fill(&sample).unwrap());
            session.run_raw(&sample).unwrap();
            outputs.extend(session.raw_outputs().unwrap());
        }
        Self { inputs, outputs }
    }
}

/// The smallest and the largest bytes, alone and in turn, and any bytes.
fn extremes(network: &Network) -> Vec<Vec<ArrayD<i8>>> {
    let patterns: [fn(usize) -> i8; 3] =
        [|_| i8::MIN, |_| i8::MAX, |index| if index % 2 == 0 { i8::MIN } else { i8::MAX }];
    let patterned = patterns.map(|pattern| {
        let port = |shape: &Vec<usize>| {
            let values = (0..shape.iter().product()).map(pattern).collect();
            ArrayD::from_shape_vec(shape.clone(), values).unwrap()
        };
        network.inputs().iter().map(|info| port(&info.shape)).collect()
    });
    let mut random = Random(7);
    let any = network.inputs().iter().map(|info| random.bytes(&info.shape)).collect();
    patterned.into_iter().chain([any]).collect()
}

/// Compares all models that fit the board; `too_large` names those that do not.
fn compare(board: &str, too_large: &[&str]) {
    let board = Board::find(board).unwrap();
    for files in all_files(board.name) {
        let model = Model::load(&files.onnx, &ImportOptions::default()).unwrap();
        let data = |path: &Path| Dataset::load(path, model.inputs()).unwrap();
        let (calibration, evaluation) = (data(&files.calibration), data(&files.evaluation));
        for &inputs in files.feeding {
            let target = board.name.parse().unwrap();
            let options = Options { inputs, ..Options::for_target(target) };
            let compiled = compile(&model, Some(&calibration), &options, &mut |_| {});
            let network = Network::new(&compiled.unwrap().image).unwrap();
            compare_model(board, files.name, &network, &evaluation, too_large);
        }
    }
}

fn compare_model(
    board: &'static Board,
    name: &str,
    network: &Network,
    evaluation: &Dataset,
    too_large: &[&str],
) {
    let expected = Expected::of(network, evaluation);
    let (image, input) = (network.bytes(), &expected.inputs[..]);
    match run_many(&RunRequest { board, image, input, progress: &|_| {} }) {
        Err(EmulatorError::DoesNotFit { .. }) if too_large.contains(&name) => {}
        Ok(outputs) => {
            assert!(!too_large.contains(&name), "{name} fits {}", board.name);
            assert_eq!(outputs, expected.outputs, "{name} on {}", board.name);
        }
        Err(error) => panic!("{name} on {}: {error}", board.name),
    }
}

#[test]
fn cortex_m0() {
    // The micro:bit has 16 KiB of RAM and 256 KiB of flash.
    compare("cortex-m0", &["kws", "ic", "vww", "ad"]);
}

#[test]
fn cortex_m0plus() {
    compare("cortex-m0plus", &[]);
}

#[test]
fn cortex_m3() {
    compare("cortex-m3", &[]);
}

#[test]
fn cortex_m4() {
    compare("cortex-m4", &[]);
}

#[test]
fn cortex_m7() {
    compare("cortex-m7", &[]);
}

#[test]
fn cortex_m33() {
    compare("cortex-m33", &[]);
}

#[test]
fn cortex_m55() {
    compare("cortex-m55", &[]);
}

#[test]
fn rv32() {
    compare("rv32", &[]);
}
