//! Builds firmware and runs it on emulated cores: the one place that knows how either is done.
//!
//! An image goes in; what a board makes of it comes out, as figures ([`bench()`]) or as output bytes
//! ([`run_many`]).
//!
//! ```text
//! Board (table) ─ Toolchain ─ Sysroot ─▶ cargo build firmware/bench ─▶ ELF ─▶ QEMU + profiler ─▶ BenchReport
//!                                              ▲ image                 ▲ input.bin   │ output.bin
//! ```
//!
//! - [`board`]: the table of boards, from which machine, target, flags and memory map follow;
//! - [`toolchain`]: which compiler builds for a target, and with which `core`;
//! - [`firmware`]: building an application for a board;
//! - [`elf`]: what a built file tells: sizes, symbols;
//! - [`qemu`]: running it;
//! - [`log`]: reading what it logged.
//!
//! Everything that is built lies under `target/` of the workspace (or `CARGO_TARGET_DIR`), and is
//! built again only when its sources, the compiler or the image change. Concurrent calls wait for
//! each other board by board.
//!
//! Environment: `FIXIE_SOURCE` names the workspace if it has moved since this crate was compiled;
//! `FIXIE_TOOLCHAIN` is explained in [`toolchain`].

pub mod bench;
pub mod board;
mod digest;
pub mod elf;
mod error;
pub mod firmware;
pub mod log;
mod plugin;
pub mod qemu;
mod site;
mod store;
mod sysroot;
pub mod toolchain;
mod workspace;

pub use bench::{BenchReport, BenchRequest, Layer, LayerReport, RunRequest, bench, run_many};
pub use board::{BOARDS, Board};
pub use error::EmulatorError;
pub use fixie_profiler::profile::{Counters, HotBlock, Profile};

/// What is being done, for those who show progress. Each may take seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The standard library is being compiled for a target; once per compiler version.
    Sysroot {
        /// The target.
        target: &'static str,
    },
    /// The profiler plugin is being compiled.
    Profiler,
    /// Firmware is being compiled or linked.
    Firmware {
        /// The application.
        application: &'static str,
        /// The board's name.
        board: &'static str,
    },
    /// The emulator runs.
    Emulation {
        /// The board's name.
        board: &'static str,
    },
}
