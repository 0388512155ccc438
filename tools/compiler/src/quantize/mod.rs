//! Gives every tensor its integers: scales, zero points, quantised weights.
//!
//! What the model states is kept as it is. The rest follows from ranges (of calibration, or of the
//! functions themselves), in these steps:
//!
//! 1. `share`: operators that only move elements carry a known quantisation on;
//! 2. `activations`: what is still open gets one, shared where operators need that, of 16 bits where
//!    that is wanted (`wide`);
//! 3. `share`: where two known ones meet, a conversion is inserted;
//! 4. `weights`, `constants`: constants become integers, node by node. With calibration samples,
//!    `replay` shows what each layer sees once all before it are quantised; `rounding`, `pruning` and
//!    `bias_correction` use it.

pub mod accumulator;
mod activations;
mod bias_correction;
mod constants;
mod entropy;
mod levels;
mod linalg;
mod options;
mod pruning;
mod replay;
pub mod requant;
mod rounding;
mod sensitivity;
mod share;
mod weights;
mod wide;
mod wide_choice;

use thiserror::Error;

pub(crate) use activations::affine;
pub use entropy::WeightStatistics;
pub use levels::{LayerLevels, Levels, UnknownLevels};
pub use options::{Multipliers, QuantizeOptions, Rounding, WeightScale, WideLayers};
pub use pruning::{PrunedShare, UnknownShare};
use replay::Replay;
pub use sensitivity::{Probe, probe};
pub use wide_choice::choose_wide;

use crate::calibrate::Ranges;
use crate::data::Dataset;
use crate::ir::{Graph, Node, Op, Quant, Unary};

/// Why a graph cannot be quantised.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum QuantizeError {
    /// Nothing tells the range of a tensor.
    #[error(
        "{place}: the range of '{tensor}' is not known: give calibration data (--calib), or \
         quantise this tensor in the model"
    )]
    NoRange {
        /// The tensor's name.
        tensor: String,
        /// The node that computes it, or that it is an input.
        place: String,
    },
    /// The model asks for integers that the kernels do not have.
    #[error("{place}: '{tensor}' {problem}")]
    Unsupported {
        /// The tensor's name.
        tensor: String,
        /// The node that it belongs to.
        place: String,
        /// What is not supported, and what to do.
        problem: String,
    },
    /// A grid is asked for a layer that is not there.
    #[error(
        "there is no layer '{layer}' whose weights are still to be quantised; those are: {}",
        known.join(", ")
    )]
    UnknownLayer {
        /// The name.
        layer: String,
        /// The names of all layers.
        known: Vec<String>,
    },
}

impl QuantizeError {
    fn unsupported(graph: &Graph, node: &Node, input: usize, problem: impl Into<String>) -> Self {
        let tensor = node.inputs.get(input).map_or(node.output, |id| *id);
        Self::Unsupported {
            tensor: graph.tensor(tensor).name.clone(),
            place: place(node),
            problem: problem.into(),
        }
    }
}

fn place(node: &Node) -> String {
    format!("node '{}' ({})", node.name, node.op.name())
}

/// Quantises a simplified graph.
///
/// Afterwards every activation has a `quant` of one scale and 8 bits (32 for indices, up to 16 where
/// `options` wants that), weights are
/// 8-bit integers with zero point 0 and a scale per output channel (or the model's own), biases
/// 32-bit integers whose scale is the product of the input's and the weights'. Operands of
/// `Add`, `Sub` and `Mul` that are constant are 8-bit integers; slopes of `PRelu` stay real.
///
/// `samples` are what rounding and bias correction measure errors on; without them weights are
/// rounded to the nearest and biases stay as they are.
///
/// # Errors
///
/// [`QuantizeError::NoRange`] if a tensor has no `quant` and there is no range for it;
/// [`QuantizeError::Unsupported`] if one has a `quant` that no kernel can work with;
/// [`QuantizeError::UnknownLayer`] if a grid is asked for a layer that is not there.
pub fn quantize(
    graph: &mut Graph,
    ranges: Option<&Ranges>,
    samples: Option<&Dataset>,
    options: &QuantizeOptions,
) -> Result<(), QuantizeError> {
    let wide = choose_wide(graph, ranges, samples, &options.wide)?;
    let multipliers = options.multipliers.for_graph(graph);
    let options = &QuantizeOptions { multipliers, wide, ..options.clone() };
    quantize_activations(graph, ranges, options)?;
    quantize_constants(graph, samples, options)?;
    graph.compact();
    Ok(())
}

/// Gives every activation its integers.
fn quantize_activations(
    graph: &mut Graph,
    ranges: Option<&Ranges>,
    options: &QuantizeOptions,
) -> Result<(), QuantizeError> {
    options.check_names(graph)?;
    give_indices_their_integers(graph);
    share::spread(graph);
    activations::choose(graph, ranges, options)?;
    share::insert_conversions(graph);
    check_activations(graph)
}

/// Gives every constant its integers, node by node. Nodes stay in their places, and tensors keep
/// their numbers.
fn quantize_constants(
    graph: &mut Graph,
    samples: Option<&Dataset>,
    options: &QuantizeOptions,
) -> Result<(), QuantizeError> {
    let levels = options.levels.of_nodes(graph)?;
    let samples = samples.filter(|_| options.need_inputs());
    let mut replay = samples.and_then(|samples| Replay::new(graph, samples));
    for (index, levels) in levels.into_iter().enumerate() {
        let float = graph.nodes[index].clone();
        if float.op.has_weights() {
            let second = options.need_second_moments(graph, &float);
            let moments = replay.as_ref().and_then(|replay| replay.moments(graph, &float, second));
            let inputs =
                moments.map(|moments| weights::Inputs::new(graph, &float, moments, options));
            weights::quantize(graph, index, (options, levels), &inputs.unwrap_or_default())?;
        } else {
            constants::quantize(graph, index);
        }
        if let Some(replay) = &mut replay {
            replay.advance(graph, index, &float);
        }
    }
    Ok(())
}

/// An index is an integer as it is.
fn give_indices_their_integers(graph: &mut Graph) {
    for index in 0..graph.nodes.len() {
        if let Op::ArgMax { .. } = graph.nodes[index].op {
            let output = graph.nodes[index].output;
            graph.tensor_mut(output).quant = Some(Quant { bits: 32, ..Quant::per_tensor(1.0, 0) });
        }
    }
}

/// Kernels read and write 8-bit activations of one scale, layers also symmetric ones of up to 16 bits;
/// indices are only ever moved.
fn check_activations(graph: &Graph) -> Result<(), QuantizeError> {
    let is_index = |quant: &Quant| quant.bits == 32;
    for node in &graph.nodes {
        for id in share::activations(graph, node).chain([node.output]) {
            let tensor = graph.tensor(id);
            let Some(quant) = &tensor.quant else {
                continue;
            };
            let byte = quant.bits == 8 && quant.scales.len() == 1;
            let moves = matches!(node.op, Op::ArgMax { .. }) || node.op.moves_only();
            let rescales = node.op == Op::Unary(Unary::Identity);
            let wide = quant.is_wide() && (wide::takes_wide(&node.op) || rescales);
            let supported = byte || wide || (is_index(quant) && moves);
            if !supported {
                let problem = format!(
                    "has {} bits and {} scales; activations must have 8 bits and one scale",
                    quant.bits,
                    quant.scales.len()
                );
                let (tensor, place) = (tensor.name.clone(), place(node));
                return Err(QuantizeError::Unsupported { tensor, place, problem });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
