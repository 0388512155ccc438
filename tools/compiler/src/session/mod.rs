//! Running an image on the host, on the engine that runs on the device.
//!
//! A [`Network`] owns an image; a [`Session`] binds it to an arena and speaks the language of the
//! ONNX model: arrays in ONNX layout, real numbers or the integers which stand for them. Since host
//! and device compute the same bytes, what a session says holds for every core.

mod error;
mod port;

use std::fs;
use std::path::Path;

use fixie::{
    ALL_OPS, Dtype, Engine, Image, InputPort, InputRow, Port, PortError, Progress, RunError,
};
use ndarray::ArrayD;

use crate::metadata::{Metadata, MetadataError};
use crate::onnx;

pub use error::SessionError;
pub use port::PortInfo;
pub(crate) use port::from_memory;

/// Memory at a multiple of 16 bytes, as images and arenas need it.
#[derive(Clone, Debug)]
struct AlignedBytes(Vec<u128>);

impl AlignedBytes {
    /// At least `len_bytes` zeros.
    fn zeroed(len_bytes: usize) -> Self {
        Self(vec![0; len_bytes.div_ceil(size_of::<u128>())])
    }

    fn bytes(&self) -> &[u8] {
        bytemuck::cast_slice(&self.0)
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        bytemuck::cast_slice_mut(&mut self.0)
    }
}

/// An image in memory which the engine has checked.
#[derive(Clone, Debug)]
pub struct Network {
    image: AlignedBytes,
    len: usize,
    inputs: Vec<PortInfo>,
    outputs: Vec<PortInfo>,
    metadata: Option<Metadata>,
}

impl Network {
    /// Reads and checks an image.
    ///
    /// # Errors
    ///
    /// [`SessionError`], which names the file.
    pub fn load(path: &Path) -> Result<Self, SessionError> {
        let bytes = fs::read(path)
            .map_err(|source| SessionError::Read { file: path.display().to_string(), source })?;
        Self::new(&bytes)
    }

    /// Checks an image as the engine does when it binds one.
    ///
    /// # Errors
    ///
    /// [`SessionError::Image`], [`SessionError::Metadata`].
    pub fn new(bytes: &[u8]) -> Result<Self, SessionError> {
        let mut memory = AlignedBytes::zeroed(bytes.len());
        memory.bytes_mut()[..bytes.len()].copy_from_slice(bytes);
        let image = Image::parse(&memory.bytes()[..bytes.len()])?;
        Engine::<ALL_OPS>::new(image, AlignedBytes::zeroed(image.arena_len()).bytes_mut())?;
        let metadata = match Metadata::of(&image) {
            Ok(metadata) => Some(metadata),
            Err(MetadataError::Stripped) => None,
            Err(error) => return Err(error.into()),
        };
        let (inputs, outputs) = port::describe(&image, metadata.as_ref());
        Ok(Self { image: memory, len: bytes.len(), inputs, outputs, metadata })
    }

    /// The image.
    ///
    /// # Panics
    ///
    /// Never: it was checked when the network was made.
    pub fn image(&self) -> Image<'_> {
        Image::parse_frame(self.bytes()).expect("the image was checked when it was read")
    }

    /// The bytes of the image.
    pub fn bytes(&self) -> &[u8] {
        &self.image.bytes()[..self.len]
    }

    /// What the image says about itself; `None` if it was stripped.
    pub fn metadata(&self) -> Option<&Metadata> {
        self.metadata.as_ref()
    }

    /// The inputs in order.
    pub fn inputs(&self) -> &[PortInfo] {
        &self.inputs
    }

    /// The outputs in order.
    pub fn outputs(&self) -> &[PortInfo] {
        &self.outputs
    }

    /// What a data file must hold.
    pub fn data_ports(&self) -> Vec<onnx::Port> {
        self.inputs
            .iter()
            .map(|port| onnx::Port { name: port.name.clone(), shape: port.shape.clone() })
            .collect()
    }

    /// Whether the network remembers earlier samples.
    pub fn has_state(&self) -> bool {
        self.image().state_count() > 0
    }

    /// An arena for [`session`](Self::session).
    pub fn arena(&self) -> Arena {
        Arena(AlignedBytes::zeroed(self.image().arena_len()))
    }

    /// Binds the network to an arena.
    ///
    /// # Errors
    ///
    /// [`SessionError::Bind`] if the arena is that of another, smaller network.
    pub fn session<'a>(&'a self, arena: &'a mut Arena) -> Result<Session<'a>, SessionError> {
        let engine = Engine::new(self.image(), arena.0.bytes_mut())?;
        Ok(Session { network: self, engine, rows: vec![Vec::new(); self.inputs.len()] })
    }
}

/// Memory for the activations of one network.
#[derive(Clone, Debug)]
pub struct Arena(AlignedBytes);

/// A network bound to its arena.
#[derive(Debug)]
pub struct Session<'a> {
    network: &'a Network,
    engine: Engine<'a, ALL_OPS>,
    /// The bytes of each input that the engine takes row by row; empty for the others.
    rows: Vec<Vec<u8>>,
}

