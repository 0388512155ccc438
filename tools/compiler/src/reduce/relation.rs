//! How a node's output channels depend on its inputs' channels.

use crate::ir::{Conv, Graph, Node, Op, SliceAxis, TensorId};

/// What every output channel of a node is computed from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    /// A convolution of one group or a matrix product: each output channel is a sum over all input
    /// channels, and stands for itself.
    Sum {
        /// Whether the weights have an axis for the input's channels.
        by_channel: bool,
    },
    /// Each output channel depends on the input channels that it is linked with only, and the
    /// linked channels exist together or not at all.
    Linked(Vec<Link>),
    /// The output may depend on everything, and needs all of it.
    Opaque,
}

/// A pair of channels, one of an input and one of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Link {
    /// Which input of the node.
    pub(super) input: usize,
    /// The channel of that input.
    pub(super) from: usize,
    /// The channel of the output.
    pub(super) to: usize,
}

/// A relation, and the axis along which the output's channels lie; without one, nothing is known of
/// single channels of the output.
type Related = (Option<usize>, Relation);

const OPAQUE: Related = (None, Relation::Opaque);

/// Relates a node's output to its inputs, given the channel axis of every tensor before it.
pub(super) fn relate(graph: &Graph, node: &Node, axes: &[Option<usize>]) -> Related {
    let x = node.inputs[0];
    let (shape, out_shape) = (&graph.tensor(x).shape, &graph.tensor(node.output).shape);
    let axis = axes[x.0];
    let related = match &node.op {
        Op::Conv(conv) if conv.groups == 1 => {
            Some((1, Relation::Sum { by_channel: axis == Some(1) }))
        }
        Op::Dense => {
            let last = shape.len() - 1;
            let by_channel = axis == Some(last);
            Some((last, Relation::Sum { by_channel }))
        }
        Op::Conv(conv) => grouped(conv, shape[1], out_shape[1], axis),
        Op::Add | Op::Sub | Op::Mul => operands(graph, node, axes),
        Op::Concat { axis } => concat(graph, node, *axis, axes),
        Op::Slice(parts) => axis.and_then(|axis| slice(parts[axis], axis)),
        Op::Reshape => axis.and_then(|axis| reshape(shape, out_shape, axis)),
        op => axis.and_then(|from| {
            let to = axis_behind(op, shape, out_shape, from)?;
            Some((to, Relation::Linked(straight(0, shape[from], 0))))
        }),
    };
    related.map_or(OPAQUE, |(axis, relation)| (Some(axis), relation))
}

/// Links channel *i* of an input with channel *i* + `offset` of the output.
fn straight(input: usize, channels: usize, offset: usize) -> Vec<Link> {
    (0..channels).map(|i| Link { input, from: i, to: i + offset }).collect()
}

/// A group's channels can only go together: all groups have the same size.
fn grouped(
    conv: &Conv,
    in_c: usize,
    out_c: usize,
    axis: Option<usize>,
) -> Option<(usize, Relation)> {
    let (inputs, outputs) = (in_c / conv.groups, out_c / conv.groups);
    let of_output = |to: usize| {
        let first = to / outputs * inputs;
        (first..first + inputs).map(move |from| Link { input: 0, from, to })
    };
    let links = (0..out_c).flat_map(of_output).collect();
    (axis == Some(1)).then_some((1, Relation::Linked(links)))
}

/// The axis of the output whose index *i* depends on index *i* along `axis` of the only input.
fn axis_behind(op: &Op, shape: &[usize], out_shape: &[usize], axis: usize) -> Option<usize> {
    match op {
        // Slopes belong to channels, or there is only one.
        Op::MaxPool(_) | Op::AvgPool { .. } | Op::Resize(_) | Op::PRelu => {
            (axis == 1).then_some(axis)
        }
        Op::Mean { axes } => {
            let dropped = if out_shape.len() == shape.len() { &[][..] } else { axes };
            let before = dropped.iter().filter(|&&dropped| dropped < axis).count();
            (!axes.contains(&axis)).then_some(axis - before)
        }
        Op::Unary(_) => Some(axis),
        Op::Softmax { axis: along } => (axis != *along).then_some(axis),
        Op::Pad { before, after, .. } => (before[axis] + after[axis] == 0).then_some(axis),
        Op::Transpose { perm } => perm.iter().position(|&from| from == axis),
        Op::Conv(_)
        | Op::Dense
        | Op::Add
        | Op::Sub
        | Op::Mul
        | Op::Concat { .. }
        | Op::Slice(_)
        | Op::Reshape
        | Op::ArgMax { .. }
        | Op::BatchNorm { .. }
        | Op::Quantize
        | Op::Dequantize => None,
    }
}

/// Positions and identifiers of the inputs that are no constants.
pub(super) fn activations<'a>(
    graph: &'a Graph,
    node: &'a Node,
) -> impl Iterator<Item = (usize, TensorId)> + 'a {
    let inputs = node.inputs.iter().copied().enumerate();
    inputs.filter(|(_, id)| graph.tensor(*id).constant.is_none())
}

/// Where `axis` of the output is in an operand that is broadcast to it; `None` if the operand has
/// one value (or none of its own) along it.
pub(super) fn operand_axis(shape: &[usize], out_shape: &[usize], axis: usize) -> Option<usize> {
    let own = (axis + shape.len()).checked_sub(out_shape.len())?;
    (shape[own] == out_shape[axis] && shape[own] != 1).then_some(own)
}

