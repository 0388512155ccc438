//! An estimate of the cycles that a Cortex-M7 spends.
//!
//! Arm publishes no table for this core. Source: the scheduling model that Arm contributed to LLVM
//! (`ARMScheduleM7.td`, LLVM 20), whose figures are those of the pipeline. Modelled are:
//!
//! - two instructions per cycle, in order: one multiplier, one store, one shifter, one unit for
//!   extensions and saturation that only the first of a pair can use, two loads, one branch; loads
//!   and stores of several registers, coprocessor instructions and barriers issue alone;
//! - when results are there: one cycle after issue, two for products, bytes, halfwords and
//!   saturations;
//! - when operands are needed: addresses and shifted operands a cycle early, accumulators and stored
//!   data a cycle late.
//!
//! Not modelled are mispredicted branches (each is taken to end its pair and to cost nothing else),
//! caches, wait states and the banks of the data memory, and pairs across the end of a block.

/// The part of the core that an instruction needs to itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Either of the two arithmetic units.
    Alu,
    /// An arithmetic unit and the shifter.
    Shifter,
    /// Extension, packing, bit fields, parallel and saturating arithmetic.
    Simd,
    /// The multiplier.
    Multiplier,
    /// One of two loads.
    Load,
    /// The store.
    Store,
    /// The branch.
    Branch,
    /// The whole core, for this many cycles.
    Alone(u8),
}

/// What decides when an instruction can issue. Registers are bits: bit *n* is register *n*.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Issue {
    /// What it needs.
    pub unit: Unit,
    /// Registers that must be there a cycle before the arithmetic stage.
    pub early: u16,
    /// Registers that must be there at the arithmetic stage.
    pub reads: u16,
    /// Registers that must be there a cycle behind the arithmetic stage.
    pub late: u16,
    /// Registers that it writes.
    pub writes: u16,
    /// Cycles from issue to the result.
    pub latency: u8,
}

impl Issue {
    /// An instruction without operands.
    pub const fn of(unit: Unit) -> Self {
        Self { unit, early: 0, reads: 0, late: 0, writes: 0, latency: 1 }
    }

    /// One that neither takes time nor registers: for other instruction sets.
    pub const NONE: Self = Self::of(Unit::Alone(0));

    /// Whether it can be the second of a pair whose first one is `first`.
    fn pairs_behind(&self, first: &Self) -> bool {
        match (first.unit, self.unit) {
            (Unit::Alone(_) | Unit::Branch, _) | (_, Unit::Alone(_) | Unit::Simd) => false,
            (Unit::Alu, _) | (_, Unit::Alu) | (Unit::Load, Unit::Load) => true,
            (a, b) => a != b,
        }
    }
}

/// Cycles of one execution of a straight run of instructions.
pub fn straight_line_cycles(run: impl IntoIterator<Item = Issue>) -> u64 {
    let mut core = Core::default();
    run.into_iter().for_each(|issue| core.issue(issue));
    core.next.unsigned_abs()
}

/// The core between two instructions. Cycles count from 0, at the start of the run.
#[derive(Default)]
struct Core {
    /// The first cycle in which nothing has issued yet.
    next: i64,
    /// What issued last, if a second instruction may join it.
    open: Option<Issue>,
    /// When an arithmetic unit can use a register that the run has written.
    ready: [Option<i64>; 16],
}

impl Core {
    fn issue(&mut self, issue: Issue) {
        let early = self.ready(issue.early).map(|at| at + 1);
        let late = self.ready(issue.late).map(|at| at - 1);
        let operands = early.max(self.ready(issue.reads)).max(late).unwrap_or(0);
        let joins = self.open.is_some_and(|first| {
            issue.pairs_behind(&first) && operands < self.next && first.writes & issue.writes == 0
        });
        let at = if joins { self.next - 1 } else { self.next.max(operands) };
        let cycles = if let Unit::Alone(cycles) = issue.unit { cycles.into() } else { 1 };
        self.open = (!joins).then_some(issue);
        self.next = at + cycles;
        for register in (0..16).filter(|register| issue.writes >> register & 1 == 1) {
            self.ready[register] = Some(self.next - 1 + i64::from(issue.latency));
        }
    }

    /// When the last of some registers is ready; `None` if all were before the run.
    fn ready(&self, registers: u16) -> Option<i64> {
        let each = (0..16).filter(|register| registers >> register & 1 == 1);
        each.filter_map(|register| self.ready[register]).max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::thumb;

    fn cycles(codes: &[(u16, u16)]) -> u64 {
        straight_line_cycles(
            codes.iter().map(|&(first, second)| thumb::decode(first, second).issue),
        )
    }

    const ADD_R0_R1_R2: (u16, u16) = (0x1888, 0);
    const ADD_R3_R0_R2: (u16, u16) = (0x1883, 0);
    const ADD_R3_R1_R2: (u16, u16) = (0x188b, 0);
    const LDR_R0_R1: (u16, u16) = (0x6808, 0);
    const LDR_R2_R0: (u16, u16) = (0x6802, 0);
    const LDRB_R0_R1: (u16, u16) = (0x7808, 0);
    const SXTB16_R0_R1: (u16, u16) = (0xfa2f, 0xf081);
    const SMLAD_R0_R1_R2_R0: (u16, u16) = (0xfb21, 0x0002);
    const SMLAD_R3_R1_R2_R3: (u16, u16) = (0xfb21, 0x3302);
    const STR_R0_R1: (u16, u16) = (0x6008, 0);

    #[test]
    fn independent_instructions_pair() {
        assert_eq!(cycles(&[ADD_R0_R1_R2, ADD_R3_R1_R2]), 1);
        assert_eq!(cycles(&[ADD_R0_R1_R2, ADD_R3_R0_R2]), 2);
        assert_eq!(cycles(&[SMLAD_R0_R1_R2_R0, LDR_R0_R1]), 2, "both write r0");
        assert_eq!(cycles(&[SMLAD_R3_R1_R2_R3, LDR_R0_R1]), 1);
    }

    #[test]
    fn there_is_one_multiplier_and_extensions_come_first() {
        assert_eq!(cycles(&[SMLAD_R0_R1_R2_R0, SMLAD_R3_R1_R2_R3]), 2);
        assert_eq!(cycles(&[SXTB16_R0_R1, SMLAD_R3_R1_R2_R3]), 1);
        assert_eq!(cycles(&[SMLAD_R3_R1_R2_R3, SXTB16_R0_R1]), 2);
    }

    #[test]
    fn operands_are_needed_at_different_times() {
        assert_eq!(cycles(&[SMLAD_R0_R1_R2_R0, SMLAD_R0_R1_R2_R0]), 2, "sums are forwarded");
        assert_eq!(cycles(&[SMLAD_R0_R1_R2_R0, ADD_R3_R0_R2]), 3, "to other units later");
        assert_eq!(cycles(&[LDR_R0_R1, ADD_R3_R0_R2]), 2);
        assert_eq!(cycles(&[LDRB_R0_R1, ADD_R3_R0_R2]), 3);
        assert_eq!(cycles(&[LDR_R0_R1, LDR_R2_R0]), 3, "an address is needed early");
        assert_eq!(cycles(&[ADD_R0_R1_R2, STR_R0_R1]), 1, "what is stored is needed late");
    }
}
