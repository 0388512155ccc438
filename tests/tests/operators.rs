//! Every single-operator model of `tests/operators`, compiled and run on the host, against its own
//! layers in real numbers and against ONNX Runtime.

use std::fs;
use std::path::{Path, PathBuf};

use fixie_compiler::compile::{Compiled, Options, compile};
use fixie_compiler::data::Dataset;
use fixie_compiler::ir::{Graph, Quant};
use fixie_compiler::onnx::{ImportOptions, Model};
use fixie_compiler::passes::simplify;
use fixie_compiler::quantize::{QuantizeOptions, WideLayers};
use fixie_compiler::session::{Network, Session};
use fixie_compiler::target::Target;
use fixie_compiler::trace::trace;
use fixie_tests::layers::{Reals, compare_layers};
use fixie_tests::propagation::propagate;
use fixie_tests::repository;

/// Models that Fixie does not take, and what it says of them.
const REFUSED: &[(&str, &str)] = &[
    (
        "average_pool_ceil_included",
        "padding counts and the last window looks beyond it (ceil_mode); export with \
         ceil_mode=False or count_include_pad=False",
    ),
    ("pad_negative", "its pads [0, 0, -1, 1, 0, 0, 0, -2] cut the tensor; cut with Slice instead"),
];

/// Models in the folder.
const CASES: usize = 192;

/// Single precision of ONNX Runtime: its deviation from exact results, of the largest value.
const SINGLE_PRECISION: f32 = 1e-5;

type Outcome<T = ()> = Result<T, String>;

#[test]
fn operators_agree_with_real_numbers_and_onnx_runtime() {
    let models = models();
    assert_eq!(models.len(), CASES, "models in tests/operators");
    let (mut ran, mut refused, mut failures) = (0, 0, Vec::new());
    for path in &models {
        let name = path.file_stem().and_then(|name| name.to_str()).unwrap();
        let refusal = REFUSED.iter().find(|(refused, _)| *refused == name);
        let outcome = match refusal {
            Some((_, text)) => check_refusal(path, text).map(|()| refused += 1),
            None => check_models(path).map(|()| ran += 1),
        };
        failures.extend(outcome.err().map(|reason| format!("{name}: {reason}")));
    }
    println!("{ran} of {CASES} operators ran, {refused} were refused as expected");
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
    assert_eq!((ran, refused), (CASES - REFUSED.len(), REFUSED.len()));
}

fn models() -> Vec<PathBuf> {
    let files = fs::read_dir(repository().join("tests/operators")).unwrap();
    let paths = files.map(|file| file.unwrap().path());
    let mut models: Vec<_> = paths.filter(|p| p.extension().is_some_and(|e| e == "onnx")).collect();
    models.sort();
    models
}

fn check_refusal(path: &Path, text: &str) -> Outcome {
    match prepare(path, &WideLayers::None) {
        Ok(_) => Err("it is compiled, though it is listed as refused".into()),
        Err(reason) if reason.contains(text) => Ok(()),
        Err(reason) => Err(format!("it is refused for another reason: {reason}")),
    }
}

/// A model, ready to be compared.
struct Case {
    data: Dataset,
    /// The graph before quantisation.
    float: Graph,
    generic: Compiled,
    dsp: Compiled,
}

/// Compiles a model for a core without and for one with packed weights. Float models are calibrated
/// on the samples themselves, so that no value leaves its range.
fn prepare(path: &Path, wide: &WideLayers) -> Outcome<Case> {
    let text = |error: &dyn std::error::Error| error.to_string();
    let model = Model::load(path, &ImportOptions::default()).map_err(|e| text(&e))?;
    let data = Dataset::load(&path.with_extension("npz"), model.inputs()).map_err(|e| text(&e))?;
    let mut float = model.graph().map_err(|e| text(&e))?;
    simplify(&mut float).map_err(|e| text(&e))?;
    let calibration = (!is_quantised(&float)).then_some(&data);
    let image = |target| {
        let quantize = QuantizeOptions { wide: wide.clone(), ..QuantizeOptions::default() };
        let options = Options { target, quantize, ..Options::default() };
        compile(&model, calibration, &options, &mut |_| {}).map_err(|e| text(&e))
    };
    let (generic, dsp) = (image(Target::Generic)?, image(Target::CortexM4)?);
    Ok(Case { data, float, generic, dsp })
}