/// Operands that have the channels are linked; one that is broadcast along them is the same for all.
fn operands(graph: &Graph, node: &Node, axes: &[Option<usize>]) -> Option<(usize, Relation)> {
    let out_shape = &graph.tensor(node.output).shape;
    let aligned = |id: TensorId| {
        let missing = out_shape.len() - graph.tensor(id).shape.len();
        axes[id.0].map(|axis| axis + missing)
    };
    let carries = |id: TensorId, axis: usize| {
        operand_axis(&graph.tensor(id).shape, out_shape, axis).is_some()
    };
    let axis = activations(graph, node)
        .find_map(|(_, id)| aligned(id).filter(|&axis| carries(id, axis)))?;
    let mut links = Vec::new();
    for (input, id) in activations(graph, node).filter(|(_, id)| carries(*id, axis)) {
        if aligned(id) != Some(axis) {
            return None;
        }
        links.extend(straight(input, out_shape[axis], 0));
    }
    Some((axis, Relation::Linked(links)))
}

fn concat(
    graph: &Graph,
    node: &Node,
    joined: usize,
    axes: &[Option<usize>],
) -> Option<(usize, Relation)> {
    let axis = activations(graph, node).find_map(|(_, id)| axes[id.0])?;
    let mut links = Vec::new();
    let mut offset = 0;
    for (input, id) in node.inputs.iter().enumerate() {
        let tensor = graph.tensor(*id);
        if tensor.constant.is_none() {
            if axes[id.0] != Some(axis) {
                return None;
            }
            links.extend(straight(input, tensor.shape[axis], offset));
        }
        offset += if axis == joined { tensor.shape[axis] } else { 0 };
    }
    Some((axis, Relation::Linked(links)))
}

/// Channels that are left out are linked with nothing: this node does without them.
fn slice(part: SliceAxis, axis: usize) -> Option<(usize, Relation)> {
    let link = |i: usize| Link { input: 0, from: part.start + i, to: i };
    let links = (0..part.len).map(link).collect();
    (part.step == 1 && part.len > 0).then_some((axis, Relation::Linked(links)))
}

/// A reshape keeps an axis, merges it with others into a longer one, or splits it.
fn reshape(from: &[usize], to: &[usize], axis: usize) -> Option<(usize, Relation)> {
    let extent = from[axis];
    let stride: usize = from[axis + 1..].iter().product();
    let linked = |to_axis: usize| {
        let (to_extent, to_stride) = (to[to_axis], to[to_axis + 1..].iter().product::<usize>());
        let link = |from: usize, to: usize| Link { input: 0, from, to };
        if divides(to_stride, stride) && divides(stride * extent, to_stride * to_extent) {
            let merged = |k: usize| link(k * to_stride / stride % extent, k);
            Some((0..to_extent).map(merged).collect::<Vec<_>>())
        } else if divides(stride, to_stride) && divides(to_stride * to_extent, stride * extent) {
            let split = |i: usize| link(i, i * stride / to_stride % to_extent);
            Some((0..extent).map(split).collect())
        } else {
            None
        }
    };
    let mut axes = (0..to.len()).filter(|&to_axis| extent > 1 && to[to_axis] > 1);
    axes.find_map(|to_axis| Some((to_axis, Relation::Linked(linked(to_axis)?))))
}

fn divides(divisor: usize, number: usize) -> bool {
    number.checked_rem(divisor) == Some(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Input channels by output channel.
    fn sources(related: Option<(usize, Relation)>) -> Option<(usize, Vec<(usize, usize)>)> {
        let (axis, Relation::Linked(links)) = related? else { panic!("not linked") };
        Some((axis, links.iter().map(|link| (link.from, link.to)).collect()))
    }

    #[test]
    fn reshapes_keep_merge_and_split_channels() {
        let kept = sources(reshape(&[1, 3, 1, 1], &[1, 3], 1));
        assert_eq!(kept, Some((1, vec![(0, 0), (1, 1), (2, 2)])));
        let merged = sources(reshape(&[1, 2, 1, 3], &[1, 6], 1));
        assert_eq!(merged, Some((1, vec![(0, 0), (0, 1), (0, 2), (1, 3), (1, 4), (1, 5)])));
        let innermost = sources(reshape(&[1, 3, 2], &[6], 2));
        assert_eq!(innermost, Some((0, vec![(0, 0), (1, 1), (0, 2), (1, 3), (0, 4), (1, 5)])));
        let split = sources(reshape(&[1, 4], &[1, 2, 2], 1));
        assert_eq!(split, Some((1, vec![(0, 0), (1, 0), (2, 1), (3, 1)])));
        assert_eq!(sources(reshape(&[2, 3, 1], &[3, 2, 1], 1)), None, "torn apart");
    }

    #[test]
    fn groups_are_linked_as_a_whole() {
        let conv = Conv {
            kernel: vec![1],
            strides: vec![1],
            dilations: vec![1],
            pads_before: vec![0],
            pads_after: vec![0],
            groups: 2,
        };
        let links = sources(grouped(&conv, 4, 2, Some(1)));
        assert_eq!(links, Some((1, vec![(0, 0), (1, 0), (2, 1), (3, 1)])));
        assert_eq!(sources(grouped(&conv, 2, 4, None)), None);
    }

    #[test]
    fn reduced_axes_shift_the_channels() {
        let mean = Op::Mean { axes: vec![2, 3] };
        assert_eq!(axis_behind(&mean, &[1, 8, 4, 4], &[1, 8], 1), Some(1));
        assert_eq!(axis_behind(&mean, &[1, 8, 4, 4], &[1, 8, 1, 1], 2), None);
        let rows = Op::Mean { axes: vec![1, 2] };
        assert_eq!(axis_behind(&rows, &[1, 4, 4, 8], &[1, 8], 3), Some(1));
        assert_eq!(axis_behind(&rows, &[1, 4, 4, 8], &[1, 1, 1, 8], 3), Some(3));
    }
}
