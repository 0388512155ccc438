//! What every layer of an image computes, tensor by tensor, in the terms of the ONNX model.
//!
//! A [`trace`] runs a session step by step on the host and keeps each layer's output before a later
//! step overwrites it. Since host and device compute the same bytes, it shows what happens on the
//! device, where nobody could look.

use fixie::{Dtype, Image, RunError};
use ndarray::{ArrayD, IxDyn};
use thiserror::Error;

use crate::metadata::{LayerOutput, Metadata, MetadataError};
use crate::session::{PortInfo, Session, from_memory};

/// The value of a tensor in one run.
#[derive(Clone, Debug, PartialEq)]
pub struct TracedTensor {
    /// Name of the ONNX tensor.
    pub name: String,
    /// Its integers, in ONNX shape and order.
    pub integers: ArrayD<i32>,
    /// Real value of one step.
    pub scale: f32,
    /// The integer that stands for zero.
    pub zero_point: i32,
}

impl TracedTensor {
    /// The real values that the integers stand for.
    pub fn reals(&self) -> ArrayD<f32> {
        self.integers.mapv(|q| (q - self.zero_point) as f32 * self.scale)
    }
}

/// All that one run computed.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    /// The inputs, as they were quantised.
    pub inputs: Vec<TracedTensor>,
    /// What each layer wrote, in the order in which layers were completed. A tensor that several
    /// layers write together (the parts of a concatenation) is there once for each, as it was then:
    /// complete at its last.
    pub layers: Vec<TracedTensor>,
}

impl Trace {
    /// A tensor by its ONNX name, complete.
    pub fn get(&self, name: &str) -> Option<&TracedTensor> {
        self.layers.iter().rev().chain(&self.inputs).find(|tensor| tensor.name == name)
    }
}

/// Why an image cannot be traced.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TraceError {
    /// Without metadata nobody knows which layer an operator belongs to.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    /// The metadata does not describe this image.
    #[error(
        "the image's metadata does not fit its operators (step {step}): convert the model again"
    )]
    Mismatch {
        /// The step at which that was found.
        step: usize,
    },
    /// The inference stopped.
    #[error(transparent)]
    Run(#[from] RunError),
}

/// Computes the outputs from the inputs that the session holds
/// ([`quantize`](Session::quantize), [`fill`](Session::fill)), and keeps what every layer wrote.
///
/// # Errors
///
/// [`TraceError`]; [`reset`](Session::reset) the session before it is used again.
pub fn trace(session: &mut Session<'_>) -> Result<Trace, TraceError> {
    let network = session.network();
    let metadata = network.metadata().ok_or(MetadataError::Stripped)?;
    let image = network.image();
    let inputs = inputs(session, &image, network.inputs());
    let mut layers = Vec::with_capacity(metadata.layers.len());
    let mut written = vec![Vec::new(); metadata.layers.len()];
    for step in 0..image.step_count() {
        session.engine().step()?;
        let completed = complete(session, &image, metadata, step, &mut written);
        layers.extend(completed.ok_or(TraceError::Mismatch { step })?);
    }
    Ok(Trace { inputs, layers })
}

/// Adds what a step wrote to the bytes of its layer, and gives the layer's tensor if these were the
/// last rows; `None` if the metadata does not describe such a step.
#[expect(clippy::option_option, reason = "no such layer, or a layer that has no tensor yet")]
fn complete(
    session: &mut Session<'_>,
    image: &Image<'_>,
    metadata: &Metadata,
    step: usize,
    written: &mut [Vec<u8>],
) -> Option<Option<TracedTensor>> {
    let step = image.step(step)?;
    let op = usize::from(step.op);
    let entry = image.op(op)?;
    let (output, bytes) = (&metadata.layers.get(op)?.output, written.get_mut(op)?);
    let memory = session.engine().tensor(output.tensor)?;
    // Row y of a ring lies in slot y mod its number of rows.
    let slots = match image.tensor(output.tensor.into())?.ring_rows {
        0 => entry.rows,
        ring_rows => ring_rows,
    };
    let row_bytes = memory.len().checked_div(slots.into())?;
    for row in step.first_row..step.first_row + step.rows {
        let start = usize::from(row % slots) * row_bytes;
        bytes.extend_from_slice(memory.get(start..start + row_bytes)?);
    }
    if step.first_row + step.rows < entry.rows {
        return Some(None);
    }
    interpret(image, output, bytes).map(Some)
}

/// The inputs that a session holds.
fn inputs(session: &mut Session<'_>, image: &Image<'_>, ports: &[PortInfo]) -> Vec<TracedTensor> {
    let input = |(index, info): (usize, &PortInfo)| {
        let port = image.input(index)?;
        let output = LayerOutput {
            name: info.name.clone(),
            shape: info.shape.clone(),
            scale: info.scale,
            zero_point: info.zero_point,
            tensor: port.tensor,
            order: info.memory_order.clone(),
            dims: None,
        };
        interpret(image, &output, session.engine().tensor(port.tensor)?)
    };
    ports.iter().enumerate().filter_map(input).collect()
}

/// Makes an array in ONNX layout of the bytes of a tensor; `None` if they are not as described.
fn interpret(image: &Image<'_>, output: &LayerOutput, bytes: &[u8]) -> Option<TracedTensor> {
    let dtype = Dtype::from_u8(image.tensor(output.tensor.into())?.dtype)?;
    let dims = output.dims.as_ref().unwrap_or(&output.shape);
    let integers = from_memory(integers(bytes, dtype), dims, &output.order)?;
    Some(TracedTensor {
        name: output.name.clone(),
        integers: integers.into_shape_with_order(IxDyn(&output.shape)).ok()?,
        scale: output.scale,
        zero_point: output.zero_point,
    })
}

fn integers(bytes: &[u8], dtype: Dtype) -> Vec<i32> {
    match dtype {
        Dtype::I8 => bytes.iter().map(|&byte| i32::from(byte as i8)).collect(),
        Dtype::I16 => {
            bytes.as_chunks().0.iter().map(|&pair| i16::from_le_bytes(pair).into()).collect()
        }
        Dtype::I32 => bytes.as_chunks().0.iter().map(|&word| i32::from_le_bytes(word)).collect(),
    }
}
