//! The samples in `input.bin`: each is the raw bytes of input 0, of input 1 …

use fixie::{Image, PortError};
use semihosting::fs::File;
use semihosting::io::{Read, Seek, SeekFrom};

use crate::failure::Failure;
use crate::net::Engine;

/// The open file.
pub struct Samples {
    file: File,
    /// How many there are.
    pub count: u64,
    sample_len: u64,
}

impl Samples {
    /// Opens the file and counts the samples for a network.
    pub fn open(net: &Engine<'_>) -> Result<Self, Failure> {
        let mut file = File::open(c"input.bin")?;
        let sample_len = port_start(net.image(), net.image().input_count());
        let file_len = file.seek(SeekFrom::End(0))?;
        match (file_len.checked_div(sample_len), file_len.checked_rem(sample_len)) {
            (None | Some(0), _) => Err(Failure::NoSample),
            (Some(count), Some(0)) => Ok(Self { file, count, sample_len }),
            _ => Err(Failure::Truncated),
        }
    }

    /// Fills the inputs with a sample, but for those that are given row by row.
    pub fn load(&mut self, net: &mut Engine<'_>, sample: u64) -> Result<(), Failure> {
        for index in 0..net.image().input_count() {
            let at = sample * self.sample_len + port_start(net.image(), index);
            match net.input(index) {
                Ok(mut port) => self.read(at, port.bytes_mut())?,
                Err(PortError::ByRows { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Computes the outputs for a sample that was loaded.
    pub fn run(&mut self, net: &mut Engine<'_>, sample: u64) -> Result<(), Failure> {
        let image = *net.image();
        net.run_rows(|mut row| {
            let start = sample * self.sample_len + port_start(&image, row.input);
            let bytes = row.port.bytes_mut();
            self.read(start + (row.index * bytes.len()) as u64, bytes)
        })
    }

    fn read(&mut self, at: u64, bytes: &mut [u8]) -> Result<(), Failure> {
        self.file.seek(SeekFrom::Start(at))?;
        Ok(self.file.read_exact(bytes)?)
    }
}

/// Bytes of a sample before those of an input.
fn port_start(image: &Image<'_>, input: usize) -> u64 {
    (0..input).filter_map(|index| image.input(index)).map(|port| port.len_bytes()).sum()
}
