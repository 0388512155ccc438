//! What can be wrong with the frame of an image.

use core::fmt;

use crate::image::Section;

/// Why bytes are not an image that this version can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ImageError {
    /// Fewer bytes than the header or its `total_len` say.
    Truncated {
        /// Bytes needed.
        needed: u32,
        /// Bytes given.
        given: u32,
    },
    /// The first four bytes are not `FIXI`.
    NotAnImage,
    /// The image's major version is not this reader's.
    Version {
        /// Major version of the image.
        major: u16,
        /// Minor version of the image.
        minor: u16,
    },
    /// The checksum over the image does not match: it was damaged or altered.
    Checksum {
        /// The checksum which the header states.
        stated: u32,
        /// The checksum of the bytes.
        computed: u32,
    },
    /// The image does not start at a multiple of [`ALIGNMENT`](crate::ALIGNMENT) bytes.
    Misaligned,
    /// A section lies outside the image, is misaligned or overlaps its neighbour.
    Section(Section),
    /// A table's length is not a multiple of its record's, or an index leaves the table.
    Table(Section),
}

impl fmt::Display for ImageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Truncated { needed, given } => {
                write!(f, "image truncated: {given} of {needed} bytes are there")
            }
            Self::NotAnImage => {
                f.write_str("not a Fixie image: the magic bytes `FIXI` are missing")
            }
            Self::Version { major, minor } => write!(
                f,
                "image version {major}.{minor} cannot be read by this version ({}.x): update the \
                 runtime or convert the model again",
                crate::VERSION_MAJOR
            ),
            Self::Checksum { stated, computed } => write!(
                f,
                "image damaged: checksum is {computed:#010x}, the header states {stated:#010x}"
            ),
            Self::Misaligned => {
                write!(f, "image misaligned: place it at a multiple of {} bytes", crate::ALIGNMENT)
            }
            Self::Section(section) => {
                write!(f, "image section {section:?} is out of bounds or misplaced")
            }
            Self::Table(section) => write!(f, "image table {section:?} is malformed"),
        }
    }
}

impl core::error::Error for ImageError {}
