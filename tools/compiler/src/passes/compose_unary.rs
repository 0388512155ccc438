//! Functions of one number in a row become one, where one of the operators is their composition.
//!
//! Linear functions with bounds are closed under composition:
//!
//! ```text
//! bound₂(s₂ · bound₁(s₁·x + o₁) + o₂) = bound(s₂s₁ · x + s₂o₁ + o₂)
//! ```
//!
//! where `bound` is `bound₁` seen through `s₂·x + o₂`, then `bound₂`. Among them are `Relu`, `Clip`,
//! `HardSigmoid` and every scalar factor or summand.

use super::Pass;
use super::rewrite::compose_clamps;
use crate::ir::{Graph, Node, Op, Unary};

pub(super) const PASS: Pass = Pass { name: "compose_unary", rewrite };

fn rewrite(graph: &mut Graph, index: usize) -> bool {
    let node = &graph.nodes[index];
    let between = node.inputs[0];
    if graph.tensor(between).quant.is_some() || graph.sole_consumer(between).is_none() {
        return false;
    }
    let Some(first) = graph.producer(between).map(|first| &graph.nodes[first]) else {
        return false;
    };
    let (Some(inner), Some(outer)) = (Bounded::read(first), Bounded::read(node)) else {
        return false;
    };
    let x = first.inputs[0];
    let (op, clamp) = inner.then(outer).write();
    let node = &mut graph.nodes[index];
    (node.op, node.clamp, node.inputs[0]) = (Op::Unary(op), clamp, x);
    true
}

/// `scale · x + offset`, within bounds.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Bounded {
    scale: f32,
    offset: f32,
    bounds: (f32, f32),
}

const UNBOUNDED: (f32, f32) = (f32::NEG_INFINITY, f32::INFINITY);

impl Bounded {
    /// `None` for other functions, also for constants.
    fn read(node: &Node) -> Option<Self> {
        let Op::Unary(unary) = node.op else {
            return None;
        };
        let (scale, offset, bounds) = match unary {
            Unary::Identity => (1.0, 0.0, UNBOUNDED),
            Unary::Relu => (1.0, 0.0, (0.0, f32::INFINITY)),
            Unary::Clip { min, max } => (1.0, 0.0, (min, max)),
            Unary::Affine { scale, offset } => (scale, offset, UNBOUNDED),
            Unary::HardSigmoid { alpha, beta } => (alpha, beta, (0.0, 1.0)),
            Unary::LeakyRelu { .. }
            | Unary::Sigmoid
            | Unary::Tanh
            | Unary::HardSwish
            | Unary::Silu => return None,
        };
        let bounds = node.clamp.map_or(bounds, |clamp| compose_clamps(Some(bounds), clamp));
        (scale != 0.0).then_some(Self { scale, offset, bounds })
    }

    fn then(self, outer: Self) -> Self {
        let seen = |bound: f32| outer.scale * bound + outer.offset;
        let (a, b) = (seen(self.bounds.0), seen(self.bounds.1));
        Self {
            scale: outer.scale * self.scale,
            offset: outer.scale * self.offset + outer.offset,
            bounds: compose_clamps(Some((a.min(b), a.max(b))), outer.bounds),
        }
    }

    /// The simplest operator, with its clamp.
    fn write(self) -> (Unary, Option<(f32, f32)>) {
        let (min, max) = self.bounds;
        if (self.scale, self.offset) == (1.0, 0.0) {
            let unary = match self.bounds {
                UNBOUNDED => Unary::Identity,
                (0.0, f32::INFINITY) => Unary::Relu,
                _ => Unary::Clip { min, max },
            };
            return (unary, None);
        }
        let affine = Unary::Affine { scale: self.scale, offset: self.offset };
        (affine, (self.bounds != UNBOUNDED).then_some(self.bounds))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Net, apply, ops};
    use super::*;
    use crate::ir::Quant;

    fn affine(scale: f32, offset: f32) -> Unary {
        Unary::Affine { scale, offset }
    }

    fn chain(functions: &[Unary]) -> Graph {
        let mut net = Net::default();
        let mut x = net.input(&[1, 4]);
        for unary in functions {
            x = net.unary(*unary, x);
        }
        net.finish(&[x])
    }

    fn value(graph: &Graph, x: f64) -> f64 {
        graph.nodes.iter().fold(x, |x, node| {
            let Op::Unary(unary) = node.op else { panic!() };
            let (min, max) = node.clamp.unwrap_or(UNBOUNDED);
            unary.eval(x).max(min.into()).min(max.into())
        })
    }

    #[test]
    fn every_pair_of_bounded_linear_functions_is_one() {
        let functions = [
            Unary::Relu,
            Unary::Clip { min: -1.0, max: 6.0 },
            affine(2.0, 1.0),
            affine(-0.5, 3.0),
            Unary::HardSigmoid { alpha: 0.25, beta: 0.5 },
        ];
        for first in functions {
            for second in functions {
                let before = chain(&[first, second]);
                let mut after = before.clone();
                assert_eq!(apply(PASS, &mut after), 1);
                assert_eq!(after.nodes.len(), 1);
                for x in -40..=40 {
                    let x = f64::from(x) / 4.0;
                    let (a, b) = (value(&before, x), value(&after, x));
                    assert!((a - b).abs() < 1e-6, "{first:?}, {second:?} at {x}: {a}, {b}");
                }
            }
        }
    }

    #[test]
    fn the_simplest_operator_is_found() {
        let mut graph = chain(&[affine(1.0, 3.0), affine(1.0, -3.0)]);
        apply(PASS, &mut graph);
        assert_eq!(ops(&graph), ["Identity"]);
        let mut graph = chain(&[affine(2.0, 0.0), Unary::Relu, affine(0.5, 0.0)]);
        apply(PASS, &mut graph);
        assert_eq!(ops(&graph), ["Relu"]);
    }

    #[test]
    fn a_rounding_in_between_is_kept() {
        let mut graph = chain(&[affine(2.0, 0.0), affine(3.0, 0.0)]);
        let between = graph.nodes[0].output;
        graph.tensor_mut(between).quant = Some(Quant::per_tensor(0.5, 0));
        assert_eq!(apply(PASS, &mut graph), 0);
    }

    #[test]
    fn other_functions_stay() {
        assert_eq!(apply(PASS, &mut chain(&[Unary::Relu, Unary::Tanh])), 0);
    }
}
