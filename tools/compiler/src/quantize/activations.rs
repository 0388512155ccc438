//! Chooses the quantisation of activations that have none.

use std::collections::BTreeMap;

use super::share::{activations, shares};
use super::{QuantizeError, QuantizeOptions, place, wide};
use crate::calibrate::{Range, Ranges};
use crate::ir::{Graph, Node, Op, PadMode, Quant, Tensor, TensorId, Unary};

/// Below this a range is nothing but zero.
const SMALLEST_WIDTH: f64 = 1e-20;

/// The 8-bit quantisation of a range, in which zero is exact.
///
/// A range of zero only, of which nothing is known, gets that of 0 to 1.
pub(crate) fn affine(range: Range) -> Quant {
    let (min, max) = (f64::from(range.min), f64::from(range.max));
    if max - min < SMALLEST_WIDTH {
        return Quant::per_tensor(1.0 / 255.0, -128);
    }
    let scale = (max - min) / 255.0;
    let zero_point = (-128.0 - min / scale).round().clamp(-128.0, 127.0);
    Quant::per_tensor(scale as f32, zero_point as i32)
}

/// What an 8-bit tensor can hold.
fn representable(quant: &Quant) -> Range {
    let (min, max) = quant.range();
    Range::new(quant.dequantize(min, 0) as f32, quant.dequantize(max, 0) as f32)
}

/// Gives every activation without a quantisation one: from `ranges`, or from what the operator can
/// compute at all. Those which `options` wants to have 16 bits are converted to 8 where they must be.
pub(super) fn choose(
    graph: &mut Graph,
    ranges: Option<&Ranges>,
    options: &QuantizeOptions,
) -> Result<(), QuantizeError> {
    let groups = groups(graph);
    let mut members: BTreeMap<usize, Vec<TensorId>> = BTreeMap::new();
    for id in open_in_order(graph) {
        members.entry(groups[id.0]).or_default().push(id);
    }
    let mut first: Vec<&Vec<TensorId>> = members.values().collect();
    // A group may look at the quantisation of what its first member is computed from.
    let order: BTreeMap<TensorId, usize> =
        open_in_order(graph).into_iter().enumerate().map(|(place, id)| (id, place)).collect();
    first.sort_by_key(|members| order[&members[0]]);
    for members in first {
        let known = choose_for(graph, members, ranges)?;
        let narrow = known.quant();
        let wide = wide::quant(graph, members, known.range(), options);
        let quant = wide.as_ref().unwrap_or(&narrow);
        for id in members {
            graph.tensor_mut(*id).quant = Some(quant.clone());
        }
        if wide.is_some() {
            members.iter().for_each(|&id| wide::narrow_readers(graph, id, &narrow));
        }
    }
    Ok(())
}

/// The activations without a quantisation, in the order in which they are computed.
fn open_in_order(graph: &Graph) -> Vec<TensorId> {
    let computed = graph.nodes.iter().map(|node| node.output);
    let all = graph.inputs.iter().copied().chain(computed);
    all.filter(|id| graph.tensor(*id).quant.is_none()).collect()
}

/// For each tensor the number of the group with which it shares its integers.
fn groups(graph: &Graph) -> Vec<usize> {
    let mut group: Vec<usize> = (0..graph.tensors.len()).collect();
    let mut join = |a: TensorId, b: TensorId| {
        let (from, to) = (group[a.0].max(group[b.0]), group[a.0].min(group[b.0]));
        group.iter_mut().filter(|g| **g == from).for_each(|g| *g = to);
    };
    let open = |id: TensorId| graph.tensor(id).quant.is_none();
    for node in graph.nodes.iter().filter(|node| shares(&node.op) && open(node.output)) {
        activations(graph, node).filter(|id| open(*id)).for_each(|id| join(id, node.output));
    }
    for &(output, input) in graph.states.iter().filter(|(a, b)| open(*a) && open(*b)) {
        join(output, input);
    }
    group
}

/// What is known about the values of a tensor.
#[derive(Clone, Debug, PartialEq)]
enum Known {
    /// The customary quantisation of a function's values.
    Exactly(Quant),
    Within(Range),
}

impl Known {
    fn range(&self) -> Range {
        match self {
            Self::Exactly(quant) => representable(quant),
            Self::Within(range) => *range,
        }
    }

    /// In 8 bits.
    fn quant(&self) -> Quant {
        match self {
            Self::Exactly(quant) => quant.clone(),
            Self::Within(range) => affine(*range),
        }
    }
}

