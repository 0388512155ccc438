//! Counts the instructions that an emulated core executes: exactly, and the same on every run.
//!
//! The crate is a QEMU TCG plugin. QEMU hands it each block of guest code as it is translated; the
//! plugin decodes the block once ([`decode`]) and from then on only counts how often it runs. The
//! totals are therefore exact, and they do not depend on the machine that ran the emulator.
//!
//! ```text
//! guest code ─ QEMU translates ─▶ Block { classes, cycles } ─ runs ─▶ executions, taken branches
//!            ─ fixie_mark() ─▶ snapshot of all counters ─ exit ─▶ profile.json (profile::Profile)
//! ```
//!
//! The firmware under measurement calls the empty function `fixie_mark` around whatever should be
//! told apart, and each call adds a snapshot to the profile.
//!
//! ```text
//! qemu-system-arm … -plugin libfixie_profiler.so,mark=0x1234,out=profile.json[,hot=2:3]
//! ```
//!
//! - `mark`: address of `fixie_mark`, from the symbol table;
//! - `out`: where the profile is written when the emulator exits;
//! - `hot=A:B`: also list the blocks executed between marks A and B, counted from 0.
//!
//! # Cycles
//!
//! For Arm code the profile carries estimates of Cortex-M4 and Cortex-M7 cycles; [`cortex_m4`] and
//! [`cortex_m7`] state where the timings come from and what they leave out. Instruction counts are
//! exact, cycles are not.

mod block;
pub mod cortex_m4;
pub mod cortex_m7;
pub mod decode;
mod options;
mod plugin;
pub mod profile;
mod qemu;
