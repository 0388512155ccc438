//! Compiles trained ONNX models into Fixie images.
//!
//! ```text
//! ONNX ─ onnx ─▶ ir::Graph ─ passes ─▶ ir::Graph ─ calibrate, quantize ─▶ ir::Graph with integers
//!      ─ lower ─▶ image operators ─ plan ─▶ arena offsets ─ pack ─▶ image bytes
//! ```
//!
//! Data flows one way: a later stage never reaches back into an earlier one.
#![forbid(unsafe_code)]

pub mod calibrate;
pub mod choice;
pub mod compile;
pub mod cost;
pub mod data;
pub mod debug;
pub mod digest;
pub mod evaluate;
pub mod ir;
pub mod lower;
pub mod metadata;
pub mod onnx;
mod pack;
pub mod passes;
pub mod plan;
pub mod quantize;
pub mod reduce;
pub mod search;
pub mod session;
pub mod target;
pub mod trace;
