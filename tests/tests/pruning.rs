//! Networks that lose blocks of weights, on models that the repository ships: what is zero is skipped,
//! and nothing else changes.

use fixie_compiler::compile::{Compiled, Options, compile, prepare};
use fixie_compiler::data::Dataset;
use fixie_compiler::evaluate::evaluate;
use fixie_compiler::ir::Constant;
use fixie_compiler::lower::Compress;
use fixie_compiler::onnx::{ImportOptions, Model};
use fixie_compiler::quantize::{QuantizeOptions, Rounding};
use fixie_compiler::session::Network;
use fixie_compiler::target::Target;
use fixie_format::Opcode;
use fixie_tests::shipped;
use ndarray::IxDyn;

/// A shipped model with its calibration samples and labelled samples.
struct Trained {
    model: Model,
    calibration: Dataset,
    labelled: Dataset,
}

impl Trained {
    fn load(folder: &str) -> Self {
        let file = |name: &str| shipped(&format!("{folder}/{name}"));
        let model =
            Model::load(file(&format!("{folder}.onnx")), &ImportOptions::default()).unwrap();
        let data = |name: &str| Dataset::load(&file(name), model.inputs()).unwrap();
        let (calibration, labelled) = (data("calib.npz"), data("eval.npz"));
        Self { model, calibration, labelled }
    }

    fn compile(&self, target: Target, share: &str, compress: Compress) -> Compiled {
        let pruned = share.parse().unwrap();
        let quantize = QuantizeOptions { pruned, ..QuantizeOptions::default() };
        let options = Options { quantize, compress, ..Options::for_target(target) };
        compile(&self.model, Some(&self.calibration), &options, &mut |_| {}).unwrap()
    }

    /// The raw outputs for every labelled sample.
    fn outputs(&self, compiled: &Compiled) -> Vec<Vec<u8>> {
        let network = Network::new(&compiled.image).unwrap();
        let mut arena = network.arena();
        let mut session = network.session(&mut arena).unwrap();
        let mut run = |sample| {
            session.run(&self.labelled.sample(sample)).unwrap();
            session.raw_outputs().unwrap()
        };
        (0..self.labelled.len()).map(&mut run).collect()
    }

    fn accuracy(&self, compiled: &Compiled) -> f64 {
        let network = Network::new(&compiled.image).unwrap();
        let evaluation = evaluate(&network, &self.labelled, None, &|_| {}).unwrap();
        evaluation.accuracy.unwrap()
    }
}

fn skips(compiled: &Compiled) -> bool {
    Network::new(&compiled.image).unwrap().image().op_set().contains(Opcode::ConvSparse)
}

#[test]
fn zeros_are_skipped_and_the_outputs_stay() {
    for folder in ["keyword", "motion", "autoencoder"] {
        let trained = Trained::load(folder);
        let whole = trained.compile(Target::CortexM4, "0", Compress::None);
        assert!(!skips(&whole), "{folder}");
        let everything = trained.compile(Target::Generic, "0.75", Compress::None);
        let pruned = trained.compile(Target::CortexM4, "0.75", Compress::None);
        assert!(skips(&pruned) && !skips(&everything), "{folder}");
        assert_eq!(pruned.graph, everything.graph, "{folder}");
        assert_eq!(trained.outputs(&pruned), trained.outputs(&everything), "{folder}");
        assert!(pruned.metadata.macs() < everything.metadata.macs(), "{folder}");
        assert!(pruned.image.len() < whole.image.len(), "{folder}");
        let coded = trained.compile(Target::CortexM4, "0.75", Compress::Smallest);
        assert!(coded.image.len() < pruned.image.len(), "{folder}");
        assert_eq!(trained.outputs(&coded), trained.outputs(&everything), "{folder}");
    }
}

/// Whether the weight of output `n` for input `k` belongs to the half that is made zero here.
fn is_out(n: usize, k: usize) -> bool {
    (n / 2 + k / 4).is_multiple_of(2)
}

#[test]
fn what_was_zero_before_is_skipped_whatever_the_rounding() {
    let trained = Trained::load("autoencoder");
    for rounding in [Rounding::Nearest, Rounding::Gptq] {
        let quantize = QuantizeOptions { rounding, ..QuantizeOptions::default() };
        let options = Options { quantize, reduce: false, ..Options::for_target(Target::CortexM4) };
        let calibration = Some(&trained.calibration);
        let mut calibrated = prepare(&trained.model, calibration, &options, &mut |_| {}).unwrap();
        for node in calibrated.graph.nodes.clone().iter().filter(|node| node.op.has_weights()) {
            let weights = calibrated.graph.tensor_mut(node.inputs[1]);
            let Some(Constant::Real(reals)) = &mut weights.constant else {
                panic!("{} has no real weights", node.name);
            };
            for (place, weight) in reals.indexed_iter_mut() {
                *weight = if is_out(place[0], place[1]) { 0.0 } else { *weight };
            }
        }
        let compiled = calibrated.finish(calibration, &options).unwrap();
        assert!(skips(&compiled), "{rounding}");
        for node in compiled.graph.nodes.iter().filter(|node| node.op.has_weights()) {
            let weights = compiled.graph.tensor(node.inputs[1]);
            let Some(Constant::Integer(integers)) = &weights.constant else {
                panic!("{} has no integers", node.name);
            };
            let mut places = integers.indexed_iter();
            let stays = |place: &IxDyn| is_out(place[0], place[1]) && weights.shape[1] >= 64;
            assert!(places.all(|(place, weight)| *weight == 0 || !stays(&place)), "{rounding}");
        }
    }
}

#[test]
fn large_layers_lose_the_share_that_was_asked_for() {
    let pruned = Trained::load("autoencoder").compile(Target::Generic, "0.5", Compress::None);
    let mut layers = 0;
    for node in pruned.graph.nodes.iter().filter(|node| node.op.has_weights()) {
        let weights = &pruned.graph.tensor(node.inputs[1]);
        let Some(Constant::Integer(integers)) = &weights.constant else {
            panic!("{} has no integers", node.name);
        };
        let zeros = integers.iter().filter(|weight| **weight == 0).count();
        if weights.shape[1] >= 64 {
            assert!(2 * zeros >= integers.len(), "{}: {zeros} of {}", node.name, integers.len());
            layers += 1;
        }
    }
    assert!(layers > 0);
}

#[test]
fn the_weights_that_are_left_make_up_for_the_others() {
    for (folder, share, loss) in [("keyword", "0.5", 0.01), ("motion", "0.75", 0.02)] {
        let trained = Trained::load(folder);
        let [whole, pruned] = ["0", share].map(|share| {
            trained.accuracy(&trained.compile(Target::Generic, share, Compress::None))
        });
        println!("{folder}: {whole:.4}, without {share} of the weights {pruned:.4}");
        assert!(pruned >= whole - loss, "{folder}");
    }
}
