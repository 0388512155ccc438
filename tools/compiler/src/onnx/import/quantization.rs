//! Quantisation that the model brings along.

use ndarray::ArrayD;
use tract_onnx::prelude::{Datum, DatumType, Tensor};

use super::super::error::{Problem, Stop};
use super::super::node::{self, NodeView};
use super::importer::{Importer, Kind, Value};
use super::operands::{absent, not_constant, reals};
use crate::ir::{Constant, Op, Quant, Tensor as IrTensor};

/// Added to `uint8` values and zero points to get the signed ones that the graph holds.
const SHIFT: i32 = -128;

/// `QuantizeLinear` of an activation, to 8 bits with one scale.
pub(super) fn quantize<'m>(importer: &mut Importer<'m>, node: &NodeView<'m>) -> Result<(), Stop> {
    let x = importer.activation(node, 0)?;
    unblocked(node)?;
    let kind = match importer.constant(node, 2)? {
        Some(zero_point) => byte_kind(zero_point.datum_type())?,
        None => match node.int_or("output_dtype", 0)? {
            0 | 2 => Kind::Integer { unsigned: true },
            3 => Kind::Integer { unsigned: false },
            _ => return Err(not_8_bits("its output").into()),
        },
    };
    let quant = activation_quant(importer, node, kind)?;
    let shape = importer.shape(x).to_vec();
    let id = importer.emit_kind(node, Op::Quantize, &[x], &shape, kind)?;
    importer.graph.tensor_mut(id).quant = Some(quant);
    Ok(())
}

/// `DequantizeLinear` of an activation of 8 bits, or of a constant of 8 or 32 bits.
pub(super) fn dequantize<'m>(importer: &mut Importer<'m>, node: &NodeView<'m>) -> Result<(), Stop> {
    unblocked(node)?;
    match importer.value(node, 0) {
        Some(&Value::Activation(x, kind @ Kind::Integer { .. })) => {
            let quant = activation_quant(importer, node, kind)?;
            importer.set_quant(x, &quant)?;
            let shape = importer.shape(x).to_vec();
            importer.emit(node, Op::Dequantize, &[x], &shape)?;
            Ok(())
        }
        Some(Value::Constant(values)) => {
            let values = values.clone();
            weights(importer, node, &values)
        }
        Some(_) => Err(Problem::invalid("its input holds no integers").into()),
        None => Err(absent(0).into()),
    }
}

/// A constant tensor of integers with its scales.
fn weights<'m>(
    importer: &mut Importer<'m>,
    node: &NodeView<'m>,
    values: &Tensor,
) -> Result<(), Stop> {
    let name = node.output(0).ok_or_else(|| Problem::invalid("its output has no name"))?;
    let (bits, shift) = match values.datum_type() {
        DatumType::I8 => (8, 0),
        DatumType::U8 => (8, SHIFT),
        DatumType::I32 => (32, 0),
        _ => return Err(not_8_bits(node.input(0).unwrap_or_default()).into()),
    };
    let scales = scales(importer, node)?;
    let zero_points = match importer.constant(node, 2)? {
        Some(points) => integers(&points)?.mapv(|point| point.saturating_add(shift)),
        None => ArrayD::from_elem(vec![1], shift),
    };
    if bits == 32 && zero_points.iter().any(|&point| point != 0) {
        return Err(Problem::invalid("32-bit values have a zero point other than 0").into());
    }
    let axis = if scales.len() > 1 || zero_points.len() > 1 {
        let axis = node::axis(node.int_or("axis", 1)?, values.rank())?;
        let extent = values.shape()[axis];
        if [scales.len(), zero_points.len()].iter().any(|&count| count != 1 && count != extent) {
            let reason = format!("{} scales along an axis of {extent}", scales.len());
            return Err(Problem::invalid(reason).into());
        }
        Some(axis)
    } else {
        None
    };
    let mut values = integers(values)?.mapv(|value| value + shift);
    let zero_point = common_zero_point(&mut values, &zero_points, axis, bits)?;
    importer.budget.spend(values.len())?;
    let id = importer.graph.add_tensor(IrTensor {
        name: name.into(),
        shape: values.shape().to_vec(),
        constant: Some(Constant::Integer(values)),
        quant: Some(Quant { axis: axis.filter(|_| scales.len() > 1), scales, zero_point, bits }),
    });
    Ok(importer.define(name, Value::Weights(id))?)
}

