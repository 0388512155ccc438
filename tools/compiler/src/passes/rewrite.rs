//! What the passes have in common: looking upstream, and taking nodes out.

use ndarray::{Array1, ArrayD, Axis, IxDyn};

use crate::ir::{Constant, Graph, Node, Op, Quant, Tensor, TensorId};

/// Gives `ids`, which hold the same values, the one `quant` that any of them has. `false`, and
/// nothing is changed, if two of them have different ones.
pub(super) fn unify_quant(graph: &mut Graph, ids: &[TensorId]) -> bool {
    let mut given = ids.iter().filter_map(|id| graph.tensor(*id).quant.as_ref());
    let Some(first) = given.next() else {
        return true;
    };
    if given.any(|other| other != first) {
        return false;
    }
    let quant = Some(first.clone());
    for id in ids {
        graph.tensor_mut(*id).quant.clone_from(&quant);
    }
    true
}

/// Takes out a node whose output has the values of its first input. `false` if it has to stay:
/// both are rounded differently, or it connects two ports of the model.
pub(super) fn bypass(graph: &mut Graph, index: usize) -> bool {
    let node = &graph.nodes[index];
    let (x, y) = (node.inputs[0], node.output);
    if graph.outputs.contains(&y) {
        let constant = graph.tensor(x).constant.is_some();
        if constant || graph.inputs.contains(&x) || graph.outputs.contains(&x) {
            return false;
        }
    }
    if !unify_quant(graph, &[x, y]) {
        return false;
    }
    if graph.outputs.contains(&y) {
        graph.tensor_mut(x).name = graph.tensor(y).name.clone();
    }
    graph.replace_uses(y, x);
    graph.nodes.remove(index);
    true
}

/// The computation behind a tensor, seen through nodes that only move elements.
pub(super) struct Source {
    /// Index of the node.
    pub(super) node: usize,
    /// The tensors from the node's output to the tensor itself, nearest last. Each is read by the
    /// next node on the way only.
    pub(super) tensors: Vec<TensorId>,
    /// The axis of the node's output that became the axis which was asked for.
    pub(super) axis: Option<usize>,
}

impl Source {
    /// Whether [`axis`](Self::axis) is the one that the node has weights and a bias for.
    pub(super) fn is_channel_axis(&self, graph: &Graph) -> bool {
        let node = &graph.nodes[self.node];
        match node.op {
            Op::Conv(_) => self.axis == Some(1),
            Op::Dense => self.axis == Some(graph.tensor(node.output).shape.len() - 1),
            _ => false,
        }
    }
}

/// Looks for the node that computes `id`, through reshapes and transposes. What is done to every
/// element (or every channel along `axis`) of `id` can then be done by that node itself.
///
/// `None` if somebody else reads a tensor on the way, one is rounded other than by `quant`, or a
/// reshape dissolves the axis.
pub(super) fn source(
    graph: &Graph,
    mut id: TensorId,
    mut axis: Option<usize>,
    quant: Option<&Quant>,
) -> Option<Source> {
    let mut tensors = Vec::new();
    loop {
        let rounded = graph.tensor(id).quant.as_ref();
        if rounded.is_some() && rounded != quant {
            return None;
        }
        graph.sole_consumer(id)?;
        tensors.insert(0, id);
        let index = graph.producer(id)?;
        let node = &graph.nodes[index];
        match (&node.op, node.clamp) {
            (Op::Reshape, None) => {
                let (from, to) = (&graph.tensor(node.inputs[0]).shape, &graph.tensor(id).shape);
                axis = match axis {
                    Some(axis) => Some(axis_before_reshape(from, to, axis)?),
                    None => None,
                };
            }
            (Op::Transpose { perm }, None) => axis = axis.map(|axis| perm[axis]),
            _ => return Some(Source { node: index, tensors, axis }),
        }
        id = node.inputs[0];
    }
}

/// The axis of `from` which a reshape to `to` keeps as `axis`.
fn axis_before_reshape(from: &[usize], to: &[usize], axis: usize) -> Option<usize> {
    let lead: usize = to[..axis].iter().product();
    let same = |&before: &usize| {
        from[before] == to[axis] && from[..before].iter().product::<usize>() == lead
    };
    // Axes of length 1 are alike: the one in the same place is meant.
    [axis].into_iter().chain(0..from.len()).filter(|&axis| axis < from.len()).find(same)
}

/// Takes out node `index`, whose work the node behind `source` now does: the tensors on the way
/// hold its output values from now on.
pub(super) fn absorb(graph: &mut Graph, index: usize, source: &Source) {
    let y = graph.nodes[index].output;
    let Tensor { name, quant, .. } = graph.tensor(y).clone();
    let Some((&x, before)) = source.tensors.split_last() else {
        return;
    };
    for (place, id) in before.iter().enumerate() {
        graph.tensor_mut(*id).name = format!("{name}/moved{place}");
    }
    graph.tensor_mut(x).name = name;
    graph.tensor_mut(x).quant = quant;
    graph.replace_uses(y, x);
    graph.nodes.remove(index);
}

/// Whether a factor changes nothing at all.
#[expect(clippy::float_cmp, reason = "a factor near 1 is a factor")]
pub(super) fn is_one(factor: f64) -> bool {
    factor == 1.0
}

