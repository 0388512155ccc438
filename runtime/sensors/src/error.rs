//! What can go wrong with a sensor.

use core::fmt;

/// Why a sensor gave no samples. `E` is the bus's error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error<E> {
    /// The bus failed: is the sensor wired, powered, and at this address?
    Bus(E),
    /// Another device answers.
    WrongDevice {
        /// The identity that the sensor has.
        expected: u8,
        /// The identity that was read.
        found: u8,
    },
    /// The FIFO was full, so samples may be lost. It has been emptied: what comes next is not the
    /// continuation of what came before.
    Overrun,
}

impl<E> From<E> for Error<E> {
    fn from(error: E) -> Self {
        Self::Bus(error)
    }
}

impl<E: fmt::Debug> fmt::Display for Error<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bus(error) => {
                write!(f, "the sensor does not answer ({error:?}): check wiring and address")
            }
            Self::WrongDevice { expected, found } => write!(
                f,
                "another device answers: its identity is {found:#04x}, the sensor's {expected:#04x}"
            ),
            Self::Overrun => {
                f.write_str("the sensor's FIFO was full: read it more often, or sample more slowly")
            }
        }
    }
}

impl<E: fmt::Debug> core::error::Error for Error<E> {}
