//! Makes weights zero where kernels can skip them: blocks of four taps of two output channels, see
//! [`fixie_format::op::sparse`].
//!
//! With inputs `x`, a row that lacks the weights at `S` is off by `w_Sᵀ (G_SS)⁻¹ w_S` at least,
//! `G = H⁻¹`, `H = E[x · xᵀ]`; the others make up for the rest if they change by
//! `−G_{·S} (G_SS)⁻¹ w_S` (optimal brain surgeon, Hassibi and Stork 1993, for the layers of a network
//! Frantar et al. 2022, arXiv 2208.11580). Block by block the one with the least harm goes. Where the
//! order is fixed beforehand, this is `SparseGPT` (Frantar and Alistarh 2023, arXiv 2301.00774); layers
//! of microcontrollers are small enough for choosing again each time.

use std::fmt;
use std::str::FromStr;

use fixie_format::op::paired::TAP_ALIGN;
use ndarray::{Array2, ArrayD};
use thiserror::Error;

use super::levels::has_real_weights;
use super::linalg::{cholesky, dot, solve};
use crate::ir::{Graph, Node, Op, TensorId};

/// The fewest taps per output with which a layer is pruned: with fewer, what goes with each output is
/// more than what can be skipped.
const FEWEST_TAPS: usize = 64;

/// The share of its blocks that each layer loses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PrunedShare {
    thousandths: u16,
}

impl PrunedShare {
    const MOST: f64 = 0.95;

    /// Whether nothing is pruned.
    pub fn is_none(self) -> bool {
        self.thousandths == 0
    }

    /// So many of `all` blocks.
    pub(super) fn of(self, all: usize) -> usize {
        all * usize::from(self.thousandths) / 1000
    }
}

impl fmt::Display for PrunedShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", f64::from(self.thousandths) / 1000.0)
    }
}

/// A text that says no [`PrunedShare`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("no share of weights `{0}`: give a number from 0 to 0.95")]
pub struct UnknownShare(String);

impl FromStr for PrunedShare {
    type Err = UnknownShare;

    fn from_str(text: &str) -> Result<Self, UnknownShare> {
        let share = text.parse().ok().filter(|share| (0.0..=Self::MOST).contains(share));
        let share: f64 = share.ok_or_else(|| UnknownShare(text.to_owned()))?;
        Ok(Self { thousandths: (1000.0 * share).round() as u16 })
    }
}

/// The places in a row of weights that belong to each block; `None` if the layer is not to be pruned.
pub(super) fn blocks(graph: &Graph, node: &Node) -> Option<Vec<Vec<usize>>> {
    has_real_weights(graph, node).then_some(())?;
    let shape = &graph.tensor(node.inputs[1]).shape;
    let rows: Vec<Vec<usize>> = match (&node.op, &shape[1..]) {
        (Op::Conv(_), &[channels, width]) => kernel_rows(channels, [1, width]),
        (Op::Conv(_), &[channels, height, width]) => kernel_rows(channels, [height, width]),
        (Op::Dense, &[channels]) => {
            let order = memory_order(graph, node.inputs[0]);
            vec![if order.len() == channels { order } else { (0..channels).collect() }]
        }
        _ => return None,
    };
    let is_large = shape[1..].iter().product::<usize>() >= FEWEST_TAPS;
    is_large.then(|| rows.iter().flat_map(|row| row.chunks(TAP_ALIGN)).map(<[_]>::to_vec).collect())
}

/// Of each kernel row, the places in the order in which the kernel reads them: channels last.
fn kernel_rows(channels: usize, [height, width]: [usize; 2]) -> Vec<Vec<usize>> {
    let place = |i: usize, j: usize, c: usize| (c * height + i) * width + j;
    let row = |i| (0..width).flat_map(move |j| (0..channels).map(move |c| place(i, j, c)));
    (0..height).map(|i| row(i).collect()).collect()
}

