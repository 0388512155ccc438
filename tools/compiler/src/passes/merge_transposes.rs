//! Transposes move towards the inputs until they meet their inverse.
//!
//! `T(f(x)) = f'(T(x))` for every operator `f` that treats the elements, or whole axes, alike; `f'`
//! is `f` under the new axis names. An operator with several activations is crossed only if all of
//! them come out of transposes, so that their number never grows. What is left at the end costs
//! nothing: lowering reads it as another order of the same memory.

use ndarray::{ArrayD, Axis};

use super::Pass;
use super::rewrite::unify_quant;
use crate::ir::{Constant, Graph, Node, Op, TensorId};

pub(super) const PASS: Pass = Pass { name: "merge_transposes", rewrite };

fn rewrite(graph: &mut Graph, index: usize) -> bool {
    let Op::Transpose { perm } = graph.nodes[index].op.clone() else {
        return false;
    };
    let (x, y) = (graph.nodes[index].inputs[0], graph.nodes[index].output);
    let Some(producer) = graph.producer(x) else {
        return false;
    };
    if let Op::Transpose { perm: first } = &graph.nodes[producer].op {
        let perm = perm.iter().map(|&axis| first[axis]).collect();
        let input = graph.nodes[producer].inputs[0];
        if !unify_quant(graph, &[input, x, y]) {
            return false;
        }
        let node = &mut graph.nodes[index];
        (node.op, node.inputs[0]) = (Op::Transpose { perm }, input);
        return true;
    }
    let Some(op) = permuted_op(&graph.nodes[producer].op, &perm) else {
        return false;
    };
    let crosses = graph.sole_consumer(x).is_some()
        && crossable(graph, &graph.nodes[producer])
        && unify_quant(graph, &[x, y]);
    if crosses {
        cross(graph, producer, index, op, &perm);
    }
    crosses
}

/// The operator under permuted axes: new axis `i` is old axis `perm[i]`. `None` if its axes have
/// fixed roles.
fn permuted_op(op: &Op, perm: &[usize]) -> Option<Op> {
    let renamed = |axis: usize| perm.iter().position(|&old| old == axis);
    match op {
        Op::Unary(_) | Op::Add | Op::Sub | Op::Mul | Op::PRelu => Some(op.clone()),
        Op::Softmax { axis } => Some(Op::Softmax { axis: renamed(*axis)? }),
        Op::Concat { axis } => Some(Op::Concat { axis: renamed(*axis)? }),
        Op::Slice(axes) => Some(Op::Slice(perm.iter().map(|&axis| axes[axis]).collect())),
        Op::Pad { before, after, mode } => Some(Op::Pad {
            before: perm.iter().map(|&axis| before[axis]).collect(),
            after: perm.iter().map(|&axis| after[axis]).collect(),
            mode: *mode,
        }),
        Op::Conv(_)
        | Op::Dense
        | Op::MaxPool(_)
        | Op::AvgPool { .. }
        | Op::Mean { .. }
        | Op::Reshape
        | Op::Transpose { .. }
        | Op::Resize(_)
        | Op::ArgMax { .. }
        | Op::BatchNorm { .. }
        | Op::Quantize
        | Op::Dequantize => None,
    }
}

/// Whether one activation is all that the node reads, or all of them come out of transposes that
/// nobody else reads.
fn crossable(graph: &Graph, node: &Node) -> bool {
    let rank = graph.tensor(node.output).shape.len();
    let activations: Vec<TensorId> =
        node.inputs.iter().copied().filter(|id| graph.tensor(*id).constant.is_none()).collect();
    let transposed = |id: &TensorId| {
        let producer = graph.producer(*id).map(|index| &graph.nodes[index].op);
        matches!(producer, Some(Op::Transpose { .. })) && graph.sole_consumer(*id).is_some()
    };
    let full_rank = |id: &TensorId| graph.tensor(*id).shape.len() == rank;
    activations.iter().all(full_rank)
        && (activations.len() == 1 || activations.iter().all(transposed))
}

/// Moves the transpose at `index` in front of the node at `producer`.
fn cross(graph: &mut Graph, producer: usize, index: usize, op: Op, perm: &[usize]) {
    let transpose = graph.nodes.remove(index);
    let inputs = graph.nodes[producer].inputs.clone();
    let mut moved = Vec::new();
    for (place, id) in inputs.into_iter().enumerate() {
        let permuted = if graph.tensor(id).constant.is_some() {
            permuted_constant(graph, id, perm)
        } else {
            let permuted = permuted_activation(graph, id, perm);
            moved.push(Node {
                inputs: vec![id],
                output: permuted,
                clamp: None,
                ..transpose.clone()
            });
            permuted
        };
        graph.nodes[producer].inputs[place] = permuted;
    }
    graph.nodes[producer].op = op;
    graph.nodes[producer].output = transpose.output;
    graph.nodes.splice(producer..producer, moved);
}

fn permuted_activation(graph: &mut Graph, id: TensorId, perm: &[usize]) -> TensorId {
    let mut tensor = graph.tensor(id).clone();
    tensor.shape = perm.iter().map(|&axis| tensor.shape[axis]).collect();
    tensor.name.push_str("/transposed");
    graph.add_tensor(tensor)
}