/// The value of a constant of one element.
pub(super) fn scalar(graph: &Graph, id: TensorId) -> Option<f32> {
    let tensor = graph.tensor(id);
    let values = if tensor.len() == 1 { tensor.real_values()? } else { return None };
    values.first().copied()
}

/// A constant that acts per channel: where it is broadcast to the last axes of `shape`, it varies
/// along one axis at most.
pub(super) struct PerChannel {
    /// The axis of `shape`; `None` for a single value.
    pub(super) axis: Option<usize>,
    /// One value, or one per channel.
    pub(super) values: Vec<f64>,
}

/// Reads `id` as a constant that acts per channel of a tensor of this shape.
pub(super) fn per_channel(graph: &Graph, id: TensorId, shape: &[usize]) -> Option<PerChannel> {
    let tensor = graph.tensor(id);
    let offset = shape.len().checked_sub(tensor.shape.len())?;
    let mut longer = (0..tensor.shape.len()).filter(|&axis| tensor.shape[axis] != 1);
    let axis = longer.next().map(|axis| axis + offset);
    if longer.next().is_some() || axis.is_some_and(|axis| shape[axis] != tensor.len()) {
        return None;
    }
    let values = tensor.real_values()?.iter().copied().map(f64::from).collect();
    Some(PerChannel { axis, values })
}

/// Splits the operands of a node into the activation and the constant.
///
/// The flag tells whether the constant comes first.
pub(super) fn constant_operand(graph: &Graph, node: &Node) -> Option<(TensorId, TensorId, bool)> {
    let &[a, b] = &node.inputs[..] else {
        return None;
    };
    let constant = |id: TensorId| graph.tensor(id).constant.is_some();
    match (constant(a), constant(b)) {
        (false, true) => Some((a, b, false)),
        (true, false) => Some((b, a, true)),
        _ => None,
    }
}

/// Replaces the outputs `y[c]` of a convolution or matrix product by `scale[c] · y[c] + shift[c]`
/// (one value counts for all channels). `false`, and nothing is changed, if its weights or biases
/// are integers already.
pub(super) fn scale_channels(
    graph: &mut Graph,
    index: usize,
    scale: &[f64],
    shift: &[f64],
) -> bool {
    let node = &graph.nodes[index];
    if !node.op.has_weights() || node.clamp.is_some() {
        return false;
    }
    let real = |id: &TensorId| match &graph.tensor(*id).constant {
        Some(Constant::Real(values)) => Some(values.clone()),
        _ => None,
    };
    let scales = scale.iter().any(|&s| !is_one(s));
    let weights = real(&node.inputs[1]);
    let bias = node.inputs.get(2).map(real);
    if (scales && weights.is_none()) || bias == Some(None) {
        return false;
    }
    let channels = graph.tensor(node.inputs[1]).shape[0];
    let at = |values: &[f64], channel: usize| values[if values.len() == 1 { 0 } else { channel }];
    let bias = bias.flatten().unwrap_or_else(|| ArrayD::zeros(IxDyn(&[channels])));
    let scaled = bias
        .iter()
        .enumerate()
        .map(|(channel, &b)| (f64::from(b) * at(scale, channel) + at(shift, channel)) as f32);
    let bias = Array1::from_iter(scaled).into_dyn();
    set_bias(graph, index, Constant::Real(bias), None);
    if let (true, Some(mut weights)) = (scales, weights) {
        for (channel, mut row) in weights.axis_iter_mut(Axis(0)).enumerate() {
            row.mapv_inplace(|w| (f64::from(w) * at(scale, channel)) as f32);
        }
        set_weights(graph, index, weights);
    }
    true
}

/// Gives a convolution or matrix product other weights (a new tensor: another node may share the
/// old one).
pub(super) fn set_weights(graph: &mut Graph, index: usize, weights: ArrayD<f32>) {
    let name = graph.tensor(graph.nodes[index].inputs[1]).name.clone();
    graph.nodes[index].inputs[1] = graph.add_constant(name, weights);
}

/// Gives a convolution or matrix product another bias.
pub(super) fn set_bias(graph: &mut Graph, index: usize, bias: Constant, quant: Option<Quant>) {
    let node = &graph.nodes[index];
    let name = match node.inputs.get(2) {
        Some(bias) => graph.tensor(*bias).name.clone(),
        None => format!("{}/bias", graph.tensor(node.inputs[1]).name),
    };
    let shape = match &bias {
        Constant::Real(values) => values.shape().to_vec(),
        Constant::Integer(values) => values.shape().to_vec(),
    };
    let id = graph.add_tensor(Tensor { name, shape, constant: Some(bias), quant });
    let inputs = &mut graph.nodes[index].inputs;
    inputs.truncate(2);
    inputs.push(id);
}

/// `first`, then `second`, as one clamp.
pub(super) fn compose_clamps(first: Option<(f32, f32)>, second: (f32, f32)) -> (f32, f32) {
    let (min, max) = second;
    let bound = |x: f32| x.max(min).min(max);
    first.map_or(second, |(low, high)| (bound(low), bound(high)))
}
