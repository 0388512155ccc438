//! The repository's models: every one is imported, and computes what ONNX Runtime and tract compute.

use std::path::{Path, PathBuf};

use super::*;
use crate::data::Dataset;
use crate::ir::{Quant, Tensor};

/// Models that must be refused, and what the error says.
const REFUSED: &[(&str, &str)] = &[("pad_negative", "cut with Slice")];

/// Every ONNX file under a folder of the repository, in order.
fn find(folder: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(folder);
    let mut folders = vec![root];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| {
            panic!("{}: {error}", folder.display());
        });
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "onnx") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

fn import(path: &Path) -> Result<(Model, Graph), ImportError> {
    let model = Model::load(path, &ImportOptions::default())?;
    let graph = model.graph()?;
    graph.validate().unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Ok((model, graph))
}

#[test]
fn single_operators_compute_what_onnx_runtime_computes() {
    let files = find("tests/operators");
    let mut compared = 0;
    for path in &files {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let refused = REFUSED.iter().find(|(refused, _)| *refused == name);
        let (model, graph) = match (import(path), refused) {
            (Ok(imported), None) => imported,
            (Err(error), Some((_, reason))) if error.to_string().contains(reason) => continue,
            (Err(error), _) => panic!("{name}: {error}"),
            (Ok(_), Some(_)) => panic!("{name} was expected to be refused"),
        };
        let data = Dataset::load(&path.with_extension("npz"), model.inputs()).unwrap();
        for sample in 0..data.len() {
            let values = eval(&graph, &data.sample(sample));
            for (output, expected) in graph.outputs.iter().zip(data.references()) {
                let expected = expected.index_axis(ndarray::Axis(0), sample);
                let found = values[output].iter().copied().collect::<Vec<_>>();
                let found = ArrayD::from_shape_vec(expected.raw_dim(), found).unwrap();
                let worst = difference(&found, &expected.to_owned());
                assert!(worst < 1e-5, "{name}, sample {sample}: {worst}");
                compared += 1;
            }
        }
    }
    println!("{} models, {compared} outputs", files.len());
    assert!(compared >= 16 * (files.len() - REFUSED.len()), "{compared} outputs compared");
}

#[test]
fn references_are_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<crate::onnx::Reference>();
}

/// Real models: every tensor of the graph that ONNX has a name for. Where values are rounded, a tie
/// may go the other way: one step of that tensor.
#[test]
fn whole_models_compute_what_tract_computes() {
    let files = find("tools/models");
    assert!(!files.is_empty());
    for path in files {
        let (model, graph) = import(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let reference = model.reference().unwrap();
        let inputs: Vec<_> = model.inputs().iter().map(|port| noise(&port.shape, 7)).collect();
        let (found, expected) = (eval(&graph, &inputs), reference.run_all(&inputs).unwrap());
        for node in &graph.nodes {
            let tensor = graph.tensor(node.output);
            let expected = expected.get(&tensor.name).unwrap_or_else(|| {
                panic!("{}: tract has no tensor `{}`", path.display(), tensor.name);
            });
            let found = &found[&node.output];
            assert_close(tensor, found, expected, &path);
        }
        let outputs = reference.run(&inputs).unwrap();
        assert_eq!(outputs.len(), graph.outputs.len());
        for ((output, id), port) in outputs.iter().zip(&graph.outputs).zip(model.outputs().unwrap())
        {
            assert_eq!(output.shape(), port.shape);
            assert_close(graph.tensor(*id), output, &expected[&port.name], &path);
        }
    }
}

fn assert_close(tensor: &Tensor, found: &ArrayD<f32>, expected: &ArrayD<f32>, path: &Path) {
    let largest = expected.iter().fold(0f32, |largest, x| largest.max(x.abs()));
    let step = tensor.quant.as_ref().map_or(0.0, Quant::scale);
    let close = |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-4 * largest + 1.001 * step;
    assert_eq!(found.shape(), expected.shape());
    let all_close = found.iter().zip(expected).all(close);
    assert!(all_close, "{}: `{}`: {found} against {expected}", path.display(), tensor.name);
}
