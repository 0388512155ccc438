//! Loading a model: limits, operator set, static shapes.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use prost::Message;
use tract_onnx::pb::tensor_shape_proto::Dimension;
use tract_onnx::pb::tensor_shape_proto::dimension::Value as Extent;
use tract_onnx::pb::{GraphProto, ModelProto, TensorShapeProto, ValueInfoProto, type_proto};

use super::error::ImportError;
use super::import;
use super::limits;
use super::normalize;
use super::qoperator;
use super::reference::Reference;
use crate::digest;
use crate::ir::Graph;

/// Oldest operator set that is read.
pub const OLDEST_OPSET: i64 = 7;
/// Newest operator set that is read.
pub const NEWEST_OPSET: i64 = 28;

/// What the file does not say.
#[derive(Clone, Debug, Default)]
pub struct ImportOptions {
    /// Shapes of inputs, by name: for those with symbolic dimensions behind the batch.
    pub shapes: Vec<(String, Vec<usize>)>,
    /// Pairs of an output and the input that holds its value in the next run.
    pub states: Vec<(String, String)>,
}

/// An input or output of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// The ONNX name.
    pub name: String,
    /// The ONNX shape, batch 1 included.
    pub shape: Vec<usize>,
}

/// An ONNX model with static shapes, in its QDQ form if it is quantised.
#[derive(Clone, Debug)]
pub struct Model {
    proto: ModelProto,
    opset: i64,
    directory: Option<PathBuf>,
    inputs: Vec<Port>,
    states: Vec<(String, String)>,
    source_sha256: String,
}

impl Model {
    /// Reads the model in `path`; data that the model keeps in other files is looked for beside it.
    ///
    /// # Errors
    ///
    /// As [`from_bytes`](Self::from_bytes), and if the file cannot be read.
    pub fn load(path: impl AsRef<Path>, options: &ImportOptions) -> Result<Self, ImportError> {
        let path = path.as_ref();
        let failed = |reason: std::io::Error| ImportError::Read {
            path: path.display().to_string(),
            reason: reason.to_string(),
        };
        let size = std::fs::metadata(path).map_err(failed)?.len();
        limits::check("bytes of the model", size as usize, limits::MAX_FILE_BYTES)?;
        let bytes = std::fs::read(path).map_err(failed)?;
        let mut model = Self::from_bytes(&bytes, options)?;
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        model.directory = Some(parent.unwrap_or(Path::new(".")).to_path_buf());
        Ok(model)
    }

    /// Reads a model from the bytes of its file.
    ///
    /// # Errors
    ///
    /// If the bytes are no ONNX model or an empty one, the operator set is not supported, a shape
    /// is not known, or `options` name something that the model does not have.
    pub fn from_bytes(bytes: &[u8], options: &ImportOptions) -> Result<Self, ImportError> {
        limits::check("bytes of the model", bytes.len(), limits::MAX_FILE_BYTES)?;
        let proto = ModelProto::decode(bytes)
            .map_err(|error| ImportError::NotOnnx { reason: error.to_string() })?;
        let mut model = Self::from_proto(proto, options)?;
        model.source_sha256 = digest::sha256(bytes);
        Ok(model)
    }

    /// Takes a decoded model.
    pub(super) fn from_proto(
        mut proto: ModelProto,
        options: &ImportOptions,
    ) -> Result<Self, ImportError> {
        let opset = opset(&proto)?;
        let graph = proto.graph.as_mut().ok_or(ImportError::Empty { what: "graph" })?;
        check_structure(graph)?;
        check_names("--shape", "input", options.shapes.iter().map(|(name, _)| name), &graph.input)?;
        check_names("--state", "output", options.states.iter().map(|(o, _)| o), &graph.output)?;
        check_names("--state", "input", options.states.iter().map(|(_, i)| i), &graph.input)?;
        let inputs = fix_inputs(graph, &options.shapes)?;
        normalize::rewrite(graph, opset);
        qoperator::rewrite(graph, opset);
        Ok(Self {
            proto,
            opset,
            directory: None,
            inputs,
            states: options.states.clone(),
            source_sha256: String::new(),
        })
    }

