//! Compiles trained ONNX models into Fixie images.
//!
//! ```text
//! ONNX ─ onnx ─▶ ir::Graph ─ passes ─▶ ir::Graph ─ calibrate, quantize ─▶ ir::Graph with integers
//!      ─ lower ─▶ image operators ─ plan ─▶ arena offsets ─ pack ─▶ image bytes
//! ```
//!
//! Data flows one way: a later stage never reaches back into an earlier one.
#![forbid(unsafe_code)]

pub mod data;
pub mod digest;
pub mod ir;
pub mod quantize;
