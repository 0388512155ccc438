//! Matrix products with constant weights.

use ndarray::IxDyn;

use super::super::error::{Problem, Stop};
use super::super::node::NodeView;
use super::importer::{Importer, Value};
use super::weights::Arrangement;
use crate::ir::{Op, TensorId};

/// `MatMul` of an activation `[.., K]` and constant weights `[K, N]` or `[K]`, or of constant weights
/// `[M, K]` and an activation `[.., K, N]`.
pub(super) fn matmul<'m>(importer: &mut Importer<'m>, node: &NodeView<'m>) -> Result<(), Stop> {
    let computed = |index| matches!(importer.value(node, index), Some(Value::Activation(..)));
    match (computed(0), computed(1)) {
        (true, true) => Err(Problem::new(
            "both operands are computed at run time",
            "only products with constant weights are supported",
        )
        .into()),
        (true, false) => weights_on_the_right(importer, node),
        _ => weights_on_the_left(importer, node),
    }
}

fn weights_on_the_right<'m>(importer: &mut Importer<'m>, node: &NodeView<'m>) -> Result<(), Stop> {
    let x = importer.activation(node, 0)?;
    let shape = importer.shape(x).to_vec();
    let weights_shape = importer.weights_shape(node, 1)?;
    let (k, n) = match *matrix(&weights_shape)? {
        [k, n] => (k, n),
        [k] => (k, 1),
        _ => return Err(Problem::invalid("its weights are a single number").into()),
    };
    let Some((_, lead)) = shape.split_last().filter(|&(&last, _)| last == k) else {
        return Err(mismatch(&shape, &weights_shape).into());
    };
    let rank = weights_shape.len();
    let mut weights = if rank == 1 {
        importer.weights(node, 1, &Arrangement::Reshaped(vec![1, k]), 1.0)?
    } else {
        let mut perm: Vec<_> = (0..rank).collect();
        perm.swap(rank - 2, rank - 1);
        importer.weights(node, 1, &Arrangement::Transposed(perm), 1.0)?
    };
    if rank > 2 {
        weights = importer.weights_as(weights, &Arrangement::Reshaped(vec![n, k]))?;
    }
    importer.check_channels(weights)?;
    let dense: Vec<_> = lead.iter().copied().chain([n]).collect();
    // ONNX fills the shorter shape up with ones, and leaves N out where the weights are a vector.
    let batches = |rank: usize| rank.saturating_sub(2);
    let mut output = vec![1; batches(rank).saturating_sub(batches(shape.len()))];
    output.extend(if rank == 1 { lead } else { &dense });
    if output == dense {
        importer.emit(node, Op::Dense, &[x, weights], &output)?;
    } else {
        let product = importer.emit_part(node, "product", Op::Dense, &[x, weights], &dense)?;
        importer.emit(node, Op::Reshape, &[product], &output)?;
    }
    Ok(())
}

/// `W · x = (xᵀ · Wᵀ)ᵀ`.
fn weights_on_the_left<'m>(importer: &mut Importer<'m>, node: &NodeView<'m>) -> Result<(), Stop> {
    let x = importer.activation(node, 1)?;
    let shape = importer.shape(x).to_vec();
    let weights_shape = importer.weights_shape(node, 0)?;
    let (&[m, k], [lead @ .., rows, columns]) = (matrix(&weights_shape)?, shape.as_slice()) else {
        return Err(Problem::new(
            format!("it multiplies {weights_shape:?} and {shape:?}"),
            "use matrices on both sides",
        )
        .into());
    };
    if *rows != k || weights_shape.len() > shape.len() {
        return Err(mismatch(&weights_shape, &shape).into());
    }
    let weights = importer.weights(node, 0, &Arrangement::Reshaped(vec![m, k]), 1.0)?;
    importer.check_channels(weights)?;
    let mut perm: Vec<_> = (0..shape.len()).collect();
    perm.swap(lead.len(), lead.len() + 1);
    let with = |last: [usize; 2]| -> Vec<usize> { lead.iter().copied().chain(last).collect() };
    let turn = Op::Transpose { perm };
    let turned = importer.emit_part(node, "turned", turn.clone(), &[x], &with([*columns, k]))?;
    let product =
        importer.emit_part(node, "product", Op::Dense, &[turned, weights], &with([*columns, m]))?;
    importer.emit(node, turn, &[product], &with([m, *columns]))?;
    Ok(())
}

/// The matrix or vector that is left of weights without batches.
fn matrix(shape: &[usize]) -> Result<&[usize], Problem> {
    let (batch, matrix) = shape.split_at(shape.len().saturating_sub(2));
    if batch.iter().all(|&extent| extent == 1) {
        return Ok(matrix);
    }
    Err(Problem::new(
        format!("its weights {shape:?} are a batch of matrices"),
        "use one matrix of weights",
    ))
}

fn mismatch(a: &[usize], b: &[usize]) -> Problem {
    Problem::invalid(format!("the operands {a:?} and {b:?} do not fit"))
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
        return Err(mismatch(&[m, k], &weights_shape).into());
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
