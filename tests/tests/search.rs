//! The search for the smallest image, and the comparison of images layer by layer, on a model that
//! the repository ships; and what the search makes of a large one (`shared_models`).

use fixie_compiler::compile::{Compiled, Options, compile};
use fixie_compiler::data::Dataset;
use fixie_compiler::debug::{Other, compare};
use fixie_compiler::evaluate::evaluate;
use fixie_compiler::onnx::{ImportOptions, Model};
use fixie_compiler::plan::Optimize;
use fixie_compiler::quantize::{LayerLevels, Levels, QuantizeOptions};
use fixie_compiler::search::{Event, Found, Limits, Measure, SearchError, search};
use fixie_compiler::session::Network;
use fixie_compiler::target::Target;
use fixie_tests::{shared_models, shipped};

/// The digits model, its calibration samples and labelled samples.
fn digits() -> (Model, Dataset, Dataset) {
    let model = Model::load(shipped("digits/digits.onnx"), &ImportOptions::default()).unwrap();
    let data = |file: &str| Dataset::load(&shipped(file), model.inputs()).unwrap();
    let (calibration, labelled) = (data("digits/calib.npz"), data("digits/eval.npz"));
    (model, calibration, labelled)
}

fn find(
    flash_bytes: Option<usize>,
    loss: Option<f64>,
    progress: &mut dyn FnMut(Event) -> bool,
) -> Result<Found, SearchError> {
    let (model, calibration, data) = digits();
    let limits = Limits { flash_bytes, loss };
    search(&model, &calibration, Some(&data), (&Options::default(), limits), progress)
}

#[test]
fn the_image_keeps_the_accuracy_that_the_report_says() {
    let found = find(None, Some(0.01), &mut |_| true).unwrap();
    let report = &found.report;
    let (first, chosen) = (&report.frontier[0], &report.frontier[report.chosen]);
    println!("{} bytes of {}: {:?}", chosen.image_bytes, first.image_bytes, chosen.layers);
    assert_eq!(report.measure, Measure::Accuracy);
    assert!(report.complete && first.layers.is_empty());
    assert!(chosen.image_bytes < first.image_bytes && chosen.loss <= 0.01);
    let (.., data) = digits();
    assert_eq!(found.compiled.image.len(), chosen.image_bytes);
    let network = Network::new(&found.compiled.image).unwrap();
    assert!(network.image().op_set().has_coded());
    let evaluation = evaluate(&network, &data, None, &|_| {}).unwrap();
    assert_eq!(evaluation.accuracy, Some(chosen.score));
    assert_eq!(evaluation.original_accuracy, Some(report.original));
    assert!(chosen.expected_loss <= 0.01 && evaluation.believed_loss == chosen.believed_loss);
    let layers = found.compiled.metadata.layers.iter();
    for (layer, weights) in layers.filter_map(|layer| Some((layer, layer.weights?))) {
        let levels = chosen.layers.get(&layer.name).copied().unwrap_or_default();
        assert!(weights.largest <= levels.largest().into(), "{}: {weights:?}", layer.name);
    }
}

#[test]
fn a_second_search_finds_the_same() {
    let [first, second] = [(); 2].map(|()| find(None, Some(0.02), &mut |_| true).unwrap());
    assert_eq!(first.compiled.image, second.compiled.image);
    assert_eq!(first.report.frontier, second.report.frontier);
}

#[test]
fn an_interrupted_search_has_a_result() {
    let mut tried = 0;
    let found = find(None, Some(0.01), &mut |event| {
        tried += usize::from(matches!(event, Event::Tried { .. }));
        tried < 3
    });
    let report = found.unwrap().report;
    assert!(!report.complete);
    assert_eq!(report.frontier.len(), 3, "8 bits and the two that were tried");
}

