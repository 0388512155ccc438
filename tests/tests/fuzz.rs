//! The fuzz targets on stable: their seeds, and damaged variants of the seeds.

use std::collections::BTreeMap;
use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use fixie_compiler::compile::{Options, assemble, compile};
use fixie_compiler::data::Dataset;
use fixie_compiler::ir::{Graph, Node, Op, Quant, Unary};
use fixie_compiler::lower::{Compress, Inputs};
use fixie_compiler::metadata::Provenance;
use fixie_compiler::onnx::{ImportOptions, Model};
use fixie_compiler::quantize::{QuantizeOptions, WideLayers};
use fixie_compiler::session::Network;
use fixie_compiler::target::Target;
use fixie_format::{OpSet, Opcode};
use fixie_tests::random::with_random_grid;
use fixie_tests::{harness, repository, shipped};
use ndarray::{Array3, arr0, arr1, arr2};
use ndarray_npy::{NpzWriter, WriteNpyExt};
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// An archive in memory.
type Archive = NpzWriter<Cursor<Vec<u8>>>;

/// How the seeds are made again, when the format or the operators change.
const BLESS: &str = "cargo test -p fixie-tests --test fuzz -- --ignored write_seeds";

fn corpus(target: &str) -> PathBuf {
    repository().join("tests/fuzz/corpus").join(target)
}

/// The committed inputs of a fuzz target, in order of their names.
fn seeds(target: &str) -> Vec<Vec<u8>> {
    let mut paths = files(&corpus(target), "");
    paths.retain(|path| name_of(path).starts_with("seed-"));
    assert!(!paths.is_empty(), "no seeds for {target}: run `{BLESS}`");
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// The files of a directory whose names end so, in order.
fn files(directory: &Path, suffix: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.to_str().is_some_and(|path| path.ends_with(suffix)));
    paths.sort();
    paths
}

#[test]
fn seeds_are_taken() {
    seeds("onnx_import").iter().for_each(|seed| harness::onnx_import(seed));
    seeds("data_file").iter().for_each(|seed| harness::data_file(seed));
    seeds("image_bind").iter().for_each(|seed| harness::image_bind(seed));
}

#[test]
fn image_seeds_run_and_have_every_operator() {
    let mut operators = OpSet::EMPTY;
    for seed in seeds("image_run") {
        assert!(harness::image_run(&seed), "a seed does not run: run `{BLESS}`");
        let network = Network::new(&seed).unwrap();
        operators = OpSet::from_bits(operators.bits() | network.image().op_set().bits());
    }
    let missing = Opcode::ALL.iter().filter(|&&opcode| !operators.contains(opcode));
    let missing: Vec<_> = missing.map(|opcode| opcode.name()).collect();
    assert!(operators.has_coded(), "no seed has coded constants: run `{BLESS}`");
    assert!(operators.has_packed(), "no seed has packed constants: run `{BLESS}`");
    assert!(missing.is_empty(), "no seed has {missing:?}: run `{BLESS}`");
}

/// A change to one place of a file.
#[derive(Clone, Debug)]
enum Edit {
    Byte(Index, u8),
    /// A little-endian number at a multiple of its length: tables are aligned.
    Half(Index, u16),
    Word(Index, u32),
    Cut(Index),
}

impl Edit {
    fn apply(&self, bytes: &mut Vec<u8>) {
        let (at, new) = match *self {
            _ if bytes.is_empty() => return,
            Self::Cut(len) => return bytes.truncate(len.index(bytes.len())),
            Self::Byte(at, value) => (at.index(bytes.len()), value.to_le_bytes().to_vec()),
            Self::Half(at, value) => (at.index(bytes.len()) & !1, value.to_le_bytes().to_vec()),
            Self::Word(at, value) => (at.index(bytes.len()) & !3, value.to_le_bytes().to_vec()),
        };
        bytes.iter_mut().skip(at).zip(new).for_each(|(byte, new)| *byte = new);
    }
}

fn edit() -> impl Strategy<Value = Edit> {
    let halves = [0, 1, 2, 3, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff];
    let words = [0, 1, 0x7f, 0x1_0000, i32::MAX as u32, i32::MIN as u32, u32::MAX - 15, u32::MAX];
    prop_oneof![
        8 => (any::<Index>(), any::<u8>()).prop_map(|(at, value)| Edit::Byte(at, value)),
        4 => (any::<Index>(), select(halves.to_vec())).prop_map(|(at, v)| Edit::Half(at, v)),
        4 => (any::<Index>(), select(words.to_vec())).prop_map(|(at, v)| Edit::Word(at, v)),
        1 => any::<Index>().prop_map(Edit::Cut),
    ]
}

