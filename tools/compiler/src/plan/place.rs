//! Placing blocks with lifetimes in as few bytes as possible: dynamic storage allocation.
//!
//! The problem is NP-hard; networks are small. Blocks are placed one after the other at the lowest
//! offset that is free during their life. The order decides: several natural ones are tried, then
//! a seeded local search swaps blocks until the lower bound is met or it stops paying.

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

/// How many orders the local search tries.
const SEARCH_ROUNDS: usize = 4000;

/// An offset for every block, so that no two that live together share a byte.
pub fn place(blocks: &[Block]) -> Vec<usize> {
    let floor = floor(blocks);
    let mut best: Option<(usize, Vec<usize>, Vec<usize>)> = None;
    for order in natural_orders(blocks) {
        keep_better(blocks, order, &mut best);
    }
    let mut random = SplitMix(0);
    for _ in 0..SEARCH_ROUNDS {
        let Some((peak, order, _)) = &best else { break };
        if *peak == floor || blocks.len() < 2 {
            break;
        }
        let mut order = order.clone();
        let (a, b) = (random.below(order.len()), random.below(order.len()));
        let moved = order.remove(a);
        order.insert(b, moved);
        keep_better(blocks, order, &mut best);
    }
    best.map(|(_, _, offsets)| offsets).unwrap_or_default()
}

/// Bytes from 0 to the end of the last block.
pub fn peak(blocks: &[Block], offsets: &[usize]) -> usize {
    blocks.iter().zip(offsets).map(|(block, offset)| offset + block.len_bytes).max().unwrap_or(0)
}

/// The most bytes alive at one moment: no placement needs fewer.
pub fn floor(blocks: &[Block]) -> usize {
    let alive = |at: usize| {
        blocks.iter().filter(|b| b.first <= at && at <= b.last).map(|b| b.len_bytes).sum()
    };
    blocks.iter().map(|block| alive(block.first)).max().unwrap_or(0)
}

fn keep_better(
    blocks: &[Block],
    order: Vec<usize>,
    best: &mut Option<(usize, Vec<usize>, Vec<usize>)>,
) {
    let offsets = first_fit(blocks, &order);
    let peak = peak(blocks, &offsets);
    if best.as_ref().is_none_or(|(least, ..)| peak <= *least) {
        *best = Some((peak, order, offsets));
    }
}

/// By length, by length times life, and by the moment of birth.
fn natural_orders(blocks: &[Block]) -> [Vec<usize>; 3] {
    let by = |key: fn(&Block) -> (Reverse<usize>, usize)| {
        let mut order: Vec<usize> = (0..blocks.len()).collect();
        order.sort_by_key(|&index| key(&blocks[index]));
        order
    };
    [
        by(|b| (Reverse(b.len_bytes), b.first)),
        by(|b| (Reverse(b.len_bytes * (b.last - b.first + 1)), b.first)),
        by(|b| (Reverse(0), b.first)),
    ]
}

/// Places the blocks in order, each at the lowest offset that is free during its life.
fn first_fit(blocks: &[Block], order: &[usize]) -> Vec<usize> {
    let mut offsets: Vec<Option<usize>> = vec![None; blocks.len()];
    for &index in order {
        let block = &blocks[index];
        let mut taken: Vec<(usize, usize)> = blocks
            .iter()
            .zip(&offsets)
            .filter(|(other, _)| other.meets(block))
            .filter_map(|(other, offset)| offset.map(|start| (start, start + other.len_bytes)))
            .collect();
        taken.sort_unstable();
        let fit = taken.iter().fold((0, false), |(at, found), &(start, end)| {
            let fits = found || at + block.len_bytes <= start;
            (if fits { at } else { at.max(end) }, fits)
        });
        offsets[index] = Some(fit.0);
    }
    offsets.into_iter().map(Option::unwrap_or_default).collect()
}

/// Sebastiano Vigna's SplitMix64: the search must give the same plan on every machine.
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
        let offsets = place(&chain);
        assert_eq!(peak(&chain, &offsets), 150);
        assert_eq!(floor(&chain), 150);
    }

    #[test]
    fn the_search_finds_what_greedy_orders_miss() {
        // By length, 4 and 3 are stacked at once; the optimum puts the long-lived block between.
        let blocks = [block(4, 0, 1), block(3, 1, 2), block(2, 0, 3), block(4, 3, 4)];
        assert_eq!(peak(&blocks, &place(&blocks)), floor(&blocks));
    }

    proptest! {
        #[test]
        fn blocks_that_live_together_are_apart(
            given in proptest::collection::vec((1usize..200, 0usize..20, 0usize..6), 0..24)
        ) {
            let blocks: Vec<Block> =
                given.iter().map(|&(len, first, life)| block(len, first, first + life)).collect();
            let offsets = place(&blocks);
            prop_assert!(peak(&blocks, &offsets) >= floor(&blocks));
            for i in 0..blocks.len() {
                for j in 0..i {
                    let apart = offsets[i] + blocks[i].len_bytes <= offsets[j]
                        || offsets[j] + blocks[j].len_bytes <= offsets[i];
                    prop_assert!(apart || !blocks[i].meets(&blocks[j]));
                }
            }
        }
    }
}
