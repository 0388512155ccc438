//! An estimate of the cycles that a Cortex-M4 spends.
//!
//! Source: Arm, *Cortex-M4 Processor Technical Reference Manual* (DDI 0439, r0p1), table 3-1
//! "Cortex-M4 instruction set summary", the FPU's table 7-1, and section 3.3.3 "Load/store
//! timings". Modelled are:
//!
//! - the cycles of each instruction; LDM, STM, PUSH, POP, VLDM and VSTM take 1 + N;
//! - pipelining of neighbouring loads and stores: one that follows a load and does not need its
//!   result as an address costs one cycle less;
//! - the refill of the pipeline after each change of flow ([`REFILL_CYCLES`]).
//!
//! Not modelled are flash wait states and caches, contention on the buses, unaligned accesses,
//! the cycle lost when an address comes from the instruction just before, folded IT instructions,
//! branch speculation, pipelining across the end of a block, and the early end of a division.

/// Cycles to refill the pipeline after a change of flow. The manual says 1 to 3, by the alignment
/// and width of the target instruction and by how early its address was known.
pub const REFILL_CYCLES: u64 = 2;

/// A division takes 2 to 12 cycles, by its operands: the middle.
pub const DIVIDE_CYCLES: u8 = 7;

/// Stands for "no register" where a [`Timing`] has room for one.
pub const NO_REGISTER: u8 = u8::MAX;

/// What decides the time of one instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timing {
    /// Always as many cycles; refills come on top, when they happen.
    Cycles(u8),
    /// A load of one register.
    Load {
        /// The register that is loaded.
        destination: u8,
        /// The registers that make up the address.
        address: [u8; 2],
    },
    /// A store of one register.
    Store {
        /// The registers that make up the address; only the first with an immediate offset.
        address: [u8; 2],
    },
}

impl Timing {
    /// Most instructions.
    pub const ONE: Self = Self::Cycles(1);
}

/// Cycles of one execution of a straight run of instructions, without a refill at its end.
pub fn straight_line_cycles(timings: impl IntoIterator<Item = Timing>) -> u64 {
    let mut cycles = 0;
    // The register which the instruction just before has loaded, if it was a load.
    let mut loaded = None;
    for timing in timings {
        let pipelines =
            |address: [u8; 2]| loaded.is_some_and(|register| !address.contains(&register));
        cycles += match timing {
            Timing::Cycles(cycles) => u64::from(cycles),
            // Stored while the next instruction executes.
            Timing::Store { address: [_, NO_REGISTER] } => 1,
            Timing::Load { address, .. } | Timing::Store { address } => {
                2 - u64::from(pipelines(address))
            }
        };
        loaded = match timing {
            Timing::Load { destination, .. } => Some(destination),
            Timing::Cycles(_) | Timing::Store { .. } => None,
        };
    }
    cycles
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(destination: u8, base: u8) -> Timing {
        Timing::Load { destination, address: [base, NO_REGISTER] }
    }

    /// The examples of the manual's section 3.3.3.
    #[test]
    fn neighbouring_loads_and_stores_pipeline() {
        let indexed_load = Timing::Load { destination: 0, address: [1, 2] };
        let store_immediate = Timing::Store { address: [3, NO_REGISTER] };
        let store_indexed = Timing::Store { address: [3, 2] };
        // LDR R0,[R1]; LDR R1,[R2]: three cycles.
        assert_eq!(straight_line_cycles([load(0, 1), load(1, 2)]), 3);
        // LDR R0,[R1,R2]; STR R0,[R3,#20]: three cycles.
        assert_eq!(straight_line_cycles([indexed_load, store_immediate]), 3);
        // LDR R0,[R1,R2]; STR R1,[R3,R2]: three cycles.
        assert_eq!(straight_line_cycles([indexed_load, store_indexed]), 3);
        // LDR R0,[R1,R5]; LDR R1,[R2]; LDR R2,[R3,#4]: four cycles.
        assert_eq!(straight_line_cycles([indexed_load, load(1, 2), load(2, 3)]), 4);
    }

    #[test]
    fn an_address_that_was_just_loaded_stalls() {
        assert_eq!(straight_line_cycles([load(1, 0), load(2, 1)]), 4);
    }

    #[test]
    fn nothing_pipelines_after_a_store_or_an_arithmetic_instruction() {
        let store_indexed = Timing::Store { address: [3, 2] };
        assert_eq!(straight_line_cycles([store_indexed, load(0, 1)]), 4);
        assert_eq!(straight_line_cycles([load(0, 1), Timing::ONE, load(1, 2)]), 5);
    }
}
