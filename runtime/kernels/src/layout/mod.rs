//! For the compiler: weights in the order of each convolution kernel, and its scratch memory.
//!
//! Both depend on the opcode and the record alone, never on the machine that asks.

use fixie_format::Opcode;
use fixie_format::op;

use crate::ops::{
    conv, conv_blocked, conv_paired, conv_sparse, conv_vectors, depthwise, depthwise_planar,
};

pub use crate::ops::conv_wide::scratch_len as wide_scratch_len;

/// How much of a layer a kernel should be able to do at a time. With less it is right as well, only
/// slower.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Portion {
    /// Output rows.
    pub rows: usize,
    /// Output channels that are decoded, if the constants are coded. All pixels of the step see them
    /// before the next ones are decoded.
    pub channels: usize,
}

impl Portion {
    /// The whole layer.
    pub const WHOLE: Self = Self { rows: usize::MAX, channels: usize::MAX };
}

/// Bytes of scratch memory that a convolution by `opcode` needs for a portion of the layer; `None` if
/// they overflow, or if `opcode` is no convolution.
pub fn scratch_len(params: &op::Conv, opcode: Opcode, portion: Portion) -> Option<usize> {
    let Portion { rows, channels } = portion;
    match opcode {
        Opcode::Conv => conv::scratch_len(params, channels),
        Opcode::ConvPaired => conv_paired::scratch_len(params, channels),
        Opcode::ConvSparse => conv_sparse::scratch_len(params),
        Opcode::ConvBlocked => conv_blocked::scratch_len(params, channels),
        Opcode::ConvVectors => conv_vectors::scratch_len(params),
        Opcode::Depthwise => depthwise::scratch_len(params),
        Opcode::DepthwisePlanar => depthwise_planar::scratch_len(params, rows),
        _ => None,
    }
}

pub use depthwise_planar::{Tiling, tiling};
#[cfg(any(feature = "pack", test))]
pub use pack::{Constants, code, pack};

#[cfg(any(feature = "pack", test))]
mod pack;
#[cfg(test)]
mod tests;
