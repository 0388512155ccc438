//! Placing blocks with lifetimes in as few bytes as possible: dynamic storage allocation.
//!
//! The problem is NP-hard; networks are small. Blocks are placed one after the other at the lowest
//! offset that is free during their life. The order decides: several natural ones are tried, then
//! a seeded local search moves blocks until the lower bound is met or it stops paying.
//!
//! A block may lie over another one that it *trails*: the output of a convolution over its input,
//! as long as it starts so far before it that no byte is overwritten before it was read.

use std::cmp::Reverse;

/// Bytes that are needed for some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Length in bytes.
    pub len_bytes: usize,
    /// First moment of its life.
    pub first: usize,
    /// Last moment of its life.
    pub last: usize,
}

impl Block {
    fn meets(&self, other: &Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

/// Block `output` may overlap block `input` if it starts at least `lead` bytes before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trail {
    /// Index of the block that is read.
    pub input: usize,
    /// Index of the block that is written.
    pub output: usize,
    /// Bytes.
    pub lead: usize,
}

impl Trail {
    /// Bytes that both blocks occupy together when they overlap as far as they may.
    fn union_len(&self, blocks: &[Block]) -> usize {
        let (input, output) = (blocks[self.input].len_bytes, blocks[self.output].len_bytes);
        output.max(self.lead.min(output) + input)
    }
}

/// How hard to look for a good placement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// The natural orders only.
    Quick,
    /// With local search.
    Full,
}

/// How many orders the local search tries.
const SEARCH_ROUNDS: usize = 4000;

/// An offset for every block, so that no two that live together share a byte, unless one trails
/// the other.
pub fn place(blocks: &[Block], trails: &[Trail], effort: Effort) -> Vec<usize> {
    let floor = floor(blocks, trails);
    let mut best: Option<Placement> = None;
    for order in natural_orders(blocks) {
        keep_better(blocks, trails, order, &mut best);
    }
    let mut random = SplitMix(0);
    let rounds = if effort == Effort::Full { SEARCH_ROUNDS } else { 0 };
    for _ in 0..rounds {
        let Some(Placement { peak, order, .. }) = &best else { break };
        if *peak == floor || blocks.len() < 2 {
            break;
        }
        let mut order = order.clone();
        let (a, b) = (random.below(order.len()), random.below(order.len()));
        let moved = order.remove(a);
        order.insert(b, moved);
        keep_better(blocks, trails, order, &mut best);
    }
    best.map(|placement| placement.offsets).unwrap_or_default()
}

/// Bytes from 0 to the end of the last block.
pub fn peak(blocks: &[Block], offsets: &[usize]) -> usize {
    blocks.iter().zip(offsets).map(|(block, offset)| offset + block.len_bytes).max().unwrap_or(0)
}

/// The most bytes that are needed at one moment: no placement does with fewer.
pub fn floor(blocks: &[Block], trails: &[Trail]) -> usize {
    let alive = |block: &Block, at: usize| block.first <= at && at <= block.last;
    let needed = |at: usize| -> usize {
        let all: usize =
            blocks.iter().filter(|block| alive(block, at)).map(|block| block.len_bytes).sum();
        let shared = trails
            .iter()
            .filter(|trail| alive(&blocks[trail.input], at) && alive(&blocks[trail.output], at));
        let shared = shared.map(|trail| {
            let apart = blocks[trail.input].len_bytes + blocks[trail.output].len_bytes;
            apart - trail.union_len(blocks).min(apart)
        });
        // A block may share with several others: then this says less, but nothing wrong.
        all.saturating_sub(shared.sum())
    };
    blocks.iter().map(|block| needed(block.first)).max().unwrap_or(0)
}

/// Offsets, the order of placement that led to them, and the bytes that they need.
struct Placement {
    peak: usize,
    order: Vec<usize>,
    offsets: Vec<usize>,
}

fn keep_better(
    blocks: &[Block],
    trails: &[Trail],
    order: Vec<usize>,
    best: &mut Option<Placement>,
) {
    let offsets = first_fit(blocks, trails, &order);
    let peak = peak(blocks, &offsets);
    if best.as_ref().is_none_or(|best| peak <= best.peak) {
        *best = Some(Placement { peak, order, offsets });
    }
}

/// By length, by length times life, and by the moment of birth; those that are equal by their birth,
/// the first ones first or the last ones first: the output that trails an output that trails an
/// input wants the lowest place.
fn natural_orders(blocks: &[Block]) -> [Vec<usize>; 5] {
    let by = |key: fn(&Block) -> (Reverse<usize>, isize)| {
        let mut order: Vec<usize> = (0..blocks.len()).collect();
        order.sort_by_key(|&index| key(&blocks[index]));
        order
    };
    [
        by(|b| (Reverse(b.len_bytes), b.first as isize)),
        by(|b| (Reverse(b.len_bytes), -(b.first as isize))),
        by(|b| (Reverse(b.len_bytes * (b.last - b.first + 1)), b.first as isize)),
        by(|b| (Reverse(b.len_bytes * (b.last - b.first + 1)), -(b.first as isize))),
        by(|b| (Reverse(0), b.first as isize)),
    ]
}

