//! A node's inputs as what its rule wants them to be.

use std::sync::Arc;

use ndarray::ArrayD;
use tract_onnx::prelude::Tensor;

use super::super::error::{Problem, Stop};
use super::super::limits;
use super::super::node::NodeView;
use super::importer::{Importer, Kind, Value};
use crate::ir::TensorId;

impl<'m> Importer<'m> {
    /// An input of real numbers that only run time knows.
    pub(super) fn activation(
        &self,
        node: &NodeView<'_>,
        index: usize,
    ) -> Result<TensorId, Problem> {
        match self.any_activation(node, index)? {
            (id, Kind::Real) => Ok(id),
            (id, Kind::Integer { .. }) => Err(Problem::new(
                format!("its input `{}` holds integers", self.graph.tensor(id).name),
                "put DequantizeLinear in front of it",
            )),
            (id, Kind::Index) => Err(Problem::new(
                format!("its input `{}` holds indices", self.graph.tensor(id).name),
                "end the model at ArgMax",
            )),
        }
    }

    /// An input of any type that only run time knows.
    pub(super) fn any_activation(
        &self,
        node: &NodeView<'_>,
        index: usize,
    ) -> Result<(TensorId, Kind), Problem> {
        match self.value(node, index) {
            Some(&Value::Activation(id, kind)) => Ok((id, kind)),
            Some(_) => Err(Problem::new(
                format!("its input {index} is constant"),
                "swap the operands, or compute the node before the export",
            )),
            None => Err(absent(index)),
        }
    }

    /// An input of real numbers, constant or not.
    pub(super) fn real(&mut self, node: &NodeView<'m>, index: usize) -> Result<TensorId, Stop> {
        match self.value(node, index) {
            Some(&Value::Weights(id)) => Ok(id),
            Some(Value::Constant(values)) => {
                let values = values.clone();
                let name = node.input(index).unwrap_or_default();
                let key = (name.to_string(), String::new());
                if let Some(&id) = self.arranged.get(&key) {
                    return Ok(id);
                }
                let id = self.add_constant(name.into(), reals(name, &values)?)?;
                self.arranged.insert(key, id);
                Ok(id)
            }
            _ => Ok(self.activation(node, index)?),
        }
    }

    /// A constant input in ONNX's own type; `None` where it is left out.
    pub(super) fn constant(
        &self,
        node: &NodeView<'_>,
        index: usize,
    ) -> Result<Option<Arc<Tensor>>, Problem> {
        match self.value(node, index) {
            None => Ok(None),
            Some(Value::Constant(values)) => Ok(Some(values.clone())),
            Some(_) => Err(not_constant(node, index)),
        }
    }

    /// A constant input of real numbers; `None` where it is left out.
    pub(super) fn real_constant(
        &self,
        node: &NodeView<'_>,
        index: usize,
    ) -> Result<Option<ArrayD<f32>>, Problem> {
        match self.value(node, index) {
            Some(&Value::Weights(id)) => Ok(self.graph.tensor(id).real_values()),
            _ => match self.constant(node, index)? {
                Some(values) => reals(node.input(index).unwrap_or_default(), &values).map(Some),
                None => Ok(None),
            },
        }
    }

    /// A constant input that is one real number; `None` where it is left out.
    pub(super) fn real_scalar(
        &self,
        node: &NodeView<'_>,
        index: usize,
    ) -> Result<Option<f32>, Problem> {
        if self.value(node, index).is_none() {
            return Ok(None);
        }
        if self.weights_shape(node, index)?.iter().product::<usize>() != 1 {
            return Err(Problem::invalid(format!("its input {index} is not a single number")));
        }
        Ok(self.real_constant(node, index)?.and_then(|values| values.first().copied()))
    }

    /// A constant input of integers; `None` where it is left out.
    pub(super) fn ints(
        &self,
        node: &NodeView<'_>,
        index: usize,
    ) -> Result<Option<Vec<i64>>, Problem> {
        let Some(values) = self.constant(node, index)? else { return Ok(None) };
        if values.len() > limits::MAX_LIST {
            let reason = format!("its input {index} has {} entries", values.len());
            return Err(Problem::invalid(reason));
        }
        let integers = values.cast_to::<i64>().ok();
        let integers = integers.as_ref().and_then(|tensor| {
            let view = tensor.to_plain_array_view::<i64>().ok()?;
            Some(view.iter().copied().collect())
        });
        integers
            .map(Some)
            .ok_or_else(|| Problem::invalid(format!("its input {index} does not hold integers")))
    }

    /// Integers that newer opsets pass as an input and older ones as an attribute.
    pub(super) fn ints_or_attribute(
        &self,
        node: &NodeView<'_>,
        index: usize,
        attribute: &str,
    ) -> Result<Option<Vec<i64>>, Problem> {
        match node.ints(attribute)? {
            Some(values) => Ok(Some(values.to_vec())),
            None => self.ints(node, index),
        }
    }
}

/// The values of a constant as `f32`.
pub(super) fn reals(name: &str, values: &Tensor) -> Result<ArrayD<f32>, Problem> {
    let reals = values.cast_to::<f32>().ok().map(std::borrow::Cow::into_owned);
    reals
        .and_then(|reals| reals.into_plain_array::<f32>().ok())
        .ok_or_else(|| Problem::invalid(format!("`{name}` does not hold numbers")))
}

pub(super) fn absent(index: usize) -> Problem {
    Problem::invalid(format!("its input {index} is missing"))
}

pub(super) fn not_constant(node: &NodeView<'_>, index: usize) -> Problem {
    Problem::new(
        format!(
            "its input {index} (`{}`) is computed at run time",
            node.input(index).unwrap_or_default()
        ),
        "make it a constant before the export",
    )
}
