//! The walk over the nodes, and what every rule needs for it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{GraphProto, ValueInfoProto, type_proto};
use tract_onnx::prelude::Tensor;

use super::super::error::{ImportError, NodeError, Problem, Stop};
use super::super::fold::{self, Folder};
use super::super::limits::{self, Budget};
use super::super::model::Model;
use super::super::node::NodeView;
use super::super::qoperator;
use super::super::tensor::{self, Loaded};
use super::rule;
use crate::ir::{Graph, TensorId};

/// What a name of the ONNX model stands for.
#[derive(Clone)]
pub(super) enum Value {
    /// Known now, in ONNX's own type.
    Constant(Arc<Tensor>),
    /// Known, but of a type that the compiler does not read.
    Unreadable(&'static str),
    /// Real numbers, known now, which the model holds as integers.
    Weights(TensorId),
    /// Known at run time only.
    Activation(TensorId, Kind),
    /// What a node computes that could not be imported.
    Missing,
}

/// The type of an activation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Real numbers.
    Real,
    /// 8-bit integers that stand for real numbers. Unsigned ones are kept less 128.
    Integer {
        /// Whether ONNX's type is `uint8`.
        unsigned: bool,
    },
    /// Positions: what `ArgMax` gives.
    Index,
}

/// A model on its way to a graph.
pub(super) struct Importer<'m> {
    pub(super) graph: Graph,
    pub(super) model: &'m Model,
    pub(super) budget: Budget,
    /// Constants of the graph by the name and the arrangement of what they were made from.
    pub(super) arranged: HashMap<(String, String), TensorId>,
    /// Tensors of 8-bit integers.
    pub(super) integers: Vec<TensorId>,
    /// Indices of nodes whose border still holds an integer.
    pub(super) integer_pads: Vec<usize>,
    pub(super) source: &'m GraphProto,
    pub(super) values: HashMap<&'m str, Value>,
    /// Names that some node reads, or that are outputs.
    pub(super) wanted: HashSet<&'m str>,
    outputs: HashSet<&'m str>,
    folder: Folder<'m>,
    pub(super) errors: Vec<NodeError>,
}

impl<'m> Importer<'m> {
    pub(super) fn new(model: &'m Model) -> Result<Self, ImportError> {
        let source = model.proto().graph.as_ref().ok_or(ImportError::Empty { what: "graph" })?;
        let read = source.node.iter().flat_map(|node| &node.input);
        let wanted = read.chain(source.output.iter().map(|output| &output.name));
        let mut importer = Self {
            graph: Graph::default(),
            model,
            budget: Budget::new(),
            arranged: HashMap::new(),
            integers: Vec::new(),
            integer_pads: Vec::new(),
            source,
            values: HashMap::new(),
            wanted: wanted.map(String::as_str).collect(),
            outputs: source.output.iter().map(|output| output.name.as_str()).collect(),
            folder: Folder::new(model.proto(), model.opset()),
            errors: Vec::new(),
        };
        importer.initializers()?;
        importer.inputs()?;
        Ok(importer)
    }

    fn initializers(&mut self) -> Result<(), ImportError> {
        for stored in &self.source.initializer {
            let value = match tensor::load(stored, self.model.directory())? {
                Loaded::Values(values) => Value::Constant(values),
                Loaded::Unreadable(kind) => Value::Unreadable(kind),
            };
            self.define(&stored.name, value)?;
        }
        let Some(sparse) = self.source.sparse_initializer.first() else { return Ok(()) };
        Err(ImportError::Tensor {
            tensor: sparse.values.as_ref().map_or("?", |values| &values.name).into(),
            reason: "it is stored sparse, which the compiler does not read".into(),
        })
    }

    fn inputs(&mut self) -> Result<(), ImportError> {
        for (input, port) in self.source.input.iter().zip(self.model.inputs()) {
            let kind = input_kind(input)?;
            let id = self.graph.add_activation(&input.name, &port.shape);
            self.graph.inputs.push(id);
            self.mark(id, kind);
            self.define(&input.name, Value::Activation(id, kind))?;
        }
        Ok(())
    }

    /// Imports every node. Errors of single nodes are collected.
    pub(super) fn nodes(&mut self) -> Result<(), ImportError> {
        for proto in &self.source.node {
            let node = NodeView { proto, opset: self.model.opset() };
            match self.node(&node) {
                Ok(()) => {}
                Err(Stop::Model(error)) => return Err(error),
                Err(Stop::Node(problem)) => {
                    self.errors.push(node.error(problem));
                    self.give_up(&node);
                }
            }
        }
        Ok(())
    }

    fn node(&mut self, node: &NodeView<'m>) -> Result<(), Stop> {
        let operator = node.proto.op_type.as_str();
        let rule = rule(node.proto.domain.as_str(), operator);
        if rule.is_none() && !fold::knows(node) {
            return Err(unsupported(node).into());
        }
        let mut missing = false;
        for name in node.proto.input.iter().filter(|name| !name.is_empty()) {
            match self.values.get(name.as_str()) {
                None => return Err(undefined(name).into()),
                Some(Value::Missing) => missing = true,
                Some(Value::Unreadable(kind)) => return Err(unreadable(name, kind).into()),
                Some(_) => {}
            }
        }
        if missing {
            // What cannot be computed ahead now needs a rule.
            rule.ok_or_else(|| unsupported(node))?;
            self.give_up(node);
            return Ok(());
        }
        if !self.keeps_integers(node)
            && let Some(inputs) = self.known_inputs(node)
        {
            return self.fold(node, &inputs);
        }
        let rule = rule.ok_or_else(|| unsupported(node))?;
        rule(self, node)
    }

