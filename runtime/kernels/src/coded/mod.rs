//! Coded and packed constants of convolutions: see [`fixie_format::op::coded`] and
//! [`fixie_format::op::packed`].
//!
//! [`Decoder`] takes numbers from a stream of either. [`Source`] gives a kernel the constants of some output
//! channels in the order of its opcode, from the image or decoded.

mod decoder;
#[cfg(any(feature = "pack", test))]
mod encoder;
#[cfg(any(feature = "pack", test))]
mod packer;
mod rans;
mod rows;
mod source;
#[cfg(test)]
mod tests;
mod unpacker;

pub use decoder::{Decoder, Grid};
#[cfg(any(feature = "pack", test))]
pub use encoder::{Channel, encode};
#[cfg(any(feature = "pack", test))]
pub use packer::pack;
pub use rows::{ArrayOrder, Constants, Rows, check_constants};
pub use source::{
    Any, Order, Source, Storage, check_stream, decode_channels, decoded_len, decoder,
    for_each_part, is_coded,
};
pub use unpacker::Unpacker;
