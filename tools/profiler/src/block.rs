//! A block of guest code: what one execution of it counts, and how often it ran.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::decode::{Class, Instruction};
use crate::profile::Counters;
use crate::{cortex_m4, cortex_m7};

/// Code that QEMU translated as one piece: entered at its start, left after its end.
#[derive(Debug)]
pub struct Block {
    /// Address of the first instruction.
    pub address: u64,
    /// Address behind the last instruction, where the next block starts if no branch is taken.
    end_address: u64,
    /// What one execution counts, refills not included.
    once: Counters,
    /// One core executes the guest, so these have a single writer.
    executions: AtomicU64,
    departures: AtomicU64,
}

impl Block {
    /// A block of these instructions, not executed yet.
    pub fn new(address: u64, instructions: &[Instruction]) -> Self {
        let count = |class| instructions.iter().filter(|one| one.class == class).count() as u64;
        let timings = instructions.iter().map(|one| one.timing);
        let issues = instructions.iter().map(|one| one.issue);
        Self {
            address,
            end_address: address + instructions.iter().map(|one| one.len_bytes).sum::<u64>(),
            once: Counters {
                instructions: instructions.len() as u64,
                loads: count(Class::Load),
                stores: count(Class::Store),
                multiplies: count(Class::Multiply),
                branches: count(Class::Branch),
                cortex_m4_cycles: cortex_m4::straight_line_cycles(timings),
                cortex_m7_cycles: cortex_m7::straight_line_cycles(issues),
            },
            executions: AtomicU64::new(0),
            departures: AtomicU64::new(0),
        }
    }

    /// Counts one execution.
    pub fn enter(&self) {
        increment(&self.executions);
    }

    /// Counts a change of flow at the end, if the block that follows lies elsewhere.
    pub fn leave_to(&self, next_address: u64) {
        if next_address != self.end_address {
            increment(&self.departures);
        }
    }

    /// How often the block ran.
    pub fn executions(&self) -> u64 {
        self.executions.load(Ordering::Relaxed)
    }

    /// Instructions in the block.
    pub fn instructions(&self) -> u64 {
        self.once.instructions
    }

    /// All that the block has counted, with `refill_cycles` for each change of flow.
    pub fn totals(&self, refill_cycles: u64) -> Counters {
        let mut totals = self.once * self.executions();
        totals.cortex_m4_cycles += self.departures.load(Ordering::Relaxed) * refill_cycles;
        totals
    }
}

/// Adds one without the cost of a locked instruction: there is one writer.
fn increment(counter: &AtomicU64) {
    counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::thumb;

    #[test]
    fn a_loop_pays_a_refill_for_each_turn_but_the_last() {
        // ldr r2, [r0]; muls r1, r2, r1; subs r3, #1; bne back
        let codes = [0x6802, 0x4351, 0x3b01, 0xd1fb];
        let block = Block::new(0x100, &codes.map(|code| thumb::decode(code, 0)));
        for turn in 1..=10 {
            block.enter();
            block.leave_to(if turn < 10 { 0x100 } else { 0x108 });
        }
        let totals = block.totals(2);
        assert_eq!(totals.instructions, 40);
        assert_eq!((totals.loads, totals.stores, totals.multiplies), (10, 0, 10));
        assert_eq!(totals.branches, 10);
        assert_eq!(totals.cortex_m4_cycles, 10 * (2 + 1 + 1 + 1) + 9 * 2);
    }
}