#[test]
fn what_is_out_of_reach_is_an_error() {
    let error = find(Some(100), Some(0.01), &mut |_| true).unwrap_err();
    assert!(matches!(error, SearchError::OutOfReach { .. }), "{error}");
    let error = error.to_string();
    assert!(error.contains("the smallest that keeps the accuracy has"), "{error}");
}

/// Keyword spotting: at most `share` of the plain image of 8 bits for a loss of at most `loss`.
fn shrinks_keyword_spotting(loss: f64, share: f64) {
    let Some(models) = shared_models("kws") else { return };
    let folder = models.join("mlperf-tiny/kws");
    let model = Model::load(folder.join("float.onnx"), &ImportOptions::default()).unwrap();
    let data = |file: &str| Dataset::load(&folder.join(file), model.inputs()).unwrap();
    let (calibration, labelled) = (data("calib.npz"), data("eval.npz"));
    let plain = Options { optimize: Optimize::Size, ..Options::for_target(Target::CortexM4) };
    let whole = compile(&model, Some(&calibration), &plain, &mut |_| {}).unwrap().image.len();
    let limits = Limits { flash_bytes: None, loss: Some(loss) };
    let choices = (&plain, limits);
    let found = search(&model, &calibration, Some(&labelled), choices, &mut |_| true).unwrap();
    let chosen = &found.report.frontier[found.report.chosen];
    println!("kws: {} bytes of {whole}, loss {:.4}", chosen.image_bytes, chosen.loss);
    assert!(chosen.image_bytes as f64 <= share * whole as f64 && chosen.loss <= loss);
}

#[test]
fn keyword_spotting_shrinks_at_a_small_loss() {
    shrinks_keyword_spotting(0.007, 0.58);
}

#[test]
fn keyword_spotting_shrinks_more_at_a_larger_loss() {
    shrinks_keyword_spotting(0.012, 0.5);
}

fn digits_image(bits: u8) -> Compiled {
    let (model, calibration, _) = digits();
    let levels = LayerLevels { inner: Levels::of_bits(bits).unwrap(), ..LayerLevels::default() };
    let quantize = QuantizeOptions { levels, ..QuantizeOptions::default() };
    let options = Options { quantize, reduce: false, ..Options::default() };
    compile(&model, Some(&calibration), &options, &mut |_| {}).unwrap()
}

#[test]
fn coarse_layers_are_noisy_by_themselves() {
    let (model, calibration, _) = digits();
    let [fine, coarse] = [8, 3].map(|bits| Network::new(&digits_image(bits).image).unwrap());
    let errors =
        |network: &Network| compare(network, &calibration, &Other::Model(&model), &|_| {}).unwrap();
    let mut inner = 0;
    for (fine, coarse) in errors(&fine).iter().zip(&errors(&coarse)) {
        assert_eq!(fine.layer, coarse.layer);
        let (alone, alone_coarse) = (fine.alone_db.unwrap(), coarse.alone_db.unwrap());
        let values: u64 = fine.histogram.iter().map(|bucket| bucket.count).sum();
        assert!(values > 0, "{}", fine.layer);
        // The customary range of a softmax ends below 1.
        assert!(fine.clipped == 0.0 || fine.op == "Softmax", "{}: minmax cuts", fine.layer);
        if coarse.largest_weight.is_some_and(|largest| largest <= 3) {
            assert!(alone_coarse < alone - 6.0, "{}: {alone} {alone_coarse}", fine.layer);
            inner += 1;
        }
    }
    assert!(inner > 0);
}

#[test]
fn an_image_against_itself_is_exact() {
    let (_, calibration, _) = digits();
    let network = Network::new(&digits_image(8).image).unwrap();
    let errors = compare(&network, &calibration, &Other::Image(&network), &|_| {}).unwrap();
    assert!(!errors.is_empty());
    for layer in errors {
        assert_eq!(layer.accumulated_db, Some(f64::INFINITY), "{}", layer.layer);
        assert_eq!((layer.alone_db, layer.advice), (None, None));
    }
}
