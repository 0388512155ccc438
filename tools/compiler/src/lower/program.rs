//! What lowering produces: the image's operators over buffers that have no address yet.

use fixie_format::table::{Dtype, Port};
use fixie_format::{ImageBuilder, Opcode, Record, op};

use super::layout::Layout;
use crate::ir::TensorId;

/// Index into [`Program::buffers`]; the same number as in the image's tensor table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BufferId(pub u16);

/// Memory that operators read or write.
#[derive(Clone, Debug)]
pub struct Buffer {
    /// Name of the tensor, or `scratch`, for reports.
    pub name: String,
    /// Length in bytes.
    pub len_bytes: usize,
    /// Element type.
    pub dtype: Dtype,
    /// Where constants lie in the data section; `None` for memory in the arena.
    pub data: Option<op::DataOffset>,
    /// How the tensor's elements lie in it; scratch is a single axis.
    pub layout: Layout,
}

/// A parameter record of any operator.
#[derive(Clone, Copy, Debug)]
pub enum Params {
    /// Convolution or matrix product.
    Conv(op::Conv),
    /// The same, of elements of 8 or 16 bits.
    ConvWide(op::ConvWide),
    /// Another scale, in 8 or 16 bits.
    Rescale(op::Rescale),
    /// Maximum of a window.
    MaxPool(op::MaxPool),
    /// Mean of a window.
    AvgPool(op::AvgPool),
    /// Mean over an axis.
    Mean(op::Mean),
    /// Sum or product.
    Binary(op::Binary),
    /// Table.
    Lut(op::Lut),
    /// Rectifier with slopes.
    PRelu(op::PRelu),
    /// Softmax.
    Softmax(op::Softmax),
    /// Strided copy.
    Copy(op::Copy),
    /// Fill.
    Fill(op::Fill),
    /// Interpolation.
    Resize(op::Resize),
    /// Index of the maximum.
    ArgMax(op::ArgMax),
    /// Rows of an input.
    Feed(op::Feed),
}

impl Params {
    /// The window, of operators that have one.
    pub fn window(&self) -> Option<&op::Window> {
        match self {
            Self::Conv(op::Conv { window, .. })
            | Self::ConvWide(op::ConvWide { window, .. })
            | Self::MaxPool(op::MaxPool { window, .. })
            | Self::AvgPool(op::AvgPool { window, .. }) => Some(window),
            _ => None,
        }
    }

    /// Appends the operator to an image.
    pub fn write(self, builder: &mut ImageBuilder, opcode: Opcode, rows: u16) -> u16 {
        fn put<R: Record>(b: &mut ImageBuilder, opcode: Opcode, rows: u16, record: R) -> u16 {
            b.op(opcode, rows, record)
        }
        match self {
            Self::Conv(p) => {
                builder.coding(p.coding);
                put(builder, opcode, rows, p)
            }
            Self::ConvWide(p) => put(builder, opcode, rows, p),
            Self::Rescale(p) => put(builder, opcode, rows, p),
            Self::MaxPool(p) => put(builder, opcode, rows, p),
            Self::AvgPool(p) => put(builder, opcode, rows, p),
            Self::Mean(p) => put(builder, opcode, rows, p),
            Self::Binary(p) => put(builder, opcode, rows, p),
            Self::Lut(p) => put(builder, opcode, rows, p),
            Self::PRelu(p) => put(builder, opcode, rows, p),
            Self::Softmax(p) => put(builder, opcode, rows, p),
            Self::Copy(p) => put(builder, opcode, rows, p),
            Self::Fill(p) => put(builder, opcode, rows, p),
            Self::Resize(p) => put(builder, opcode, rows, p),
            Self::ArgMax(p) => put(builder, opcode, rows, p),
            Self::Feed(p) => put(builder, opcode, rows, p),
        }
    }
}

/// How an operator's output may lie over one of its inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overlap {
    /// On the very same bytes.
    InPlace(BufferId),
    /// Anywhere that starts at least `lead` bytes before the input.
    Trailing {
        /// The input.
        input: BufferId,
        /// Bytes.
        lead: usize,
    },
}

/// One operator of the image.
#[derive(Clone, Debug)]
pub struct ProgramOp {
    /// Name of the node that it comes from.
    pub name: String,
    /// What that node computes, as ONNX calls it.
    pub kind: &'static str,
    /// The kernel.
    pub opcode: Opcode,
    /// Rows of output.
    pub rows: u16,
    /// Parameters.
    pub params: Params,
    /// Buffers in the arena that it reads.
    pub reads: Vec<BufferId>,
    /// The buffer that it writes.
    pub writes: BufferId,
    /// Its scratch memory.
    pub scratch: Option<BufferId>,
    /// How the output may lie over an input.
    pub overlap: Option<Overlap>,
    /// Multiply-accumulates.
    pub macs: u64,
    /// Bytes of weights and per-channel constants.
    pub weight_bytes: usize,
    /// Instructions to decode all of these constants once, about; 0 if they are no stream.
    pub decoding: f64,
    /// The tensor that it writes, or part of which it writes.
    pub output: TensorId,
}

/// A state tensor.
#[derive(Clone, Copy, Debug)]
pub struct ProgramState {
    /// The buffer.
    pub buffer: BufferId,
    /// What it is reset to.
    pub fill: i8,
}

/// A lowered network.
#[derive(Clone, Debug, Default)]
pub struct Program {
    /// Memory; a buffer's index is its number in the image's tensor table.
    pub buffers: Vec<Buffer>,
    /// Operators in execution order.
    pub ops: Vec<ProgramOp>,
    /// Inputs of the model.
    pub inputs: Vec<Port>,
    /// Outputs of the model.
    pub outputs: Vec<Port>,
    /// State tensors.
    pub states: Vec<ProgramState>,
    /// The image under construction: its data section is filled, in the order of use.
    pub image: ImageBuilder,
}
