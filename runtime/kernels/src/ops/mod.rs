//! The operators: each file has the rules of one operator and its kernel.

mod arg_max;
mod avg_pool;
mod binary;
pub(crate) mod conv;
pub(crate) mod conv_blocked;
pub(crate) mod conv_paired;
pub(crate) mod conv_sparse;
#[cfg(test)]
pub(crate) mod conv_testing;
pub(crate) mod conv_vectors;
pub(crate) mod conv_wide;
mod copy;
pub(crate) mod depthwise;
pub(crate) mod depthwise_planar;
mod depthwise_strips;
mod feed;
mod fill;
mod lut;
mod max_pool;
mod mean;
pub(crate) mod patch;
mod pool;
mod prelu;
mod rescale;
mod resize;
mod softmax;
mod wide;
mod window;

pub use arg_max::ArgMax;
pub use avg_pool::AvgPool;
pub use binary::{Add, Mul};
pub use conv::Conv;
pub use conv_blocked::ConvBlocked;
pub use conv_paired::ConvPaired;
pub use conv_sparse::ConvSparse;
pub use conv_vectors::ConvVectors;
pub use conv_wide::ConvWide;
pub use copy::Copy;
pub use depthwise::Depthwise;
pub use depthwise_planar::DepthwisePlanar;
pub use feed::Feed;
pub use fill::Fill;
pub use lut::Lut;
pub use max_pool::MaxPool;
pub use mean::Mean;
pub use prelu::PRelu;
pub use rescale::Rescale;
pub use resize::Resize;
pub use softmax::Softmax;

use core::ops::Range;

use fixie_format::{Image, Record};

use crate::memory::Memory;
use crate::rule::Rule;

/// One operator: what its parameters must obey, and how it runs.
pub trait Operator {
    /// The parameter record.
    type Params: Record;

    /// Checks the parameters of an operator with `rows` rows against the tensors and constants of
    /// the image. What it accepts cannot fail in [`run`](Self::run).
    ///
    /// # Errors
    ///
    /// The [`Rule`] that is broken.
    fn check(params: &Self::Params, rows: u16, image: &Image<'_>) -> Result<(), Rule>;

    /// Computes some rows of the output; `None` if the parameters contradict the tensors.
    fn run(params: &Self::Params, rows: Range<usize>, memory: &mut Memory<'_>) -> Option<()>;
}
