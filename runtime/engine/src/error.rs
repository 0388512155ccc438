//! What can go wrong, and when.

use core::fmt;

use fixie_format::{ImageError, OpSet, Opcode};
use fixie_kernels::Rule;

/// Why an image cannot run here. Everything that can fail, fails when it is bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BindError {
    /// The bytes are not a sound image.
    Image(ImageError),
    /// The image needs an operator which this engine was built without, or does not know.
    Operator {
        /// The operator's code.
        code: u8,
    },
    /// The arena is too small.
    ArenaTooSmall {
        /// Bytes needed.
        needed: usize,
        /// Bytes given.
        given: usize,
    },
    /// The arena does not start at a multiple of 16 bytes.
    ArenaMisaligned,
    /// A tensor leaves the arena or the data section, or is misaligned.
    Tensor {
        /// Index into the tensor table.
        index: usize,
    },
    /// An operator breaks a rule.
    Op {
        /// Index into the operator table.
        index: usize,
        /// The rule.
        rule: Rule,
    },
    /// A step names an operator or rows that do not exist.
    Step {
        /// Index into the schedule.
        index: usize,
    },
    /// An input or output contradicts its tensor.
    Port {
        /// Whether it is an input.
        input: bool,
        /// Its index.
        index: usize,
    },
    /// A state names a tensor that cannot hold it.
    State {
        /// Its index.
        index: usize,
    },
}

impl From<ImageError> for BindError {
    fn from(error: ImageError) -> Self {
        Self::Image(error)
    }
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Image(error) => error.fmt(f),
            Self::Operator { code } if OpSet::from_bits(1 << (code & 63)).has_coded() => {
                f.write_str("the image has coded constants, which this engine was built without")
            }
            Self::Operator { code } if OpSet::from_bits(1 << (code & 63)).has_packed() => {
                f.write_str("the image has packed constants, which this engine was built without")
            }
            Self::Operator { code } => match Opcode::from_u8(code) {
                Some(opcode) => write!(
                    f,
                    "the image needs operator {}, which this engine was built without",
                    opcode.name()
                ),
                None => write!(
                    f,
                    "the image needs operator code {code}, which this version does not know: \
                     update the runtime"
                ),
            },
            Self::ArenaTooSmall { needed, given } => {
                write!(f, "the image needs an arena of {needed} bytes, {given} were given")
            }
            Self::ArenaMisaligned => f.write_str("the arena must start at a multiple of 16 bytes"),
            Self::Tensor { index } => write!(f, "tensor {index} leaves its memory"),
            Self::Op { index, rule } => write!(f, "operator {index}: {rule}"),
            Self::Step { index } => write!(f, "step {index} names rows that do not exist"),
            Self::Port { input, index } => {
                let kind = if input { "input" } else { "output" };
                write!(f, "{kind} {index} contradicts its tensor")
            }
            Self::State { index } => write!(f, "state {index} contradicts its tensor"),
        }
    }
}

impl core::error::Error for BindError {}

/// Why an inference stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RunError {
    /// A step's parameters contradict its tensors: the image changed after it was bound.
    Changed {
        /// Index into the schedule.
        step: usize,
    },
    /// An input is given row by row, and nothing gives its rows.
    NeedsRow,
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed { step } => {
                write!(f, "step {step} cannot run: the image changed after it was bound")
            }
            Self::NeedsRow => f.write_str("the image takes its input row by row: use `run_rows`"),
        }
    }
}

impl core::error::Error for RunError {}

/// Why an input or output cannot be used so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PortError {
    /// There is no input or output of this index.
    NoSuchPort {
        /// The index asked for.
        index: usize,
        /// How many there are.
        count: usize,
    },
    /// The number of values is not the port's.
    Length {
        /// Values that the port holds.
        needed: usize,
        /// Values given.
        given: usize,
    },
    /// The port's elements are not 8-bit activations.
    Dtype,
    /// The input is given row by row, when the engine asks for it.
    ByRows {
        /// Its index.
        index: usize,
    },
    /// No row is wanted now.
    NoRow,
}

impl fmt::Display for PortError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NoSuchPort { index, count } => {
                write!(f, "there is no input or output {index}: the model has {count}")
            }
            Self::Length { needed, given } => {
                write!(f, "{needed} values are needed, {given} were given")
            }
            Self::Dtype => f.write_str("the elements are not 8-bit activations"),
            Self::ByRows { index } => {
                write!(f, "input {index} is given row by row: use `row` when `step` asks for it")
            }
            Self::NoRow => f.write_str("no row of an input is wanted now"),
        }
    }
}

impl core::error::Error for PortError {}