    /// The inputs in the model's order.
    pub fn inputs(&self) -> &[Port] {
        &self.inputs
    }

    /// The outputs in the model's order.
    ///
    /// # Errors
    ///
    /// As [`graph`](Self::graph): their shapes follow from the nodes.
    pub fn outputs(&self) -> Result<Vec<Port>, ImportError> {
        let graph = self.graph()?;
        let port = |&id| {
            let tensor = graph.tensor(id);
            Port { name: tensor.name.clone(), shape: tensor.shape.clone() }
        };
        Ok(graph.outputs.iter().map(port).collect())
    }

    /// The model as the compiler's graph.
    ///
    /// # Errors
    ///
    /// [`ImportError::Nodes`] names every node that cannot be compiled; the other errors concern
    /// tensors or the model as a whole.
    pub fn graph(&self) -> Result<Graph, ImportError> {
        import::import(self)
    }

    /// The model's own execution in floating point.
    ///
    /// # Errors
    ///
    /// [`ImportError::Reference`] if tract cannot execute the model.
    pub fn reference(&self) -> Result<Reference, ImportError> {
        Reference::new(self)
    }

    /// SHA-256 of the file, in hexadecimal.
    pub fn source_sha256(&self) -> &str {
        &self.source_sha256
    }

    pub(super) fn proto(&self) -> &ModelProto {
        &self.proto
    }

    pub(super) fn opset(&self) -> i64 {
        self.opset
    }

    pub(super) fn states(&self) -> &[(String, String)] {
        &self.states
    }

    pub(super) fn directory(&self) -> Option<&Path> {
        self.directory.as_deref()
    }
}

/// The version of ONNX's own operators that the model wants.
fn opset(proto: &ModelProto) -> Result<i64, ImportError> {
    let own = |domain: &str| domain.is_empty() || domain == "ai.onnx";
    let found = proto.opset_import.iter().find(|set| own(&set.domain)).map_or(0, |set| set.version);
    if !(OLDEST_OPSET..=NEWEST_OPSET).contains(&found) {
        // A file of another kind often decodes to a message without anything in it.
        if proto.graph.is_none() {
            return Err(ImportError::NotOnnx { reason: "it holds no graph".into() });
        }
        return Err(ImportError::Opset { found, oldest: OLDEST_OPSET, newest: NEWEST_OPSET });
    }
    Ok(found)
}

fn check_structure(graph: &GraphProto) -> Result<(), ImportError> {
    limits::check("nodes", graph.node.len(), limits::MAX_NODES)?;
    if graph.node.is_empty() {
        return Err(ImportError::Empty { what: "nodes" });
    }
    if graph.output.is_empty() {
        return Err(ImportError::Empty { what: "outputs" });
    }
    Ok(())
}

fn check_names<'a>(
    option: &'static str,
    kind: &'static str,
    mut names: impl Iterator<Item = &'a String>,
    known: &[ValueInfoProto],
) -> Result<(), ImportError> {
    let Some(name) = names.find(|name| known.iter().all(|port| port.name != **name)) else {
        return Ok(());
    };
    let known: Vec<_> = known.iter().map(|port| format!("`{}`", port.name)).collect();
    Err(ImportError::UnknownName { option, name: name.clone(), kind, known: known.join(", ") })
}