/// A seed of a target with some places changed.
fn damaged(target: &str) -> impl Strategy<Value = Vec<u8>> + use<> {
    let edits = proptest::collection::vec(edit(), 1..6);
    (select(seeds(target)), edits).prop_map(|(mut bytes, edits)| {
        edits.iter().for_each(|edit| edit.apply(&mut bytes));
        bytes
    })
}

proptest! {
    #[test]
    fn damaged_models_do_no_harm(bytes in damaged("onnx_import")) {
        harness::onnx_import(&bytes);
    }

    #[test]
    fn damaged_data_files_do_no_harm(bytes in damaged("data_file")) {
        harness::data_file(&bytes);
    }

    #[test]
    fn damaged_images_are_refused(bytes in damaged("image_bind")) {
        harness::image_bind(&bytes);
    }
}

proptest! {
    // Most edits are refused at once: many are needed until some run.
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn resealed_images_stay_in_their_arena(bytes in damaged("image_run")) {
        harness::image_run(&bytes);
    }
}

/// Makes the seeds: of every kind the smallest file among `tests/operators`.
#[test]
#[ignore = "writes tests/fuzz/corpus; run it when the format or the operators change"]
fn write_seeds() {
    let models = files(&repository().join("tests/operators"), ".onnx");
    let (mut by_operator, mut by_kernel) = (BTreeMap::new(), BTreeMap::new());
    for path in &models {
        let operator = name_of(path).split('_').next().unwrap().to_owned();
        keep_smaller(&mut by_operator, operator, &fs::read(path).unwrap());
    }
    // Some kernels need more channels than those have.
    let network = shipped("digits-qdq/digits_qdq.onnx");
    for path in models.iter().chain([&network]) {
        let targets = [Target::Generic, Target::CortexM3, Target::CortexM4, Target::CortexM55];
        let packed = targets.map(|target| Options { target, ..stripped() });
        let compressed = |compress| {
            let compress = if path == &network { Compress::None } else { compress };
            packed.clone().map(|options| Options { compress, ..options })
        };
        let coded = [Compress::Coded, Compress::Packed].map(compressed).concat();
        let by_rows = Options { inputs: Inputs::ByRows, ..stripped() };
        let quantize = QuantizeOptions { wide: WideLayers::All, ..QuantizeOptions::default() };
        let wide = Options { quantize, ..stripped() };
        for options in packed.into_iter().chain(coded).chain([by_rows, wide]) {
            let Some(image) = compile_with(path, &options) else {
                continue;
            };
            let kernels = Network::new(&image).unwrap().image().op_set();
            let coded = match (kernels.has_coded(), kernels.has_packed()) {
                (true, _) => "Coded",
                (_, true) => "Packed",
                _ => "",
            };
            for kernel in Opcode::ALL.iter().filter(|&&kernel| kernels.contains(kernel)) {
                keep_smaller(&mut by_kernel, [kernel.name(), coded].concat(), &image);
            }
        }
    }
    by_kernel.insert(Opcode::Rescale.name().to_owned(), rescaling());
    by_kernel.insert(Opcode::ConvSparse.name().to_owned(), skipping());
    write_all("onnx_import", "onnx", &by_operator);
    write_all("image_run", "fixie", &by_kernel);
    let whole =
        ["Conv", "Copy", "Softmax"].map(|kernel| (kernel.to_owned(), by_kernel[kernel].clone()));
    write_all("image_bind", "fixie", &whole.into());
    write_all("data_file", "npz", &data_files().into());
}

fn name_of(path: &Path) -> &str {
    path.file_stem().and_then(|name| name.to_str()).unwrap()
}

/// Replaces a longer file of the same kind.
fn keep_smaller(kept: &mut BTreeMap<String, Vec<u8>>, kind: String, bytes: &[u8]) {
    let kept = kept.entry(kind).or_insert_with(|| bytes.to_vec());
    if bytes.len() < kept.len() {
        *kept = bytes.to_vec();
    }
}

