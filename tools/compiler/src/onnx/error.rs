//! Why a model cannot be imported.

use std::fmt;

use thiserror::Error;

/// Why a file is not a model that the compiler can take on.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The file cannot be read.
    #[error("cannot read `{path}`: {reason}")]
    Read {
        /// The file.
        path: String,
        /// What the operating system says.
        reason: String,
    },
    /// The bytes are no protobuf message of the ONNX schema.
    #[error("not an ONNX model, or cut off: {reason}; export it again")]
    NotOnnx {
        /// What the decoder says.
        reason: String,
    },
    /// The model has no graph, or a graph without nodes or outputs.
    #[error("the model has no {what}: export it again")]
    Empty {
        /// What is not there.
        what: &'static str,
    },
    /// The model is larger than the compiler takes on.
    #[error("{what}: {found} is above the limit of {limit}")]
    Limit {
        /// What was counted.
        what: String,
        /// How much there is.
        found: usize,
        /// How much there may be.
        limit: usize,
    },
    /// The operator set is too old or newer than the compiler.
    #[error("the model uses opset {found}: export it with an opset from {oldest} to {newest}")]
    Opset {
        /// The model's.
        found: i64,
        /// Oldest supported.
        oldest: i64,
        /// Newest supported.
        newest: i64,
    },
    /// A dimension behind the batch is not known.
    #[error(
        "input `{input}` has no fixed size on axis {axis} ({dim}): give its shape, as in \
         --shape {input}={example}"
    )]
    DynamicShape {
        /// The input.
        input: String,
        /// The axis, from 0.
        axis: usize,
        /// The dimension as the model names it.
        dim: String,
        /// The shape with a placeholder where a number is wanted.
        example: String,
    },
    /// A graph input has no shape, or an impossible one.
    #[error("input `{input}`: {reason}")]
    Input {
        /// The input.
        input: String,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// An option names a tensor which the model does not have.
    #[error("{option} names `{name}`, but the model's {kind}s are {known}")]
    UnknownName {
        /// The option.
        option: &'static str,
        /// The name given.
        name: String,
        /// `input` or `output`.
        kind: &'static str,
        /// What there is.
        known: String,
    },
    /// An output and an input that should form a state have different shapes.
    #[error(
        "output `{output}` {output_shape:?} cannot be the next value of input `{input}` \
         {input_shape:?}: the shapes differ"
    )]
    State {
        /// The output.
        output: String,
        /// Its shape.
        output_shape: Vec<usize>,
        /// The input.
        input: String,
        /// Its shape.
        input_shape: Vec<usize>,
    },
    /// A stored tensor is malformed.
    #[error("tensor `{tensor}`: {reason}; export the model again")]
    Tensor {
        /// The tensor.
        tensor: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A tensor's data lies in another file, which cannot be had.
    #[error("tensor `{tensor}` keeps its data in another file: {reason}")]
    ExternalData {
        /// The tensor.
        tensor: String,
        /// Why it cannot be read.
        reason: String,
    },
    /// A weight is not a number.
    #[error(
        "tensor `{tensor}` holds {value} at position {position}: the training diverged or the \
         export is broken"
    )]
    NotFinite {
        /// The tensor.
        tensor: String,
        /// `NaN`, `inf` or `-inf`.
        value: f32,
        /// Row-major position.
        position: usize,
    },
    /// The nodes do not form a graph in execution order.
    #[error("tensor `{tensor}` {reason}: the file breaks ONNX's rules, export it again")]
    Structure {
        /// The tensor.
        tensor: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Nodes that the compiler cannot take on: all of them.
    #[error("{}", list(.0))]
    Nodes(Vec<NodeError>),
    /// The float reference cannot be set up.
    #[error("the model cannot be executed in floating point: {reason}")]
    Reference {
        /// What tract says.
        reason: String,
    },
}

/// One node that cannot be compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeError {
    /// The node.
    pub node: String,
    /// Its operator, with the domain where it is not ONNX's own.
    pub operator: String,
    /// What is in the way.
    pub reason: String,
    /// What to do about it.
    pub remedy: String,
}

impl fmt::Display for NodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { node, operator, reason, remedy } = self;
        write!(f, "node `{node}` ({operator}): {reason}; {remedy}")
    }
}

/// One line for one node; a heading and a line each for several.
fn list(errors: &[NodeError]) -> String {
    match errors {
        [only] => only.to_string(),
        _ => errors
            .iter()
            .fold(format!("{} nodes cannot be compiled", errors.len()), |text, error| {
                format!("{text}\n  {error}")
            }),
    }
}

/// What is in the way of a node, before the node is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) reason: String,
    pub(super) remedy: String,
}

impl Problem {
    pub(super) fn new(reason: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { reason: reason.into(), remedy: remedy.into() }
    }

    /// The node breaks the rules of its operator.
    pub(super) fn invalid(reason: impl Into<String>) -> Self {
        Self::new(reason, "the file breaks ONNX's rules, export it again")
    }
}

/// Why the import of one node ends.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Stop {
    /// The node is at fault: the others are still looked at.
    Node(Problem),
    /// The whole model is at fault.
    Model(ImportError),
}

impl From<Problem> for Stop {
    fn from(problem: Problem) -> Self {
        Self::Node(problem)
    }
}

impl From<ImportError> for Stop {
    fn from(error: ImportError) -> Self {
        Self::Model(error)
    }
}
