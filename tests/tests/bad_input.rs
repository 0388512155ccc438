//! Input that cannot be used, through the libraries: which error, and that its text says what is
//! wrong, where, and what to do. `tools/cli/tests/bad_input.rs` has the same through the command.

use std::fs;
use std::path::Path;

use fixie::{ALL_OPS, BindError, Engine, Image, ImageError};
use fixie_compiler::compile::{CompileError, Options, compile};
use fixie_compiler::data::{Dataset, Problem};
use fixie_compiler::onnx::{ImportError, ImportOptions, Model};
use fixie_compiler::session::{Network, SessionError};
use fixie_tests::{damage, shipped};
use ndarray::ArrayD;
use ndarray_npy::WriteNpyExt;

/// The shipped digit classifier.
fn digits() -> Vec<u8> {
    fs::read(shipped("digits/digits.onnx")).unwrap()
}

fn import(bytes: &[u8]) -> Result<Model, ImportError> {
    Model::from_bytes(bytes, &ImportOptions::default())
}

/// What importing or compiling a model without data says.
fn refusal(bytes: &[u8]) -> CompileError {
    match import(bytes) {
        Err(error) => error.into(),
        Ok(model) => compile(&model, None, &Options::default(), &mut |_| {}).unwrap_err(),
    }
}

fn says(error: &impl std::error::Error, parts: &[&str]) {
    let text = error.to_string();
    for part in parts {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
}

/// The image of the smallest shipped model.
fn perceptron() -> Vec<u8> {
    let path = shipped("perceptron/perceptron.onnx");
    let model = Model::load(&path, &ImportOptions::default()).unwrap();
    let data = Dataset::load(&shipped("perceptron/calib.npz"), model.inputs()).unwrap();
    compile(&model, Some(&data), &Options::default(), &mut |_| {}).unwrap().image
}

fn bind_error(image: &[u8]) -> BindError {
    match Network::new(image).unwrap_err() {
        SessionError::Image(error) => BindError::Image(error),
        SessionError::Bind(error) => error,
        error => panic!("{error}"),
    }
}

#[test]
fn truncated_models() {
    let model = digits();
    for percent in 0..100 {
        let error = refusal(&model[..model.len() * percent / 100]);
        assert!(matches!(error, CompileError::Import(_)), "{percent}%: {error}");
        says(&error, &["export"]);
    }
}

#[test]
fn an_unknown_operator_is_named_with_its_node() {
    let model = damage::edit_onnx(&shipped("digits/digits.onnx"), |graph| {
        damage::unknown_operator(graph);
        graph.node[0].name = "stem".to_owned();
    });
    says(&refusal(&model), &["stem", "Frobnicate"]);
}

#[test]
fn a_dynamic_shape_is_answered_with_the_option() {
    let model = damage::edit_onnx(&shipped("digits/digits.onnx"), damage::dynamic_shape);
    let error = refusal(&model);
    assert!(matches!(error, CompileError::Import(ImportError::DynamicShape { axis: 3, .. })));
    says(&error, &["length", "--shape"]);
}

#[test]
fn a_weight_that_is_no_number_is_located() {
    let path = shipped("digits/digits.onnx");
    let mut name = String::new();
    let model = damage::edit_onnx(&path, |graph| {
        damage::nan_weight(graph);
        name = graph.initializer[0].name.clone();
    });
    says(&refusal(&model), &["NaN"]);
    assert!(!name.is_empty());
}

#[test]
fn a_float_model_needs_calibration() {
    says(&refusal(&digits()), &["--calib"]);
}

/// What reading `x` of this shape for the digit classifier says.
fn data_problem(shape: &[usize]) -> Problem {
    let mut file = Vec::new();
    ArrayD::<f32>::zeros(shape).write_npy(&mut file).unwrap();
    let model = import(&digits()).unwrap();
    Dataset::from_bytes(file, "calib.npy", model.inputs()).unwrap_err().problem
}

#[test]
fn calibration_data_of_the_wrong_shape() {
    assert!(matches!(data_problem(&[5, 8, 8, 1]), Problem::Shape { .. }));
    assert!(matches!(data_problem(&[64]), Problem::Shape { .. }));
}

#[test]
fn an_empty_set() {
    assert!(matches!(data_problem(&[0, 1, 8, 8]), Problem::Empty));
}

#[test]
fn every_truncation_of_an_image() {
    let image = perceptron();
    for len in 0..image.len() {
        let error = bind_error(&image[..len]);
        assert!(matches!(error, BindError::Image(ImageError::Truncated { .. })), "{len}: {error}");
    }
}

#[test]
fn every_flipped_bit_of_an_image() {
    let image = perceptron();
    for bit in 0..image.len() * 8 {
        let mut damaged = image.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(matches!(bind_error(&damaged), BindError::Image(_)), "bit {bit}");
    }
}

#[test]
fn an_image_of_a_newer_version() {
    let error = bind_error(&damage::newer_version(&perceptron()));
    assert_eq!(error, BindError::Image(ImageError::Version { major: 2, minor: 0 }));
    says(&error, &["2.0", "update the runtime"]);
}

#[test]
fn an_arena_that_is_too_small_or_misaligned() {
    #[repr(align(16))]
    struct Flash([u8; 4096]);
    let bytes = perceptron();
    let mut flash = Flash([0; 4096]);
    flash.0[..bytes.len()].copy_from_slice(&bytes);
    let image = Image::parse(&flash.0[..bytes.len()]).unwrap();
    let needed = image.arena_len();
    let mut arena = Flash([0; 4096]);
    for given in 0..needed {
        let error = Engine::<ALL_OPS>::new(image, &mut arena.0[..given]).unwrap_err();
        assert_eq!(error, BindError::ArenaTooSmall { needed, given });
    }
    let error = Engine::<ALL_OPS>::new(image, &mut arena.0[1..]).unwrap_err();
    assert_eq!(error, BindError::ArenaMisaligned);
    assert!(Engine::<ALL_OPS>::new(image, &mut arena.0).is_ok());
}

#[test]
fn missing_files() {
    let nowhere = Path::new("nowhere/at.all");
    let model = Model::load(nowhere, &ImportOptions::default()).unwrap_err();
    let data = Dataset::load(nowhere, import(&digits()).unwrap().inputs()).unwrap_err();
    let image = Network::load(nowhere).unwrap_err();
    says(&model, &["nowhere/at.all"]);
    says(&data, &["nowhere/at.all"]);
    says(&image, &["nowhere/at.all"]);
}
