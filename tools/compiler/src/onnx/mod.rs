//! The frontend: from an ONNX file to the compiler's graph.
//!
//! ```text
//! bytes ─ model ─▶ ModelProto, shapes static ─ qoperator ─▶ QDQ form ─ import ─▶ ir::Graph
//!                                                              └───── reference ─▶ float values
//! ```
//!
//! tract decodes the message, computes what is constant, and executes the model in floating point.
//! Operators are read from the message itself, one file per family under `import/`, so that
//! nothing is lost that a float runtime may forget: quantisation, names, the author's shapes.

mod dequantize;
mod error;
mod fold;
mod guard;
mod import;
pub mod limits;
mod model;
mod node;
mod normalize;
mod qoperator;
mod reference;
mod tensor;
#[cfg(test)]
mod tests;

pub use error::{ImportError, NodeError};
pub use model::{ImportOptions, Model, NEWEST_OPSET, OLDEST_OPSET, Port};
pub use reference::{Reference, ReferenceError};
