//! Tests of the frontend, on models made here and on the repository's.

mod errors;
mod geometry;
mod models;
mod quantised;
mod semantics;

use ndarray::{ArrayD, IxDyn};
use prost::Message;
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::tensor_shape_proto::Dimension;
use tract_onnx::pb::tensor_shape_proto::dimension::Value as Extent;
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
    TensorShapeProto, TypeProto, ValueInfoProto, type_proto,
};

use super::{ImportError, ImportOptions, Model};
use crate::ir::{Graph, Op, eval};

/// A model under construction: inputs, stored tensors and nodes, in the order they are added.
pub(super) struct Builder {
    pub(super) proto: ModelProto,
}

impl Builder {
    pub(super) fn new(opset: i64) -> Self {
        let set = |domain: &str, version| OperatorSetIdProto { domain: domain.into(), version };
        let proto = ModelProto {
            ir_version: 8,
            opset_import: vec![set("", opset), set("com.microsoft", 1)],
            graph: Some(GraphProto::default()),
            ..ModelProto::default()
        };
        Self { proto }
    }

    pub(super) fn graph(&mut self) -> &mut GraphProto {
        self.proto.graph.as_mut().unwrap()
    }

    /// An input of real numbers.
    pub(super) fn input(self, name: &str, shape: &[i64]) -> Self {
        let extents: Vec<_> = shape.iter().map(|&extent| Extent::DimValue(extent)).collect();
        self.typed_input(name, DataType::Float, extents)
    }

    pub(super) fn typed_input(mut self, name: &str, kind: DataType, shape: Vec<Extent>) -> Self {
        let dim = |value| Dimension { value: Some(value), ..Dimension::default() };
        let tensor = type_proto::Tensor {
            elem_type: kind as i32,
            shape: Some(TensorShapeProto { dim: shape.into_iter().map(dim).collect() }),
        };
        let value = Some(type_proto::Value::TensorType(tensor));
        let kind = TypeProto { value, ..TypeProto::default() };
        self.graph().input.push(ValueInfoProto {
            name: name.into(),
            r#type: Some(kind),
            ..ValueInfoProto::default()
        });
        self
    }

    pub(super) fn stored(mut self, tensor: TensorProto) -> Self {
        self.graph().initializer.push(tensor);
        self
    }

    pub(super) fn floats(self, name: &str, shape: &[i64], values: &[f32]) -> Self {
        self.stored(TensorProto {
            name: name.into(),
            dims: shape.to_vec(),
            data_type: DataType::Float as i32,
            float_data: values.to_vec(),
            ..TensorProto::default()
        })
    }

    /// A stored tensor of 8 or 32-bit integers.
    pub(super) fn integers(
        self,
        name: &str,
        kind: DataType,
        shape: &[i64],
        values: &[i32],
    ) -> Self {
        self.stored(TensorProto {
            name: name.into(),
            dims: shape.to_vec(),
            data_type: kind as i32,
            int32_data: values.to_vec(),
            ..TensorProto::default()
        })
    }

    pub(super) fn longs(self, name: &str, values: &[i64]) -> Self {
        self.stored(TensorProto {
            name: name.into(),
            dims: vec![values.len() as i64],
            data_type: DataType::Int64 as i32,
            int64_data: values.to_vec(),
            ..TensorProto::default()
        })
    }

    pub(super) fn node(self, operator: &str, inputs: &[&str], outputs: &[&str]) -> Self {
        self.node_with(operator, inputs, outputs, vec![])
    }

    /// A node named after its first output; a domain may stand before the operator.
    pub(super) fn node_with(
        mut self,
        operator: &str,
        inputs: &[&str],
        outputs: &[&str],
        attribute: Vec<AttributeProto>,
    ) -> Self {
        let (domain, op_type) = operator.rsplit_once('.').unwrap_or(("", operator));
        self.graph().node.push(NodeProto {
            name: format!("n_{}", outputs[0]),
            domain: domain.into(),
            op_type: op_type.into(),
            input: inputs.iter().map(ToString::to_string).collect(),
            output: outputs.iter().map(ToString::to_string).collect(),
            attribute,
            ..NodeProto::default()
        });
        self
    }

    pub(super) fn output(mut self, name: &str) -> Self {
        let output = ValueInfoProto { name: name.into(), ..ValueInfoProto::default() };
        self.graph().output.push(output);
        self
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        self.proto.encode_to_vec()
    }

    pub(super) fn model(&self) -> Result<Model, ImportError> {
        Model::from_bytes(&self.bytes(), &ImportOptions::default())
    }

    pub(super) fn import(&self) -> Result<Graph, ImportError> {
        let graph = self.model()?.graph()?;
        graph.validate().unwrap();
        Ok(graph)
    }
}

pub(super) fn int(name: &str, value: i64) -> AttributeProto {
    let kind = AttributeType::Int as i32;
    AttributeProto { name: name.into(), r#type: kind, i: value, ..AttributeProto::default() }
}

pub(super) fn ints(name: &str, values: &[i64]) -> AttributeProto {
    let kind = AttributeType::Ints as i32;
    let ints = values.to_vec();
    AttributeProto { name: name.into(), r#type: kind, ints, ..AttributeProto::default() }
}

pub(super) fn float(name: &str, value: f32) -> AttributeProto {
    let kind = AttributeType::Float as i32;
    AttributeProto { name: name.into(), r#type: kind, f: value, ..AttributeProto::default() }
}

pub(super) fn text(name: &str, value: &str) -> AttributeProto {
    let kind = AttributeType::String as i32;
    AttributeProto { name: name.into(), r#type: kind, s: value.into(), ..AttributeProto::default() }
}

pub(super) fn array(shape: &[usize], values: &[f32]) -> ArrayD<f32> {
    ArrayD::from_shape_vec(IxDyn(shape), values.to_vec()).unwrap()
}

/// Numbers without a pattern, from −1 to 1: the same for the same shape and seed.
pub(super) fn noise(shape: &[usize], seed: u32) -> ArrayD<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(12345);
    ArrayD::from_shape_simple_fn(IxDyn(shape), || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as f32 / u32::MAX as f32 * 2.0 - 1.0
    })
}

/// The largest difference of two arrays of one shape, as a part of the largest value.
pub(super) fn difference(a: &ArrayD<f32>, b: &ArrayD<f32>) -> f32 {
    assert_eq!(a.shape(), b.shape());
    let largest = b.iter().fold(f32::MIN_POSITIVE, |largest, x| largest.max(x.abs()));
    a.iter().zip(b).fold(0.0, |worst, (a, b)| f32::max(worst, (a - b).abs() / largest))
}

/// Names of a graph's operators, in order.
pub(super) fn operators(graph: &Graph) -> Vec<&'static str> {
    graph.nodes.iter().map(|node| node.op.name()).collect()
}

/// The first output of a graph.
pub(super) fn evaluate(graph: &Graph, inputs: &[ArrayD<f32>]) -> ArrayD<f32> {
    eval(graph, inputs)[&graph.outputs[0]].clone()
}

/// The operator of the graph's only node.
pub(super) fn only(graph: &Graph) -> &Op {
    let [node] = graph.nodes.as_slice() else { panic!("{:?}", operators(graph)) };
    &node.op
}
