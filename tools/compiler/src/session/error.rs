//! Why an image cannot run.

use std::io;

use fixie::{BindError, ImageError, PortError, RunError};
use thiserror::Error;

use crate::metadata::MetadataError;

/// An image or its inputs cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The operating system refuses to read the image.
    #[error("{file}: cannot be read: {source}")]
    Read {
        /// The image file.
        file: String,
        /// Why not.
        source: io::Error,
    },
    /// The bytes are not an image that this version reads.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The engine refuses the image or the arena.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The image's metadata is damaged.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    /// The number of arrays is not the model's number of inputs.
    #[error("the model has {expected} inputs, {found} arrays were given")]
    Inputs {
        /// Inputs of the model.
        expected: usize,
        /// Arrays given.
        found: usize,
    },
    /// An array has another shape than the input.
    #[error("input `{input}` has shape {expected:?}, the array {found:?}")]
    Shape {
        /// Name of the input.
        input: String,
        /// The input's shape.
        expected: Vec<usize>,
        /// The array's shape.
        found: Vec<usize>,
    },
    /// An input or output cannot be used so.
    #[error(transparent)]
    Port(#[from] PortError),
    /// An inference stopped.
    #[error(transparent)]
    Run(#[from] RunError),
}
