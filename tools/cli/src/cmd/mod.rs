//! One file per verb: what can be typed, and what is then done.

pub mod bench;
mod budget;
pub mod completions;
pub mod convert;
pub mod debug;
pub mod demo;
pub mod eval;
pub mod inspect;
pub mod man;
mod quantization;
pub mod run;
