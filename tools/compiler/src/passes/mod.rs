//! Rewrites a graph into fewer nodes that compute the same.
//!
//! Each pass is a rule for one node, in a file of its own with its tests; [`PIPELINE`] is their
//! order. [`simplify`] applies them until none finds anything to do. Two things hold throughout:
//!
//! - a tensor that has a `quant` is rounded there, by the model's own decision. No pass removes or
//!   moves such a rounding; a `quant` moves to another tensor only where both hold the same values;
//! - a tensor's name is that of the ONNX tensor with the same values (in whatever order), since
//!   calibration looks its range up by name. Where a pass makes a value that the ONNX model does
//!   not have, the tensor gets a new name.

mod absorb_quantization;
mod compose_unary;
mod depthwise_affine;
mod equalize;
mod fold_affine;
mod fold_batch_norm;
mod fold_pad;
mod fuse_activation;
mod mean_pool;
mod merge_reshapes;
mod merge_transposes;
mod recognise_activation;
mod remove_identity;
mod rewrite;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use equalize::equalize;
use thiserror::Error;

use crate::ir::{Graph, Invalid, Op};

/// A rule that rewrites a graph around one node.
#[derive(Clone, Copy, Debug)]
pub struct Pass {
    /// The file's name.
    pub name: &'static str,
    /// Rewrites the graph around the node with this index, if the rule applies to it.
    rewrite: fn(&mut Graph, usize) -> bool,
}

/// The passes in the order in which they run.
pub const PIPELINE: &[Pass] = &[
    absorb_quantization::PASS,
    remove_identity::PASS,
    recognise_activation::PASS,
    compose_unary::PASS,
    fold_batch_norm::PASS,
    fold_affine::PASS,
    merge_transposes::PASS,
    merge_reshapes::PASS,
    fold_pad::PASS,
    mean_pool::PASS,
    fuse_activation::PASS,
    // Takes what could not be folded into anything.
    depthwise_affine::PASS,
];

impl Pass {
    /// Applies the rule to every node, in order.
    ///
    /// Returns how often it applied.
    pub fn run(self, graph: &mut Graph) -> usize {
        let mut applied = 0;
        let mut index = 0;
        while index < graph.nodes.len() {
            if (self.rewrite)(graph, index) {
                applied += 1;
                graph.compact();
            } else {
                index += 1;
            }
        }
        applied
    }
}

/// What [`simplify`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// How often each pass applied, in the order of [`PIPELINE`]; passes that never did are left
    /// out.
    pub applied: Vec<(&'static str, usize)>,
}

/// Why a graph cannot be simplified.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PassError {
    /// The graph is not valid: a defect of the importer (before the first pass) or of a pass.
    #[error("the graph is not valid {stage}: {source}")]
    Invalid {
        /// Behind which pass, or "on import".
        stage: String,
        /// What is wrong.
        source: Invalid,
    },
    /// An operator that only exists between import and quantisation could not be removed.
    #[error("node '{node}' ({op}): {reason}")]
    Left {
        /// The node's name.
        node: String,
        /// The operator's name.
        op: &'static str,
        /// Why, and what to do.
        reason: &'static str,
    },
}

/// Runs [`PIPELINE`] until no pass applies.
///
/// # Errors
///
/// [`PassError`]: the graph was not valid, or holds quantisation that no pass could absorb.
pub fn simplify(graph: &mut Graph) -> Result<Report, PassError> {
    check(graph, || "on import".into())?;
    let mut applied = vec![0; PIPELINE.len()];
    loop {
        let before: usize = applied.iter().sum();
        for (pass, count) in PIPELINE.iter().zip(&mut applied) {
            *count += pass.run(graph);
            if cfg!(debug_assertions) {
                check(graph, || format!("behind the pass {}", pass.name))?;
            }
        }
        if applied.iter().sum::<usize>() == before {
            break;
        }
    }
    check(graph, || "behind the passes".into())?;
    graph.nodes.iter().find_map(left_over).map_or(Ok(()), Err)?;
    let counts = PIPELINE.iter().map(|pass| pass.name).zip(applied);
    Ok(Report { applied: counts.filter(|(_, count)| *count > 0).collect() })
}

fn check(graph: &Graph, stage: impl Fn() -> String) -> Result<(), PassError> {
    graph.validate().map_err(|source| PassError::Invalid { stage: stage(), source })
}

fn left_over(node: &crate::ir::Node) -> Option<PassError> {
    let reason = match &node.op {
        Op::Quantize | Op::Dequantize => {
            "its scale and zero point are not constant; export the model with static quantisation"
        }
        Op::BatchNorm { .. } => {
            "its parameters are not constant, or its input has more than four axes; export the \
             model in inference mode"
        }
        _ => return None,
    };
    Some(PassError::Left { node: node.name.clone(), op: node.op.name(), reason })
}
