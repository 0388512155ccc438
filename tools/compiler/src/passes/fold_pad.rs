//! A border of zeros becomes the padding of the convolution or pool behind it.

use super::Pass;
use super::rewrite::unify_quant;
use crate::ir::{Graph, Op, PadMode, Pool, TensorId, Unary};

pub(super) const PASS: Pass = Pass { name: "fold_pad", rewrite };

fn rewrite(graph: &mut Graph, index: usize) -> bool {
    let node = &graph.nodes[index];
    let padded = node.inputs[0];
    let Some(producer) = graph.producer(padded).map(|producer| &graph.nodes[producer]) else {
        return false;
    };
    let (Op::Pad { before, after, mode: PadMode::Constant(value) }, None) =
        (&producer.op, producer.clamp)
    else {
        return false;
    };
    let x = producer.inputs[0];
    let border = Border { x, extents: &graph.tensor(x).shape[..], before, after, value: *value };
    let Some(op) = padded_op(graph, &node.op, &border) else {
        return false;
    };
    if !unify_quant(graph, &[x, padded]) {
        return false;
    }
    graph.nodes[index].op = op;
    graph.nodes[index].inputs[0] = x;
    true
}

/// What the `Pad` node does to `x`.
struct Border<'a> {
    x: TensorId,
    extents: &'a [usize],
    before: &'a [usize],
    after: &'a [usize],
    value: f32,
}

impl Border<'_> {
    /// Added to padding of the spatial axes; `None` if other axes have a border.
    fn add_to(&self, before: &mut [usize], after: &mut [usize]) -> Option<()> {
        let spatial = before.len() + 2 == self.before.len();
        if !spatial || self.before[..2].iter().chain(&self.after[..2]).any(|&pad| pad > 0) {
            return None;
        }
        before.iter_mut().zip(&self.before[2..]).for_each(|(pad, more)| *pad += more);
        after.iter_mut().zip(&self.after[2..]).for_each(|(pad, more)| *pad += more);
        Some(())
    }
}

/// The operator with the border as padding of its own, where that computes the same.
fn padded_op(graph: &Graph, op: &Op, border: &Border) -> Option<Op> {
    match op {
        Op::Conv(conv) if border.value == 0.0 => {
            let mut conv = conv.clone();
            border.add_to(&mut conv.pads_before, &mut conv.pads_after)?;
            Some(Op::Conv(conv))
        }
        // The border counts, so padding has to; what padding there was must not change sides.
        Op::AvgPool { pool, count_padding }
            if border.value == 0.0 && (*count_padding || is_unpadded(pool)) =>
        {
            let mut pool = pool.clone();
            border.add_to(&mut pool.pads_before, &mut pool.pads_after)?;
            Some(Op::AvgPool { pool, count_padding: true })
        }
        // Padding of a maximum is ignored: so is a border that is nowhere above the inside, as
        // long as every window sees some of the inside.
        Op::MaxPool(pool) if border.value <= lower_bound(graph, border.x) => {
            let mut pool = pool.clone();
            border.add_to(&mut pool.pads_before, &mut pool.pads_after)?;
            every_window_sees(&pool, &border.extents[2..]).then_some(Op::MaxPool(pool))
        }
        _ => None,
    }
}

fn is_unpadded(pool: &Pool) -> bool {
    pool.pads_before.iter().chain(&pool.pads_after).all(|&pad| pad == 0)
}

/// Whether no window lies in the padding alone.
fn every_window_sees(pool: &Pool, extents: &[usize]) -> bool {
    (0..pool.kernel.len()).all(|axis| {
        let (before, after) = (pool.pads_before[axis], pool.pads_after[axis]);
        let padded = before + extents[axis] + after;
        let reach = pool.dilations[axis] * (pool.kernel[axis] - 1) + 1;
        let last_start = padded.saturating_sub(reach);
        // With a dilation a window could straddle a small inside without touching it.
        pool.dilations[axis] == 1 && reach > before && last_start < before + extents[axis]
    })
}

