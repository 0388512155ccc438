//! `DequantizeLinear` spelled out for the reference.
//!
//! tract merges the operators between `DequantizeLinear` and `QuantizeLinear` into a table where it
//! takes them to work on single elements, and it takes Softmax for such a one. Written as
//! arithmetic, `(x − zero_point) · scale` gives the same numbers and is left alone.

use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{AttributeProto, GraphProto, ModelProto, NodeProto};

/// A copy of the model in which every `DequantizeLinear` of one scale is spelled out.
pub(super) fn spelled_out(model: &ModelProto) -> ModelProto {
    let mut model = model.clone();
    if let Some(graph) = &mut model.graph {
        let nodes = std::mem::take(&mut graph.node);
        for node in nodes {
            if node.op_type == "DequantizeLinear" && has_one_scale(graph, &node) {
                spell_out(&node, &mut graph.node);
            } else {
                graph.node.push(node);
            }
        }
    }
    model
}

/// Whether the scale is stored, and a single number.
fn has_one_scale(graph: &GraphProto, node: &NodeProto) -> bool {
    let scale = node.input.get(1);
    let stored = graph.initializer.iter().find(|tensor| Some(&tensor.name) == scale);
    stored.is_some_and(|tensor| tensor.dims.iter().all(|&extent| extent == 1))
}

fn spell_out(node: &NodeProto, nodes: &mut Vec<NodeProto>) {
    let [input, scale, rest @ ..] = node.input.as_slice() else { return };
    let Some(output) = node.output.first() else { return };
    let float = AttributeProto {
        name: "to".into(),
        r#type: AttributeType::Int as i32,
        i: DataType::Float as i64,
        ..AttributeProto::default()
    };
    let mut push = |operator: &str, inputs: &[&String], output: String, attribute: Vec<_>| {
        nodes.push(NodeProto {
            input: inputs.iter().copied().cloned().collect(),
            output: vec![output.clone()],
            name: output,
            op_type: operator.into(),
            attribute,
            ..NodeProto::default()
        });
    };
    let mut value = format!("{output}/real");
    push("Cast", &[input], value.clone(), vec![float.clone()]);
    if let Some(zero_point) = rest.first().filter(|name| !name.is_empty()) {
        let (zero, centred) = (format!("{output}/zero"), format!("{output}/centred"));
        push("Cast", &[zero_point], zero.clone(), vec![float]);
        push("Sub", &[&value, &zero], centred.clone(), vec![]);
        value = centred;
    }
    push("Mul", &[&value, scale], output.clone(), vec![]);
}
