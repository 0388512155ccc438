//! The applications, without a board: samples in, decisions out.
//!
//! Each is a value that is fed with [`push_samples`](Application::push_samples) and driven with
//! [`poll`](Application::poll), which does a bounded piece of work and never waits. Who calls them
//! is the board's affair:
//!
//! - a superloop calls [`turn`] and sleeps when there is nothing to do;
//! - an async task pushes what its driver awaited, then polls and yields until it is idle.
//!
//! Sampling never waits for an inference, since an inference is many polls and samples are taken
//! between them; what arrives meanwhile lies in the queue behind the sampling interrupt.
//!
//! ```text
//! interrupt ─ heapless::spsc ─▶ SampleSource ─ push_samples ─▶ features ─ window ┐
//!                                                                               ▼
//! log ◀─ Decision ◀─ Decider ◀─ scores ◀─ Engine::step ◀──────────── poll ── input port
//! ```
//!
//! The image and its arena are slices: the image may be part of the firmware or lie in a region of
//! flash of its own, where an update replaces it. Which operators the firmware can run is the
//! constant `OPS` of each application's type.
#![no_std]
#![forbid(unsafe_code)]

mod affine;
mod application;
pub mod camera;
pub mod keyword;
pub mod motion;
mod network;
mod window;

pub use affine::Affine;
pub use application::{Application, Classes, Decision, Status, turn};
pub use network::{Delivery, Network, StartError, Step};
pub use window::WindowClassifier;
