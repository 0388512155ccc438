//! Gives every tensor its integers: scales, zero points, quantised weights.
//!
//! What the model states is kept as it is. The rest follows from ranges (of calibration, or of the
//! functions themselves), in these steps:
//!
//! 1. `share`: operators that only move elements carry a known quantisation on;
//! 2. `activations`: what is still open gets one, shared where operators need that;
//! 3. `share`: where two known ones meet, a conversion is inserted;
//! 4. `weights`, `constants`: constants become integers.

pub mod accumulator;
mod activations;
mod constants;
pub mod requant;
mod share;
mod weights;

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::calibrate::Ranges;
use crate::ir::{Graph, Node, Op, Quant};

/// Choices of quantisation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QuantizeOptions {
    /// How the scale of each weight channel is chosen.
    pub weights: WeightScale,
}

/// How the scale of a channel of weights is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WeightScale {
    /// The largest weight is represented exactly.
    #[default]
    MaxAbs,
    /// The mean squared error of the weights is smallest; the largest ones may be cut.
    Mse,
}

impl fmt::Display for WeightScale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MaxAbs => "maxabs",
            Self::Mse => "mse",
        })
    }
}

/// A name that is no [`WeightScale`]'s.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("unknown choice of weight scales `{0}`: choose maxabs or mse")]
pub struct UnknownWeightScale(String);

impl FromStr for WeightScale {
    type Err = UnknownWeightScale;

    fn from_str(name: &str) -> Result<Self, UnknownWeightScale> {
        match name {
            "maxabs" => Ok(Self::MaxAbs),
            "mse" => Ok(Self::Mse),
            _ => Err(UnknownWeightScale(name.to_owned())),
        }
    }
}

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
/// Afterwards every activation has a `quant` of one scale and 8 bits (32 for indices), weights are
/// 8-bit integers with zero point 0 and a scale per output channel (or the model's own), biases
/// 32-bit integers whose scale is the product of the input's and the weights'. Operands of
/// `Add`, `Sub` and `Mul` that are constant are 8-bit integers; slopes of `PRelu` stay real.
///
/// # Errors
///
/// [`QuantizeError::NoRange`] if a tensor has no `quant` and there is no range for it;
/// [`QuantizeError::Unsupported`] if one has a `quant` that no kernel can work with.
pub fn quantize(
    graph: &mut Graph,
    ranges: Option<&Ranges>,
    options: &QuantizeOptions,
) -> Result<(), QuantizeError> {
    give_indices_their_integers(graph);
    share::spread(graph);
    activations::choose(graph, ranges)?;
    share::insert_conversions(graph);
    check_activations(graph)?;
    for index in 0..graph.nodes.len() {
        match graph.nodes[index].op {
            Op::Conv(_) | Op::Dense => weights::quantize(graph, index, options.weights)?,
            _ => constants::quantize(graph, index),
        }
    }
    graph.compact();
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

/// Kernels read and write 8-bit activations of one scale; indices are only ever moved.
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
            let supported = byte || (is_index(quant) && moves);
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
