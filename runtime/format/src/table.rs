//! The records of the fixed-size tables.

use crate::field::record;

/// Index into the tensor table.
pub type TensorId = u16;

/// Stands where a [`TensorId`] is optional and absent.
pub const NO_TENSOR: TensorId = u16::MAX;

/// The largest rank of an input or output.
pub const MAX_RANK: usize = 6;

/// Element types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Dtype {
    /// 8-bit signed integers: quantised activations.
    I8 = 0,
    /// 16-bit signed integers.
    I16 = 1,
    /// 32-bit signed integers: indices.
    I32 = 2,
}

impl Dtype {
    /// The type with this code.
    pub const fn from_u8(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::I8),
            1 => Some(Self::I16),
            2 => Some(Self::I32),
            _ => None,
        }
    }

    /// Bytes per element.
    pub const fn size_bytes(self) -> usize {
        match self {
            Self::I8 => 1,
            Self::I16 => 2,
            Self::I32 => 4,
        }
    }
}

/// Where a tensor lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Place {
    /// In the arena, at `offset` from its start.
    Arena = 0,
    /// Constant, at `offset` from the start of the data section.
    Data = 1,
}

impl Place {
    /// The place with this code.
    pub const fn from_u8(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Arena),
            1 => Some(Self::Data),
            _ => None,
        }
    }
}

record! {
    /// A span of memory which operators read or write.
    pub struct Tensor {
        /// Bytes from the start of its [`Place`], a multiple of 4.
        pub offset: u32,
        /// Length in bytes. For a ring: of all the rows that it holds at a time.
        pub len_bytes: u32,
        /// [`Dtype`].
        pub dtype: u8,
        /// [`Place`].
        pub place: u8,
        /// 0: the whole tensor is there. Otherwise only this many rows are, row *y* in slot
        /// *y* mod `ring_rows`.
        pub ring_rows: u16,
    }
}

record! {
    /// An operator: its code and where its parameters lie.
    pub struct OpEntry {
        /// [`Opcode`](crate::Opcode).
        pub opcode: u8,
        /// Zero in version 1.
        pub flags: u8,
        /// How many rows of output the operator produces in all; steps take them in order.
        pub rows: u16,
        /// Bytes from the start of the parameter section.
        pub params: u32,
    }
}

record! {
    /// One entry of the schedule: compute some rows of one operator's output.
    ///
    /// An operator that runs whole is one step of all its rows. Depth-first schedules interleave
    /// the rows of several operators.
    pub struct Step {
        /// Index into the operator table.
        pub op: u16,
        /// First output row.
        pub first_row: u16,
        /// Number of output rows.
        pub rows: u16,
    }
}

record! {
    /// How a tensor that the application sees maps to real numbers and to the ONNX model.
    ///
    /// `real = scale · (q − zero_point)`. `dims` are in the order of the ONNX model; in memory the
    /// axes lie in `order`, outermost first: `order[0]` is the ONNX axis that varies slowest.
    pub struct Port {
        /// Index into the tensor table.
        pub tensor: u16,
        /// Number of axes, at most [`MAX_RANK`].
        pub rank: u8,
        /// [`Dtype`].
        pub dtype: u8,
        /// Real value of one step; 1 for indices.
        pub scale: f32,
        /// The integer that stands for zero.
        pub zero_point: i32,
        /// Extent of each ONNX axis, the batch of 1 included; unused entries are 1.
        pub dims: [u32; 6],
        /// ONNX axis at each place in memory; unused entries are 0.
        pub order: [u8; 6],
        /// 0: the tensor is there whole, before a run for inputs, after it for outputs. Otherwise the
        /// input is given in this many rows, each when a `Feed` operator asks for it.
        pub rows: u16,
    }
}

impl Port {
    /// Bytes of all its elements, whether they are there at a time or row by row.
    pub fn len_bytes(&self) -> u64 {
        let elements = self.dims.iter().fold(1_u64, |n, &extent| n.saturating_mul(extent.into()));
        let size = Dtype::from_u8(self.dtype).map_or(1, Dtype::size_bytes);
        elements.saturating_mul(size as u64)
    }
}

/// An input of the model.
pub type Input = Port;
/// An output of the model.
pub type Output = Port;

record! {
    /// A tensor that keeps its value from one run to the next.
    pub struct State {
        /// Index into the tensor table.
        pub tensor: u16,
        /// What `reset` fills the bytes with: the zero point, for 8-bit tensors.
        pub fill: i8,
        /// Zero.
        pub reserved: u8,
    }
}
