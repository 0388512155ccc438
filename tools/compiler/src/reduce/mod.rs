//! Shrinks a quantised graph without changing one byte of what it computes.
//!
//! Training leaves channels behind that say nothing: all their weights are zero, nobody has a
//! weight for them, a rectifier never lets them through, or another channel says the same. Each
//! pass removes what one such fact makes superfluous, and [`reduce`] repeats them until none finds
//! anything:
//!
//! - `constants`: a channel that can take one value only moves into its consumers' biases;
//! - `duplicates`: of channels that are always equal, one takes over the weights of the others;
//! - `folding`: tensors that cannot vary become constants;
//! - `dead`: channels that nobody reads any more go, and with them the weights on both sides.
//!
//! "Exactly" is a matter of integers here: every fact is proved from the integers of the graph for
//! all inputs, with the arithmetic of the image ([`requant`](crate::quantize::requant)) or by the
//! kernels themselves (`evaluate`). The quantisation of every tensor stays as it is.

mod channels;
mod classes;
mod constants;
mod dead;
mod duplicates;
mod evaluate;
mod folding;
mod known;
mod narrow;
mod pinned;
mod relation;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod weights;

use serde::{Deserialize, Serialize};

use crate::ir::{Graph, Node};

/// A pass rewrites the graph where its rule applies, and tells whether it did anywhere.
type Pass = fn(&mut Graph) -> bool;

/// The passes in the order in which they run.
const PIPELINE: &[Pass] = &[constants::run, duplicates::run, folding::run, dead::run];

/// What [`reduce`] saved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reduction {
    /// Output channels of convolutions and matrix products before.
    pub channels_before: usize,
    /// Those of them that are gone.
    pub channels_removed: usize,
    /// Multiply-accumulates of one inference before.
    pub macs_before: u64,
    /// Multiply-accumulates after.
    pub macs_after: u64,
    /// Weights, biases apart, before.
    pub weights_before: usize,
    /// Weights after.
    pub weights_after: usize,
}

impl Reduction {
    /// Whether there is less than before.
    pub fn is_something(&self) -> bool {
        self.channels_removed > 0
            || self.macs_after < self.macs_before
            || self.weights_after < self.weights_before
    }
}

/// Removes channels and nodes of a quantised graph that its outputs do not depend on.
///
/// The outputs stay the same, byte for byte, for every input; inputs, outputs and states keep their
/// shapes.
pub fn reduce(graph: &mut Graph) -> Reduction {
    let before = Size::of(graph);
    // Every round zeroes weights or removes something, so that there is a last one.
    loop {
        let mut changed = false;
        for pass in PIPELINE {
            changed |= pass(graph);
            debug_assert_eq!(graph.validate(), Ok(()));
        }
        if !changed {
            break;
        }
    }
    let after = Size::of(graph);
    Reduction {
        channels_before: before.channels,
        channels_removed: before.channels - after.channels,
        macs_before: before.macs,
        macs_after: after.macs,
        weights_before: before.weights,
        weights_after: after.weights,
    }
}

/// What the convolutions and matrix products of a graph amount to.
#[derive(Clone, Copy, Debug, Default)]
struct Size {
    channels: usize,
    macs: u64,
    weights: usize,
}

impl Size {
    fn of(graph: &Graph) -> Self {
        graph.nodes.iter().fold(Self::default(), |sum, node| sum.plus(graph, node))
    }

    fn plus(self, graph: &Graph, node: &Node) -> Self {
        if !node.op.has_weights() {
            return self;
        }
        let weights = graph.tensor(node.inputs[1]);
        let channels = weights.shape[0];
        let taps = weights.len() / channels.max(1);
        Self {
            channels: self.channels + channels,
            macs: self.macs + (graph.tensor(node.output).len() * taps) as u64,
            weights: self.weights + weights.len(),
        }
    }
}
