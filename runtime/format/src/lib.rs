//! The Fixie image format, version 1: **the** definition of the bytes.
//!
//! The compiler writes an image through [`ImageBuilder`] (feature `write`); the runtime reads the
//! same bytes in place, from flash, through [`Image`]. Both sides use the records of [`op`] and
//! [`table`], so a field exists once. `README.md` beside this crate specifies the bytes for other
//! implementers.
//!
//! ```text
//! image := header section*
//! header := magic version total_len checksum op_set arena_len section_range*
//! section := tensors | ops | params | steps | inputs | outputs | states | data | metadata
//! ```
//!
//! Nothing here allocates, panics or trusts its input: [`Image::parse`] checks the frame (magic,
//! version, lengths, checksum, sections), and every later access is bounds-checked.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(any(feature = "write", test))]
extern crate std;

#[cfg(target_endian = "big")]
compile_error!(
    "Fixie images are little-endian and used in place: big-endian cores are not supported"
);

mod checksum;
mod error;
mod field;
mod image;
pub mod op;
#[cfg(test)]
mod spec;
pub mod table;
#[cfg(feature = "write")]
mod write;

pub use checksum::checksum;
pub use error::ImageError;
pub use field::Record;
pub use image::{
    ALIGNMENT, CHECKSUM_OFFSET, Header, Image, MAGIC, Preview, Section, SectionRange,
    VERSION_MAJOR, VERSION_MINOR, preview,
};
pub use op::{OpSet, Opcode};
#[cfg(feature = "write")]
pub use write::{ImageBuilder, reseal};
