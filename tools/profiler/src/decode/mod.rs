//! Instruction encodings: how long an instruction is, what kind of work it does, and what a
//! Cortex-M4 spends on it. Only what the counters need is decoded.

mod helium;
mod operands;
pub mod rv32;
pub mod thumb;
mod thumb32;

use crate::cortex_m4::Timing;
use crate::cortex_m7::Issue;

/// What the counters know of one instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instruction {
    /// 2 or 4. Taken from the encoding, as QEMU 7.2 counts bytes that it read ahead too.
    pub len_bytes: u64,
    /// The counter that it belongs to.
    pub class: Class,
    /// Its time on a Cortex-M4; nothing for RISC-V.
    pub timing: Timing,
    /// How a Cortex-M7 issues it; nothing for RISC-V.
    pub issue: Issue,
}

/// The kinds of work that are counted apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Reads memory.
    Load,
    /// Writes memory.
    Store,
    /// Multiplies, with or without accumulating.
    Multiply,
    /// Changes the flow of control.
    Branch,
    /// Everything else.
    Other,
}

impl Instruction {
    /// A 16-bit instruction.
    const fn short(class: Class, timing: Timing, issue: Issue) -> Self {
        Self { len_bytes: 2, class, timing, issue }
    }

    /// A 32-bit instruction.
    const fn long(class: Class, timing: Timing, issue: Issue) -> Self {
        Self { len_bytes: 4, class, timing, issue }
    }
}
