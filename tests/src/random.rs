//! Graphs of random shapes: reproducible numbers, and what their images must have in common.

use fixie_compiler::compile::{Compiled, Options, assemble};
use fixie_compiler::ir::Graph;
use fixie_compiler::metadata::Provenance;
use fixie_compiler::quantize::{LayerLevels, Levels, QuantizeOptions};
use fixie_compiler::session::Network;
use fixie_compiler::trace::trace;
use ndarray::{ArrayD, IxDyn};
use proptest::prelude::*;

use crate::layers::{LayerError, Reals, compare_layers};

/// Reproducible numbers.
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    /// Evenly distributed bits (splitmix64).
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Numbers from −1 to 1.
    pub fn reals(&mut self, shape: &[usize]) -> Reals {
        Reals::from_shape_simple_fn(shape, || (self.bits() >> 40) as f32 / 8_388_608.0 - 1.0)
    }

    /// Any bytes, the extreme ones more often.
    pub fn bytes(&mut self, shape: &[usize]) -> ArrayD<i8> {
        ArrayD::from_shape_simple_fn(IxDyn(shape), || match self.bits() {
            bits if bits & 0x700 != 0 => bits as i8,
            bits if bits & 1 == 0 => i8::MIN,
            _ => i8::MAX,
        })
    }
}

/// Options that give the weights of all layers a grid of 2 to 8 bits, by the seed.
///
/// # Panics
///
/// Never: all of these are grids.
pub fn with_random_grid(graph: &Graph, seed: u64) -> QuantizeOptions {
    let levels = Levels::of_bits(2 + (seed % 7) as u8).expect("2 to 8 bits");
    let layers = graph.nodes.iter().filter(|node| node.op.has_weights());
    let named = layers.map(|node| (node.name.clone(), levels)).collect();
    let levels = LayerLevels { named, ..LayerLevels::default() };
    QuantizeOptions { levels, ..QuantizeOptions::default() }
}

/// Makes an image of a quantised graph for each of the options and runs random inputs: all images
/// give the same bytes, and every layer is within its bound of real numbers.
///
/// # Errors
///
/// What does not hold.
///
/// # Panics
///
/// If the engine refuses an image or an input.
pub fn check_images(graph: &Graph, options: &[Options], seed: u64) -> Result<(), TestCaseError> {
    const INPUTS: usize = 3;
    graph.validate().map_err(|invalid| TestCaseError::fail(invalid.to_string()))?;
    let image = |options: &Options| {
        assemble(graph.clone(), Provenance::default(), options)
            .map_err(|error| TestCaseError::fail(error.to_string()))
    };
    let images: Vec<Compiled> = options.iter().map(image).collect::<Result<_, _>>()?;
    let mut outputs = Vec::new();
    for compiled in &images {
        let network = Network::new(&compiled.image).expect("the engine takes the image");
        let mut arena = network.arena();
        let mut session = network.session(&mut arena).expect("the arena is large enough");
        let mut random = Random(seed);
        let mut values = Vec::new();
        for _ in 0..INPUTS {
            let input = network.inputs().iter().map(|port| random.bytes(&port.shape));
            session.fill(&input.collect::<Vec<_>>()).expect("inputs fit");
            let trace = trace(&mut session).expect("the metadata fits the image");
            for LayerError { node, op, error, bound } in compare_layers(&compiled.graph, &trace) {
                prop_assert!(error <= bound, "'{node}' ({op}) is {error} steps off, not {bound}");
            }
            values.push(session.integers().expect("outputs after a run"));
        }
        outputs.push(values);
    }
    prop_assert!(outputs.windows(2).all(|pair| pair[0] == pair[1]), "images give other bytes");
    Ok(())
}
