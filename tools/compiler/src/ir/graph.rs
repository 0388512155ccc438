//! Tensors, nodes and how they hang together.

use ndarray::{ArrayD, Axis};

use super::op::Op;
use super::quant::Quant;

/// Index into [`Graph::tensors`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TensorId(pub usize);

/// The value of a constant tensor.
#[derive(Clone, Debug, PartialEq)]
pub enum Constant {
    /// Real numbers, not quantised yet.
    Real(ArrayD<f32>),
    /// Integers, to be read through the tensor's [`Quant`].
    Integer(ArrayD<i32>),
}

/// A value that flows along the graph, or a constant.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// The name in the ONNX model: calibration finds the tensor's range by it.
    pub name: String,
    /// ONNX shape.
    pub shape: Vec<usize>,
    /// The value, where it is known.
    pub constant: Option<Constant>,
    /// How it is held in integers. `None` until quantisation, unless the model says so.
    pub quant: Option<Quant>,
}

impl Tensor {
    /// Number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether it has no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The real values of a constant; `None` for activations.
    pub fn real_values(&self) -> Option<ArrayD<f32>> {
        match self.constant.as_ref()? {
            Constant::Real(values) => Some(values.clone()),
            Constant::Integer(values) => {
                let quant = self.quant.as_ref()?;
                let real = |q: i32, channel: usize| quant.dequantize(q, channel) as f32;
                let Some(axis) = quant.axis.map(Axis) else {
                    return Some(values.mapv(|q| real(q, 0)));
                };
                let mut reals = ArrayD::zeros(values.raw_dim());
                let channels = reals.axis_iter_mut(axis).zip(values.axis_iter(axis)).enumerate();
                for (channel, (mut reals, values)) in channels {
                    reals.zip_mut_with(&values, |place, &q| *place = real(q, channel));
                }
                Some(reals)
            }
        }
    }
}

/// One operation.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The ONNX node's name, for messages and reports.
    pub name: String,
    /// What it computes.
    pub op: Op,
    /// Inputs in the order that [`Op`] states.
    pub inputs: Vec<TensorId>,
    /// The one output.
    pub output: TensorId,
    /// A clamp of the real output values that was fused into the node.
    pub clamp: Option<(f32, f32)>,
}

impl Node {
    /// Smallest and largest integer of an output with this quantisation: the type's, narrowed by the
    /// clamp.
    pub fn integer_bounds(&self, quant: &Quant) -> (i32, i32) {
        let (low, high) = self.clamp.unwrap_or((f32::NEG_INFINITY, f32::INFINITY));
        (quant.quantize(low.into(), 0), quant.quantize(high.into(), 0))
    }
}

/// A network: nodes in execution order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Graph {
    /// All tensors. Passes leave unused ones behind; [`compact`](Self::compact) drops them.
    pub tensors: Vec<Tensor>,
    /// The nodes, every one behind the producers of its inputs.
    pub nodes: Vec<Node>,
    /// Inputs of the model.
    pub inputs: Vec<TensorId>,
    /// Outputs of the model.
    pub outputs: Vec<TensorId>,
    /// Pairs of an output and the input which holds its value in the next run.
    pub states: Vec<(TensorId, TensorId)>,
}

impl Graph {
    /// Adds a tensor.
    pub fn add_tensor(&mut self, tensor: Tensor) -> TensorId {
        self.tensors.push(tensor);
        TensorId(self.tensors.len() - 1)
    }

    /// Adds a real constant.
    pub fn add_constant(&mut self, name: impl Into<String>, value: ArrayD<f32>) -> TensorId {
        self.add_tensor(Tensor {
            name: name.into(),
            shape: value.shape().to_vec(),
            constant: Some(Constant::Real(value)),
            quant: None,
        })
    }

    /// Adds an activation.
    pub fn add_activation(&mut self, name: impl Into<String>, shape: &[usize]) -> TensorId {
        self.add_tensor(Tensor {
            name: name.into(),
            shape: shape.to_vec(),
            constant: None,
            quant: None,
        })
    }

    /// The tensor with this index.
    pub fn tensor(&self, id: TensorId) -> &Tensor {
        &self.tensors[id.0]
    }

    /// The tensor with this index.
    pub fn tensor_mut(&mut self, id: TensorId) -> &mut Tensor {
        &mut self.tensors[id.0]
    }

    /// Index of the node that computes a tensor; `None` for inputs and constants.
    pub fn producer(&self, id: TensorId) -> Option<usize> {
        self.nodes.iter().position(|node| node.output == id)
    }

    /// Indices of the nodes that read a tensor.
    pub fn consumers(&self, id: TensorId) -> Vec<usize> {
        let reads = |node: &Node| node.inputs.contains(&id);
        self.nodes.iter().enumerate().filter(|(_, n)| reads(n)).map(|(i, _)| i).collect()
    }

    /// The only node that reads a tensor which nobody else needs; `None` if there are several, or
    /// the tensor is an output of the model.
    pub fn sole_consumer(&self, id: TensorId) -> Option<usize> {
        match self.consumers(id)[..] {
            [node] if !self.outputs.contains(&id) => Some(node),
            _ => None,
        }
    }

    /// Makes every reader of `from` (and the model's outputs) read `to` instead.
    pub fn replace_uses(&mut self, from: TensorId, to: TensorId) {
        let ids = self.nodes.iter_mut().flat_map(|node| &mut node.inputs).chain(&mut self.outputs);
        ids.filter(|id| **id == from).for_each(|id| *id = to);
        self.states.iter_mut().filter(|(out, _)| *out == from).for_each(|(out, _)| *out = to);
    }

    /// Removes nodes whose output nobody reads, then tensors that nobody names.
    pub fn compact(&mut self) {
        self.remove_dead_nodes();
        let mut used = vec![false; self.tensors.len()];
        self.for_each_id(|id| used[id.0] = true);
        let mut next = 0;
        let renamed: Vec<_> = used
            .iter()
            .map(|&used| {
                let id = TensorId(next);
                next += usize::from(used);
                id
            })
            .collect();
        self.for_each_id(|id| *id = renamed[id.0]);
        let mut keep = used.into_iter();
        self.tensors.retain(|_| keep.next() == Some(true));
    }

    fn remove_dead_nodes(&mut self) {
        let mut needed = vec![false; self.tensors.len()];
        self.outputs.iter().for_each(|id| needed[id.0] = true);
        self.states.iter().for_each(|(out, _)| needed[out.0] = true);
        for node in self.nodes.iter().rev() {
            if needed[node.output.0] {
                node.inputs.iter().for_each(|id| needed[id.0] = true);
            }
        }
        self.nodes.retain(|node| needed[node.output.0]);
    }

    fn for_each_id(&mut self, mut f: impl FnMut(&mut TensorId)) {
        for node in &mut self.nodes {
            node.inputs.iter_mut().for_each(&mut f);
            f(&mut node.output);
        }
        self.inputs.iter_mut().chain(&mut self.outputs).for_each(&mut f);
        for (output, input) in &mut self.states {
            f(output);
            f(input);
        }
    }
}
