//! Activations of 16 bits: which tensors can have them, and with which scale.
//!
//! Convolutions and matrix products read and write 16 bits, reshapes and transposes pass them on.
//! What else reads such a tensor gets a copy in 8 bits. If nothing but that reads it, it has 8 bits
//! at once.
//!
//! Sums over 16-bit elements must fit 32 bits, with a bias of up to half of them. Where the weights of
//! a layer that reads a tensor are too large or too many for that, the tensor has fewer than 16 bits,
//! held in 16.

use super::share::{self, shares};
use super::{QuantizeOptions, WeightScale};
use crate::calibrate::Range;
use crate::ir::{Constant, Graph, Node, Op, Quant, TensorId};

/// With fewer bits than this a tensor has 8.
const LEAST_BITS: u8 = 10;
/// What products with 8-bit weights may add up to, so that a bias fits beside them.
const SUM_LIMIT: f64 = (1 << 30) as f64;
/// A range that is smaller than this is nothing but zero.
const SMALLEST: f64 = 1e-20;

/// Whether an operator reads and writes elements of 16 bits.
pub(super) fn takes_wide(op: &Op) -> bool {
    op.has_weights() || matches!(op, Op::Reshape | Op::Transpose { .. })
}

/// The 16-bit quantisation of tensors that share their integers, if they shall and can have one.
pub(super) fn quant(
    graph: &Graph,
    members: &[TensorId],
    range: Range,
    options: &QuantizeOptions,
) -> Option<Quant> {
    let wanted = |id: &TensorId| {
        let layer = graph.producer(*id).map(|index| &graph.nodes[index]);
        layer.is_some_and(|node| node.op.has_weights() && options.wide.contains(&node.name))
    };
    let largest = f64::from(range.max).max(-f64::from(range.min));
    (members.iter().any(wanted) && can_be_wide(graph, members) && largest >= SMALLEST)
        .then_some(())?;
    let readers = members.iter().flat_map(|&id| graph.consumers(id));
    let layers = readers.map(|index| &graph.nodes[index]).filter(|node| node.op.has_weights());
    let sum = layers.map(|node| largest_sum(graph, node, options)).fold(0.0, f64::max);
    let fits = |bits: &u8| sum * f64::from(bits - 1).exp2() <= SUM_LIMIT;
    let bits = (LEAST_BITS..=16).rev().find(fits)?;
    let scale = largest / (f64::from(bits - 1).exp2() - 1.0);
    Some(Quant { bits, ..Quant::per_tensor(scale as f32, 0) })
}

/// Whether all who write and share these tensors take 16 bits, and somebody gains by it.
fn can_be_wide(graph: &Graph, members: &[TensorId]) -> bool {
    let op = |index: usize| &graph.nodes[index].op;
    let is_state = |id: TensorId| graph.states.iter().any(|&(o, i)| o == id || i == id);
    let written = |id: TensorId| graph.producer(id).is_some_and(|index| takes_wide(op(index)));
    let shared = |index: usize| takes_wide(op(index)) || !shares(op(index));
    let gains = |id: TensorId| {
        graph.outputs.contains(&id) || graph.consumers(id).iter().any(|&n| op(n).has_weights())
    };
    let possible = |&id: &TensorId| {
        written(id) && !is_state(id) && graph.consumers(id).into_iter().all(shared)
    };
    members.iter().all(possible) && members.iter().any(|&id| gains(id))
}

