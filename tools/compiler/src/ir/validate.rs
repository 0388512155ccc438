//! Checks that a graph means something: what every pass and stage relies on.

use thiserror::Error;

use super::shapes::{Check, check_arity, check_shapes, ensure};
use super::{Constant, Graph, Node, Quant, Tensor, TensorId};

/// What is wrong with a graph.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Invalid {
    /// A node contradicts its operator.
    #[error("node '{node}' ({op}): {reason}")]
    Node {
        /// The node's name.
        node: String,
        /// The operator's name.
        op: &'static str,
        /// What does not fit.
        reason: String,
    },
    /// A tensor contradicts itself.
    #[error("tensor '{tensor}': {reason}")]
    Tensor {
        /// The tensor's name.
        tensor: String,
        /// What does not fit.
        reason: String,
    },
}

impl Graph {
    /// Checks that identifiers are in range, that every value is computed once and before it is
    /// read, and that shapes agree with operators.
    ///
    /// # Errors
    ///
    /// The first contradiction found.
    pub fn validate(&self) -> Result<(), Invalid> {
        for tensor in &self.tensors {
            check_tensor(tensor)
                .map_err(|reason| Invalid::Tensor { tensor: tensor.name.clone(), reason })?;
        }
        let mut known: Vec<bool> = self.tensors.iter().map(|t| t.constant.is_some()).collect();
        for id in &self.inputs {
            *known.get_mut(id.0).ok_or_else(|| out_of_range(*id))? = true;
        }
        for node in &self.nodes {
            check_node(self, node, &mut known).map_err(|reason| Invalid::Node {
                node: node.name.clone(),
                op: node.op.name(),
                reason,
            })?;
        }
        let states = self.states.iter().flat_map(|(output, input)| [output, input]);
        for id in self.outputs.iter().chain(states) {
            match known.get(id.0) {
                None => return Err(out_of_range(*id)),
                Some(true) => {}
                Some(false) => {
                    let tensor = self.tensor(*id).name.clone();
                    return Err(Invalid::Tensor { tensor, reason: "nothing computes it".into() });
                }
            }
        }
        Ok(())
    }
}

fn out_of_range(id: TensorId) -> Invalid {
    Invalid::Tensor { tensor: format!("#{}", id.0), reason: "there is no such tensor".into() }
}

fn check_tensor(tensor: &Tensor) -> Check {
    let shape = match &tensor.constant {
        Some(Constant::Real(values)) => Some(values.shape()),
        Some(Constant::Integer(values)) => {
            ensure!(tensor.quant.is_some(), "integers without a scale");
            Some(values.shape())
        }
        None => None,
    };
    if let Some(shape) = shape {
        ensure!(shape == tensor.shape, "shape {:?} of a value of {shape:?}", tensor.shape);
    }
    tensor.quant.as_ref().map_or(Ok(()), |quant| check_quant(quant, &tensor.shape))
}

fn check_quant(quant: &Quant, shape: &[usize]) -> Check {
    let scales = quant.scales.len();
    let expected = match quant.axis {
        Some(axis) => {
            ensure!(axis < shape.len(), "scales along axis {axis} of {shape:?}");
            shape[axis]
        }
        None => 1,
    };
    ensure!(scales == expected || scales == 1, "{scales} scales where {expected} belong");
    let usable = |scale: &f32| scale.is_finite() && *scale > 0.0;
    ensure!(quant.scales.iter().all(usable), "scales must be finite and above zero");
    let (min, max) = quant.range();
    let zero = quant.zero_point;
    ensure!((min..=max).contains(&zero), "zero point {zero} outside {min}..={max}");
    Ok(())
}

fn check_node(graph: &Graph, node: &Node, known: &mut [bool]) -> Check {
    for id in &node.inputs {
        ensure!(id.0 < known.len(), "there is no tensor #{}", id.0);
        ensure!(known[id.0], "reads '{}' before it is computed", graph.tensor(*id).name);
    }
    ensure!(node.output.0 < known.len(), "there is no tensor #{}", node.output.0);
    ensure!(!known[node.output.0], "computes '{}' again", graph.tensor(node.output).name);
    known[node.output.0] = true;
    if let Some((min, max)) = node.clamp {
        let ordered = min <= max;
        ensure!(ordered, "clamp to {min}..={max}");
    }
    let inputs: Vec<&[usize]> = node.inputs.iter().map(|id| &graph.tensor(*id).shape[..]).collect();
    check_arity(&node.op, inputs.len())?;
    check_shapes(&node.op, &inputs, &graph.tensor(node.output).shape)
}

#[cfg(test)]
mod tests {
    use ndarray::ArrayD;

    use super::*;
    use crate::ir::{Op, Unary};

    fn unary(name: &str, input: TensorId, output: TensorId) -> Node {
        let inputs = vec![input];
        Node { name: name.into(), op: Op::Unary(Unary::Relu), inputs, output, clamp: None }
    }

    fn chain() -> Graph {
        let mut graph = Graph::default();
        let ids: Vec<_> = ["a", "b", "c"].map(|name| graph.add_activation(name, &[1, 4])).into();
        graph.inputs = vec![ids[0]];
        graph.outputs = vec![ids[2]];
        graph.nodes = vec![unary("first", ids[0], ids[1]), unary("second", ids[1], ids[2])];
        graph
    }

    fn message(graph: &Graph) -> String {
        graph.validate().unwrap_err().to_string()
    }

    #[test]
    fn order_and_identifiers() {
        assert_eq!(chain().validate(), Ok(()));

        let mut swapped = chain();
        swapped.nodes.swap(0, 1);
        assert_eq!(message(&swapped), "node 'second' (Relu): reads 'b' before it is computed");

        let mut twice = chain();
        twice.nodes[1].output = TensorId(1);
        assert_eq!(message(&twice), "node 'second' (Relu): computes 'b' again");

        let mut outside = chain();
        outside.outputs = vec![TensorId(7)];
        assert_eq!(message(&outside), "tensor '#7': there is no such tensor");

        let mut orphan = chain();
        orphan.nodes.pop();
        assert_eq!(message(&orphan), "tensor 'c': nothing computes it");
    }

    #[test]
    fn shapes_follow_from_inputs() {
        let mut graph = chain();
        graph.tensors[2].shape = vec![4];
        assert_eq!(
            message(&graph),
            "node 'second' (Relu): output shape [4] where [1, 4] follows from the inputs"
        );
    }

    #[test]
    fn constants_and_scales_fit_their_tensor() {
        let mut graph = chain();
        let id = graph.add_constant("w", ArrayD::zeros(vec![2, 3]));
        graph.tensors[id.0].shape = vec![3, 2];
        assert_eq!(message(&graph), "tensor 'w': shape [3, 2] of a value of [2, 3]");

        let mut graph = chain();
        graph.tensors[1].quant = Some(Quant::per_tensor(0.0, 0));
        assert_eq!(message(&graph), "tensor 'b': scales must be finite and above zero");
        graph.tensors[1].quant = Some(Quant::per_tensor(1.0, 200));
        assert_eq!(message(&graph), "tensor 'b': zero point 200 outside -128..=127");
    }
}