impl<'a> Session<'a> {
    /// The network.
    pub fn network(&self) -> &'a Network {
        self.network
    }

    /// The engine, to look at between steps.
    pub(crate) fn engine(&self) -> &Engine<'a, ALL_OPS> {
        &self.engine
    }

    /// Runs the next step on the inputs that were given.
    pub(crate) fn step(&mut self) -> Result<Progress, RunError> {
        match self.engine.step()? {
            Progress::NeedsRow => {
                let row = self.engine.row().map_err(|_| RunError::NeedsRow)?;
                give_row(&self.rows, row)?;
                self.engine.step()
            }
            progress => Ok(progress),
        }
    }

    /// The bytes of an input, before a run.
    pub(crate) fn input(&self, index: usize) -> Option<&[u8]> {
        let port = self.engine.image().input(index)?;
        if port.rows == 0 {
            self.engine.tensor(port.tensor)
        } else {
            self.rows.get(index).map(Vec::as_slice)
        }
    }

    /// Clears the state.
    pub fn reset(&mut self) {
        self.engine.reset();
    }

    /// Quantises real inputs, one array per input in ONNX layout, and computes the outputs.
    ///
    /// # Errors
    ///
    /// [`SessionError::Inputs`], [`SessionError::Shape`], [`SessionError::Port`] for inputs that
    /// are not 8-bit.
    pub fn run(&mut self, inputs: &[ArrayD<f32>]) -> Result<(), SessionError> {
        self.quantize(inputs)?;
        self.run_given()
    }

    /// Quantises real inputs as [`run`](Self::run) does, and gives the bytes of all of them one after
    /// the other, as a device takes them.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub fn quantize(&mut self, inputs: &[ArrayD<f32>]) -> Result<Vec<u8>, SessionError> {
        self.give(inputs, |port, values| {
            let mut bytes = vec![0; values.len()];
            InputPort::new(port, &mut bytes).quantize(&values)?;
            Ok(bytes)
        })
    }

    /// As [`run`](Self::run), for inputs that are quantised already.
    ///
    /// # Errors
    ///
    /// [`SessionError::Inputs`], [`SessionError::Shape`], [`SessionError::Port`] for inputs that
    /// are not 8-bit.
    pub fn run_raw(&mut self, inputs: &[ArrayD<i8>]) -> Result<(), SessionError> {
        self.fill(inputs)?;
        self.run_given()
    }

    /// Fills the inputs as [`run_raw`](Self::run_raw) does, and gives the bytes of all of them one
    /// after the other, as a device takes them.
    ///
    /// # Errors
    ///
    /// As [`run_raw`](Self::run_raw).
    pub fn fill(&mut self, inputs: &[ArrayD<i8>]) -> Result<Vec<u8>, SessionError> {
        self.give(inputs, |port, values| {
            if port.dtype == Dtype::I8 as u8 {
                Ok(bytemuck::cast_slice(&values).to_vec())
            } else {
                Err(PortError::Dtype)
            }
        })
    }

    /// Gives the engine the bytes of each input, or keeps them until it asks for their rows.
    fn give<T: Copy>(
        &mut self,
        inputs: &[ArrayD<T>],
        bytes_of: impl Fn(Port, Vec<T>) -> Result<Vec<u8>, PortError>,
    ) -> Result<Vec<u8>, SessionError> {
        self.check_count(inputs.len())?;
        let image = self.network.image();
        let ports = (0..inputs.len()).filter_map(|index| image.input(index));
        let mut all = Vec::new();
        for (index, (values, port)) in inputs.iter().zip(ports).enumerate() {
            let bytes = bytes_of(port, self.network.inputs[index].to_memory(values)?)?;
            all.extend_from_slice(&bytes);
            if port.rows == 0 {
                self.engine.input(index)?.bytes_mut().copy_from_slice(&bytes);
            } else {
                self.rows[index] = bytes;
            }
        }
        Ok(all)
    }

    fn run_given(&mut self) -> Result<(), SessionError> {
        while self.step()? != Progress::Done {}
        Ok(())
    }

    fn check_count(&self, found: usize) -> Result<(), SessionError> {
        let expected = self.network.inputs.len();
        if found == expected { Ok(()) } else { Err(SessionError::Inputs { expected, found }) }
    }

    /// The real values of the outputs, in ONNX layout.
    ///
    /// # Errors
    ///
    /// Never after a run; the type is that of the engine's ports.
    pub fn outputs(&self) -> Result<Vec<ArrayD<f32>>, SessionError> {
        self.read_outputs(|output| output.reals().collect())
    }

    /// The integers of the outputs, in ONNX layout.
    ///
    /// # Errors
    ///
    /// As [`outputs`](Self::outputs).
    pub fn integers(&self) -> Result<Vec<ArrayD<i32>>, SessionError> {
        self.read_outputs(|output| output.integers().collect())
    }

    fn read_outputs<T: Clone>(
        &self,
        read: impl Fn(fixie::OutputPort<'_>) -> Vec<T>,
    ) -> Result<Vec<ArrayD<T>>, SessionError> {
        let ports = self.network.outputs.iter().enumerate();
        ports
            .map(|(index, port)| Ok(port.to_onnx_layout(read(self.engine.output(index)?))))
            .collect()
    }

    /// The bytes of all outputs one after the other, as they lie in the device's memory.
    ///
    /// # Errors
    ///
    /// As [`outputs`](Self::outputs).
    pub fn raw_outputs(&self) -> Result<Vec<u8>, SessionError> {
        let mut bytes = Vec::new();
        for index in 0..self.network.outputs.len() {
            bytes.extend_from_slice(self.engine.output(index)?.bytes());
        }
        Ok(bytes)
    }
}

/// Writes the row that the engine asks for.
fn give_row(rows: &[Vec<u8>], mut row: InputRow<'_>) -> Result<(), RunError> {
    let bytes = row.port.bytes_mut();
    let given = rows.get(row.input).and_then(|rows| rows.chunks_exact(bytes.len()).nth(row.index));
    bytes.copy_from_slice(given.ok_or(RunError::NeedsRow)?);
    Ok(())
}
