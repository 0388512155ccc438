//! The file that the plugin writes, as one JSON object.

use std::ops::{Add, Mul, Sub};

use serde::{Deserialize, Serialize};

/// All that was counted in one run of the emulator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// The counters at each call of `fixie_mark`, in the order of the calls. The call that makes a
    /// snapshot is in it up to its branch; what the mark itself executes comes after.
    pub marks: Vec<Counters>,
    /// The blocks executed between the two marks that were asked for, by falling instruction
    /// count; empty if none were asked for.
    pub hot: Vec<HotBlock>,
}

/// Running totals since reset.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Executed instructions, those skipped by a false condition included.
    pub instructions: u64,
    /// Instructions which read memory, however many registers they fill.
    pub loads: u64,
    /// Instructions which write memory, however many registers they empty.
    pub stores: u64,
    /// Multiplies and multiply-accumulates, of integers and of floats, scalar or vector.
    pub multiplies: u64,
    /// Branches, calls and returns, taken or not. A load into the program counter is a load.
    pub branches: u64,
    /// Estimated cycles on a Cortex-M4 without wait states; 0 for RISC-V code.
    pub cortex_m4_cycles: u64,
    /// Estimated cycles on a Cortex-M7 without wait states; 0 for RISC-V code.
    pub cortex_m7_cycles: u64,
}

/// A stretch of code with one entry, and how often it ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HotBlock {
    /// Address of the first instruction.
    pub address: u64,
    /// How often the block ran.
    pub executions: u64,
    /// Instructions executed in all those runs together.
    pub instructions: u64,
}

impl Add for Counters {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }
}

impl Sub for Counters {
    type Output = Self;

    /// What was counted between two snapshots, `other` being the earlier.
    ///
    /// Saturates at zero, as does what is left of a region when the cost of its marks is removed.
    fn sub(self, other: Self) -> Self {
        self.zip(other, u64::saturating_sub)
    }
}

impl Mul<u64> for Counters {
    type Output = Self;

    fn mul(self, times: u64) -> Self {
        self.zip(self, |count, _| count * times)
    }
}

impl Counters {
    fn zip(self, other: Self, combine: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            instructions: combine(self.instructions, other.instructions),
            loads: combine(self.loads, other.loads),
            stores: combine(self.stores, other.stores),
            multiplies: combine(self.multiplies, other.multiplies),
            branches: combine(self.branches, other.branches),
            cortex_m4_cycles: combine(self.cortex_m4_cycles, other.cortex_m4_cycles),
            cortex_m7_cycles: combine(self.cortex_m7_cycles, other.cortex_m7_cycles),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_is_the_difference_of_two_snapshots() {
        let early = Counters { instructions: 10, loads: 3, ..Counters::default() };
        let late = Counters { instructions: 25, loads: 5, branches: 1, ..Counters::default() };
        let region = late - early;
        assert_eq!((region.instructions, region.loads, region.branches), (15, 2, 1));
        assert_eq!(early + region, late);
        assert_eq!(early * 2, early + early);
    }
}