/// A constant under permuted axes; axes of length 1 are added in front up to the rank.
fn permuted_constant(graph: &mut Graph, id: TensorId, perm: &[usize]) -> TensorId {
    let mut tensor = graph.tensor(id).clone();
    let added = perm.len() - tensor.shape.len();
    tensor.constant = tensor.constant.map(|constant| match constant {
        Constant::Real(values) => Constant::Real(permuted(values, perm)),
        Constant::Integer(values) => Constant::Integer(permuted(values, perm)),
    });
    let extent = |&old: &usize| old.checked_sub(added).map_or(1, |axis| tensor.shape[axis]);
    tensor.shape = perm.iter().map(extent).collect();
    if let Some(quant) = &mut tensor.quant {
        quant.axis = quant.axis.and_then(|axis| perm.iter().position(|&old| old == axis + added));
    }
    graph.add_tensor(tensor)
}

fn permuted<T: Clone>(mut values: ArrayD<T>, perm: &[usize]) -> ArrayD<T> {
    while values.ndim() < perm.len() {
        values.insert_axis_inplace(Axis(0));
    }
    values.permuted_axes(perm).as_standard_layout().into_owned()
}

#[cfg(test)]
mod tests {
    use super::super::remove_identity;
    use super::super::testing::{Net, apply, ops, values};
    use super::*;
    use crate::ir::{PadMode, Quant, Unary};

    const TO_LAST: [usize; 4] = [0, 2, 3, 1];
    const TO_FIRST: [usize; 4] = [0, 3, 1, 2];

    fn simplify(graph: &mut Graph) {
        while apply(PASS, graph) + apply(remove_identity::PASS, graph) > 0 {}
    }

    /// Channels last between two convolutions, with `body` there.
    fn between_convolutions(body: impl Fn(&mut Net, TensorId) -> TensorId) -> Graph {
        let mut net = Net::default();
        let x = net.input(&[1, 2, 3, 5]);
        let a = net.pointwise(x, 4);
        let b = net.transpose(a, &TO_LAST);
        let c = body(&mut net, b);
        let d = net.transpose(c, &TO_FIRST);
        let e = net.pointwise(d, 2);
        let mut graph = net.finish(&[e]);
        simplify(&mut graph);
        graph
    }

    #[test]
    fn inverses_cancel() {
        let graph = between_convolutions(|_, x| x);
        assert_eq!(ops(&graph), ["Conv", "Conv"]);
    }

    #[test]
    fn inverses_cancel_around_functions_and_constants() {
        let graph = between_convolutions(|net, x| {
            let a = net.unary(Unary::Relu, x);
            let channels = net.counting(&[4]);
            net.node(Op::Mul, &[channels, a], &[1, 3, 5, 4])
        });
        assert_eq!(ops(&graph), ["Conv", "Relu", "Mul", "Conv"]);
        let constant = graph.nodes[2].inputs[0];
        assert_eq!(graph.tensor(constant).shape, [1, 4, 1, 1]);
        assert_eq!(values(&graph, 2, 0), [1.0, 1.5, 2.0, 2.5]);
    }

    #[test]
    fn axes_are_renamed() {
        let graph = between_convolutions(|net, x| {
            let before = vec![0, 1, 0, 0];
            let op = Op::Pad { before, after: vec![0; 4], mode: PadMode::Constant(0.0) };
            let a = net.node(op, &[x], &[1, 4, 5, 4]);
            net.node(Op::Softmax { axis: 3 }, &[a], &[1, 4, 5, 4])
        });
        assert_eq!(ops(&graph), ["Conv", "Pad", "Softmax", "Conv"]);
        let Op::Pad { before, .. } = &graph.nodes[1].op else { panic!() };
        assert_eq!(*before, [0, 0, 1, 0]);
        assert_eq!(graph.nodes[2].op, Op::Softmax { axis: 1 });
    }

    #[test]
    fn several_activations_are_crossed_together() {
        let mut net = Net::default();
        let x = net.input(&[1, 2, 3, 5]);
        let a = net.pointwise(x, 4);
        let b = net.pointwise(x, 4);
        let (ta, tb) = (net.transpose(a, &TO_LAST), net.transpose(b, &TO_LAST));
        let c = net.node(Op::Add, &[ta, tb], &[1, 3, 5, 4]);
        let d = net.node(Op::Concat { axis: 3 }, &[c], &[1, 3, 5, 4]);
        let e = net.transpose(d, &TO_FIRST);
        let mut graph = net.finish(&[e]);
        simplify(&mut graph);
        assert_eq!(ops(&graph), ["Conv", "Conv", "Add"]);
    }

    #[test]
    fn one_of_two_activations_is_not_enough() {
        let mut net = Net::default();
        let x = net.input(&[1, 3, 5, 2]);
        let y = net.input(&[1, 2, 3, 5]);
        let t = net.transpose(y, &TO_LAST);
        let a = net.node(Op::Add, &[x, t], &[1, 3, 5, 2]);
        let b = net.transpose(a, &TO_FIRST);
        let mut graph = net.finish(&[b]);
        assert_eq!(apply(PASS, &mut graph), 0);
    }

    #[test]
    fn roundings_move_along() {
        let mut net = Net::default();
        let x = net.input(&[1, 2, 3, 5]);
        net.graph.tensor_mut(x).quant = Some(Quant::per_tensor(0.5, 1));
        let a = net.unary(Unary::Tanh, x);
        net.graph.tensor_mut(a).quant = Some(Quant::per_tensor(0.25, 2));
        let b = net.transpose(a, &TO_LAST);
        let mut graph = net.finish(&[b]);
        assert_eq!(apply(PASS, &mut graph), 1);
        assert_eq!(ops(&graph), ["Transpose", "Tanh"]);
        let quant = |node: usize| graph.tensor(graph.nodes[node].output).quant.clone();
        assert_eq!(quant(0), Some(Quant::per_tensor(0.5, 1)));
        assert_eq!(quant(1), Some(Quant::per_tensor(0.25, 2)));
    }
}
