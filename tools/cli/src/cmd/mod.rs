//! One file per verb: what can be typed, and what is then done.

pub mod bench;
pub mod chips;
pub mod completions;
pub mod convert;
pub mod debug;
pub mod demo;
pub mod eval;
pub mod flash;
pub mod inspect;
pub mod man;
pub mod probe;
pub mod run;

mod budget;
mod quantization;
