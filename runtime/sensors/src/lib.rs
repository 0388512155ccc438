//! Where samples come from.
#![no_std]
#![forbid(unsafe_code)]

mod source;

pub use source::SampleSource;
