//! Integer kernels: one file per operator in [`ops`], one folder per instruction set in [`arch`].
//!
//! Every operator has a scalar definition in plain Rust. Where an instruction set does better, its
//! inner loop replaces the scalar one at compile time ([`arch::Native`]) and must give the same
//! bytes, which the tests check on random and extreme shapes.
//!
//! A kernel gets its memory through [`Memory`]: the caller's arena and the image's constants. It
//! never allocates, never panics and never leaves a tensor, whatever the image says: accesses are
//! checked, and an operator whose parameters contradict its tensors ends with `None`. That cannot
//! happen after [`Operator::check`] has accepted it.
#![no_std]

#[cfg(any(feature = "std", test))]
extern crate std;

pub mod arch;
pub mod coded;
pub mod layout;
mod memory;
pub mod ops;
#[cfg(any(feature = "pack", test))]
pub mod overlap;
mod requantize;
mod rule;
#[cfg(test)]
mod testing;

pub use arch::view::{Dst, Src};
pub use memory::{DstRows, Memory, SrcRows, Tensors};
pub use ops::Operator;
pub use requantize::{Requantizer, clamp, requantize};
pub use rule::{Rule, check_data, check_len, check_scratch, tensor};