/// The one zero point of a tensor. Where every channel has its own, they are subtracted.
fn common_zero_point(
    values: &mut ArrayD<i32>,
    zero_points: &ArrayD<i32>,
    axis: Option<usize>,
    bits: u8,
) -> Result<i32, Problem> {
    let first = zero_points.first().copied().unwrap_or_default();
    let axis = axis.filter(|_| zero_points.iter().any(|&point| point != first));
    let Some(axis) = axis else { return Ok(first) };
    for (channel, point) in values.axis_iter_mut(ndarray::Axis(axis)).zip(zero_points) {
        channel.into_iter().for_each(|value| *value = value.saturating_sub(*point));
    }
    let range = Quant { scales: vec![1.0], zero_point: 0, axis: None, bits }.range();
    if values.iter().all(|&value| (range.0..=range.1).contains(&value)) {
        return Ok(0);
    }
    Err(Problem::new(
        "the channels' zero points are so far from 0 that the values do not fit 8 bits around it",
        "quantise the weights symmetrically (zero point 0)",
    ))
}

/// Scale and zero point of an activation.
fn activation_quant(
    importer: &Importer<'_>,
    node: &NodeView<'_>,
    kind: Kind,
) -> Result<Quant, Problem> {
    let scales = scales(importer, node)?;
    let zero_point = match importer.constant(node, 2)? {
        Some(points) => integers(&points)?,
        None => ArrayD::from_elem(vec![1], 0),
    };
    let (&[scale], Some(&[zero_point])) = (scales.as_slice(), zero_point.as_slice()) else {
        return Err(Problem::new(
            "an activation has several scales",
            "quantise activations per tensor",
        ));
    };
    let shift = if kind == (Kind::Integer { unsigned: true }) { SHIFT } else { 0 };
    let quant = Quant::per_tensor(scale, zero_point.saturating_add(shift));
    let (min, max) = quant.range();
    if !(min..=max).contains(&quant.zero_point) {
        return Err(Problem::invalid(format!("its zero point {zero_point} does not fit its type")));
    }
    Ok(quant)
}

/// The scales of a node: positive and finite.
fn scales(importer: &Importer<'_>, node: &NodeView<'_>) -> Result<Vec<f32>, Problem> {
    let scales = importer.constant(node, 1)?.ok_or_else(|| not_constant(node, 1))?;
    let scales: Vec<_> = reals(node.input(1).unwrap_or_default(), &scales)?.into_iter().collect();
    let sound = |scale: &f32| scale.is_finite() && *scale > 0.0;
    if scales.is_empty() || !scales.iter().all(sound) {
        return Err(Problem::invalid("a scale is not a positive number"));
    }
    Ok(scales)
}

fn integers(values: &Tensor) -> Result<ArrayD<i32>, Problem> {
    let integers = values.cast_to::<i32>().ok().map(std::borrow::Cow::into_owned);
    integers
        .and_then(|integers| integers.into_plain_array::<i32>().ok())
        .ok_or_else(|| Problem::invalid("it holds no integers"))
}

fn byte_kind(kind: DatumType) -> Result<Kind, Problem> {
    if kind == i8::datum_type() {
        Ok(Kind::Integer { unsigned: false })
    } else if kind == u8::datum_type() {
        Ok(Kind::Integer { unsigned: true })
    } else {
        Err(not_8_bits("its output"))
    }
}

fn not_8_bits(what: &str) -> Problem {
    Problem::new(format!("{what} is not of 8 bits"), "quantise to int8 or uint8")
}

fn unblocked(node: &NodeView<'_>) -> Result<(), Problem> {
    if node.int_or("block_size", 0)? == 0 {
        return Ok(());
    }
    Err(Problem::new("it has a scale for each block", "quantise per tensor or per channel"))
}
