//! Stored tensors: from the protobuf message to typed arrays, checked before memory is taken.

use std::path::Path;
use std::sync::Arc;

use tract_onnx::data_resolver::MmapDataResolver;
use tract_onnx::pb::TensorProto;
use tract_onnx::pb::tensor_proto::{DataLocation, DataType};
use tract_onnx::prelude::Tensor;

use super::error::ImportError;
use super::guard::guarded;
use super::limits;

/// What a stored tensor turned out to be.
pub(super) enum Loaded {
    /// Values of a type that the compiler reads.
    Values(Arc<Tensor>),
    /// Values of another type: an error only if somebody needs them.
    Unreadable(&'static str),
}

/// Reads a stored tensor. `directory` is where the model lies, for data outside the file.
pub(super) fn load(proto: &TensorProto, directory: Option<&Path>) -> Result<Loaded, ImportError> {
    let malformed = |reason: String| ImportError::Tensor { tensor: proto.name.clone(), reason };
    let data_type = DataType::try_from(proto.data_type)
        .map_err(|_| malformed(format!("its data type {} is unknown", proto.data_type)))?;
    if !readable(data_type) {
        return Ok(Loaded::Unreadable(data_type.as_str_name()));
    }
    let shape = shape(proto)?;
    limits::elements(&proto.name, &shape)?;
    if proto.data_location == Some(DataLocation::External as i32) {
        return external(proto, directory);
    }
    let tensor = guarded(|| tract_onnx::tensor::load_tensor(&MmapDataResolver, proto, None))
        .map_err(malformed)?;
    Ok(Loaded::Values(tensor.into()))
}

fn external(proto: &TensorProto, directory: Option<&Path>) -> Result<Loaded, ImportError> {
    let missing = |reason: String| ImportError::ExternalData { tensor: proto.name.clone(), reason };
    let directory = directory.and_then(Path::to_str).ok_or_else(|| {
        missing("load the model from its folder, or save it as a single file".into())
    })?;
    guarded(|| tract_onnx::tensor::load_tensor(&MmapDataResolver, proto, Some(directory)))
        .map(|tensor| Loaded::Values(tensor.into()))
        .map_err(missing)
}

/// The extents of a stored tensor.
fn shape(proto: &TensorProto) -> Result<Vec<usize>, ImportError> {
    let extents = proto.dims.iter().map(|&extent| usize::try_from(extent));
    extents.collect::<Result<_, _>>().map_err(|_| ImportError::Tensor {
        tensor: proto.name.clone(),
        reason: format!("its shape {:?} has a negative extent", proto.dims),
    })
}

/// Types whose values tract reads into arrays.
fn readable(data_type: DataType) -> bool {
    matches!(
        data_type,
        DataType::Bool
            | DataType::Uint8
            | DataType::Uint16
            | DataType::Uint32
            | DataType::Uint64
            | DataType::Int8
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::Float16
            | DataType::Float
            | DataType::Double
    )
}