/// The elements of a tensor in the order in which they most likely lie in memory: images with their
/// channels last. Otherwise there is less to skip, nothing worse.
fn memory_order(graph: &Graph, id: TensorId) -> Vec<usize> {
    let tensor = graph.tensor(id);
    let producer = graph.producer(id).map(|index| &graph.nodes[index]);
    match producer.map(|node| (&node.op, node.inputs[0])) {
        Some((Op::Reshape, input)) => memory_order(graph, input),
        Some((Op::Transpose { perm }, input)) => {
            let shape = graph.tensor(input).shape.clone();
            let places = ArrayD::from_shape_vec(shape, (0..tensor.len()).collect());
            let places = places.unwrap_or_else(|error| panic!("{}: {error}", tensor.name));
            let mut moved = vec![0; tensor.len()];
            let from = places.permuted_axes(perm.clone());
            from.iter().enumerate().for_each(|(to, &from): (usize, &usize)| moved[from] = to);
            memory_order(graph, input).into_iter().map(|from| moved[from]).collect()
        }
        _ => {
            let channels = if tensor.shape.len() > 2 { tensor.shape[1] } else { 1 };
            let pixels = tensor.len() / channels.max(1);
            (0..pixels).flat_map(|pixel| (0..channels).map(move |c| c * pixels + pixel)).collect()
        }
    }
}

/// Whether all weights of a block are zero.
pub(super) fn is_zero(block: &[usize], rows: &[Vec<f32>]) -> bool {
    block.iter().all(|&place| rows.iter().all(|row| row[place] == 0.0))
}

/// Takes `count` blocks from rows that share them, given the inverse of `H`, and changes the other
/// weights. The first `gone` blocks are among them. Returns for each place whether its weight is left.
pub(super) fn prune(
    mut inverse: Array2<f64>,
    rows: &mut [Vec<f64>],
    blocks: &[Vec<usize>],
    (gone, count): (usize, usize),
) -> Vec<bool> {
    let mut kept = vec![true; inverse.nrows()];
    let (first, rest) = blocks.split_at(gone);
    let mut left: Vec<&Vec<usize>> = rest.iter().collect();
    let mut take = |block: &[usize], inverse: &mut Array2<f64>, rows: &mut [Vec<f64>]| {
        block.iter().for_each(|&place| kept[place] = false);
        remove(inverse, rows, block, &kept);
    };
    first.iter().for_each(|block| take(block, &mut inverse, rows));
    for _ in gone..count {
        let harms = left.iter().map(|block| harm(&inverse, rows, block)).enumerate();
        let Some((least, _)) = harms.min_by(|a, b| a.1.total_cmp(&b.1)) else {
            break;
        };
        take(left.swap_remove(least), &mut inverse, rows);
    }
    kept
}

/// `Lᵀ` of the part of `G` that belongs to a block.
fn factor(inverse: &Array2<f64>, block: &[usize]) -> Option<Array2<f64>> {
    let part =
        Array2::from_shape_fn((block.len(), block.len()), |(i, j)| inverse[[block[i], block[j]]]);
    Some(cholesky(part)?.reversed_axes())
}

/// What the outputs are off by, at least, if a block is zero.
fn harm(inverse: &Array2<f64>, rows: &[Vec<f64>], block: &[usize]) -> f64 {
    let Some(factor) = factor(inverse, block) else {
        return f64::INFINITY;
    };
    let of_row = |row: &Vec<f64>| {
        let weights: Vec<f64> = block.iter().map(|&place| row[place]).collect();
        dot(&weights, &solve(&factor, weights.clone()))
    };
    rows.iter().map(of_row).sum()
}

