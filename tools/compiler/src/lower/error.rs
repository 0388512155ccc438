//! Why a graph has no program.

use thiserror::Error;

use crate::ir::Node;
use crate::quantize::requant::RequantError;

/// Why a quantised graph cannot be lowered.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum LowerError {
    /// No kernel computes what the node asks for.
    #[error("node `{node}` ({op}): {reason}; {remedy}")]
    Unsupported {
        /// The node.
        node: String,
        /// Its operator.
        op: String,
        /// What is in the way.
        reason: String,
        /// What to do.
        remedy: String,
    },
    /// The scales around a node are beyond 32-bit arithmetic.
    #[error(
        "node `{node}` ({op}): {source}; calibrate on data that exercises this layer, or check the \
         scales of the exported model"
    )]
    Scales {
        /// The node.
        node: String,
        /// Its operator.
        op: String,
        /// Which ratio does not fit.
        source: RequantError,
    },
    /// A node reads a tensor that no node before it computes.
    #[error("tensor `{tensor}` is read before it is computed: the graph is not in order")]
    NotComputed {
        /// The tensor.
        tensor: String,
    },
    /// A tensor has no scale and zero point.
    #[error(
        "tensor `{tensor}` is not quantised: give calibration data with --calib, or quantise the \
         whole model before the export"
    )]
    NotQuantized {
        /// The tensor.
        tensor: String,
    },
    /// More tensors than the format can number.
    #[error("the model has more than 65534 tensors: split it")]
    TooManyTensors,
}

impl LowerError {
    pub(super) fn unsupported(
        node: &Node,
        reason: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self::Unsupported {
            node: node.name.clone(),
            op: node.op.name().into(),
            reason: reason.into(),
            remedy: remedy.into(),
        }
    }

    /// Says which node an error of the requantisation arithmetic belongs to.
    pub(super) fn scales(node: &Node) -> impl FnOnce(RequantError) -> Self {
        let (node, op) = (node.name.clone(), node.op.name().into());
        move |source| Self::Scales { node, op, source }
    }

    pub(super) fn missing_input(node: &Node, index: usize) -> Self {
        Self::unsupported(node, format!("input {index} is missing"), "check the export")
    }
}
