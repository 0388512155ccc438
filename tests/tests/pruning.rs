//! Networks that lose blocks of weights, on models that the repository ships: what is zero is skipped,
//! and nothing else changes.

use fixie_compiler::compile::{Compiled, Options, compile};
use fixie_compiler::data::Dataset;
use fixie_compiler::evaluate::evaluate;
use fixie_compiler::ir::Constant;
use fixie_compiler::lower::Compress;
use fixie_compiler::onnx::{ImportOptions, Model};
use fixie_compiler::quantize::QuantizeOptions;
use fixie_compiler::session::Network;
use fixie_compiler::target::Target;
use fixie_format::Opcode;
use fixie_tests::shipped;

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