/// Gives every input a static shape, in the message too, and drops what the message says about
/// other tensors: their symbolic shapes no longer fit.
fn fix_inputs(
    graph: &mut GraphProto,
    overrides: &[(String, Vec<usize>)],
) -> Result<Vec<Port>, ImportError> {
    graph.value_info.clear();
    graph.output.iter_mut().for_each(|output| output.r#type = None);
    // Before IR version 4, weights were listed among the inputs.
    let GraphProto { input, initializer, .. } = graph;
    let stored: HashSet<_> = initializer.iter().map(|weights| &weights.name).collect();
    input.retain(|input| !stored.contains(&input.name));
    let mut ports = Vec::with_capacity(input.len());
    for input in input {
        let wanted = overrides.iter().find(|(name, _)| *name == input.name);
        ports.push(fix_input(input, wanted.map(|(_, shape)| shape.as_slice()))?);
    }
    Ok(ports)
}

fn fix_input(input: &mut ValueInfoProto, wanted: Option<&[usize]>) -> Result<Port, ImportError> {
    let name = input.name.clone();
    let invalid = |reason: String| ImportError::Input { input: name.clone(), reason };
    let kind = input.r#type.as_mut().and_then(|kind| kind.value.as_mut());
    let Some(type_proto::Value::TensorType(tensor)) = kind else {
        return Err(invalid("it is no tensor: export the model with tensors only".into()));
    };
    let declared = tensor.shape.as_ref().map(|shape| shape.dim.as_slice());
    let shape = static_shape(&name, declared, wanted)?;
    if shape.contains(&0) {
        return Err(invalid(format!("its shape {shape:?} holds nothing")));
    }
    limits::elements(&name, &shape)?;
    let dimension = |&extent: &usize| Dimension {
        value: Some(Extent::DimValue(extent as i64)),
        ..Default::default()
    };
    tensor.shape = Some(TensorShapeProto { dim: shape.iter().map(dimension).collect() });
    Ok(Port { name, shape })
}

/// The shape that was asked for, if it fits the declared one; else the declared one with batch 1.
fn static_shape(
    name: &str,
    declared: Option<&[Dimension]>,
    wanted: Option<&[usize]>,
) -> Result<Vec<usize>, ImportError> {
    let invalid = |reason: String| ImportError::Input { input: name.into(), reason };
    let Some(declared) = declared else {
        return wanted.map(<[usize]>::to_vec).ok_or_else(|| {
            invalid(format!("it has no shape: give one, as in --shape {name}=1,3,32,32"))
        });
    };
    if let Some(wanted) = wanted {
        let fits = declared.len() == wanted.len()
            && declared.iter().zip(wanted).all(|(dim, &n)| fixed(dim).is_none_or(|m| m == n));
        let declared: Vec<_> = declared.iter().map(display).collect();
        return fits.then(|| wanted.to_vec()).ok_or_else(|| {
            invalid(format!("--shape {wanted:?} contradicts its shape [{}]", declared.join(", ")))
        });
    }
    let extent = |(axis, dim): (usize, &Dimension)| match fixed(dim) {
        Some(extent) => Ok(extent),
        None if axis == 0 => Ok(1),
        None => Err(ImportError::DynamicShape {
            input: name.into(),
            axis,
            dim: display(dim),
            example: example(declared),
        }),
    };
    declared.iter().enumerate().map(extent).collect()
}

/// The extent of a dimension that has one.
fn fixed(dim: &Dimension) -> Option<usize> {
    match dim.value {
        Some(Extent::DimValue(extent)) => usize::try_from(extent).ok(),
        _ => None,
    }
}

fn display(dim: &Dimension) -> String {
    match &dim.value {
        Some(Extent::DimValue(extent)) => extent.to_string(),
        Some(Extent::DimParam(name)) if !name.is_empty() => name.clone(),
        _ => "?".into(),
    }
}

/// A shape to type, with the names of the dimensions where a number is wanted.
fn example(declared: &[Dimension]) -> String {
    let text = |(axis, dim): (usize, &Dimension)| match fixed(dim) {
        Some(extent) => extent.to_string(),
        None if axis == 0 => "1".into(),
        None => format!("<{}>", display(dim)),
    };
    declared.iter().enumerate().map(text).collect::<Vec<_>>().join(",")
}
