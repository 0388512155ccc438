//! Coded constants of convolutions: see [`fixie_format::op::coded`].
//!
//! [`Decoder`] takes numbers from a stream. [`Source`] gives a kernel the constants of some output
//! channels in the order of its opcode, from the image or decoded.

mod decoder;
#[cfg(any(feature = "pack", test))]
mod encoder;
mod rows;
mod source;
#[cfg(test)]
mod tests;

pub use decoder::{Decoder, Grid, Table};
#[cfg(any(feature = "pack", test))]
pub use encoder::{Channel, encode};
pub use rows::{ArrayOrder, Constants, Rows, check_constants};
pub use source::{
    Coded, Order, Plain, Source, Storage, Stream, check_coded, decode_channels, decoded_len,
    decoder, for_each_part, is_coded,
};