/// The most that the magnitudes of a layer's integer weights add up to, over its output channels.
fn largest_sum(graph: &Graph, node: &Node, options: &QuantizeOptions) -> f64 {
    let weights = graph.tensor(node.inputs[1]);
    let taps = (weights.len() / weights.shape[0].max(1)) as f64;
    let of_channel = |magnitudes: Vec<f64>| {
        let largest = magnitudes.iter().fold(0.0, |largest: f64, &w| largest.max(w));
        let sum: f64 = magnitudes.iter().sum();
        match weights.constant {
            Some(Constant::Real(_)) => {
                // At the finest scale that is tried; rounding moves a weight by a step at most.
                let finest = if options.weights == WeightScale::Mse { 254.0 } else { 127.0 };
                (finest * sum / largest.max(f64::MIN_POSITIVE) + taps).min(127.0 * taps)
            }
            _ => sum,
        }
    };
    let rows: Vec<Vec<f64>> = match &weights.constant {
        Some(Constant::Real(values)) => {
            let row = |row: ndarray::ArrayViewD<f32>| row.iter().map(|&w| w.abs().into()).collect();
            values.outer_iter().map(row).collect()
        }
        Some(Constant::Integer(values)) => {
            let zero = weights.quant.as_ref().map_or(0, |quant| quant.zero_point);
            let row = |row: ndarray::ArrayViewD<i32>| {
                row.iter().map(|&w| (w - zero).abs().into()).collect()
            };
            values.outer_iter().map(row).collect()
        }
        None => Vec::new(),
    };
    rows.into_iter().map(of_channel).fold(0.0, f64::max)
}

