//! From the last node to a graph with outputs and states.

use super::super::error::ImportError;
use super::importer::{Importer, Value, undefined};
use super::integers;
use crate::ir::{Graph, TensorId};

impl Importer<'_> {
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
