//! Of reshapes in a row only the last counts.

use super::Pass;
use super::rewrite::unify_quant;
use crate::ir::{Graph, Op};

pub(super) const PASS: Pass = Pass { name: "merge_reshapes", rewrite };

fn rewrite(graph: &mut Graph, index: usize) -> bool {
    let node = &graph.nodes[index];
    let (middle, y) = (node.inputs[0], node.output);
    let plain =
        |index: usize| graph.nodes[index].op == Op::Reshape && graph.nodes[index].clamp.is_none();
    let Some(first) = graph.producer(middle).filter(|&first| plain(first) && plain(index)) else {
        return false;
    };
    let x = graph.nodes[first].inputs[0];
    if !unify_quant(graph, &[x, middle, y]) {
        return false;
    }
    graph.nodes[index].inputs[0] = x;
    true
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Net, apply, ops};
    use super::*;
    use crate::ir::Quant;

    fn reshapes() -> Graph {
        let mut net = Net::default();
        let x = net.input(&[1, 2, 3, 4]);
        let a = net.node(Op::Reshape, &[x], &[6, 4]);
        let b = net.node(Op::Reshape, &[a], &[1, 24]);
        let c = net.node(Op::Reshape, &[b], &[2, 12]);
        net.finish(&[c])
    }

    #[test]
    fn a_chain_becomes_one() {
        let mut graph = reshapes();
        apply(PASS, &mut graph);
        assert_eq!(ops(&graph), ["Reshape"]);
        assert_eq!(graph.tensor(graph.outputs[0]).shape, [2, 12]);
    }

    #[test]
    fn a_rounding_on_the_way_is_kept() {
        let mut graph = reshapes();
        let middle = graph.nodes[1].output;
        let quant = Some(Quant::per_tensor(0.5, 1));
        graph.tensor_mut(middle).quant.clone_from(&quant);
        apply(PASS, &mut graph);
        assert_eq!(ops(&graph), ["Reshape"]);
        assert_eq!(graph.tensor(graph.inputs[0]).quant, quant);
        assert_eq!(graph.tensor(graph.outputs[0]).quant, quant);

        let mut graph = reshapes();
        let (x, middle) = (graph.inputs[0], graph.nodes[1].output);
        graph.tensor_mut(x).quant = Some(Quant::per_tensor(0.25, 1));
        graph.tensor_mut(middle).quant = quant;
        apply(PASS, &mut graph);
        assert_eq!(ops(&graph), ["Reshape", "Reshape"], "two roundings need two nodes");
    }
}