/// What no element of a tensor is below.
fn lower_bound(graph: &Graph, id: TensorId) -> f32 {
    let tensor = graph.tensor(id);
    let rounded = tensor.quant.as_ref().map(|quant| quant.dequantize(quant.range().0, 0) as f32);
    let producer = graph.producer(id).map(|index| &graph.nodes[index]);
    let clamp = producer.and_then(|node| node.clamp).map(|(min, _)| min);
    let function = producer.and_then(|node| match &node.op {
        Op::Unary(Unary::Sigmoid | Unary::HardSigmoid { .. }) | Op::Softmax { .. } => Some(0.0),
        Op::Unary(unary) => unary.as_clamp().map(|(min, _)| min),
        _ => None,
    });
    [rounded, clamp, function].into_iter().flatten().fold(f32::NEG_INFINITY, f32::max)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Net, apply, ops, pool, window};
    use super::*;
    use crate::ir::Quant;

    fn pad(net: &mut Net, x: TensorId, value: f32, channels: usize) -> TensorId {
        let mut shape = net.graph.tensor(x).shape.clone();
        shape[1] += channels;
        shape[2] += 1;
        shape[3] += 3;
        let op = Op::Pad {
            before: vec![0, channels, 1, 1],
            after: vec![0, 0, 0, 2],
            mode: PadMode::Constant(value),
        };
        net.node(op, &[x], &shape)
    }

    /// A 2×2 window of stride 1 behind a border around `[1, 2, 4, 4]`.
    fn padded(op: Op, value: f32, channels: usize, activation: Unary) -> Graph {
        let mut net = Net::default();
        let x = net.input(&[1, 2, 4, 4]);
        let a = net.unary(activation, x);
        let b = pad(&mut net, a, value, channels);
        let mut inputs = vec![b];
        if let Op::Conv(_) = op {
            inputs.push(net.counting(&[2 + channels, 2 + channels, 2, 2]));
        }
        let c = net.node(op, &inputs, &[1, 2 + channels, 4, 6]);
        net.finish(&[c])
    }

    fn conv() -> Op {
        Op::Conv(window(2, 1))
    }

    #[test]
    fn zeros_become_the_padding_of_a_convolution() {
        let mut graph = padded(conv(), 0.0, 0, Unary::Tanh);
        assert_eq!(apply(PASS, &mut graph), 1);
        assert_eq!(ops(&graph), ["Tanh", "Conv"]);
        let Op::Conv(conv) = &graph.nodes[1].op else { panic!() };
        assert_eq!((&conv.pads_before[..], &conv.pads_after[..]), (&[1, 1][..], &[0, 2][..]));
    }

    #[test]
    fn other_values_and_borders_of_channels_stay() {
        assert_eq!(apply(PASS, &mut padded(conv(), 0.5, 0, Unary::Tanh)), 0);
        assert_eq!(apply(PASS, &mut padded(conv(), 0.0, 1, Unary::Tanh)), 0);
    }

    #[test]
    fn an_average_counts_its_padding_afterwards() {
        let average = Op::AvgPool { pool: pool(2, 1), count_padding: false };
        let mut graph = padded(average, 0.0, 0, Unary::Tanh);
        assert_eq!(apply(PASS, &mut graph), 1);
        assert_eq!(ops(&graph), ["Tanh", "AveragePool"]);
        assert!(matches!(graph.nodes[1].op, Op::AvgPool { count_padding: true, .. }));
    }

    #[test]
    fn a_maximum_ignores_zeros_below_what_it_sees() {
        let max = || Op::MaxPool(pool(2, 1));
        assert_eq!(apply(PASS, &mut padded(max(), 0.0, 0, Unary::Tanh)), 0);
        assert_eq!(
            apply(PASS, &mut padded(max(), -1e9, 0, Unary::Relu)),
            0,
            "a window in the border"
        );
    }

    #[test]
    fn a_maximum_over_a_narrow_border() {
        let mut net = Net::default();
        let x = net.input(&[1, 2, 4, 4]);
        let a = net.unary(Unary::Relu, x);
        let border = Op::Pad {
            before: vec![0, 0, 1, 1],
            after: vec![0, 0, 1, 1],
            mode: PadMode::Constant(0.0),
        };
        let b = net.node(border, &[a], &[1, 2, 6, 6]);
        let c = net.node(Op::MaxPool(pool(3, 1)), &[b], &[1, 2, 4, 4]);
        let mut graph = net.finish(&[c]);
        assert_eq!(apply(PASS, &mut graph), 1);
        assert_eq!(ops(&graph), ["Relu", "MaxPool"]);
    }

    #[test]
    fn both_sides_of_the_border_must_be_rounded_alike() {
        let mut graph = padded(conv(), 0.0, 0, Unary::Tanh);
        let (x, padded) = (graph.nodes[0].output, graph.nodes[1].output);
        graph.tensor_mut(x).quant = Some(Quant::per_tensor(0.5, 3));
        graph.tensor_mut(padded).quant = Some(Quant::per_tensor(0.5, 4));
        assert_eq!(apply(PASS, &mut graph), 0);
        graph.tensor_mut(padded).quant = Some(Quant::per_tensor(0.5, 3));
        assert_eq!(apply(PASS, &mut graph), 1);
    }
}
