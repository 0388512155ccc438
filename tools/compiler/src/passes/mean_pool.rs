//! A pool whose one window is the whole map is a mean over the spatial axes.

use super::Pass;
use crate::ir::{Graph, Op};

pub(super) const PASS: Pass = Pass { name: "mean_pool", rewrite };

fn rewrite(graph: &mut Graph, index: usize) -> bool {
    let node = &graph.nodes[index];
    let Op::AvgPool { pool, .. } = &node.op else {
        return false;
    };
    let (x, y) = (&graph.tensor(node.inputs[0]).shape, &graph.tensor(node.output).shape);
    let unpadded = pool.pads_before.iter().chain(&pool.pads_after).all(|&pad| pad == 0);
    let dense = pool.dilations.iter().zip(&pool.kernel).all(|(&d, &k)| d == 1 || k == 1);
    if !unpadded || !dense || x[2..] != pool.kernel || y[2..].iter().any(|&extent| extent != 1) {
        return false;
    }
    let axes = (2..x.len()).collect();
    graph.nodes[index].op = Op::Mean { axes };
    true
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Net, apply, ops, pool};
    use super::*;

    fn average(kernel: usize, extent: usize) -> Graph {
        let mut net = Net::default();
        let x = net.input(&[1, 5, 4, 4]);
        let op = Op::AvgPool { pool: pool(kernel, 1), count_padding: false };
        let y = net.node(op, &[x], &[1, 5, extent, extent]);
        net.finish(&[y])
    }

    #[test]
    fn a_window_over_everything_is_a_mean() {
        let mut graph = average(4, 1);
        assert_eq!(apply(PASS, &mut graph), 1);
        assert_eq!(ops(&graph), ["ReduceMean"]);
        assert_eq!(graph.nodes[0].op, Op::Mean { axes: vec![2, 3] });
        assert_eq!(graph.tensor(graph.outputs[0]).shape, [1, 5, 1, 1]);
    }

    #[test]
    fn a_smaller_window_stays_a_pool() {
        assert_eq!(apply(PASS, &mut average(3, 2)), 0);
    }
}
