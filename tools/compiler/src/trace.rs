//! What every layer of an image computes, tensor by tensor, in the terms of the ONNX model.
//!
//! A [`trace`] runs a session step by step on the host and keeps each layer's output before a later
//! step overwrites it. Since host and device compute the same bytes, it shows what happens on the
//! device, where nobody could look.

use std::mem;

use fixie::{Dtype, Image, RunError};
use fixie_format::table::TensorId;
use ndarray::{ArrayD, IxDyn};
use thiserror::Error;

use crate::metadata::{LayerOutput, Metadata, MetadataError};
use crate::session::{PortInfo, Session, from_memory};

/// The value of a tensor in one run.
#[derive(Clone, Debug, PartialEq)]
pub struct TracedTensor {
    /// Name of the ONNX tensor.
    pub name: String,
    /// Its integers, in ONNX shape and order; `None` for elements that are never computed: a plan
    /// leaves out the last rows of a layer if nobody reads them.
    pub integers: ArrayD<Option<i32>>,
    /// Real value of one step.
    pub scale: f32,
    /// The integer that stands for zero.
    pub zero_point: i32,
    /// Smallest and largest integer that an activation can be.
    pub range: (i32, i32),
}

impl TracedTensor {
    /// The real values that the integers stand for; NaN where there is none.
    pub fn reals(&self) -> ArrayD<f32> {
        let real = |q: i32| (q - self.zero_point) as f32 * self.scale;
        self.integers.mapv(|q| q.map_or(f32::NAN, real))
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
    let mut elements = vec![Vec::new(); metadata.layers.len()];
    let last = last_steps(&image, metadata.layers.len());
    for step in 0..image.step_count() {
        session.step()?;
        let written = append(session, &image, metadata, step, &mut elements);
        let Written { layer, missing } = written.ok_or(TraceError::Mismatch { step })?;
        if last[layer] == Some(step) {
            let mut elements = mem::take(&mut elements[layer]);
            elements.resize(elements.len() + missing, None);
            let tensor = interpret(&metadata.layers[layer].output, elements);
            layers.push(tensor.ok_or(TraceError::Mismatch { step })?);
        }
    }
    Ok(Trace { inputs, layers })
}

/// The last step of each layer.
fn last_steps(image: &Image<'_>, layers: usize) -> Vec<Option<usize>> {
    let mut last = vec![None; layers];
    for index in 0..image.step_count() {
        let op = image.step(index).map(|step| usize::from(step.op));
        if let Some(last) = op.and_then(|op| last.get_mut(op)) {
            *last = Some(index);
        }
    }
    last
}

/// Elements of a tensor in the order of memory; `None` for those that are never computed.
type Elements = Vec<Option<i32>>;

/// What a step did to a layer.
struct Written {
    /// The layer's index.
    layer: usize,
    /// Elements of it that lie behind those which the step wrote.
    missing: usize,
}

/// Adds what a step wrote to the elements of its layer; `None` if the metadata does not describe
/// such a step.
fn append(
    session: &Session<'_>,
    image: &Image<'_>,
    metadata: &Metadata,
    step: usize,
    elements: &mut [Elements],
) -> Option<Written> {
    let step = image.step(step)?;
    let layer = usize::from(step.op);
    let rows = image.op(layer)?.rows;
    let id = metadata.layers.get(layer)?.output.tensor;
    let tensor = image.tensor(id.into())?;
    let memory = read(session, image, id)?;
    // Row y of a ring lies in slot y mod its number of rows.
    let slots = if tensor.ring_rows == 0 { rows } else { tensor.ring_rows };
    let row_len = memory.len().checked_div(slots.into())?;
    let end = step.first_row.checked_add(step.rows)?;
    for row in step.first_row..end {
        let start = usize::from(row % slots) * row_len;
        elements[layer].extend(memory.get(start..start + row_len)?.iter().copied().map(Some));
    }
    Some(Written { layer, missing: usize::from(rows.checked_sub(end)?) * row_len })
}

/// The inputs that a session holds.
fn inputs(session: &Session<'_>, image: &Image<'_>, ports: &[PortInfo]) -> Vec<TracedTensor> {
    let input = |(index, info): (usize, &PortInfo)| {
        let port = image.input(index)?;
        let output = LayerOutput {
            name: info.name.clone(),
            shape: info.shape.clone(),
            scale: info.scale,
            zero_point: info.zero_point,
            wide_bits: None,
            tensor: port.tensor,
            order: info.memory_order.clone(),
            dims: None,
        };
        let integers = integers(session.input(index)?, port.dtype)?;
        interpret(&output, integers.into_iter().map(Some).collect())
    };
    ports.iter().enumerate().filter_map(input).collect()
}

/// The integers that a tensor's memory holds.
fn read(session: &Session<'_>, image: &Image<'_>, id: TensorId) -> Option<Vec<i32>> {
    integers(session.engine().tensor(id)?, image.tensor(id.into())?.dtype)
}

/// The integers that bytes of an element type are.
fn integers(bytes: &[u8], dtype: u8) -> Option<Vec<i32>> {
    Some(match Dtype::from_u8(dtype)? {
        Dtype::I8 => bytes.iter().map(|&byte| i32::from(byte as i8)).collect(),
        Dtype::I16 => {
            bytes.as_chunks().0.iter().map(|&pair| i16::from_le_bytes(pair).into()).collect()
        }
        Dtype::I32 => bytes.as_chunks().0.iter().map(|&word| i32::from_le_bytes(word)).collect(),
    })
}

/// Makes an array in ONNX layout of the elements of a tensor; `None` if they are not as described.
fn interpret(output: &LayerOutput, elements: Elements) -> Option<TracedTensor> {
    let dims = output.dims.as_ref().unwrap_or(&output.shape);
    let integers = from_memory(elements, dims, &output.order)?;
    Some(TracedTensor {
        name: output.name.clone(),
        integers: integers.into_shape_with_order(IxDyn(&output.shape)).ok()?,
        scale: output.scale,
        zero_point: output.zero_point,
        range: output.integers(),
    })
}

#[cfg(test)]
mod tests {
    use ndarray::{ArrayD, arr1};

