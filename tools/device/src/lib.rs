//! Boards on a debug probe: whether an image fits, flashing it, its log, its cycles. The only place
//! that knows probe-rs.
//!
//! ```text
//! Board (table) ─ Firmware::build ─▶ ELF ┐
//!                  image, address ───────┴─ Plan::new (does it fit?) ─▶ Plan
//! Probes ─ Chip ─ Device::attach ─▶ Device ─ flash(Plan) ─ restart ─▶ Log, bench
//! ```
//!
//! - [`board`]: the table of boards, from which target and linker script follow, and how their flash
//!   is split into firmware and image;
//! - [`chip`]: memory and erase sectors of a chip, as probe-rs knows them;
//! - [`probe`]: the connected probes;
//! - [`firmware`]: ELF files, built or given;
//! - [`plan`]: what goes where; everything that can be refused is refused here, before anything is
//!   written;
//! - [`device`]: a chip on a probe: attach, flash and verify, restart;
//! - [`log`]: RTT channels, of defmt or text;
//! - [`mod@bench`]: cycles per layer from the bench firmware;
//! - [`espflash`]: boards that have no debug probe, by another program;
//! - [`emulated`]: a probe without a board.
//!
//! # What has not run on silicon
//!
//! Nothing of this crate has met a real probe or chip yet. Tested are: the whole way from attaching to
//! the decisions of an application in the log on QEMU's micro:bit, where probe-rs's flash algorithm for
//! the nRF51 executes on a model of that chip's flash controller; and all failures, on chips (nRF52840, STM32F446) whose flash
//! algorithm is replaced by what it is for. The register addresses and flash splits of [`BOARDS`] are
//! from data sheets and checked against probe-rs's memory maps.

#![forbid(unsafe_code)]

pub mod bench;
pub mod board;
pub mod chip;
pub mod device;
pub mod emulated;
mod error;
pub mod espflash;
pub mod firmware;
pub mod log;
pub mod plan;
pub mod probe;

pub use bench::{BenchReport, BenchRequest, LayerReport, bench};
pub use board::{BOARDS, Board};
pub use chip::Chip;
pub use device::{Attach, Device, FlashEvent, Operation};
pub use error::{DeviceError, Memory};
pub use espflash::Espflash;
pub use firmware::Firmware;
pub use log::{Log, LogLine, LogTable};
pub use plan::{Contents, Plan};
pub use probe::Probes;
