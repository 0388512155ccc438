//! Functions of each element.

use super::super::error::{Problem, Stop};
use super::super::node::{self, NodeView};
use super::elementwise::broadcast;
use super::importer::{Importer, Value};
use super::operands::absent;
use crate::ir::{Op, Unary};

/// `Relu`.
pub(super) fn relu<'m>(importer: &mut Importer<'m>, node: &NodeView<'m>) -> Result<(), Stop> {
    unary(importer, node, Unary::Relu)
}

/// `Sigmoid`.
pub(super) fn sigmoid<'m>(importer: &mut Importer<'m>, node: &NodeView<'m>) -> Result<(), Stop> {
    unary(importer, node, Unary::Sigmoid)
}

/// `Tanh`.
pub(super) fn tanh<'m>(importer: &mut Importer<'m>, node: &NodeView<'m>) -> Result<(), Stop> {
    unary(importer, node, Unary::Tanh)
}

/// `HardSwish`.
pub(super) fn hard_swish<'m>(importer: &mut Importer<'m>, node: &NodeView<'m>) -> Result<(), Stop> {
    unary(importer, node, Unary::HardSwish)
}

/// `Swish`: `x · sigmoid(alpha · x)`, with an alpha of 1.
pub(super) fn swish<'m>(importer: &mut Importer<'m>, node: &NodeView<'m>) -> Result<(), Stop> {
    let alpha = node.float_or("alpha", 1.0)?;
    if !node::is_one(alpha) {
        return Err(Problem::new(format!("its alpha is {alpha}"), "use an alpha of 1").into());
    }
    unary(importer, node, Unary::Silu)
}

/// `HardSigmoid`.
pub(super) fn hard_sigmoid<'m>(
    importer: &mut Importer<'m>,
    node: &NodeView<'m>,
) -> Result<(), Stop> {
    let (alpha, beta) = (node.float_or("alpha", 0.2)?, node.float_or("beta", 0.5)?);
    finite(&[alpha, beta])?;
    unary(importer, node, Unary::HardSigmoid { alpha, beta })
}

/// `LeakyRelu`.
pub(super) fn leaky_relu<'m>(importer: &mut Importer<'m>, node: &NodeView<'m>) -> Result<(), Stop> {
    let alpha = node.float_or("alpha", 0.01)?;
    finite(&[alpha])?;
    unary(importer, node, Unary::LeakyRelu { alpha })
}

/// `Clip`: the bounds are attributes up to opset 10, inputs since.
pub(super) fn clip<'m>(importer: &mut Importer<'m>, node: &NodeView<'m>) -> Result<(), Stop> {
    let (min, max) = if node.opset < 11 {
        (node.float("min")?, node.float("max")?)
    } else {
        (importer.real_scalar(node, 1)?, importer.real_scalar(node, 2)?)
    };
    let (min, max) = (min.unwrap_or(f32::NEG_INFINITY), max.unwrap_or(f32::INFINITY));
    if min.is_nan() || max.is_nan() {
        return Err(Problem::invalid("a bound is not a number").into());
    }
    unary(importer, node, Unary::Clip { min, max })
}

/// `PRelu`: a constant slope that broadcasts to x. It stays real, also where the model quantises it.
pub(super) fn prelu<'m>(importer: &mut Importer<'m>, node: &NodeView<'m>) -> Result<(), Stop> {
    let x = importer.activation(node, 0)?;
    let shape = importer.shape(x).to_vec();
    if broadcast(&shape, &importer.weights_shape(node, 1)?)? != shape {
        return Err(Problem::invalid("its slope is larger than its input").into());
    }
    let slope = match importer.value(node, 1) {
        Some(&Value::Weights(_)) => {
            let reals = importer.real_constant(node, 1)?.ok_or_else(|| absent(1))?;
            let name = importer.derived_name(node.input(1).unwrap_or_default(), "real");
            importer.add_constant(name, reals)?
        }
        _ => importer.real(node, 1)?,
    };
    importer.emit(node, Op::PRelu, &[x, slope], &shape)?;
    Ok(())
}

fn unary<'m>(importer: &mut Importer<'m>, node: &NodeView<'m>, unary: Unary) -> Result<(), Stop> {
    let x = importer.activation(node, 0)?;
    let shape = importer.shape(x).to_vec();
    importer.emit(node, Op::Unary(unary), &[x], &shape)?;
    Ok(())
}

fn finite(values: &[f32]) -> Result<(), Problem> {
    if values.iter().all(|value| value.is_finite()) {
        return Ok(());
    }
    Err(Problem::invalid("a coefficient is not a finite number"))
}
