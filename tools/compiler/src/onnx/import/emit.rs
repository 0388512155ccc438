//! Adding nodes and constants to the graph.

use ndarray::ArrayD;

use super::super::error::{ImportError, Problem, Stop};
use super::super::limits;
use super::super::node::NodeView;
use super::importer::{Importer, Kind, Value};
use crate::ir::{Node, Op, Quant, TensorId};

impl<'m> Importer<'m> {
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
        check_output(name, shape)?;
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
        check_output(&name, shape)?;
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
}

/// Checks that a tensor holds something, and not too much.
fn check_output(name: &str, shape: &[usize]) -> Result<(), Stop> {
    if limits::elements(name, shape)? == 0 {
        return Err(Problem::new(
            format!("its output {shape:?} holds nothing"),
            "remove the node, and what depends on it",
        )
        .into());
    }
    Ok(())
}
