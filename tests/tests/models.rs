//! The models that the repository ships: accuracy, layer by layer, and against ONNX Runtime.

use fixie_compiler::compile::{Compiled, Options, compile};
use fixie_compiler::data::Dataset;
use fixie_compiler::evaluate::evaluate;
use fixie_compiler::onnx::{ImportOptions, Model};
use fixie_compiler::quantize::{LayerLevels, Levels, QuantizeOptions, Rounding, WideLayers};
use fixie_compiler::session::Network;
use fixie_compiler::target::Target;
use fixie_compiler::trace::trace;
use fixie_tests::layers::check_layers;
use fixie_tests::score::{TOLERANCE, original_score};
use fixie_tests::shipped;

/// Samples that are looked at layer by layer.
const TRACED: usize = 8;

fn load(onnx: &str) -> Model {
    Model::load(shipped(onnx), &ImportOptions::default()).unwrap()
}

fn data(path: &str, model: &Model) -> Dataset {
    Dataset::load(&shipped(path), model.inputs()).unwrap()
}

fn image(model: &Model, calibration: Option<&Dataset>, target: Target) -> Compiled {
    let options = Options::for_target(target);
    compile(model, calibration, &options, &mut |_| {}).unwrap()
}

/// Compiles a model for two packings of the weights and checks its score and its layers.
fn check(onnx: &str, calibration: Option<&str>, evaluation: &str) {
    let model = load(onnx);
    let calibration = calibration.map(|path| data(path, &model));
    let data = data(evaluation, &model);
    let original = original_score(&data).expect("the models' evaluation sets have labels");
    let mut layers = 0;
    let mut outputs = Vec::new();
    for target in [Target::Generic, Target::CortexM4] {
        let compiled = image(&model, calibration.as_ref(), target);
        let network = Network::new(&compiled.image).unwrap();
        let result = evaluate(&network, &data, None, &|_| {}).unwrap();
        let score = result.accuracy.or(result.auc).unwrap();
        println!("{onnx} for {target}: {score:.4}, the original {original:.4}");
        assert!(score >= original - TOLERANCE, "{onnx}: {score} where the original has {original}");
        let mut arena = network.arena();
        let mut session = network.session(&mut arena).unwrap();
        for sample in 0..TRACED {
            session.quantize(&data.sample(sample)).unwrap();
            layers += check_layers(onnx, &compiled.graph, &trace(&mut session).unwrap());
            outputs.push(session.raw_outputs().unwrap());
        }
    }
    assert!(layers > 0, "{onnx} has layers");
    let (generic, packed) = outputs.split_at(TRACED);
    assert_eq!(generic, packed, "{onnx}: packed weights give other bytes");
}

#[test]
fn perceptron() {
    check("perceptron/perceptron.onnx", Some("perceptron/calib.npz"), "perceptron/eval.npz");
}

#[test]
fn digits() {
    check("digits/digits.onnx", Some("digits/calib.npz"), "digits/eval.npz");
}

#[test]
fn digits_channels_last() {
    let folder = |file| format!("digits-nhwc/{file}");
    check(&folder("digits_nhwc.onnx"), Some(&folder("calib.npz")), &folder("eval.npz"));
}

#[test]
fn motion() {
    check("motion/motion.onnx", Some("motion/calib.npz"), "motion/eval.npz");
}

#[test]
fn autoencoder() {
    check("autoencoder/autoencoder.onnx", Some("autoencoder/calib.npz"), "autoencoder/eval.npz");
}

#[test]
fn digits_quantised_by_qdq_nodes() {
    check("digits-qdq/digits_qdq.onnx", None, "digits-qdq/eval.npz");
    check_units("digits-qdq/digits_qdq.onnx", "digits-qdq/eval.npz");
}

#[test]
fn digits_quantised_by_integer_operators() {
    check("digits-qdq/digits_qoperator.onnx", None, "digits-qdq/eval_qoperator.npz");
    check_units("digits-qdq/digits_qoperator.onnx", "digits-qdq/eval_qoperator.npz");
}

/// Every output within one unit of ONNX Runtime's.
fn check_units(onnx: &str, evaluation: &str) {
    let model = load(onnx);
    let data = data(evaluation, &model);
    let network = Network::new(&image(&model, None, Target::Generic).image).unwrap();
    let mut arena = network.arena();
    let mut session = network.session(&mut arena).unwrap();
    let scale = f64::from(network.outputs()[0].scale);
    let mut histogram = [0usize; 3];
    for sample in 0..data.len() {
        session.run(&data.sample(sample)).unwrap();
        let reference = data.references()[0].outer_iter().nth(sample).unwrap().to_owned();
        for (output, reference) in session.outputs().unwrap()[0].iter().zip(&reference) {
            let units = ((f64::from(*output) - f64::from(*reference)) / scale).abs().round();
            histogram[(units as usize).min(2)] += 1;
        }
    }
    println!("{onnx}: {histogram:?} outputs are 0, 1, more units from ONNX Runtime's");
    assert_eq!(histogram[2], 0, "outputs further than a unit from ONNX Runtime's");
}

/// How close a model stays to its float original, in dB, and how many of its layers compute activations
/// of 16 bits.
fn closeness(name: &str, quantize: QuantizeOptions) -> (f64, usize) {
    let model = load(&format!("{name}/{name}.onnx"));
    let [calibration, data] =
        ["calib", "eval"].map(|set| data(&format!("{name}/{set}.npz"), &model));
    let options = Options { quantize, ..Options::default() };
    let compiled = compile(&model, Some(&calibration), &options, &mut |_| {}).unwrap();
    let network = Network::new(&compiled.image).unwrap();
    let reference = model.reference().unwrap();
    let result = evaluate(&network, &data, Some(&reference), &|_| {}).unwrap();
    let layers = compiled.metadata.layers.iter();
    let wide = layers.filter(|layer| layer.output.wide_bits.is_some()).count();
    (result.sqnr_db.unwrap(), wide)
}

#[test]
fn activations_of_16_bits_keep_models_closer() {
    for name in ["digits", "autoencoder"] {
        let wide = [WideLayers::None, WideLayers::Auto, WideLayers::All];
        let [narrow, few, all] =
            wide.map(|wide| closeness(name, QuantizeOptions { wide, ..Default::default() }));
        println!("{name}: dB and layers: {narrow:?}, {few:?}, {all:?}");
        assert_eq!(narrow.1, 0);
        assert!(few.0 > narrow.0 && all.0 > narrow.0, "{name}: not closer");
        assert!((1..=all.1).contains(&few.1), "{name}: {} layers of {}", few.1, all.1);
    }
}

#[test]
fn rounding_and_bias_correction_keep_the_digits_closer() {
    for weight_bits in [8, 4] {
        let inner = Levels::of_bits(weight_bits).unwrap();
        let levels = LayerLevels { inner, ..LayerLevels::default() };
        let plain = QuantizeOptions { levels, ..QuantizeOptions::default() };
        let digits_sqnr = |options| closeness("digits", options).0;
        let nearest = digits_sqnr(plain.clone());
        let gptq = QuantizeOptions { rounding: Rounding::Gptq, ..plain };
        let both = QuantizeOptions { bias_correction: true, ..gptq.clone() };
        let gptq = digits_sqnr(gptq);
        let both = digits_sqnr(both);
        println!("{weight_bits} bits: {nearest:.2} dB, gptq {gptq:.2} dB, both {both:.2} dB");
        assert!(gptq >= nearest, "{weight_bits} bits: {gptq} dB where nearest has {nearest}");
        assert!(both >= nearest, "{weight_bits} bits: {both} dB where nearest has {nearest}");
    }
}