    /// Marks the outputs of a node as unknown, so that nobody complains about them again.
    fn give_up(&mut self, node: &NodeView<'m>) {
        for name in node.proto.output.iter().filter(|name| !name.is_empty()) {
            self.values.insert(name, Value::Missing);
        }
    }

    /// Whether a node's constant integers must not become real numbers.
    fn keeps_integers(&self, node: &NodeView<'_>) -> bool {
        match node.proto.op_type.as_str() {
            "DequantizeLinear" => true,
            "Dropout" | "Flatten" | "Identity" | "Reshape" | "Squeeze" | "Transpose"
            | "Unsqueeze" => matches!(self.value(node, 0), Some(Value::Weights(_))),
            _ => false,
        }
    }

    /// The inputs of a node that has only constant ones.
    fn known_inputs(&self, node: &NodeView<'_>) -> Option<Vec<Option<Arc<Tensor>>>> {
        let known = |index: usize| match node.input(index) {
            None => Some(None),
            Some(name) => match self.values.get(name)? {
                Value::Constant(values) => Some(Some(values.clone())),
                Value::Weights(id) => {
                    let reals = self.graph.tensor(*id).real_values()?;
                    Some(Some(Arc::new(Tensor::from(reals))))
                }
                Value::Activation(..) | Value::Unreadable(_) | Value::Missing => None,
            },
        };
        let count = node.proto.input.len();
        if count == 0 {
            return None;
        }
        (0..count).map(known).collect()
    }

    fn fold(&mut self, node: &NodeView<'m>, inputs: &fold::Inputs) -> Result<(), Stop> {
        self.budget.spend(inputs.iter().flatten().map(|value| value.len()).sum())?;
        let outputs = self.folder.fold(node, inputs)?;
        for (name, value) in node.proto.output.iter().zip(outputs) {
            if let Some(value) = value {
                limits::elements(name, value.shape())?;
                self.budget.spend(value.len())?;
                self.define(name, Value::Constant(value))?;
            }
        }
        Ok(())
    }

    /// Says what a name stands for.
    pub(super) fn define(&mut self, name: &'m str, value: Value) -> Result<(), ImportError> {
        if self.values.insert(name, value).is_some() {
            return Err(ImportError::Structure {
                tensor: name.into(),
                reason: "is defined twice".into(),
            });
        }
        Ok(())
    }

    /// What an input of a node stands for; `None` where it is left out.
    pub(super) fn value(&self, node: &NodeView<'_>, index: usize) -> Option<&Value> {
        self.values.get(node.input(index)?)
    }

    /// Whether the model gives the tensor of that name out.
    pub(super) fn is_output(&self, name: &str) -> bool {
        self.outputs.contains(name)
    }

    /// Whether somebody reads the tensor of that name.
    pub(super) fn is_wanted(&self, name: &str) -> bool {
        self.wanted.contains(name)
    }

    pub(super) fn shape(&self, id: TensorId) -> &[usize] {
        &self.graph.tensor(id).shape
    }
}

pub(super) fn undefined(tensor: &str) -> ImportError {
    ImportError::Structure {
        tensor: tensor.into(),
        reason: "is read before any node computes it".into(),
    }
}

fn unreadable(tensor: &str, kind: &str) -> Problem {
    Problem::new(
        format!("`{tensor}` is of the type {kind}"),
        "export it in 32-bit floating point or quantised to 8 bits",
    )
}

/// What to say about an operator without a rule.
fn unsupported(node: &NodeView<'_>) -> Problem {
    if let Some(problem) = qoperator::problem(node) {
        return problem;
    }
    let remedy = match node.proto.op_type.as_str() {
        "If" | "Loop" | "Scan" => "export the model without control flow",
        "DynamicQuantizeLinear" | "MatMulInteger" | "ConvInteger" | "DynamicQuantizeMatMul" => {
            "quantise the model statically"
        }
        "Quant" | "BipolarQuant" | "Trunc" => {
            "export the quantisation as QuantizeLinear and DequantizeLinear"
        }
        _ if !matches!(node.proto.domain.as_str(), "" | "ai.onnx") => {
            "export the model with ONNX's own operators, without a runtime's fusions"
        }
        _ => "replace it by supported operators, or end the model in front of it",
    };
    Problem::new("the operator is not supported", remedy)
}

/// The type of a graph input.
fn input_kind(input: &ValueInfoProto) -> Result<Kind, ImportError> {
    let elements = input.r#type.as_ref().and_then(|kind| kind.value.as_ref());
    let elements = elements.map(|type_proto::Value::TensorType(tensor)| tensor.elem_type);
    match DataType::try_from(elements.unwrap_or_default()) {
        Ok(DataType::Float | DataType::Float16 | DataType::Double) => Ok(Kind::Real),
        Ok(DataType::Int8) => Ok(Kind::Integer { unsigned: false }),
        Ok(DataType::Uint8) => Ok(Kind::Integer { unsigned: true }),
        other => Err(ImportError::Input {
            input: input.name.clone(),
            reason: format!(
                "it holds {}: export the model with floating-point or 8-bit inputs",
                other.map_or("an unknown type", |kind| kind.as_str_name())
            ),
        }),
    }
}
