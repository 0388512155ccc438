//! Values that are known at import, and changes of type.

use std::sync::Arc;

use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::prelude::{Tensor, tensor0, tensor1};

use super::super::error::{Problem, Stop};
use super::super::node::NodeView;
use super::super::tensor::{self, Loaded};
use super::importer::{Importer, Kind, Value};
use super::operands::absent;
use crate::ir::{Op, Quant};

/// `Constant`.
pub(super) fn constant<'m>(importer: &mut Importer<'m>, node: &NodeView<'m>) -> Result<(), Stop> {
    let value = if let Some(stored) = node.tensor("value")? {
        match tensor::load(stored, importer.model.directory())? {
            Loaded::Values(values) => Value::Constant(values),
            Loaded::Unreadable(kind) => Value::Unreadable(kind),
        }
    } else if let Some(value) = node.float("value_float")? {
        known(tensor0(value))
    } else if let Some(values) = node.floats("value_floats")? {
        known(tensor1(values))
    } else if let Some(value) = node.int("value_int")? {
        known(tensor0(value))
    } else if let Some(values) = node.ints("value_ints")? {
        known(tensor1(values))
    } else {
        return Err(Problem::new("its value is sparse or text", "store dense numbers").into());
    };
    define(importer, node, value)
}

/// `Shape`: the extents of an activation are known.
pub(super) fn shape<'m>(importer: &mut Importer<'m>, node: &NodeView<'m>) -> Result<(), Stop> {
    let (x, _) = importer.any_activation(node, 0)?;
    let shape: Vec<_> = importer.shape(x).iter().map(|&extent| extent as i64).collect();
    let rank = shape.len() as i64;
    let bound =
        |value: i64| (if value < 0 { value.saturating_add(rank) } else { value }).clamp(0, rank);
    let (start, end) = (bound(node.int_or("start", 0)?), bound(node.int_or("end", rank)?));
    let extents = shape.get(start as usize..end as usize).unwrap_or_default();
    define(importer, node, known(tensor1(extents)))
}

/// `Size`: the number of elements of an activation.
pub(super) fn size<'m>(importer: &mut Importer<'m>, node: &NodeView<'m>) -> Result<(), Stop> {
    let (x, _) = importer.any_activation(node, 0)?;
    let elements: usize = importer.shape(x).iter().product();
    define(importer, node, known(tensor0(elements as i64)))
}

/// `Cast` between types that the graph holds in the same way, or of integers to their real values.
pub(super) fn cast<'m>(importer: &mut Importer<'m>, node: &NodeView<'m>) -> Result<(), Stop> {
    let (x, kind) = importer.any_activation(node, 0)?;
    let to = node.int("to")?.ok_or_else(|| Problem::invalid("its type is missing"))?;
    let to = i32::try_from(to).ok().and_then(|to| DataType::try_from(to).ok());
    let real = matches!(
        to,
        Some(DataType::Float | DataType::Float16 | DataType::Double | DataType::Bfloat16)
    );
    let index = matches!(to, Some(DataType::Int32 | DataType::Int64));
    match kind {
        Kind::Real if real => super::reshape::identity(importer, node),
        Kind::Index if index => super::reshape::identity(importer, node),
        Kind::Integer { unsigned } if real => {
            let quant = Quant::per_tensor(1.0, if unsigned { -128 } else { 0 });
            let shape = importer.shape(x).to_vec();
            importer.set_quant(x, &quant)?;
            importer.emit(node, Op::Dequantize, &[x], &shape)?;
            Ok(())
        }
        _ => Err(Problem::new(
            format!("it turns values into {}", to.map_or("an unknown type", |to| to.as_str_name())),
            "use QuantizeLinear for integers",
        )
        .into()),
    }
}

fn known(values: Tensor) -> Value {
    Value::Constant(Arc::new(values))
}

fn define<'m>(importer: &mut Importer<'m>, node: &NodeView<'m>, value: Value) -> Result<(), Stop> {
    let name = node.output(0).ok_or_else(|| absent(0))?;
    Ok(importer.define(name, value)?)
}
