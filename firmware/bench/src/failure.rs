//! Why a bench did not complete.

use core::fmt;

use fixie::{BindError, PortError, RunError};
use semihosting::io;

/// Anything that ends the bench early; its text is the report.
pub enum Failure {
    /// The arena is in use, which a second call of the bench would find.
    Arena,
    /// The image does not bind.
    Bind(BindError),
    /// An inference stopped.
    Run(RunError),
    /// An input or output is not there.
    Port(PortError),
    /// A host file cannot be opened, read or written.
    Host(io::Error),
    /// The input holds nothing.
    NoSample,
    /// The input ends inside a sample.
    Truncated,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Arena => f.write_str("the arena is in use"),
            Self::Bind(error) => error.fmt(f),
            Self::Run(error) => error.fmt(f),
            Self::Port(error) => error.fmt(f),
            Self::Host(error) => write!(f, "host file: {error}"),
            Self::NoSample => f.write_str("input.bin holds no sample"),
            Self::Truncated => f.write_str("input.bin ends inside a sample"),
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

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Host(error)
    }
}