    use super::*;
    use crate::compile::{Compiled, Options, assemble};
    use crate::ir::{Graph, Node, Op, Pool, Quant, SliceAxis, TensorId};
    use crate::metadata::Provenance;
    use crate::plan::Optimize;
    use crate::session::Network;

    /// `[1, 2, 4, 3]`, three times as high after a pool with more padding than input, then a pool
    /// of two rows in three, which leaves the last row out.
    fn stretched() -> Graph {
        let mut graph = Graph::default();
        let ids = [("x", 4), ("a", 12), ("b", 4)]
            .map(|(name, rows)| graph.add_activation(name, &[1, 2, rows, 3]));
        for id in ids {
            graph.tensor_mut(id).quant = Some(Quant::per_tensor(0.5, 1));
        }
        let pool = |kernel: usize, stride: usize, pad: usize| {
            Op::MaxPool(Pool {
                kernel: vec![kernel, 1],
                strides: vec![stride, 1],
                dilations: vec![1, 1],
                pads_before: vec![pad, 0],
                pads_after: vec![pad, 0],
            })
        };
        graph.nodes = vec![node(&ids, 0, pool(9, 1, 8)), node(&ids, 1, pool(2, 3, 0))];
        (graph.inputs, graph.outputs) = (vec![ids[0]], vec![ids[2]]);
        graph
    }

    fn node(ids: &[TensorId], from: usize, op: Op) -> Node {
        let inputs = vec![ids[from]];
        Node { name: format!("n{from}"), op, inputs, output: ids[from + 1], clamp: None }
    }

    fn traced(graph: Graph, options: &Options) -> Result<Trace, TraceError> {
        let Compiled { image, .. } = assemble(graph, Provenance::default(), options).unwrap();
        let network = Network::new(&image).unwrap();
        let mut arena = network.arena();
        let mut session = network.session(&mut arena).unwrap();
        let shape = &network.inputs()[0].shape[..];
        let counting: Vec<i8> = (0..shape.iter().product::<usize>() as i8).collect();
        session.fill(&[ArrayD::from_shape_vec(shape, counting).unwrap()]).unwrap();
        trace(&mut session)
    }

    #[test]
    fn layers_are_in_onnx_order() {
        let options = Options { optimize: Optimize::Latency, ..Options::default() };
        let trace = traced(stretched(), &options).unwrap();
        let names: Vec<_> = trace.layers.iter().map(|layer| layer.name.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
        // x counts along its rows of three; the largest of the rows so far is the last one.
        let a = trace.get("a").unwrap();
        assert_eq!(a.integers.shape(), [1, 2, 12, 3]);
        assert_eq!(a.integers[[0, 1, 4, 0]], Some(12 + 9));
        assert_eq!(a.reals()[[0, 1, 4, 0]], 0.5 * (21.0 - 1.0));
        assert_eq!(trace.get("x").unwrap().integers[[0, 1, 0, 0]], Some(12));
        assert_eq!(trace.get("absent"), None);
    }

    #[test]
    fn rows_of_a_ring_are_collected_and_those_that_nobody_needs_are_absent() {
        let whole = Options { optimize: Optimize::Latency, ..Options::default() };
        let rings = Options { optimize: Optimize::Ram, ..Options::default() };
        let [whole, rings] = [whole, rings].map(|options| traced(stretched(), &options).unwrap());
        assert_eq!(whole.get("b"), rings.get("b"));
        let (a, ring) = (whole.get("a").unwrap(), rings.get("a").unwrap());
        for (index, value) in ring.integers.indexed_iter() {
            let expected = if index[2] < 11 { a.integers[&index] } else { None };
            assert_eq!(*value, expected, "{index:?}");
        }
        assert!(ring.reals()[[0, 0, 11, 0]].is_nan());
    }

    #[test]
    fn flattened_tensors_are_traced_in_their_own_shape() {
        let mut graph = stretched();
        let flat = graph.add_activation("flat", &[24]);
        graph.tensor_mut(flat).quant = Some(Quant::per_tensor(0.5, 1));
        let inputs = graph.outputs.clone();
        let (name, op) = ("flatten".to_owned(), Op::Reshape);
        graph.nodes.push(Node { name, op, inputs, output: flat, clamp: None });
        let part = graph.add_activation("part", &[6]);
        graph.tensor_mut(part).quant = Some(Quant::per_tensor(0.5, 1));
        let op = Op::Slice(vec![SliceAxis { start: 0, step: 1, len: 6 }]);
        let (name, inputs) = ("slice".to_owned(), vec![flat]);
        graph.nodes.push(Node { name, op, inputs, output: part, clamp: None });
        graph.outputs = vec![part];
        let trace = traced(graph, &Options::default()).unwrap();
        let b: Vec<_> = trace.get("b").unwrap().integers.iter().copied().collect();
        assert_eq!(trace.get("part").unwrap().integers, arr1(&b[..6]).into_dyn());
    }

    #[test]
    fn an_image_without_metadata_is_refused() {
        let options = Options { strip: true, ..Options::default() };
        let error = traced(stretched(), &options).unwrap_err();
        assert!(matches!(error, TraceError::Metadata(MetadataError::Stripped)), "{error}");
    }
}