/// How images without metadata are made.
fn stripped() -> Options {
    Options { strip: true, ..Options::default() }
}

/// The image of a single operator, with weights of 4 bits if they are to be packed; `None` where the
/// model is one to be refused.
fn compile_with(path: &Path, options: &Options) -> Option<Vec<u8>> {
    let model = Model::load(path, &ImportOptions::default()).ok()?;
    let mut options = options.clone();
    if options.compress == Compress::Packed {
        options.quantize = with_random_grid(&model.graph().ok()?, 2);
    }
    let data = Dataset::load(&path.with_extension("npz"), model.inputs()).ok();
    Some(compile(&model, data.as_ref(), &options, &mut |_| {}).ok()?.image)
}

/// An image that brings its input to 16 bits and back.
fn rescaling() -> Vec<u8> {
    let mut graph = Graph::default();
    let wide = Quant { bits: 16, ..Quant::per_tensor(0.01, 0) };
    let quants = [Quant::per_tensor(0.5, 3), wide, Quant::per_tensor(0.25, -7)];
    let ids = quants.map(|quant| {
        let id = graph.add_activation("x", &[1, 5]);
        graph.tensor_mut(id).quant = Some(quant);
        id
    });
    let op = Op::Unary(Unary::Identity);
    graph.nodes = ids
        .array_windows()
        .map(|&[from, output]| Node {
            name: String::new(),
            op: op.clone(),
            inputs: vec![from],
            output,
            clamp: None,
        })
        .collect();
    (graph.inputs, graph.outputs) = (vec![ids[0]], vec![ids[2]]);
    assemble(graph, Provenance::default(), &stripped()).unwrap().image
}

/// An image that skips weights which are zero.
fn skipping() -> Vec<u8> {
    let file = |name: &str| shipped(&format!("autoencoder/{name}"));
    let model = Model::load(file("autoencoder.onnx"), &ImportOptions::default()).unwrap();
    let data = Dataset::load(&file("calib.npz"), model.inputs()).unwrap();
    let pruned = "0.9".parse().unwrap();
    let quantize = QuantizeOptions { pruned, ..QuantizeOptions::default() };
    let options = Options { target: Target::CortexM4, quantize, ..stripped() };
    compile(&model, Some(&data), &options, &mut |_| {}).unwrap().image
}

/// Data files of every kind: alone, packed, in other types and orders.
fn data_files() -> [(String, Vec<u8>); 4] {
    let x = arr2(&[[1i16, 2], [3, 4]]);
    let mut alone = Vec::new();
    x.mapv(f32::from).write_npy(&mut alone).unwrap();
    let archive = |compressed: bool, fill: &dyn Fn(&mut Archive)| {
        let buffer = Cursor::new(Vec::new());
        let mut archive =
            if compressed { NpzWriter::new_compressed(buffer) } else { NpzWriter::new(buffer) };
        fill(&mut archive);
        archive.finish().unwrap().into_inner()
    };
    let labelled = archive(false, &|archive| {
        archive.add_array("x", &x).unwrap();
        archive.add_array("x_scale", &arr0(0.5f32)).unwrap();
        archive.add_array("y", &arr1(&[0i64, 1])).unwrap();
        archive.add_array("ref", &arr2(&[[1f32], [2.0]])).unwrap();
    });
    let grouped = archive(true, &|archive| {
        archive.add_array("x", &x.t()).unwrap();
        archive.add_array("group", &arr1(&[true, false])).unwrap();
    });
    let paired = archive(true, &|archive| {
        archive.add_array("x", &x.mapv(f64::from)).unwrap();
        archive.add_array("state", &Array3::<u8>::zeros((2, 3, 2))).unwrap();
    });
    [("alone", alone), ("labelled", labelled), ("grouped", grouped), ("paired", paired)]
        .map(|(name, bytes)| (name.to_owned(), bytes))
}

/// Replaces the seeds of a target.
fn write_all(target: &str, suffix: &str, files: &BTreeMap<String, Vec<u8>>) {
    let directory = corpus(target);
    fs::create_dir_all(&directory).unwrap();
    for old in fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()) {
        if name_of(&old).starts_with("seed-") {
            fs::remove_file(old).unwrap();
        }
    }
    for (kind, bytes) in files {
        fs::write(directory.join(format!("seed-{kind}.{suffix}")), bytes).unwrap();
    }
}
