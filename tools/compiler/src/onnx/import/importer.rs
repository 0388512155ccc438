//! The walk over the nodes, and what every rule needs for it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use ndarray::ArrayD;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{GraphProto, ValueInfoProto, type_proto};
use tract_onnx::prelude::Tensor;

use super::super::error::{ImportError, NodeError, Problem, Stop};
use super::super::fold::{self, Folder};
use super::super::limits::{self, Budget};
use super::super::model::Model;
use super::super::node::NodeView;
use super::super::tensor::{self, Loaded};
use super::integers;
use super::rule;
use crate::ir::{Graph, Node, Op, Quant, TensorId};

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
    integers: Vec<TensorId>,
    /// Nodes whose border still holds the integer.
    pub(super) integer_pads: Vec<TensorId>,
    source: &'m GraphProto,
    values: HashMap<&'m str, Value>,
    /// Names that some node reads, or that are outputs.
    wanted: HashSet<&'m str>,
    folder: Folder<'m>,
    errors: Vec<NodeError>,
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
            self.give_up(node);
            return Ok(());
        }
        if !keeps_integers(operator)
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
        self.source.output.iter().any(|output| output.name == name)
    }

    /// Whether somebody reads the tensor of that name.
    pub(super) fn is_wanted(&self, name: &str) -> bool {
        self.wanted.contains(name)
    }

    pub(super) fn shape(&self, id: TensorId) -> &[usize] {
        &self.graph.tensor(id).shape
    }

    /// Adds a node that computes the first output of `node`: real numbers.
    pub(super) fn emit(
        &mut self,
        node: &NodeView<'m>,
        op: Op,
        inputs: &[TensorId],
        shape: &[usize],
    ) -> Result<TensorId, Stop> {
        self.emit_kind(node, op, inputs, shape, Kind::Real)
    }

    /// Adds a node that computes the first output of `node`.
    pub(super) fn emit_kind(
        &mut self,
        node: &NodeView<'m>,
        op: Op,
        inputs: &[TensorId],
        shape: &[usize],
        kind: Kind,
    ) -> Result<TensorId, Stop> {
        self.emit_output(node, 0, op, inputs, shape, kind)
    }

    /// Adds a node that computes one of the outputs of `node`.
    pub(super) fn emit_output(
        &mut self,
        node: &NodeView<'m>,
        output: usize,
        op: Op,
        inputs: &[TensorId],
        shape: &[usize],
        kind: Kind,
    ) -> Result<TensorId, Stop> {
        let name = node
            .output(output)
            .ok_or_else(|| Problem::invalid(format!("its output {output} has no name")))?;
        limits::elements(name, shape)?;
        let id = self.push(node.name().into(), name, op, inputs, shape);
        self.mark(id, kind);
        self.define(name, Value::Activation(id, kind))?;
        Ok(id)
    }

    /// Remembers a tensor of integers, which needs a scale in the end.
    pub(super) fn mark(&mut self, id: TensorId, kind: Kind) {
        if matches!(kind, Kind::Integer { .. }) {
            self.integers.push(id);
        }
    }

    /// Says what the integers of a tensor stand for.
    pub(super) fn set_quant(&mut self, id: TensorId, quant: &Quant) -> Result<(), Problem> {
        let tensor = self.graph.tensor_mut(id);
        let known = tensor.quant.get_or_insert_with(|| quant.clone());
        if known == quant {
            return Ok(());
        }
        Err(Problem::new(
            format!("it reads `{}` with another scale than others do", tensor.name),
            "use one scale and zero point for the tensor",
        ))
    }

    /// Adds a node for an intermediate value that ONNX has no name for.
    pub(super) fn emit_part(
        &mut self,
        node: &NodeView<'m>,
        part: &str,
        op: Op,
        inputs: &[TensorId],
        shape: &[usize],
    ) -> Result<TensorId, Stop> {
        let name = self.derived_name(node.output(0).unwrap_or_default(), part);
        limits::elements(&name, shape)?;
        Ok(self.push(format!("{}/{part}", node.name()), &name, op, inputs, shape))
    }

    /// A name for something that is made from the tensor `name`, which the model does not use.
    pub(super) fn derived_name(&self, name: &str, part: &str) -> String {
        let mut derived = format!("{name}/{part}");
        while self.wanted.contains(derived.as_str()) {
            derived.push('\'');
        }
        derived
    }

    fn push(
        &mut self,
        node: String,
        name: &str,
        op: Op,
        inputs: &[TensorId],
        shape: &[usize],
    ) -> TensorId {
        let output = self.graph.add_activation(name, shape);
        self.graph.nodes.push(Node {
            name: node,
            op,
            inputs: inputs.to_vec(),
            output,
            clamp: None,
        });
        output
    }

    /// Adds a constant of real numbers to the graph.
    pub(super) fn add_constant(
        &mut self,
        name: String,
        values: ArrayD<f32>,
    ) -> Result<TensorId, ImportError> {
        let odd = values.iter().enumerate().find(|(_, value)| !value.is_finite());
        if let Some((position, &value)) = odd {
            return Err(ImportError::NotFinite { tensor: name, value, position });
        }
        limits::elements(&name, values.shape())?;
        self.budget.spend(values.len())?;
        Ok(self.graph.add_constant(name, values))
    }

    /// Gives the finished graph its outputs and states.
    pub(super) fn finish(mut self) -> Result<Graph, ImportError> {
        if !self.errors.is_empty() {
            return Err(ImportError::Nodes(self.errors));
        }
        integers::resolve(&mut self.graph, &self.integers, &self.integer_pads)?;
        for output in &self.source.output {
            let id = self.output(&output.name)?;
            self.graph.outputs.push(id);
        }
        for (output, input) in self.model.states() {
            let find = |name: &String, ids: &[TensorId]| {
                ids.iter().copied().find(|&id| self.graph.tensor(id).name == *name)
            };
            let pair = find(output, &self.graph.outputs).zip(find(input, &self.graph.inputs));
            let (from, to) = pair.ok_or_else(|| undefined(output))?;
            let [output_shape, input_shape] = [from, to].map(|id| self.shape(id).to_vec());
            if output_shape != input_shape {
                let (output, input) = (output.clone(), input.clone());
                return Err(ImportError::State { output, output_shape, input, input_shape });
            }
            self.graph.states.push((from, to));
        }
        self.graph.compact();
        Ok(self.graph)
    }

    /// The tensor of one of the model's outputs.
    fn output(&self, name: &str) -> Result<TensorId, ImportError> {
        let broken =
            |reason: &str| ImportError::Structure { tensor: name.into(), reason: reason.into() };
        match self.values.get(name) {
            Some(&Value::Activation(id, _)) => Ok(id),
            Some(Value::Constant(_) | Value::Weights(_) | Value::Unreadable(_)) => {
                Err(broken("is an output, but always the same: leave it out"))
            }
            Some(Value::Missing) | None => Err(broken("is an output that no node computes")),
        }
    }
}

fn undefined(tensor: &str) -> ImportError {
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

/// Operators whose constant integer inputs must not become real numbers.
fn keeps_integers(operator: &str) -> bool {
    operator == "DequantizeLinear"
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
