//! The operators: their codes and their parameter records.
//!
//! A record holds the geometry of one operator, the tensors it touches and where its constants lie
//! in the data section. Arithmetic is stated where the record is: it is part of the format, since
//! every implementation must give the same bytes.
//!
//! Requantisation of an accumulator `acc` by `multiplier` and `shift`, written `requant(acc)`:
//!
//! ```text
//! requant(acc) = floor(((acc << shift) · multiplier + 2^31) / 2^32)
//! ```
//!
//! with `acc << shift` within 32 bits (the compiler proves it) and a 64-bit product: one rounding,
//! half up. Activations are NHWC, batch 1. `clamp` is to the record's `act_min..=act_max`.

use crate::field::record;
use crate::table::TensorId;

pub mod coded;
pub mod packed;
mod wide;

pub use wide::{ConvWide, Rescale};

/// Bytes from the start of the data section.
pub type DataOffset = u32;

/// Declares the operator table: code, name, record.
macro_rules! operators {
    ($($(#[$meta:meta])* $name:ident = $code:literal: $record:ident,)*) => {
        /// What an operator does, and in which order its weights lie.
        ///
        /// Kernels for different weight orders have codes of their own, so that
        /// [`OpSet`] tells exactly which kernels an image needs.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Opcode {
            $($(#[$meta])* #[doc = concat!("\n\nParameters: [`", stringify!($record), "`](struct@", stringify!($record), ").")]
            $name = $code,)*
        }

        impl Opcode {
            /// Every operator of this version.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The operator with this code.
            pub const fn from_u8(code: u8) -> Option<Self> {
                match code {
                    $($code => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// The name, as `inspect` and error messages print it.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }
        }
    };
}

operators! {
    /// Convolution and matrix product, weights `[out_c][kernel_h][kernel_w][in_c / groups]`.
    Conv = 1: Conv,
    /// As `Conv`, weights ordered for `SMLAD`: see [`paired`].
    ConvPaired = 2: Conv,
    /// Depthwise convolution, weights `[kernel_h][kernel_w][out_c]`.
    Depthwise = 3: Conv,
    /// As `Depthwise`, weights ordered for `SMLAD`: see [`planar`].
    DepthwisePlanar = 4: Conv,
    /// Largest value of each window.
    MaxPool = 5: MaxPool,
    /// Mean of each window.
    AvgPool = 6: AvgPool,
    /// Mean over one axis.
    Mean = 7: Mean,
    /// Sum of two tensors, or difference.
    Add = 8: Binary,
    /// Product of two tensors.
    Mul = 9: Binary,
    /// Any function of one 8-bit value, as a table.
    Lut = 10: Lut,
    /// Rectifier with a slope per channel below zero.
    PRelu = 11: PRelu,
    /// Softmax over the innermost axis.
    Softmax = 12: Softmax,
    /// Strided copy: transpose, slice, concatenation, tiling.
    Copy = 13: Copy,
    /// Fill with one value.
    Fill = 14: Fill,
    /// Nearest or bilinear interpolation.
    Resize = 15: Resize,
    /// Index of the largest value along an axis.
    ArgMax = 16: ArgMax,
    /// As `Conv`, for cores without dual multiplications: see [`blocked`].
    ConvBlocked = 17: Conv,
    /// Waits for a row of an input that the application gives row by row.
    Feed = 18: Feed,
    /// As `Conv`, for cores with vectors of 16 bytes: see [`vectors`].
    ConvVectors = 19: Conv,
    /// Convolution of elements of 8 or 16 bits, weights as of `Conv`.
    ConvWide = 20: ConvWide,
    /// Another scale, in 8 or 16 bits.
    Rescale = 21: Rescale,
    /// As `ConvPaired`, without the weights that are 0: see [`sparse`].
    ConvSparse = 22: Conv,
}

/// A set of operators, and which constants they decode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpSet(u64);

/// The bit of an [`OpSet`] that stands for [`coded`] constants: no opcode has this number.
const CODED_BIT: u8 = 63;
/// The one that stands for [`packed`] constants.
const PACKED_BIT: u8 = 62;

impl OpSet {
    /// No operator.
    pub const EMPTY: Self = Self(0);

    /// Every operator of this version, and constants of every kind.
    pub const ALL: Self = {
        let mut set = Self::EMPTY.with_coded().with_packed();
        let mut i = 0;
        while i < Opcode::ALL.len() {
            set = set.with(Opcode::ALL[i]);
            i += 1;
        }
        set
    };

    /// The set whose bit *n* stands for opcode *n*, bit 63 for coded and bit 62 for packed constants.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// Bit *n* stands for opcode *n*, bit 63 for coded and bit 62 for packed constants.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// This set and `opcode`.
    #[must_use]
    pub const fn with(self, opcode: Opcode) -> Self {
        Self(self.0 | 1 << opcode as u8)
    }

    /// Whether `opcode` is in the set.
    pub const fn contains(self, opcode: Opcode) -> bool {
        self.0 >> opcode as u8 & 1 != 0
    }

    /// This set, with operators that decode [`coded`] constants.
    #[must_use]
    pub const fn with_coded(self) -> Self {
        Self(self.0 | 1 << CODED_BIT)
    }

    /// This set, with operators that unpack [`packed`] constants.
    #[must_use]
    pub const fn with_packed(self) -> Self {
        Self(self.0 | 1 << PACKED_BIT)
    }

    /// Whether the operators of the set decode [`coded`] constants.
    pub const fn has_coded(self) -> bool {
        self.0 >> CODED_BIT & 1 != 0
    }

    /// Whether the operators of the set unpack [`packed`] constants.
    pub const fn has_packed(self) -> bool {
        self.0 >> PACKED_BIT & 1 != 0
    }

    /// The lowest code that is in this set and not in `allowed`.
    pub const fn first_outside(self, allowed: Self) -> Option<u8> {
        let outside = self.0 & !allowed.0;
        if outside == 0 { None } else { Some(outside.trailing_zeros() as u8) }
    }
}

record! {
    /// Geometry of a sliding window over a `[h, w, c]` tensor.
    ///
    /// Output `(y, x)` sees input rows `y·stride_h − pad_top + i·dilation_h` for `i < kernel_h`,
    /// columns alike. What lies outside the input is padding; the extent of the padding below and
    /// to the right follows from `out_h` and `out_w`.
    pub struct Window {
        /// Input rows.
        pub in_h: u16,
        /// Input columns.
        pub in_w: u16,
        /// Input channels.
        pub in_c: u16,
        /// Output rows.
        pub out_h: u16,
        /// Output columns.
        pub out_w: u16,
        /// Output channels.
        pub out_c: u16,
        /// Kernel rows.
        pub kernel_h: u16,
        /// Kernel columns.
        pub kernel_w: u16,
        /// Vertical stride.
        pub stride_h: u16,
        /// Horizontal stride.
        pub stride_w: u16,
        /// Distance between kernel rows.
        pub dilation_h: u16,
        /// Distance between kernel columns.
        pub dilation_w: u16,
        /// Rows of padding above.
        pub pad_top: u16,
        /// Columns of padding to the left.
        pub pad_left: u16,
    }
}

record! {
    /// Convolution, grouped or not; a matrix product is a 1×1 kernel over `in_w` pixels.
    ///
    /// `out[y, x, n] = clamp(out_zero + requant(bias[n] + Σ w[n, i, j, c] · in[.., .., c]))` with
    /// `pad_value` where the window leaves the input; `bias` already holds −`pad_value` · Σw.
    ///
    /// For depthwise operators `groups == in_c`, and output channel `n` reads input channel
    /// `n / (out_c / in_c)`.
    pub struct Conv {
        /// `[in_h, in_w, in_c]`, 8 bits.
        pub input: TensorId,
        /// `[out_h, out_w, out_c]`, 8 bits.
        pub output: TensorId,
        /// Working memory of the kernel, at least what the kernel's `scratch_len` asks for.
        pub scratch: TensorId,
        /// Input channels and output channels fall into this many independent groups.
        pub groups: u16,
        /// The window.
        pub window: Window,
        /// Weights in the order of the opcode, or a stream of all constants: see `coding`.
        pub weights: DataOffset,
        /// `i32` per output channel, unless the weights carry it or `coding` is not 0.
        pub bias: DataOffset,
        /// `i32` per output channel, unless the weights carry it or `coding` is not 0.
        pub multipliers: DataOffset,
        /// Left shift of the accumulator before the multiplication, 0 to 31.
        pub shift: u8,
        /// Zero point of the input.
        pub pad_value: i8,
        /// Zero point of the output.
        pub out_zero: i8,
        /// Lower bound of the output.
        pub act_min: i8,
        /// Upper bound of the output.
        pub act_max: i8,
        /// 0: the constants lie as the opcode orders them. 1: they are coded, see "Coded constants".
        /// 2: they are packed, see "Packed constants". Always 0 in `ConvVectors` and `ConvSparse`.
        pub coding: u8,
        /// Zero.
        pub reserved: [u8; 2],
    }
}

record! {
    /// `out = clamp(max over the window)`; padding is ignored, a window that lies wholly in the
    /// padding gives `act_min`.
    pub struct MaxPool {
        /// `[in_h, in_w, c]`, 8 bits.
        pub input: TensorId,
        /// `[out_h, out_w, c]`, 8 bits.
        pub output: TensorId,
        /// The window; `in_c == out_c`.
        pub window: Window,
        /// Lower bound of the output.
        pub act_min: i8,
        /// Upper bound of the output.
        pub act_max: i8,
    }
}

record! {
    /// `out = clamp(out_zero + requant(Σ (in − in_zero)))` over the part of the window inside the
    /// input, with the multiplier of its number of elements.
    pub struct AvgPool {
        /// `[in_h, in_w, c]`, 8 bits.
        pub input: TensorId,
        /// `[out_h, out_w, c]`, 8 bits.
        pub output: TensorId,
        /// The window; `in_c == out_c`.
        pub window: Window,
        /// Pairs of `i32`: a number of elements, ascending, and the multiplier that belongs to it.
        pub multipliers: DataOffset,
        /// Number of pairs. A window of a size that is not listed uses the last one.
        pub multiplier_count: u16,
        /// Left shift of the sum before the multiplication.
        pub shift: u8,
        /// Zero point of the input.
        pub in_zero: i8,
        /// Zero point of the output.
        pub out_zero: i8,
        /// Lower bound of the output.
        pub act_min: i8,
        /// Upper bound of the output.
        pub act_max: i8,
        /// Zero.
        pub reserved: u8,
    }
}

record! {
    /// Mean over the middle axis of `[outer, len, inner]`:
    /// `out = clamp(out_zero + requant(Σ (in − in_zero)))`.
    pub struct Mean {
        /// `[outer, len, inner]`, 8 bits.
        pub input: TensorId,
        /// `[outer, inner]`, 8 bits.
        pub output: TensorId,
        /// Extent before the axis.
        pub outer: u32,
        /// Extent of the axis.
        pub len: u32,
        /// Extent behind the axis.
        pub inner: u32,
        /// 2^32 · scale ratio / `len`, shifted down by `shift`.
        pub multiplier: i32,
        /// Left shift of the sum before the multiplication.
        pub shift: u8,
        /// Zero point of the input.
        pub in_zero: i8,
        /// Zero point of the output.
        pub out_zero: i8,
        /// Lower bound of the output.
        pub act_min: i8,
        /// Upper bound of the output.
        pub act_max: i8,
        /// Zero.
        pub reserved: [u8; 3],
    }
}

record! {
    /// Two operands of shape `dims`, each read with its own strides (0 where it is broadcast).
    ///
    /// - `Add`: `clamp(floor((a · a_multiplier + b · b_multiplier + bias) / 2^shift))`; zero points
    ///   and the half of the rounding are in `bias`. All terms stay within 32 bits.
    /// - `Mul`: `clamp(out_zero + requant((a − a_zero) · (b − b_zero)))` with `a_multiplier` as the
    ///   multiplier.
    pub struct Binary {
        /// First operand, 8 bits.
        pub a: TensorId,
        /// Second operand, 8 bits; it may be constant.
        pub b: TensorId,
        /// Output, 8 bits, contiguous.
        pub output: TensorId,
        /// Rows of the operator: 1, or `dims[0]`.
        pub rows: u16,
        /// Shape, outermost first, padded in front with ones.
        pub dims: [u32; 4],
        /// Elements between neighbours of `a` along each axis.
        pub a_strides: [u32; 4],
        /// Elements between neighbours of `b` along each axis.
        pub b_strides: [u32; 4],
        /// See above.
        pub a_multiplier: i32,
        /// See above.
        pub b_multiplier: i32,
        /// See above.
        pub bias: i32,
        /// Right shift of the sum (`Add`), left shift of the product (`Mul`).
        pub shift: u8,
        /// Zero point of `a` (`Mul`).
        pub a_zero: i8,
        /// Zero point of `b` (`Mul`).
        pub b_zero: i8,
        /// Zero point of the output (`Mul`).
        pub out_zero: i8,
        /// Lower bound of the output.
        pub act_min: i8,
        /// Upper bound of the output.
        pub act_max: i8,
        /// Zero.
        pub reserved: u16,
    }
}

record! {
    /// `out[i] = table[in[i] as u8]`.
    pub struct Lut {
        /// 8 bits.
        pub input: TensorId,
        /// 8 bits, as long as the input; may be the same span.
        pub output: TensorId,
        /// 256 bytes.
        pub table: DataOffset,
    }
}

record! {
    /// `out = clamp(out_zero + requant(in − in_zero))` with `positive` as the multiplier where
    /// `in ≥ in_zero`, otherwise with the multiplier of the innermost axis' channel.
    pub struct PRelu {
        /// `[.., channels]`, 8 bits.
        pub input: TensorId,
        /// As long as the input; may be the same span.
        pub output: TensorId,
        /// Extent of the innermost axis.
        pub channels: u32,
        /// Multiplier of values not below zero.
        pub positive: i32,
        /// `i32` per channel: multipliers of values below zero.
        pub negative: DataOffset,
        /// Left shift before the multiplication.
        pub shift: u8,
        /// Zero point of the input.
        pub in_zero: i8,
        /// Zero point of the output.
        pub out_zero: i8,
        /// Zero.
        pub reserved: u8,
    }
}

record! {
    /// Softmax over rows of `len` values.
    ///
    /// With `e[i] = table[max − in[i]]`, where `table[d]` is `2^t · exp(−d · scale)` rounded and the
    /// `t ≤ 23` which the compiler chose keeps `s = Σ e` within 32 bits, normalised by `n = leading_zeros(s)`, `r = floor((2^63 − 1) / (s << n))`:
    ///
    /// `p[i] = floor(e[i] · r / 2^(39 − n))` is the probability with 24 fractional bits, and
    /// `out[i] = clamp(out_zero + floor((p[i] · multiplier + 2^31) / 2^32))`.
    pub struct Softmax {
        /// `[rows, len]`, 8 bits.
        pub input: TensorId,
        /// As long as the input; may be the same span.
        pub output: TensorId,
        /// Number of rows.
        pub outer: u32,
        /// Values per row.
        pub len: u32,
        /// 256 `u32`.
        pub table: DataOffset,
        /// 2^8 / output scale.
        pub multiplier: i32,
        /// Zero point of the output.
        pub out_zero: i8,
        /// Zero.
        pub reserved: [u8; 3],
    }
}

record! {
    /// Copies elements: for every index vector `i` below `dims`,
    /// `out[out_base + Σ i·out_stride] = in[in_base + Σ i·in_stride]`.
    pub struct Copy {
        /// Source; it may be constant.
        pub input: TensorId,
        /// Destination.
        pub output: TensorId,
        /// Source element of the first copy.
        pub in_base: u32,
        /// Destination element of the first copy.
        pub out_base: u32,
        /// `rank` triples of `i32`, outermost first: extent, input stride, output stride.
        pub axes: DataOffset,
        /// Number of axes, at most 8.
        pub rank: u8,
        /// Bytes per element: 1, 2 or 4.
        pub element_bytes: u8,
        /// Zero.
        pub reserved: u16,
    }
}

record! {
    /// Fills a tensor with one byte.
    pub struct Fill {
        /// The tensor.
        pub output: TensorId,
        /// The byte.
        pub value: i8,
        /// Zero.
        pub reserved: u8,
    }
}

record! {
    /// Interpolates between neighbouring rows and columns.
    ///
    /// Row table entries are three `u16`: the two input rows `r0`, `r1` and the weight `f` of the
    /// second, in 1/256. Columns alike. With `top = (256 − fc) · in[r0, c0] + fc · in[r0, c1]`,
    /// `bottom` alike from `r1`:
    /// `out = floor(((256 − fr) · top + fr · bottom + 2^15) / 2^16)`. Scale and zero point of the
    /// output are the input's. Nearest neighbour has all weights 0.
    pub struct Resize {
        /// `[in_h, in_w, c]`, 8 bits.
        pub input: TensorId,
        /// `[out_h, out_w, c]`, 8 bits.
        pub output: TensorId,
        /// Input rows.
        pub in_h: u16,
        /// Input columns.
        pub in_w: u16,
        /// Output rows.
        pub out_h: u16,
        /// Output columns.
        pub out_w: u16,
        /// Channels.
        pub channels: u32,
        /// `out_h` entries.
        pub row_table: DataOffset,
        /// `out_w` entries.
        pub column_table: DataOffset,
    }
}

record! {
    /// Index of the largest value along the middle axis of `[outer, len, inner]`.
    pub struct ArgMax {
        /// `[outer, len, inner]`, 8 bits.
        pub input: TensorId,
        /// `[outer, inner]`, 32 bits.
        pub output: TensorId,
        /// Extent before the axis.
        pub outer: u32,
        /// Extent of the axis.
        pub len: u32,
        /// Extent behind the axis.
        pub inner: u32,
        /// 0: the first of equal values wins; 1: the last.
        pub last: u8,
        /// Zero.
        pub reserved: [u8; 3],
    }
}

record! {
    /// The rows of an input that come one after the other, as a camera delivers them.
    ///
    /// Each step is one row: the application writes it to its place in `output`, then the schedule
    /// goes on. `output` may be a ring, so that the whole input never exists.
    pub struct Feed {
        /// `[rows, row]`, 8 bits: the tensor of the input.
        pub output: TensorId,
        /// Index of the input, whose [`Port::rows`](crate::table::Port::rows) is the operator's.
        pub port: u16,
    }
}

/// Weights of [`Opcode::ConvPaired`]: a stream of 32-bit words, pair of output channels by pair.
///
/// ```text
/// weights := group*                      // `groups` of them
/// group   := pair*                       // channels (0, 1), (2, 3), …; an odd last one with zeros
/// pair    := full:i32 low:i32 word* m0:i32 m1:i32
/// word    := v:i16 v:i16                 // two taps of the pair
/// ```
///
/// `v = 256 · w1 + w0` holds one tap's weights of both channels, `low` is the bias of channel 0 and
/// `full = 256 · bias1 + bias0` (mod 2^32) starts the sum over `v`; `m0` and `m1` are the
/// multipliers. So with `S = full + Σ v·x` and `S0 = low + Σ w0·x`, the sum of channel 1 is
/// `(S − S0) >> 8`: exact if `v` fits in 16 bits and `|bias1| + 128 · Σ|w1| < 2^23`.
///
/// Taps run over `[kernel_h][kernel_w][in_c / groups]`; every kernel row is padded with zeros to a
/// multiple of 4 taps, so that it can be read in whole words. Groups of 4 taps lie in the order
/// 0, 2, 1, 3, as `SXTB16` unpacks activations.
///
/// `bias` and `multipliers` of the record are not used, `shift` is 0.
pub mod paired {
    /// Taps are padded to a multiple of this.
    pub const TAP_ALIGN: usize = 4;
    /// Order of the taps within a group of four.
    pub const TAP_ORDER: [usize; 4] = [0, 2, 1, 3];
    /// Words of a pair besides the taps: two before them, two behind.
    pub const CONSTANT_WORDS: usize = 4;

    /// Groups of 4 taps of one kernel row of `row_taps` taps.
    pub const fn row_quads(row_taps: usize) -> usize {
        row_taps.div_ceil(TAP_ALIGN)
    }

    /// Words of one pair with `quads` groups of 4 taps.
    pub const fn pair_words(quads: usize) -> usize {
        CONSTANT_WORDS + 2 * quads
    }
}

/// Weights of [`Opcode::ConvSparse`]: as of [`paired`], of each pair only the groups of 4 taps that
/// are not all 0, two by two.
///
/// ```text
/// weights := words:u32 group*            // so many words follow
/// group   := pair*                       // channels (0, 1), (2, 3), …; an odd last one with zeros
/// pair    := full:i32 low:i32 couples:u32 couple* m0:i32 m1:i32
/// couple  := quad quad at:u16 at:u16     // `couples` of them; where the two quads belong
/// quad    := v:i16 v:i16 v:i16 v:i16     // four taps of the pair
/// ```
///
/// `at` counts the groups of 4 taps of a patch, which a kernel row fills with zeros as in [`paired`];
/// it is less than their number, of which there are at most [`MAX_QUADS`](sparse::MAX_QUADS). Quads
/// may come in any order; what a pair has none of is 0. If their number is odd, a quad of zeros
/// makes the last couple whole. Everything else is as in [`paired`].
pub mod sparse {
    use super::paired;

    /// The most groups of 4 taps that a patch can have.
    pub const MAX_QUADS: usize = 1 << 16;
    /// Words of four taps of a pair.
    pub const QUAD_WORDS: usize = paired::TAP_ALIGN / 2;
    /// Words of two of them, and where they belong.
    pub const COUPLE_WORDS: usize = 2 * QUAD_WORDS + 1;
    /// Words of a pair before its couples.
    pub const HEAD_WORDS: usize = 3;
    /// Words behind them.
    pub const TAIL_WORDS: usize = 2;
}

/// Weights of [`Opcode::ConvBlocked`]: one stream of bytes per channel, a multiple of 4 long.
///
/// ```text
/// weights := channel*                    // `out_c` of them
/// channel := bias:i32 multiplier:i32 w:i8 … 0 …
/// ```
///
/// Taps run over `[kernel_h][kernel_w][in_c / groups]`; zeros follow up to a multiple of
/// [`TAP_ALIGN`](blocked::TAP_ALIGN). Two pixels share a multiplication on cores with `SMLAL`, so
/// `|bias| + 128 · Σ|w| <` [`SUM_LIMIT`](blocked::SUM_LIMIT) for every channel. Others multiply
/// halves of 16 bits, so `|multiplier| <` [`MULTIPLIER_LIMIT`](blocked::MULTIPLIER_LIMIT).
///
/// `bias` and `multipliers` of the record are not used, `shift` is 0.
pub mod blocked {
    /// Taps are padded to a multiple of this.
    pub const TAP_ALIGN: usize = 4;
    /// Words of a channel besides the weights.
    pub const CONSTANT_WORDS: usize = 2;
    /// No sum of a channel reaches this.
    pub const SUM_LIMIT: i64 = 1 << 22;
    /// No multiplier reaches this.
    pub const MULTIPLIER_LIMIT: i32 = 0x7F00_0000;

    /// Groups of 4 taps of a patch of `taps` taps.
    pub const fn quads(taps: usize) -> usize {
        taps.div_ceil(TAP_ALIGN)
    }

    /// Words of one channel with `quads` groups of 4 taps.
    pub const fn channel_words(quads: usize) -> usize {
        CONSTANT_WORDS + quads
    }
}

/// Weights of [`Opcode::ConvVectors`]: a stream of bytes, block of output channels by block.
///
/// ```text
/// weights := group*                      // `groups` of them
/// group   := block*                      // channels 0 to 7, 8 to 15, …
/// block   := bias:i32×8 step* multiplier:i32×8
/// step    := w:i8×16 …                   // 16 taps each of 8 channels
/// ```
///
/// Taps run over `[kernel_h][kernel_w][in_c / groups]`; zeros follow up to a multiple of
/// [`LANES`](vectors::LANES). The channels of a step lie in the order
/// [`CHANNEL_ORDER`](vectors::CHANNEL_ORDER), bias and multipliers in the usual one. If the
/// channels of a group are no multiple of [`CHANNELS`](vectors::CHANNELS), its last block starts so
/// much earlier: there are at least as many as a block has.
///
/// `bias` and `multipliers` of the record are not used, `shift` is 0.
pub mod vectors {
    /// Taps of a vector.
    pub const LANES: usize = 16;
    /// Output channels of a block.
    pub const CHANNELS: usize = 8;
    /// Order of the channels within a step: a pair of sums goes to every other lane of a vector of
    /// four.
    pub const CHANNEL_ORDER: [usize; CHANNELS] = [0, 2, 1, 3, 4, 6, 5, 7];

    /// Vectors of a patch of `taps` taps.
    pub const fn patch_vectors(taps: usize) -> usize {
        taps.div_ceil(LANES)
    }

    /// Bytes of one block; `None` if they overflow.
    pub const fn block_len(patch_vectors: usize) -> Option<usize> {
        match patch_vectors.checked_mul(LANES * CHANNELS) {
            Some(weights) => weights.checked_add(2 * CHANNELS * size_of::<i32>()),
            None => None,
        }
    }
}

/// Weights of [`Opcode::DepthwisePlanar`]: one stream of bytes per channel, a multiple of 4 long.
///
/// ```text
/// weights := channel*
/// channel := bias:i32 multiplier:i32 column*   // `kernel_w` of them
/// column  := w:i8 … 0 …                        // `kernel_h` weights, then 1 to 4 zeros up to a word
/// ```
///
/// `in_c == out_c == groups` and there are at least [`CHANNELS`](planar::CHANNELS) of them, which
/// the kernel unpacks at a time; `dilation_h` is 1. `bias` and `multipliers` of the record are not
/// used, `shift` is 0.
pub mod planar {
    /// Channels which the kernel unpacks at a time.
    pub const CHANNELS: usize = 4;
    /// Words of a channel besides the weights.
    pub const CONSTANT_WORDS: usize = 2;

    /// Words of one column.
    pub const fn column_words(kernel_h: usize) -> usize {
        kernel_h / 4 + 1
    }

    /// Words of one channel; `None` if they overflow.
    pub const fn channel_words(kernel_h: usize, kernel_w: usize) -> Option<usize> {
        match column_words(kernel_h).checked_mul(kernel_w) {
            Some(words) => words.checked_add(CONSTANT_WORDS),
            None => None,
        }
    }
}
