//! Pools.

use super::super::error::{Problem, Stop};
use super::super::node::{self, NodeView};
use super::convolution::spatial;
use super::importer::Importer;
use super::window::Window;
use crate::ir::{Op, Pool};

/// `MaxPool`, of integers as well.
pub(super) fn max_pool<'m>(importer: &mut Importer<'m>, node: &NodeView<'m>) -> Result<(), Stop> {
    if node.output(1).is_some_and(|name| importer.is_wanted(name)) {
        return Err(Problem::new(
            "its positions are used",
            "use only its values: unpooling is not supported",
        )
        .into());
    }
    let (x, kind) = importer.any_activation(node, 0)?;
    let (pool, output) = read(node, importer.shape(x))?;
    importer.emit_kind(node, Op::MaxPool(pool), &[x], &output, kind)?;
    Ok(())
}

/// `AveragePool`.
pub(super) fn average_pool<'m>(
    importer: &mut Importer<'m>,
    node: &NodeView<'m>,
) -> Result<(), Stop> {
    let x = importer.activation(node, 0)?;
    let (pool, output) = read(node, importer.shape(x))?;
    let count_padding = node.flag("count_include_pad", false)?;
    importer.emit(node, Op::AvgPool { pool, count_padding }, &[x], &output)?;
    Ok(())
}

/// `GlobalAveragePool`: the mean over the spatial axes.
pub(super) fn global_average_pool<'m>(
    importer: &mut Importer<'m>,
    node: &NodeView<'m>,
) -> Result<(), Stop> {
    let x = importer.activation(node, 0)?;
    let shape = importer.shape(x).to_vec();
    let spatial = spatial(&shape)?.len();
    let output: Vec<_> = shape[..2].iter().copied().chain(vec![1; spatial]).collect();
    importer.emit(node, Op::Mean { axes: (2..2 + spatial).collect() }, &[x], &output)?;
    Ok(())
}

/// `GlobalMaxPool`: one window that covers the input.
pub(super) fn global_max_pool<'m>(
    importer: &mut Importer<'m>,
    node: &NodeView<'m>,
) -> Result<(), Stop> {
    let (x, kind) = importer.any_activation(node, 0)?;
    let shape = importer.shape(x).to_vec();
    let spatial = spatial(&shape)?;
    let pool = Pool {
        kernel: spatial.to_vec(),
        strides: vec![1; spatial.len()],
        dilations: vec![1; spatial.len()],
        pads_before: vec![0; spatial.len()],
        pads_after: vec![0; spatial.len()],
    };
    let output: Vec<_> = shape[..2].iter().copied().chain(vec![1; spatial.len()]).collect();
    importer.emit_kind(node, Op::MaxPool(pool), &[x], &output, kind)?;
    Ok(())
}

/// The window of a pool and its output shape.
fn read(node: &NodeView<'_>, shape: &[usize]) -> Result<(Pool, Vec<usize>), Problem> {
    let spatial = spatial(shape)?;
    let kernel =
        node.ints("kernel_shape")?.ok_or_else(|| Problem::invalid("it has no kernel_shape"))?;
    let kernel = node::sizes("kernel_shape", kernel)?;
    let window = Window::read(node, spatial, kernel, node.flag("ceil_mode", false)?)?;
    if !window.always_sees(spatial) {
        return Err(Problem::invalid("some of its windows lie in the padding alone"));
    }
    let output = shape[..2].iter().copied().chain(window.output).collect();
    let pool = Pool {
        kernel: window.kernel,
        strides: window.strides,
        dilations: window.dilations,
        pads_before: window.pads_before,
        pads_after: window.pads_after,
    };
    Ok((pool, output))
}
