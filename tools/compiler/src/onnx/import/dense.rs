//! Matrix products with constant weights.

use ndarray::IxDyn;

use super::super::error::{Problem, Stop};
use super::super::node::NodeView;
use super::importer::{Importer, Value};
use super::weights::Arrangement;
use crate::ir::{Op, TensorId};

/// `MatMul` of an activation `[.., K]` and constant weights `[K, N]` or `[K]`.
pub(super) fn matmul<'m>(importer: &mut Importer<'m>, node: &NodeView<'m>) -> Result<(), Stop> {
    if !matches!(importer.value(node, 0), Some(Value::Activation(..))) {
        return Err(Problem::new(
            "its weights stand on the left",
            "transpose the product, so that the constant is the second operand",
        )
        .into());
    }
    let x = importer.activation(node, 0)?;
    if matches!(importer.value(node, 1), Some(Value::Activation(..))) {
        return Err(Problem::new(
            "both operands are computed at run time",
            "only products with constant weights are supported",
        )
        .into());
    }
    let shape = importer.shape(x).to_vec();
    let weights_shape = importer.weights_shape(node, 1)?;
    let (batch, matrix) = weights_shape.split_at(weights_shape.len().saturating_sub(2));
    if batch.iter().any(|&extent| extent != 1) {
        return Err(Problem::new(
            format!("its weights {weights_shape:?} are a batch of matrices"),
            "use one matrix of weights",
        )
        .into());
    }
    let (k, n) = match *matrix {
        [k, n] => (k, n),
        [k] => (k, 1),
        _ => return Err(Problem::invalid("its weights are a single number").into()),
    };
    let [lead @ .., last] = shape.as_slice() else {
        return Err(Problem::invalid("its input is a single number").into());
    };
    if *last != k {
        let reason = format!("its operands {shape:?} and {weights_shape:?} do not fit");
        return Err(Problem::invalid(reason).into());
    }
    let arrangement = match *matrix {
        [_, _] => {
            let rank = weights_shape.len();
            let mut perm: Vec<_> = (0..rank).collect();
            perm.swap(rank - 2, rank - 1);
            Arrangement::Transposed(perm)
        }
        _ => Arrangement::Reshaped(vec![1, k]),
    };
    let mut weights = importer.weights(node, 1, &arrangement, 1.0)?;
    if !batch.is_empty() {
        weights = importer.weights_as(weights, &Arrangement::Reshaped(vec![n, k]))?;
    }
    importer.check_channels(weights)?;
    let dense: Vec<_> = lead.iter().copied().chain([n]).collect();
    // ONNX pads the shorter shape with leading ones, and leaves out N where the weights are a vector.
    let mut output = vec![1; weights_shape.len().saturating_sub(shape.len())];
    output.extend(if matrix.len() == 1 { lead } else { &dense });
    if output == dense {
        importer.emit(node, Op::Dense, &[x, weights], &output)?;
    } else {
        let product = importer.emit_part(node, "product", Op::Dense, &[x, weights], &dense)?;
        importer.emit(node, Op::Reshape, &[product], &output)?;
    }
    Ok(())
}

/// `Gemm`: `alpha · A · B + beta · C` with constant B and C.
pub(super) fn gemm<'m>(importer: &mut Importer<'m>, node: &NodeView<'m>) -> Result<(), Stop> {
    let mut x = importer.activation(node, 0)?;
    let (alpha, beta) = (node.float_or("alpha", 1.0)?, node.float_or("beta", 1.0)?);
    let &[mut m, mut k] = importer.shape(x) else {
        let reason = format!("its input {:?} is no matrix", importer.shape(x));
        return Err(Problem::invalid(reason).into());
    };
    if node.flag("transA", false)? {
        (m, k) = (k, m);
        let op = Op::Transpose { perm: vec![1, 0] };
        x = importer.emit_part(node, "transposed", op, &[x], &[m, k])?;
    }
    let transposed = node.flag("transB", false)?;
    let weights_shape = importer.weights_shape(node, 1)?;
    let (inner, n) = match *weights_shape {
        [n, inner] if transposed => (inner, n),
        [inner, n] => (inner, n),
        _ => {
            return Err(
                Problem::invalid(format!("its weights {weights_shape:?} are no matrix")).into()
            );
        }
    };
    if inner != k {
        let reason = format!("its operands [{m}, {k}] and {weights_shape:?} do not fit");
        return Err(Problem::invalid(reason).into());
    }
    let arrangement =
        if transposed { Arrangement::Plain } else { Arrangement::Transposed(vec![1, 0]) };
    let weights = importer.weights(node, 1, &arrangement, alpha)?;
    importer.check_channels(weights)?;
    let mut inputs = vec![x, weights];
    if node.input(2).is_some() && beta != 0.0 {
        inputs.push(bias(importer, node, n, beta)?);
    }
    importer.emit(node, Op::Dense, &inputs, &[m, n])?;
    Ok(())
}

/// The third operand of `Gemm`, as a bias `[N]`.
fn bias<'m>(
    importer: &mut Importer<'m>,
    node: &NodeView<'m>,
    n: usize,
    beta: f32,
) -> Result<TensorId, Stop> {
    let shape = importer.weights_shape(node, 2)?;
    let elements: usize = shape.iter().product();
    if elements == n && shape.last().is_none_or(|&last| last == n) {
        return importer.weights(node, 2, &Arrangement::Reshaped(vec![n]), beta);
    }
    if elements != 1 {
        return Err(Problem::new(
            format!("its third operand {shape:?} differs from row to row"),
            "use a bias with one value for each column",
        )
        .into());
    }
    let name = node.input(2).unwrap_or_default();
    let value = importer.real_constant(node, 2)?.and_then(|values| values.first().copied());
    let values = ndarray::ArrayD::from_elem(IxDyn(&[n]), value.unwrap_or_default() * beta);
    let name = importer.derived_name(name, "arranged");
    Ok(importer.add_constant(name, values)?)
}
