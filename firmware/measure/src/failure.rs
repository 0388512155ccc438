//! Why a round is not a result.

use core::fmt;

use fixie::{BindError, PortError, RunError};

/// Anything that ends a round early; its text is the report.
#[derive(Debug)]
pub enum Failure {
    /// The arena is in use already.
    Arena,
    /// The image does not bind.
    Bind(BindError),
    /// A step was refused.
    Run(RunError),
    /// An input or output is not there.
    Port(PortError),
    /// The samples end inside one.
    Truncated,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Arena => f.write_str("the arena is in use already"),
            Self::Bind(error) => error.fmt(f),
            Self::Run(error) => error.fmt(f),
            Self::Port(error) => error.fmt(f),
            Self::Truncated => f.write_str("the input ends inside a sample"),
        }
    }
}

impl From<BindError> for Failure {
    fn from(error: BindError) -> Self {
        Self::Bind(error)
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        Self::Run(error)
    }
}

impl From<PortError> for Failure {
    fn from(error: PortError) -> Self {
        Self::Port(error)
    }
}
