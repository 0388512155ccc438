//! Runs an application on an emulated board: a timer interrupt takes samples from a recording, as it
//! would from a sensor, while the application infers step by step.
//!
//! ```text
//! input.bin ─ timer interrupt ─ heapless::spsc ─ the application ─ defmt ─▶ stdout
//! ```
//!
//! `input.bin`, in the emulator's working directory, is samples one after the other, little-endian.
//! The log says what was decided, when, and how long after the last sample that mattered; in the
//! end how many samples were taken and how many found the queue full, which must be none. If the
//! application fails, `report.txt` holds "error " and why.

#![no_std]

mod recording;
mod session;
mod timer;

// The logger, which nothing else refers to.
use defmt_semihosting as _;

pub use recording::Recording;
pub use session::{Board, finish, run};

defmt::timestamp!("{=u64:us}", timer::now_ns() / 1000);
