//! What can be wrong with a data file.

use std::fmt::Display;
use std::io;

use ndarray_npy::ReadNpyError;
use thiserror::Error;
use zip::result::ZipError;

/// A data file that cannot be used.
#[derive(Debug, Error)]
#[error("{file}: {problem}")]
pub struct DataError {
    /// The file.
    pub file: String,
    /// What is wrong with it.
    #[source]
    pub problem: Problem,
}

impl DataError {
    pub(super) fn new(file: impl Display, problem: Problem) -> Self {
        Self { file: file.to_string(), problem }
    }
}

/// Why a data file cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Problem {
    /// The operating system refuses to read it.
    #[error("cannot be read: {0}")]
    Read(#[source] io::Error),
    /// It starts like neither kind of file.
    #[error("neither .npy nor .npz: save it with numpy.save or numpy.savez")]
    NotNumpy,
    /// The archive is damaged or of an unusual kind.
    #[error("not a sound .npz archive ({0}): save it again with numpy.savez")]
    Archive(#[source] ZipError),
    /// An array of the archive cannot be unpacked.
    #[error("array `{array}` cannot be unpacked ({source}): save it again with numpy.savez")]
    Unpack {
        /// The array.
        array: String,
        /// Why not.
        source: io::Error,
    },
    /// The arrays are too large.
    #[error(
        "holds more than {} MiB: keep fewer samples, or integers with `x_scale` and `x_offset`",
        limit_bytes >> 20
    )]
    TooLarge {
        /// Most bytes that are read from one file.
        limit_bytes: u64,
    },
    /// The header of an array is malformed.
    #[error("array `{array}` has no sound .npy header ({reason}): save it again with numpy")]
    Header {
        /// The array.
        array: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The elements of an array are not numbers, or of an exotic type.
    #[error(
        "array `{array}` has elements of type {found}: bool, integers up to 64 bits, float16, \
         float32 and float64 can be read"
    )]
    ElementType {
        /// The array.
        array: String,
        /// `NumPy`'s name of the type.
        found: String,
    },
    /// The data of an array contradicts its header.
    #[error("array `{array}` is damaged: {source}")]
    Elements {
        /// The array.
        array: String,
        /// What is wrong with it.
        source: ReadNpyError,
    },
    /// An array has fewer or more bytes than its shape needs.
    #[error("array `{array}` of shape {shape:?} has {found} bytes of data: the file is damaged")]
    Length {
        /// The array.
        array: String,
        /// The shape that the header states.
        shape: Vec<usize>,
        /// Bytes that are there.
        found: usize,
    },
    /// An array that is needed is not there.
    #[error(
        "has no array {expected}, but {found}: name the samples as the model names its input",
        expected = list(expected),
        found = list(found),
    )]
    Missing {
        /// Names under which it was sought.
        expected: Vec<String>,
        /// Names that the file has.
        found: Vec<String>,
    },
    /// The model has no input that could be filled.
    #[error("the model has no inputs: there is nothing to fill with samples")]
    NoInputs,
    /// An array does not hold samples of the model's input.
    #[error(
        "array `{array}` has shape {found:?}, the model needs [N, ..] with {expected:?} behind \
         the number of samples: put them along the first axis, in the layout of the model's input"
    )]
    Shape {
        /// The array.
        array: String,
        /// The shape of one sample.
        expected: Vec<usize>,
        /// The array's shape.
        found: Vec<usize>,
    },
    /// There are no samples.
    #[error("holds no samples: the first axis of the input's array is 0")]
    Empty,
    /// Arrays speak of different numbers of samples.
    #[error("array `{array}` is for {found} samples, the first input has {expected}")]
    Samples {
        /// The array.
        array: String,
        /// Number of samples of the first input.
        expected: usize,
        /// Number of samples of the array.
        found: usize,
    },
    /// A scale or offset is not one finite number.
    #[error("array `{array}` must be one finite number")]
    NotScalar {
        /// The array.
        array: String,
    },
    /// A value is NaN or infinite.
    #[error("array `{array}`, sample {sample}: holds NaN or infinity; remove the sample")]
    NotFinite {
        /// The array.
        array: String,
        /// Index of the sample.
        sample: usize,
    },
    /// A label or group is not an integer.
    #[error("array `{array}`, sample {sample}: is not an integer")]
    NotInteger {
        /// The array.
        array: String,
        /// Index of the sample.
        sample: usize,
    },
}

/// The names in backticks, or a word for none.
fn list(names: &[String]) -> String {
    match names {
        [] => "(nothing)".to_owned(),
        names => format!("`{}`", names.join("`, `")),
    }
}
