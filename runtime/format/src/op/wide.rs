//! Operators on tensors of 16-bit elements.
//!
//! Whether an input or output has 8 or 16 bits is in the tensor table, [`Tensor::dtype`]: `I8` or
//! `I16`. Elements of 16 bits are symmetric: their zero point is 0.
//!
//! [`Tensor::dtype`]: crate::table::Tensor::dtype

use super::{DataOffset, Window};
use crate::field::record;
use crate::table::TensorId;

record! {
    /// Convolution, grouped or not, of elements of 8 or 16 bits with weights of 8 bits; a matrix
    /// product is a 1×1 kernel over `in_w` pixels.
    ///
    /// `out[y, x, n] = clamp(out_zero + requant(bias[n] + Σ w[n, i, j, c] · in[.., .., c]))` with
    /// `pad_value` where the window leaves the input; `bias` already holds −`pad_value` · Σw. The
    /// sum has 32 bits, as all accumulators: there are weights and inputs of 16 bits for which it
    /// does not suffice, and a writer chooses scales for which it does.
    ///
    /// Input and output each have 8 or 16 bits, as the `dtype` of their tensors says.
    pub struct ConvWide {
        /// `[in_h, in_w, in_c]`, 8 or 16 bits.
        pub input: TensorId,
        /// `[out_h, out_w, out_c]`, 8 or 16 bits.
        pub output: TensorId,
        /// Working memory of the kernel: `kernel_h · kernel_w · in_c` elements of 16 bits.
        pub scratch: TensorId,
        /// Input channels and output channels fall into this many independent groups.
        pub groups: u16,
        /// The window; a row of 16-bit elements has at most 32767 channels.
        pub window: Window,
        /// Weights in the order of `Conv`.
        pub weights: DataOffset,
        /// `i32` per output channel.
        pub bias: DataOffset,
        /// `i32` per output channel.
        pub multipliers: DataOffset,
        /// Left shift of the accumulator before the multiplication, 0 to 31.
        pub shift: u8,
        /// Zero point of the input, 0 if that has 16 bits.
        pub pad_value: i8,
        /// Zero point of the output, 0 if that has 16 bits.
        pub out_zero: i8,
        /// Zero.
        pub reserved: u8,
        /// Lower bound of the output, which holds it.
        pub act_min: i16,
        /// Upper bound of the output, which holds it.
        pub act_max: i16,
    }
}

record! {
    /// The same real values with another scale, in 8 or 16 bits:
    /// `out[i] = clamp(out_zero + requant(in[i] − in_zero))`.
    ///
    /// Input and output each have 8 or 16 bits, as the `dtype` of their tensors says.
    pub struct Rescale {
        /// 8 or 16 bits.
        pub input: TensorId,
        /// As many elements as the input, 8 or 16 bits.
        pub output: TensorId,
        /// Ratio of the scales, as a multiplier.
        pub multiplier: i32,
        /// Left shift before the multiplication, 0 to 31.
        pub shift: u8,
        /// Zero point of the input, 0 if that has 16 bits.
        pub in_zero: i8,
        /// Zero point of the output, 0 if that has 16 bits.
        pub out_zero: i8,
        /// Zero.
        pub reserved: u8,
        /// Lower bound of the output, which holds it.
        pub act_min: i16,
        /// Upper bound of the output, which holds it.
        pub act_max: i16,
    }
}