/// Gives operators that take 8 bits only a copy of a wide tensor in the integers of `narrow`.
pub(super) fn narrow_readers(graph: &mut Graph, id: TensorId, narrow: &Quant) {
    let takes = |index: &usize| takes_wide(&graph.nodes[*index].op);
    let others: Vec<usize> = graph.consumers(id).into_iter().filter(|n| !takes(n)).collect();
    let Some(&first) = others.first() else {
        return;
    };
    let copy = share::conversion(graph, id, Some(narrow), first);
    for index in others {
        // The conversion came before it.
        let inputs = graph.nodes[index + 1].inputs.iter_mut();
        inputs.filter(|input| **input == id).for_each(|input| *input = copy);
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, Array4, arr1};

    use super::super::quantize;
    use super::*;
    use crate::calibrate::Ranges;
    use crate::ir::{Conv, Node, Unary};
    use crate::quantize::{QuantizeError, WideLayers, accumulator, requant};

    /// Nodes one behind the other, each over `[1, 4]`; their ranges are −1 to 2.
    fn chain(ops: &[(&str, Op)]) -> Graph {
        let mut graph = Graph::default();
        let mut last = graph.add_activation("x", &[1, 4]);
        graph.inputs.push(last);
        for (name, op) in ops {
            let mut inputs = vec![last];
            if op.has_weights() {
                let weights =
                    Array2::from_shape_fn((4, 4), |(n, k)| 0.1 * (n + 2 * k) as f32 - 0.3);
                inputs.push(graph.add_constant(format!("{name}/w"), weights.into_dyn()));
                let bias = arr1(&[0.1, -0.2, 0.3, 0.0]).into_dyn();
                inputs.push(graph.add_constant(format!("{name}/b"), bias));
            }
            last = graph.add_activation(*name, &[1, 4]);
            let name = (*name).to_owned();
            graph.nodes.push(Node { name, op: op.clone(), inputs, output: last, clamp: None });
        }
        graph.outputs.push(last);
        graph
    }

    fn quantised(graph: &Graph, wide: WideLayers) -> Result<Graph, QuantizeError> {
        let mut graph = graph.clone();
        let names = graph.tensors.iter().map(|tensor| tensor.name.clone());
        let ranges: Ranges = names.map(|name| (name, Range::new(-1.0, 2.0))).collect();
        let options = QuantizeOptions { wide, ..QuantizeOptions::default() };
        quantize(&mut graph, Some(&ranges), None, &options)?;
        graph.validate().unwrap();
        Ok(graph)
    }

    /// Bits of each node's output, by its name.
    fn bits(graph: &Graph) -> Vec<(&str, u8)> {
        let of = |node: &Node| graph.tensor(node.output).quant.as_ref().map_or(0, |q| q.bits);
        graph.nodes.iter().map(|node| (node.name.as_str(), of(node))).collect()
    }

    fn named(name: &str) -> WideLayers {
        WideLayers::Named([name.to_owned()].into())
    }

    #[test]
    fn layers_and_what_moves_their_outputs_are_wide() {
        let graph = chain(&[("a", Op::Dense), ("b", Op::Reshape), ("c", Op::Dense)]);
        let of = |wide| quantised(&graph, wide).unwrap();
        assert_eq!(bits(&of(WideLayers::None)), [("a", 8), ("b", 8), ("c", 8)]);
        assert_eq!(bits(&of(WideLayers::All)), [("a", 16), ("b", 16), ("c", 16)]);
        assert_eq!(bits(&of(named("a"))), [("a", 16), ("b", 16), ("c", 8)]);
        let wide = of(WideLayers::All);
        let quant = wide.tensor(wide.nodes[0].output).quant.as_ref().unwrap();
        assert_eq!((quant.zero_point, quant.quantize(2.0, 0)), (0, 32767), "symmetric");
    }

    #[test]
    fn other_operators_read_a_copy_of_8_bits() {
        let mut graph = chain(&[("a", Op::Dense), ("b", Op::Dense)]);
        let read = graph.nodes[0].output;
        let output = graph.add_activation("c", &[1, 4]);
        let op = Op::Unary(Unary::Sigmoid);
        graph.nodes.push(Node { name: "c".into(), op, inputs: vec![read], output, clamp: None });
        graph.outputs.push(output);
        let wide = quantised(&graph, named("a")).unwrap();
        assert_eq!(bits(&wide), [("a", 16), ("b", 8), ("a/converted", 8), ("c", 8)]);
        let narrow = quantised(&graph, WideLayers::None).unwrap();
        let quant = |graph: &Graph, id: TensorId| graph.tensor(id).quant.clone();
        assert_eq!(quant(&wide, wide.nodes[2].output), quant(&narrow, narrow.nodes[0].output));
    }

    #[test]
    fn what_no_layer_reads_has_8_bits_at_once() {
        let graph = chain(&[("a", Op::Dense), ("b", Op::Unary(Unary::Sigmoid)), ("c", Op::Dense)]);
        let wide = quantised(&graph, WideLayers::All).unwrap();
        assert_eq!(bits(&wide), [("a", 8), ("b", 8), ("c", 16)]);
    }

    #[test]
    fn an_unknown_layer_is_named() {
        let graph = chain(&[("a", Op::Dense), ("b", Op::Unary(Unary::Sigmoid))]);
        let error = quantised(&graph, named("b")).unwrap_err().to_string();
        assert!(error.starts_with("there is no layer 'b'") && error.ends_with(": a"), "{error}");
    }

    /// A pointwise convolution, and one behind it with so many equal weights per output.
    fn heavy(inputs: usize) -> Graph {
        let mut graph = Graph::default();
        let mut ids = vec![graph.add_activation("x", &[1, 1, 1, 2])];
        graph.inputs = ids.clone();
        for (name, shape) in [("a", [inputs, 1, 1, 1]), ("b", [2, inputs, 1, 1])] {
            let weights = Array4::from_elem(shape, 0.01).into_dyn();
            let weights = graph.add_constant(format!("{name}/w"), weights);
            let y = graph.add_activation(name, &[1, shape[0], 1, 2]);
            let op = Op::Conv(Conv {
                kernel: vec![1, 1],
                strides: vec![1, 1],
                dilations: vec![1, 1],
                pads_before: vec![0, 0],
                pads_after: vec![0, 0],
                groups: 1,
            });
            let (name, inputs) = (name.to_owned(), vec![ids[ids.len() - 1], weights]);
            graph.nodes.push(Node { name, op, inputs, output: y, clamp: None });
            ids.push(y);
        }
        graph.outputs = vec![ids[2]];
        graph
    }

    #[test]
    fn many_weights_leave_fewer_bits_and_sums_within_32() {
        for (inputs, expected) in [(200, 16), (300, 15), (1000, 14), (5000, 11), (20000, 8)] {
            let graph = quantised(&heavy(inputs), WideLayers::All).unwrap();
            assert_eq!(bits(&graph), [("a", expected), ("b", 16)], "{inputs} inputs");
            for node in &graph.nodes {
                requant::convolution(&accumulator::channels(&graph, node).unwrap()).unwrap();
            }
        }
    }
}
