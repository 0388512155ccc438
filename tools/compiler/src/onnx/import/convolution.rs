//! Convolution.

use super::super::error::{Problem, Stop};
use super::super::node::{self, NodeView};
use super::importer::Importer;
use super::weights::Arrangement;
use super::window::Window;
use crate::ir::{Conv, Op};

/// `Conv`: x `[1, C, spatial..]`, weights `[O, C / group, kernel..]`, optional bias `[O]`.
pub(super) fn conv<'m>(importer: &mut Importer<'m>, node: &NodeView<'m>) -> Result<(), Stop> {
    let x = importer.activation(node, 0)?;
    let shape = importer.shape(x).to_vec();
    let weights_shape = importer.weights_shape(node, 1)?;
    let spatial = spatial(&shape)?;
    let groups = usize::try_from(node.int_or("group", 1)?).unwrap_or(0);
    let kernel = kernel(node, &shape, &weights_shape, groups)?;
    let window = Window::read(node, spatial, kernel, false)?;
    let weights = importer.weights(node, 1, &Arrangement::Plain, 1.0)?;
    importer.check_channels(weights)?;
    let mut inputs = vec![x, weights];
    if node.input(2).is_some() {
        let bias_shape = importer.weights_shape(node, 2)?;
        if bias_shape != [weights_shape[0]] {
            let reason =
                format!("its bias has the shape {bias_shape:?}, not [{}]", weights_shape[0]);
            return Err(Problem::invalid(reason).into());
        }
        inputs.push(importer.weights(node, 2, &Arrangement::Plain, 1.0)?);
    }
    let output: Vec<_> = [1, weights_shape[0]].into_iter().chain(window.output).collect();
    let op = Op::Conv(Conv {
        kernel: window.kernel,
        strides: window.strides,
        dilations: window.dilations,
        pads_before: window.pads_before,
        pads_after: window.pads_after,
        groups,
    });
    importer.emit(node, op, &inputs, &output)?;
    Ok(())
}

/// The spatial extents of an activation `[1, C, H, W]` or `[1, C, W]`.
pub(super) fn spatial(shape: &[usize]) -> Result<&[usize], Problem> {
    match shape {
        [1, _, spatial @ ..] if matches!(spatial.len(), 1 | 2) => Ok(spatial),
        [_, _, spatial @ ..] if matches!(spatial.len(), 1 | 2) => Err(Problem::new(
            format!("its input {shape:?} has a batch of {}", shape[0]),
            "export the model with batch 1 or a symbolic batch",
        )),
        _ => Err(Problem::new(
            format!("its input {shape:?} has {} spatial axes", shape.len().saturating_sub(2)),
            "use one or two spatial axes",
        )),
    }
}

/// The kernel extents, once the channels are found to fit.
fn kernel(
    node: &NodeView<'_>,
    shape: &[usize],
    weights: &[usize],
    groups: usize,
) -> Result<Vec<usize>, Problem> {
    let [outputs, per_group, kernel @ ..] = weights else {
        return Err(Problem::invalid(format!("its weights have the shape {weights:?}")));
    };
    if let Some(stated) = node.ints("kernel_shape")?
        && node::sizes("kernel_shape", stated)? != kernel
    {
        let reason = format!("kernel_shape {stated:?} contradicts its weights {weights:?}");
        return Err(Problem::invalid(reason));
    }
    let fits = groups > 0
        && weights.len() == shape.len()
        && per_group.checked_mul(groups) == Some(shape[1])
        && outputs % groups == 0
        && *outputs > 0;
    if !fits {
        return Err(Problem::invalid(format!(
            "weights {weights:?} in {groups} groups do not fit the input {shape:?}"
        )));
    }
    Ok(kernel.to_vec())
}
