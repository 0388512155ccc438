//! A sample: the raw bytes of input 0, of input 1 …

use fixie::{Image, InputRow, PortError};

use crate::Engine;
use crate::failure::Failure;

/// The bytes of all inputs, or zeros.
#[derive(Clone, Copy)]
pub struct Sample<'a>(Option<&'a [u8]>);

impl<'a> Sample<'a> {
    /// Zeros.
    pub const ZEROS: Self = Self(None);

    /// The samples that lie one after the other in `bytes`; where there are none, one of zeros.
    pub fn all(image: &Image<'_>, bytes: &'a [u8]) -> Result<impl Iterator<Item = Self>, Failure> {
        let len = start(image, image.input_count()).max(1);
        if !bytes.len().is_multiple_of(len) {
            return Err(Failure::Truncated);
        }
        let zeros = bytes.is_empty().then_some(Self::ZEROS);
        Ok(zeros.into_iter().chain(bytes.chunks_exact(len).map(|bytes| Self(Some(bytes)))))
    }

    /// Sets state to what it is at the start, and fills the inputs, but for those that are given row
    /// by row.
    pub fn load(self, net: &mut Engine<'_>) -> Result<(), Failure> {
        net.reset();
        for index in 0..net.image().input_count() {
            let start = start(net.image(), index);
            match net.input(index) {
                Ok(mut port) => self.copy(start, port.bytes_mut())?,
                Err(PortError::ByRows { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Computes the outputs, once it is loaded.
    pub fn run(self, net: &mut Engine<'_>) -> Result<(), Failure> {
        let image = *net.image();
        net.run_rows(|row| self.give(&image, row))
    }

    /// Fills the row that is wanted.
    pub fn give(self, image: &Image<'_>, mut row: InputRow<'_>) -> Result<(), Failure> {
        let bytes = row.port.bytes_mut();
        self.copy(start(image, row.input) + row.index * bytes.len(), bytes)
    }

    fn copy(self, start: usize, bytes: &mut [u8]) -> Result<(), Failure> {
        let Some(sample) = self.0 else {
            bytes.fill(0);
            return Ok(());
        };
        let part = sample.get(start..).and_then(|rest| rest.get(..bytes.len()));
        bytes.copy_from_slice(part.ok_or(Failure::Truncated)?);
        Ok(())
    }
}

/// Bytes of a sample before those of an input.
fn start(image: &Image<'_>, input: usize) -> usize {
    let inputs = (0..input).filter_map(|index| image.input(index));
    inputs.map(|port| port.len_bytes() as usize).sum()
}
