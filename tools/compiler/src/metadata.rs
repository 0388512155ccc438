//! What an image says about itself: names, shapes, provenance. Never read on a device.

use std::io::{self, Read};

use fixie_format::{Image, Section};
use flate2::Compression;
use flate2::read::{ZlibDecoder, ZlibEncoder};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::ir::{Constant, Graph, Quant, TensorId};
use crate::lower::program::Program;
use crate::plan::{Plan, PlanEntry};
use crate::quantize::WeightStatistics;
use crate::reduce::Reduction;
use crate::target::Target;

/// The longest JSON text that is unpacked: a few bytes of a hostile image could stand for gigabytes.
const MAX_JSON_LEN: u64 = 1 << 24;

/// The contents of the metadata section: as JSON, compressed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metadata {
    /// The version of the compiler.
    pub compiler: String,
    /// SHA-256 of the ONNX file, in hexadecimal.
    pub source_sha256: String,
    /// SHA-256 of the calibration samples; `None` where none were needed.
    pub calibration_sha256: Option<String>,
    /// The core that the image was made for.
    pub target: Target,
    /// Names of the inputs in order.
    pub inputs: Vec<String>,
    /// Names of the outputs in order.
    pub outputs: Vec<String>,
    /// One entry per operator, in order.
    pub layers: Vec<Layer>,
    /// The memory plan.
    pub plan: Vec<PlanEntry>,
    /// The most bytes that are alive at one moment.
    pub floor_bytes: usize,
    /// What the reductions saved; `None` if that is nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reduction: Option<Reduction>,
}

/// One operator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Layer {
    /// Name of the ONNX node that it comes from.
    pub name: String,
    /// What that node computes.
    pub op: String,
    /// Multiply-accumulates.
    pub macs: u64,
    /// Bytes of weights and per-channel constants.
    pub weight_bytes: usize,
    /// Instructions to decode these constants in one inference, about. Not in the image where they
    /// need none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub decoding: u64,
    /// Its weights, for convolutions and matrix products. Not in the image where they use the whole
    /// grid of 8 bits, as most do: names and numbers of every layer would cost it some bytes.
    #[serde(default, skip_serializing_if = "is_ordinary")]
    pub weights: Option<WeightStatistics>,
    /// The tensor that it computes, or part of which it computes.
    pub output: LayerOutput,
}

/// The tensor that an operator computes, and where in the arena its elements are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerOutput {
    /// Name of the ONNX tensor.
    pub name: String,
    /// ONNX shape.
    pub shape: Vec<usize>,
    /// Real value of one step.
    pub scale: f32,
    /// The integer that stands for zero.
    pub zero_point: i32,
    /// Bits of an activation, where they are more than 8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wide_bits: Option<u8>,
    /// Index into the image's tensor table.
    pub tensor: u16,
    /// The axes in the order in which they lie in memory, outermost first. Absent in the JSON for
    /// images with the channels last.
    #[serde(default = "channels_last", skip_serializing_if = "is_channels_last")]
    pub order: Vec<usize>,
    /// The axes that `order` speaks of, where they are not those of `shape`: the same elements in
    /// the same ONNX order, before they were flattened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dims: Option<Vec<usize>>,
}

impl LayerOutput {
    /// Smallest and largest integer of an activation.
    pub fn integers(&self) -> (i32, i32) {
        let quant = Quant::per_tensor(self.scale, self.zero_point);
        Quant { bits: self.wide_bits.unwrap_or(quant.bits), ..quant }.range()
    }
}

/// `[N, C, H, W]` as it lies in memory: by far the most frequent order.
fn channels_last() -> Vec<usize> {
    vec![0, 2, 3, 1]
}

