//! The compiler's own representation of a network.
//!
//! A [`Graph`] is a list of nodes in execution order over tensors with static ONNX shapes (batch 1
//! included). The frontend makes one from an ONNX model, the passes rewrite it, quantisation
//! annotates its tensors, and lowering turns it into operators of the image.

mod eval;
mod graph;
mod op;
mod quant;
mod shapes;
mod validate;

pub use eval::eval;
pub(crate) use eval::{Executable, Patches, eval_all};
pub use graph::{Constant, Graph, Node, Tensor, TensorId};
pub use op::{Conv, Interpolation, Op, PadMode, Pool, Resize, SliceAxis, Unary};
pub use quant::Quant;
pub use validate::Invalid;