/// Whether the model itself says how its values are rounded.
fn is_quantised(graph: &Graph) -> bool {
    graph.outputs.iter().all(|&id| graph.tensor(id).quant.is_some())
}

/// With activations of 8 bits, and of 16 where there are any.
fn check_models(path: &Path) -> Outcome {
    check_case(&prepare(path, &WideLayers::None)?)?;
    let wide = prepare(path, &WideLayers::All)?;
    if wide.generic.graph.tensors.iter().any(|t| t.quant.as_ref().is_some_and(Quant::is_wide)) {
        check_case(&wide).map_err(|reason| format!("16 bits: {reason}"))?;
    }
    Ok(())
}

fn check_case(case: &Case) -> Outcome {
    let networks = [&case.generic, &case.dsp].map(|c| Network::new(&c.image).unwrap());
    let mut arenas = networks.each_ref().map(Network::arena);
    let [first, second] = &mut arenas;
    let mut generic = networks[0].session(first).unwrap();
    let mut dsp = networks[1].session(second).unwrap();
    for sample in 0..case.data.len() {
        let inputs = case.data.sample(sample);
        dsp.run(&inputs).map_err(|e| e.to_string())?;
        check_sample(case, &mut generic, sample, &inputs)
            .map_err(|reason| format!("sample {sample}: {reason}"))?;
        if generic.raw_outputs().unwrap() != dsp.raw_outputs().unwrap() {
            return Err(format!("sample {sample}: packed weights give other bytes"));
        }
    }
    Ok(())
}

fn check_sample(
    case: &Case,
    session: &mut Session<'_>,
    sample: usize,
    inputs: &[Reals],
) -> Outcome {
    session.quantize(inputs).map_err(|e| e.to_string())?;
    let trace = trace(session).map_err(|e| e.to_string())?;
    for layer in compare_layers(&case.generic.graph, &trace) {
        if layer.error > layer.bound {
            return Err(format!("{layer:?}"));
        }
    }
    let references = case.data.references();
    let outputs = session.outputs().map_err(|e| e.to_string())?;
    if references.len() != outputs.len() {
        return Err(format!("{} references for {} outputs", references.len(), outputs.len()));
    }
    let bounds = bounds(case, inputs);
    for (index, output) in outputs.iter().enumerate() {
        let reference = references[index].outer_iter().nth(sample).unwrap();
        let largest = reference.iter().fold(0.0f32, |largest, value| value.abs().max(largest));
        let pairs = output.iter().zip(&reference).zip(&bounds[index]);
        for (element, ((&output, &reference), &bound)) in pairs.enumerate() {
            let bound = bound + SINGLE_PRECISION * largest;
            if (output - reference).abs() > bound {
                return Err(format!(
                    "output {index}, element {element}: {output} where ONNX Runtime has \
                     {reference}; {bound} are allowed"
                ));
            }
        }
    }
    Ok(())
}

/// How far each output may be from ONNX Runtime's: what rounding the float model's values and
/// weights can do, or one unit where the model is quantised itself.
fn bounds(case: &Case, inputs: &[Reals]) -> Vec<Reals> {
    let graph = &case.generic.graph;
    if !is_quantised(&case.float) {
        let outputs = propagate(&case.float, graph, inputs);
        return outputs.into_iter().map(|output| output.error).collect();
    }
    let unit = |&id| {
        let tensor = graph.tensor(id);
        let scale = tensor.quant.as_ref().map_or(0.0, Quant::scale);
        Reals::from_elem(&tensor.shape[..], scale)
    };
    graph.outputs.iter().map(unit).collect()
}