fn choose_for(
    graph: &Graph,
    members: &[TensorId],
    ranges: Option<&Ranges>,
) -> Result<Known, QuantizeError> {
    let node_of = |id: TensorId| graph.producer(id).map(|index| &graph.nodes[index]);
    let calibrated = |id: TensorId| {
        let range = ranges?.get(&graph.tensor(id).name)?;
        let clamp = node_of(id).and_then(|node| node.clamp);
        Some(Known::Within(clamp.map_or(range, |clamp| range.clamp(clamp))))
    };
    // Values enter the group where a node computes them, and are only moved from there on.
    let is_moved = |id: &TensorId| node_of(*id).is_some_and(|node| shares(&node.op));
    let (moved, sources): (Vec<TensorId>, Vec<TensorId>) =
        members.iter().partition(|id| is_moved(id));
    let moved: Vec<Known> = moved.iter().filter_map(|&id| calibrated(id)).collect();
    let mut computed = Vec::new();
    for &id in &sources {
        let node = node_of(id);
        let found = node
            .and_then(customary)
            .or_else(|| calibrated(id))
            .or_else(|| node.and_then(|node| analytic(graph, node)));
        // What a pass made has no range of its own, but the model's tensor that it is moved to.
        if found.is_none() && moved.is_empty() {
            return Err(no_range(graph, id));
        }
        computed.extend(found);
    }
    let joined = || members.iter().filter_map(|&id| node_of(id)).flat_map(|n| joined_by(graph, n));
    if let Some(Known::Exactly(quant)) = computed.first() {
        let alike = computed.len() == sources.len() && computed.iter().all(|k| *k == computed[0]);
        let range = representable(quant);
        if alike && joined().all(|joined| range.union(joined) == range) {
            return Ok(Known::Exactly(quant.clone()));
        }
    }
    let known = computed.iter().chain(&moved).map(Known::range).chain(joined());
    known.reduce(Range::union).map(Known::Within).ok_or_else(|| no_range(graph, members[0]))
}

fn no_range(graph: &Graph, id: TensorId) -> QuantizeError {
    let place = match graph.producer(id) {
        Some(index) => place(&graph.nodes[index]),
        None => "model input".to_owned(),
    };
    QuantizeError::NoRange { tensor: graph.tensor(id).name.clone(), place }
}

/// Functions whose values are known by definition: the quantisation that `TFLite` and ONNX Runtime
/// use for them.
fn customary(node: &Node) -> Option<Known> {
    if node.clamp.is_some() {
        return None;
    }
    match node.op {
        Op::Softmax { .. } | Op::Unary(Unary::Sigmoid) => {
            Some(Known::Exactly(Quant::per_tensor(1.0 / 256.0, -128)))
        }
        Op::Unary(Unary::Tanh) => Some(Known::Exactly(Quant::per_tensor(1.0 / 128.0, 0))),
        _ => None,
    }
}

/// What a node can compute from what its input can hold.
fn analytic(graph: &Graph, node: &Node) -> Option<Known> {
    let input = graph.tensor(*node.inputs.first()?).quant.as_ref()?;
    let range = match &node.op {
        Op::Unary(unary) => function_range(|x| unary.eval(x), input),
        Op::PRelu => {
            let slopes = graph.tensor(node.inputs[1]).real_values()?;
            let rectified = |slope: f32| {
                function_range(|x| if x < 0.0 { x * f64::from(slope) } else { x }, input)
            };
            slopes.iter().map(|&slope| rectified(slope)).reduce(Range::union)?
        }
        // A mean lies between its summands.
        Op::AvgPool { .. } | Op::Mean { .. } if node.clamp.is_none() => {
            return Some(Known::Exactly(input.clone()));
        }
        Op::AvgPool { .. } | Op::Mean { .. } => representable(input),
        Op::Softmax { .. } => Range { min: 0.0, max: 1.0 },
        _ => return None,
    };
    Some(Known::Within(node.clamp.map_or(range, |clamp| range.clamp(clamp))))
}

/// The values of a function for every integer of its input.
fn function_range(function: impl Fn(f64) -> f64, input: &Quant) -> Range {
    let (min, max) = input.range();
    (min..=max).fold(Range::default(), |range, q| {
        let value = function(input.dequantize(q, 0)) as f32;
        range.union(Range::new(value, value))
    })
}

/// Values that a moving operator brings in from outside of the group: a border, constants, and
/// inputs whose quantisation is given.
fn joined_by(graph: &Graph, node: &Node) -> Vec<Range> {
    let of = |value: f32| Range::new(value, value);
    match &node.op {
        Op::Pad { mode: PadMode::Constant(value), .. } => vec![of(*value)],
        Op::Concat { .. } => {
            let tensors = || node.inputs.iter().map(|id| graph.tensor(*id));
            let given = tensors().filter(|tensor| tensor.constant.is_none());
            let given = given.filter_map(|tensor| tensor.quant.as_ref());
            let constants = tensors().filter_map(Tensor::real_values).flatten();
            given.map(representable).chain(constants.map(of)).collect()
        }
        _ => Vec::new(),
    }
}
