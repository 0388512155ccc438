//! The operators: each file has the rules of one operator and its kernel.

mod avg_pool;
mod lut;
mod max_pool;
mod mean;
mod pool;
mod window;

pub use avg_pool::AvgPool;
pub use lut::Lut;
pub use max_pool::MaxPool;
pub use mean::Mean;

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