fn is_channels_last(order: &[usize]) -> bool {
    order == channels_last()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(instructions: &u64) -> bool {
    *instructions == 0
}

/// Whether weights are not on a coarser grid than that of 8 bits.
#[expect(clippy::ref_option, reason = "serde calls it so")]
fn is_ordinary(weights: &Option<WeightStatistics>) -> bool {
    weights.is_none_or(|weights| weights.largest >= i8::MAX as u32)
}

/// Why an image's metadata cannot be used.
#[derive(Debug, Error)]
pub enum MetadataError {
    /// There is none.
    #[error("the image has no metadata: it was converted with --strip")]
    Stripped,
    /// It is not what this version writes.
    #[error("the image's metadata cannot be read: {0}")]
    Malformed(#[from] serde_json::Error),
    /// It cannot be unpacked, or is longer than any that this version writes.
    #[error("the image's metadata cannot be unpacked: {0}")]
    Compression(#[from] io::Error),
}

impl Metadata {
    /// Multiply-accumulates of one inference.
    pub fn macs(&self) -> u64 {
        self.layers.iter().map(|layer| layer.macs).sum()
    }

    /// Reads the metadata of an image.
    ///
    /// # Errors
    ///
    /// [`MetadataError`].
    pub fn of(image: &Image<'_>) -> Result<Self, MetadataError> {
        let section = image.section(Section::Metadata);
        if section.is_empty() {
            return Err(MetadataError::Stripped);
        }
        let mut json = Vec::new();
        ZlibDecoder::new(section).take(MAX_JSON_LEN + 1).read_to_end(&mut json)?;
        if json.len() as u64 > MAX_JSON_LEN {
            return Err(io::Error::from(io::ErrorKind::FileTooLarge).into());
        }
        Ok(serde_json::from_slice(&json)?)
    }

    /// The bytes of the metadata section.
    ///
    /// # Errors
    ///
    /// Never, as far as is known; the libraries' types say so.
    pub(crate) fn pack(&self) -> io::Result<Vec<u8>> {
        let json = serde_json::to_vec(self)?;
        let mut bytes = Vec::new();
        ZlibEncoder::new(&json[..], Compression::best()).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Describes a planned program.
    pub(crate) fn describe(
        graph: &Graph,
        program: &Program,
        plan: &Plan,
        (provenance, target): (Provenance, Target),
    ) -> Self {
        let Provenance { source_sha256, calibration_sha256, reduction } = provenance;
        let is_state = |id: &TensorId| graph.states.iter().any(|(o, i)| o == id || i == id);
        let names = |ids: &[TensorId]| {
            ids.iter().filter(|id| !is_state(id)).map(|&id| graph.tensor(id).name.clone()).collect()
        };
        let mut steps = vec![0.0; program.ops.len()];
        plan.steps.iter().for_each(|step| steps[step.op] += 1.0);
        let layers = program.ops.iter().zip(steps).map(|(op, steps)| {
            let output = graph.tensor(op.output);
            let quant = output.quant.as_ref();
            let layout = &program.buffers[op.writes.0 as usize].layout;
            Layer {
                name: op.name.clone(),
                op: op.kind.to_owned(),
                macs: op.macs,
                weight_bytes: op.weight_bytes,
                decoding: (op.decoding * steps) as u64,
                weights: weights(graph, op.output),
                output: LayerOutput {
                    name: output.name.clone(),
                    shape: output.shape.clone(),
                    scale: quant.map_or(1.0, Quant::scale),
                    zero_point: quant.map_or(0, |quant| quant.zero_point),
                    wide_bits: quant.filter(|quant| quant.is_wide()).map(|quant| quant.bits),
                    tensor: op.writes.0,
                    order: layout.order.clone(),
                    dims: (!layout.is_plain(&output.shape)).then(|| layout.dims.clone()),
                },
            }
        });
        Self {
            compiler: env!("CARGO_PKG_VERSION").to_owned(),
            source_sha256,
            calibration_sha256,
            target,
            inputs: names(&graph.inputs),
            outputs: names(&graph.outputs),
            layers: layers.collect(),
            plan: plan.entries.clone(),
            floor_bytes: plan.floor_len,
            reduction,
        }
    }
}

/// The weights of the layer that computes a tensor.
fn weights(graph: &Graph, output: TensorId) -> Option<WeightStatistics> {
    let node = graph.producer(output).map(|index| &graph.nodes[index])?;
    match &graph.tensor(*node.inputs.get(1)?).constant {
        Some(Constant::Integer(integers)) if node.op.has_weights() => {
            Some(WeightStatistics::of(integers))
        }
        _ => None,
    }
}

/// Where an image comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Provenance {
    /// SHA-256 of the ONNX file, in hexadecimal.
    pub source_sha256: String,
    /// SHA-256 of the calibration samples; `None` where none were needed.
    pub calibration_sha256: Option<String>,
    /// What the reductions saved; `None` if that is nothing.
    pub reduction: Option<Reduction>,
}

#[cfg(test)]
mod tests {
    use fixie_format::ImageBuilder;

    use super::*;

    /// Reads the metadata of an otherwise empty image.
    fn read(section: Vec<u8>) -> Result<Metadata, MetadataError> {
        let mut builder = ImageBuilder::new();
        builder.metadata(section);
        let mut image = vec![0u128; builder.build().len().div_ceil(16)];
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut image);
        bytes[..builder.build().len()].copy_from_slice(&builder.build());
        Metadata::of(&Image::parse(&bytes[..builder.build().len()]).unwrap())
    }

    fn compressed(text: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        ZlibEncoder::new(text, Compression::best()).read_to_end(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn what_is_packed_is_read() {
        let metadata = Metadata {
            compiler: "1".to_owned(),
            source_sha256: String::new(),
            calibration_sha256: None,
            target: Target::default(),
            inputs: vec!["x".to_owned()],
            outputs: Vec::new(),
            layers: Vec::new(),
            plan: Vec::new(),
            floor_bytes: 7,
            reduction: Some(Reduction::default()),
        };
        assert_eq!(read(metadata.pack().unwrap()).unwrap(), metadata);
    }

    #[test]
    fn what_is_not_metadata_is_refused() {
        assert!(matches!(read(Vec::new()), Err(MetadataError::Stripped)));
        assert!(matches!(read(b"{}".to_vec()), Err(MetadataError::Compression(_))));
        assert!(matches!(read(compressed(b"{}")), Err(MetadataError::Malformed(_))));
        let endless = compressed(&vec![b' '; MAX_JSON_LEN as usize + 1]);
        assert!(endless.len() < 100_000);
        assert!(matches!(read(endless), Err(MetadataError::Compression(_))));
    }
}