/// Makes a block zero, and has the weights that are kept make up for it.
fn remove(inverse: &mut Array2<f64>, rows: &mut [Vec<f64>], block: &[usize], kept: &[bool]) {
    if let Some(factor) = factor(inverse, block) {
        let shared: Vec<Vec<f64>> =
            block.iter().map(|&place| inverse.row(place).to_vec()).collect();
        for place in (0..kept.len()).filter(|&place| kept[place]) {
            let with_block = shared.iter().map(|row| row[place]).collect();
            let parts = solve(&factor, with_block);
            for row in &mut *rows {
                let change: f64 =
                    parts.iter().zip(block).map(|(part, &from)| part * row[from]).sum();
                row[place] -= change;
            }
            let mut row = inverse.row_mut(place);
            for (part, shared) in parts.iter().zip(&shared) {
                row.iter_mut().zip(shared).for_each(|(value, shared)| *value -= part * shared);
            }
        }
    }
    for row in rows {
        block.iter().for_each(|&place| row[place] = 0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Moments of correlated inputs.
    fn moments(len: usize) -> Array2<f64> {
        let close = |i: usize, j: usize| 0.7f64.powi(i.abs_diff(j) as i32);
        Array2::from_shape_fn((len, len), |(i, j)| {
            close(i, j) * (1 + i % 3) as f64 * (1 + j % 3) as f64
        })
    }

    fn inverse(moments: &Array2<f64>) -> Array2<f64> {
        let factor = cholesky(moments.clone()).unwrap().reversed_axes();
        let len = moments.nrows();
        let unit = |i: usize| (0..len).map(|j| f64::from(u8::from(i == j))).collect();
        Array2::from_shape_vec((len, len), (0..len).flat_map(|i| solve(&factor, unit(i))).collect())
            .unwrap()
    }

    fn error(moments: &Array2<f64>, before: &[f64], after: &[f64]) -> f64 {
        let off: ndarray::Array1<f64> = before.iter().zip(after).map(|(a, b)| a - b).collect();
        off.dot(&moments.dot(&off))
    }

    #[test]
    fn what_is_left_is_the_best_and_the_first_block_does_the_least_harm() {
        let moments = moments(12);
        let blocks: Vec<Vec<usize>> = (0..3).map(|b| (4 * b..4 * b + 4).collect()).collect();
        let row = |phase: f64| (0..12).map(|i| (f64::from(i) * 1.3 + phase).sin()).collect();
        let before: [Vec<f64>; 2] = [row(0.1), row(2.0)];
        let with = |blocks: &[Vec<usize>]| {
            let mut rows = before.clone();
            let kept = prune(inverse(&moments), &mut rows, blocks, (0, 1));
            let errors = before.iter().zip(&rows).map(|(a, b)| error(&moments, a, b));
            (errors.sum::<f64>(), kept, rows)
        };
        let (least, kept, rows) = with(&blocks);
        for block in &blocks {
            assert!(with(std::slice::from_ref(block)).0 >= least - 1e-9);
        }
        assert_eq!(kept.iter().filter(|kept| !**kept).count(), 4);
        // No other weights that are left would be better.
        for (before, row) in before.iter().zip(&rows) {
            for place in 0..12 {
                assert_eq!(row[place] == 0.0, !kept[place]);
                for step in [-0.01, 0.01] {
                    let mut other = row.clone();
                    other[place] += if kept[place] { step } else { 0.0 };
                    assert!(error(&moments, before, &other) >= error(&moments, before, row) - 1e-9);
                }
            }
        }
    }

    #[test]
    fn blocks_are_neighbours_in_memory() {
        assert_eq!(kernel_rows(2, [2, 2]), [[0, 4, 1, 5], [2, 6, 3, 7]]);
        let mut graph = Graph::default();
        let x = graph.add_activation("x", &[1, 2, 1, 3]);
        let y = graph.add_activation("y", &[1, 1, 3, 2]);
        let z = graph.add_activation("z", &[1, 6]);
        let mut push = |op, input, output| {
            let name = String::new();
            graph.nodes.push(Node { name, op, inputs: vec![input], output, clamp: None });
        };
        push(Op::Transpose { perm: vec![0, 2, 3, 1] }, x, y);
        push(Op::Reshape, y, z);
        assert_eq!(memory_order(&graph, x), [0, 3, 1, 4, 2, 5]);
        assert_eq!(memory_order(&graph, z), [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn shares_are_numbers_below_one() {
        let share: PrunedShare = "0.5".parse().unwrap();
        assert_eq!((share.of(9), share.to_string()), (4, "0.5".to_owned()));
        for wrong in ["", "-0.1", "0.96", "NaN", "half"] {
            assert!(wrong.parse::<PrunedShare>().is_err(), "{wrong}");
        }
    }
}
