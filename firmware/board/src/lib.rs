//! What a board needs below an application: reset and entry, faults, stack measurement, and the
//! marks by which the profiler tells one region of a run from the next.
//!
//! The crate knows architectures, not products. Where flash and RAM lie comes from the `memory.x`
//! that the build puts on the linker's search path.
//!
//! ```ignore
//! #![no_std]
//! #![no_main]
//!
//! #[fixie_board::entry]
//! fn main() -> ! {
//!     fixie_board::mark();
//!     // the work to be counted
//!     fixie_board::mark();
//!     loop {}
//! }
//! ```

#![no_std]

#[cfg(feature = "cycles")]
pub mod cycles;
#[cfg(feature = "rt")]
mod fault;
mod mark;
#[cfg(feature = "split")]
pub mod split;
pub mod stack;

pub use mark::fixie_mark as mark;

/// Declares the function which runs after reset: `fn() -> !`, once per program.
///
/// On Arm the FPU, and with it Helium, is switched on before where the target uses it.
#[cfg(all(feature = "rt", target_arch = "arm"))]
pub use cortex_m_rt::entry;
/// Declares the function which runs after reset: `fn() -> !`, once per program.
#[cfg(all(feature = "rt", target_arch = "riscv32"))]
pub use riscv_rt::entry;
