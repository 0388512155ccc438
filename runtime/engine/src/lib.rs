//! Fixie's runtime: executes a quantised neural network from flash, in integers only.
//!
//! An image (`model.fixie`, made by `fixie convert`) is bound once to a caller's arena; from then on
//! [`Engine::run`] computes the outputs from the inputs without allocating, copying weights or
//! panicking.
//!
//! ```ignore
//! fixie::include_image!(mod kws = "kws.fixie"); // read and checked at compile time
//!
//! let mut arena = kws::Arena::new(); // exactly as large as it must be
//! let mut net = kws::bind(&mut arena)?;
//! net.input(0)?.quantize(&features)?;
//! net.run()?; // or `net.step()?`, one operator at a time
//! let (class, score) = net.output(0)?.argmax();
//! ```
//!
//! Only the operators which the image needs are linked: their set is a constant of the engine's
//! type. An image that arrives at run time is bound by an `Engine<{ OPS }>` whose set the firmware
//! chose; operators outside it are refused by name.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod arena;
mod bind;
mod dispatch;
pub mod embed;
mod engine;
mod error;
mod log;
mod port;

pub use arena::{Aligned, Arena};
pub use engine::{Engine, Progress};
pub use error::{BindError, PortError, RunError};
pub use fixie_format::table::{Dtype, Port};
pub use fixie_format::{Image, ImageError, OpSet, Opcode};
pub use fixie_kernels::Rule;
pub use log::{StepLog, StepTime};
pub use port::{InputPort, InputRow, OutputPort, Score};

/// The operator set of an engine that runs every image of this version, for hosts.
pub const ALL_OPS: u64 = OpSet::ALL.bits();
