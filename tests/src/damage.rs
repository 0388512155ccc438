//! Models and images with one thing wrong, made from sound ones.

use std::fs;
use std::path::Path;

use fixie_format::reseal;
use prost::Message;
use tract_onnx::pb::tensor_shape_proto::Dimension;
use tract_onnx::pb::tensor_shape_proto::dimension::Value as Extent;
use tract_onnx::pb::type_proto::Value as TypeValue;
use tract_onnx::pb::{GraphProto, ModelProto, TensorProto};

/// The bytes of the ONNX model in `path` with its graph changed.
///
/// # Panics
///
/// If the file is not a sound ONNX model.
pub fn edit_onnx(path: &Path, edit: impl FnOnce(&mut GraphProto)) -> Vec<u8> {
    let bytes = fs::read(path).expect("the model can be read");
    let mut model = ModelProto::decode(bytes.as_slice()).expect("the model is ONNX");
    edit(model.graph.as_mut().expect("the model has a graph"));
    model.encode_to_vec()
}

/// Makes the first node an operator that does not exist.
pub fn unknown_operator(graph: &mut GraphProto) {
    "Frobnicate".clone_into(&mut graph.node[0].op_type);
}

/// Makes the last axis of the first input symbolic.
pub fn dynamic_shape(graph: &mut GraphProto) {
    let kind = graph.input[0].r#type.as_mut().and_then(|t| t.value.as_mut());
    let Some(TypeValue::TensorType(tensor)) = kind else {
        panic!("the input is a tensor");
    };
    let dims = &mut tensor.shape.as_mut().expect("the input has a shape").dim;
    *dims.last_mut().expect("the input has axes") =
        Dimension { value: Some(Extent::DimParam("length".to_owned())), ..Dimension::default() };
}

/// Makes the first number of the first real weight a NaN.
pub fn nan_weight(graph: &mut GraphProto) {
    let is_real = |tensor: &&mut TensorProto| tensor.data_type == 1;
    let tensor = graph.initializer.iter_mut().find(is_real).expect("there are real weights");
    match tensor.float_data.first_mut() {
        Some(value) => *value = f32::NAN,
        None => tensor.raw_data[..4].copy_from_slice(&f32::NAN.to_le_bytes()),
    }
}

/// An image that a runtime of the next major version would read.
pub fn newer_version(image: &[u8]) -> Vec<u8> {
    let mut image = image.to_vec();
    image[4] += 1;
    reseal(&mut image);
    image
}
