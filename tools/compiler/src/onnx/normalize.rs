//! Rewrites forms of operators that would otherwise need a rule of their own, or that tract reads in
//! another way than ONNX means them.

use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{AttributeProto, GraphProto, NodeProto, TensorProto};

/// Rewrites what has another form in the nodes of a graph.
pub(super) fn rewrite(graph: &mut GraphProto, opset: i64) {
    let GraphProto { node, initializer, .. } = graph;
    for node in node.iter_mut().filter(|node| matches!(node.domain.as_str(), "" | "ai.onnx")) {
        match node.op_type.as_str() {
            "Upsample" => initializer.extend(newer_resize(node)),
            "Resize" if opset < 11 => initializer.extend(newer_resize(node)),
            "ConstantOfShape" => fill_with_zeros(node),
            _ => {}
        }
    }
}

/// `Upsample`, and `Resize` of opset 10, scale from the corner and round down: newer opsets have
/// attributes that say so. Gives the scales, where they were an attribute.
fn newer_resize(node: &mut NodeProto) -> Option<TensorProto> {
    node.op_type = "Resize".into();
    for (name, value) in
        [("coordinate_transformation_mode", "asymmetric"), ("nearest_mode", "floor")]
    {
        node.attribute.retain(|attribute| attribute.name != name);
        node.attribute.push(string(name, value));
    }
    if node.input.len() == 1 { take_scales(node) } else { None }
}

/// Without a value, `ConstantOfShape` fills with `float` zeros; tract's are `double`.
fn fill_with_zeros(node: &mut NodeProto) {
    if node.attribute.iter().any(|attribute| attribute.name == "value") {
        return;
    }
    node.attribute.push(AttributeProto {
        name: "value".into(),
        r#type: AttributeType::Tensor as i32,
        t: Some(TensorProto {
            dims: vec![1],
            data_type: DataType::Float as i32,
            float_data: vec![0.0],
            ..TensorProto::default()
        }),
        ..AttributeProto::default()
    });
}

/// Turns the attribute `scales` into an input.
fn take_scales(node: &mut NodeProto) -> Option<TensorProto> {
    let position = node.attribute.iter().position(|attribute| attribute.name == "scales")?;
    let scales = node.attribute.remove(position).floats;
    let name = format!("{}/scales", node.output.first()?);
    node.input.push(name.clone());
    Some(TensorProto {
        name,
        dims: vec![scales.len() as i64],
        data_type: DataType::Float as i32,
        float_data: scales,
        ..TensorProto::default()
    })
}

fn string(name: &str, value: &str) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: AttributeType::String as i32,
        s: value.into(),
        ..AttributeProto::default()
    }
}