/// Places the blocks in order, each at the lowest offset that is free during its life.
fn first_fit(blocks: &[Block], trails: &[Trail], order: &[usize]) -> Vec<usize> {
    let mut offsets: Vec<Option<usize>> = vec![None; blocks.len()];
    for &index in order {
        let mut taken: Vec<(usize, usize)> = (0..blocks.len())
            .filter(|&other| blocks[other].meets(&blocks[index]))
            .filter_map(|other| {
                let offset = offsets[other]?;
                let (own, others) = clearance(blocks, trails, index, other);
                // Starts in `offset − own + 1 .. offset + others` are taken.
                Some(((offset + 1).saturating_sub(own), offset + others))
            })
            .collect();
        taken.sort_unstable();
        let lowest =
            taken.iter().fold(0, |at, &(start, end)| if at < start { at } else { at.max(end) });
        offsets[index] = Some(lowest);
    }
    offsets.into_iter().map(Option::unwrap_or_default).collect()
}

/// How far apart two blocks must start: the bytes of the first, if it lies before the other, and
/// those of the other, if that lies before it.
fn clearance(blocks: &[Block], trails: &[Trail], one: usize, other: usize) -> (usize, usize) {
    let lead = |input: usize, output: usize| {
        let trail = trails.iter().find(|trail| trail.input == input && trail.output == output);
        let len_bytes = blocks[output].len_bytes;
        trail.map_or(len_bytes, |trail| trail.lead.min(len_bytes))
    };
    (lead(other, one), lead(one, other))
}

/// Sebastiano Vigna's `SplitMix64`: the search must give the same plan on every machine.
struct SplitMix(u64);

impl SplitMix {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % limit.max(1) as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn block(len_bytes: usize, first: usize, last: usize) -> Block {
        Block { len_bytes, first, last }
    }

    #[test]
    fn a_chain_alternates_between_two_ends() {
        let chain = [block(100, 0, 1), block(50, 1, 2), block(100, 2, 3), block(50, 3, 4)];
        let offsets = place(&chain, &[], Effort::Full);
        assert_eq!(peak(&chain, &offsets), 150);
        assert_eq!(floor(&chain, &[]), 150);
    }

    #[test]
    fn the_search_finds_what_greedy_orders_miss() {
        // By length, 4 and 3 are stacked at once; the optimum puts the long-lived block between.
        let blocks = [block(4, 0, 1), block(3, 1, 2), block(2, 0, 3), block(4, 3, 4)];
        assert_eq!(peak(&blocks, &place(&blocks, &[], Effort::Full)), floor(&blocks, &[]));
    }

    #[test]
    fn an_output_trails_its_input() {
        let chain = [block(100, 0, 1), block(100, 1, 2), block(40, 2, 3)];
        let trails =
            [Trail { input: 0, output: 1, lead: 8 }, Trail { input: 1, output: 2, lead: 0 }];
        let offsets = place(&chain, &trails, Effort::Full);
        assert_eq!(peak(&chain, &offsets), 108);
        assert_eq!(floor(&chain, &trails), 108);
    }

    proptest! {
        #[test]
        fn blocks_that_live_together_are_apart(
            given in proptest::collection::vec((1usize..200, 0usize..20, 0usize..6), 0..24),
            leads in proptest::collection::vec((0usize..24, 0usize..24, 0usize..100), 0..6),
        ) {
            let blocks: Vec<Block> =
                given.iter().map(|&(len, first, life)| block(len, first, first + life)).collect();
            let trails: Vec<Trail> = leads
                .iter()
                .filter(|(i, o, _)| i != o && i.max(o) < &blocks.len())
                .map(|&(input, output, lead)| Trail { input, output, lead })
                .collect();
            let offsets = place(&blocks, &trails, Effort::Full);
            // `one` starts so far before `other` that it is allowed.
            let before = |one: usize, other: usize| {
                let trail = trails.iter().find(|t| t.input == other && t.output == one);
                let own = blocks[one].len_bytes;
                offsets[one] + trail.map_or(own, |trail| trail.lead.min(own)) <= offsets[other]
            };
            for i in 0..blocks.len() {
                for j in (0..i).filter(|&j| blocks[i].meets(&blocks[j])) {
                    prop_assert!(before(i, j) || before(j, i), "{i} and {j}");
                }
            }
        }
    }
}
