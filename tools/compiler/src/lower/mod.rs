//! From the quantised graph to the image's operators.
//!
//! Each operator family has a file. `Lowering` holds what they share: where every tensor lies
//! (`Value`), the program so far, and how to get a tensor into another memory order.
//!
//! Reshapes and transposes cost nothing here: they give the same memory another name. Only where a
//! kernel needs another order than the one at hand is a copy emitted.

mod coding;
mod conv;
mod demand;
mod elementwise;
mod error;
mod layout;
mod movement;
mod multiplier;
mod pad;
mod port;
pub mod program;
mod reduce;
mod softmax;
mod wide;
mod window;

use std::collections::{BTreeSet, HashMap};

pub use coding::Compress;
pub use error::LowerError;
use fixie_format::table::Dtype;
use fixie_format::{Opcode, op};
pub use layout::Layout;
use program::{Buffer, BufferId, Overlap, Params, Program, ProgramOp};

use crate::ir::{Constant, Graph, Node, Op, Quant, TensorId};
use crate::target::Target;

/// How the application gives the inputs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Inputs {
    /// Each of them whole, before a run.
    #[default]
    Whole,
    /// Row by row, during the run, so that none of them need be in memory whole.
    ByRows,
}

/// Lowers a quantised graph for a target, with the constants of some operators as streams where that
/// saves bytes.
///
/// # Errors
///
/// [`LowerError`] names the node that has no kernel, and what to do.
pub fn lower(
    graph: &Graph,
    target: Target,
    feeding: Inputs,
    codable: &Codable,
) -> Result<Program, LowerError> {
    let mut lowering = Lowering {
        graph,
        target,
        feeding,
        codable,
        program: Program::default(),
        values: HashMap::new(),
        demands: demand::demands(graph),
    };
    lowering.inputs()?;
    for node in &graph.nodes {
        lowering.node(node)?;
    }
    lowering.states()?;
    lowering.outputs()?;
    Ok(lowering.program)
}

/// The operators whose constants may be a stream.
#[derive(Clone, Debug, Default)]
pub struct Codable {
    /// How it is coded, as records say it.
    pub coding: u8,
    /// The operators' indices.
    pub ops: BTreeSet<usize>,
}

/// Where a tensor lies, and in which order.
#[derive(Clone, Debug)]
struct Value {
    buffer: BufferId,
    layout: Layout,
}

/// The state of lowering one graph.
struct Lowering<'g> {
    graph: &'g Graph,
    target: Target,
    feeding: Inputs,
    codable: &'g Codable,
    program: Program,
    values: HashMap<TensorId, Value>,
    /// The memory order that the first consumer of each tensor wants.
    demands: Vec<Layout>,
}

impl Lowering<'_> {
    fn node(&mut self, node: &Node) -> Result<(), LowerError> {
        match &node.op {
            Op::Conv(conv) => self.conv(node, conv),
            Op::Dense => self.dense(node),
            Op::MaxPool(pool) => self.max_pool(node, pool),
            Op::AvgPool { pool, count_padding } => self.avg_pool(node, pool, *count_padding),
            Op::Mean { axes } => self.mean(node, axes),
            Op::ArgMax { axis, last } => self.arg_max(node, *axis, *last),
            Op::Add => self.add(node, 1.0),
            Op::Sub => self.add(node, -1.0),
            Op::Mul => self.mul(node),
            Op::Unary(function) => self.unary(node, *function),
            Op::PRelu => self.prelu(node),
            Op::Softmax { axis } => self.softmax(node, *axis),
            Op::Concat { axis } => self.concat(node, *axis),
            Op::Slice(axes) => self.slice(node, axes),
            Op::Pad { before, mode, .. } => self.pad(node, before, *mode),
            Op::Reshape => self.reshape(node),
            Op::Transpose { perm } => self.transpose(node, perm),
            Op::Resize(resize) => self.resize(node, resize),
            Op::BatchNorm { .. } | Op::Quantize | Op::Dequantize => Err(LowerError::unsupported(
                node,
                "it should have been folded before",
                "report this with the model",
            )),
        }
    }

    /// Where the `index`-th input of a node lies; a constant is placed in the data section.
    fn input(&mut self, node: &Node, index: usize) -> Result<Value, LowerError> {
        let id = *node.inputs.get(index).ok_or_else(|| LowerError::missing_input(node, index))?;
        self.value(id)
    }

    /// Where a tensor lies; a constant is placed in the data section.
    fn value(&mut self, id: TensorId) -> Result<Value, LowerError> {
        if let Some(value) = self.values.get(&id) {
            return Ok(value.clone());
        }
        let tensor = self.graph.tensor(id);
        let Some(Constant::Integer(values)) = &tensor.constant else {
            return Err(LowerError::NotComputed { tensor: tensor.name.clone() });
        };
        let bytes: Vec<i8> = values.iter().map(|&q| q as i8).collect();
        let data = Some(self.program.image.data(&bytes));
        let layout = Layout::row_major(&tensor.shape);
        let buffer = self.add_buffer(&tensor.name, Dtype::I8, data, layout.clone())?;
        let value = Value { buffer, layout };
        self.values.insert(id, value.clone());
        Ok(value)
    }

    /// The quantisation of a tensor.
    fn quant(&self, id: TensorId) -> Result<Quant, LowerError> {
        let tensor = self.graph.tensor(id);
        let unknown = || LowerError::NotQuantized { tensor: tensor.name.clone() };
        tensor.quant.clone().ok_or_else(unknown)
    }

    /// The quantisation of the `index`-th input of a node.
    fn input_quant(&self, node: &Node, index: usize) -> Result<Quant, LowerError> {
        let id = *node.inputs.get(index).ok_or_else(|| LowerError::missing_input(node, index))?;
        self.quant(id)
    }

    /// The integers between which a node's output must stay: its type's, narrowed by its clamp.
    fn bounds(&self, node: &Node) -> Result<(i8, i8), LowerError> {
        let quant = self.quant(node.output)?;
        let (low, high) = node.clamp.unwrap_or((f32::NEG_INFINITY, f32::INFINITY));
        let bound = |real: f32| quant.quantize(real.into(), 0) as i8;
        Ok((bound(low), bound(high)))
    }

    fn add_buffer(
        &mut self,
        name: &str,
        dtype: Dtype,
        data: Option<op::DataOffset>,
        layout: Layout,
    ) -> Result<BufferId, LowerError> {
        let id = u16::try_from(self.program.buffers.len())
            .ok()
            .filter(|&id| id != fixie_format::table::NO_TENSOR)
            .ok_or(LowerError::TooManyTensors)?;
        let len_bytes = layout.dims.iter().product::<usize>() * dtype.size_bytes();
        self.program.buffers.push(Buffer { name: name.to_owned(), len_bytes, dtype, data, layout });
        Ok(BufferId(id))
    }

    /// Scratch memory; a kernel may need none.
    fn add_scratch(&mut self, len_bytes: usize) -> Result<BufferId, LowerError> {
        let layout = Layout::row_major(&[len_bytes]);
        self.add_buffer("scratch", Dtype::I8, None, layout)
    }

    /// Gives a tensor memory of its own in the given order.
    fn define(&mut self, id: TensorId, layout: Layout) -> Result<BufferId, LowerError> {
        let tensor = self.graph.tensor(id);
        let dtype = dtype(&self.quant(id)?);
        let buffer = self.add_buffer(&tensor.name, dtype, None, layout.clone())?;
        self.values.insert(id, Value { buffer, layout });
        Ok(buffer)
    }

    /// A tensor in the memory order `layout`, over its own axes; copies it if it lies otherwise.
    fn arranged(&mut self, node: &Node, id: TensorId, layout: Layout) -> Result<Value, LowerError> {
        let value = self.value(id)?;
        if value.layout.same_memory(&layout) {
            return Ok(Value { buffer: value.buffer, layout });
        }
        // A copy walks the factorised axes of the source; the destination gets the same elements
        // in ONNX order, or the same axes in another order.
        let to = if value.layout.dims == layout.dims {
            layout
        } else {
            Layout::row_major(&value.layout.dims)
        };
        let dtype = self.program.buffers[value.buffer.0 as usize].dtype;
        let name = self.graph.tensor(id).name.clone();
        let buffer = self.add_buffer(&name, dtype, None, to.clone())?;
        let (from, into) = (value.layout.strides(), to.strides());
        let axes = to.order.iter().map(|&axis| movement::CopyAxis {
            extent: to.dims[axis],
            from: from[axis] as isize,
            to: into[axis] as isize,
        });
        let axes: Vec<_> = axes.collect();
        self.emit_copy(node, id, (value.buffer, 0), (buffer, 0), &axes)?;
        let layout = to.reshape(&self.graph.tensor(id).shape).unwrap_or(to);
        Ok(Value { buffer, layout })
    }

    /// Appends an operator for a node. What it reads and writes follows from the parameters.
    fn emit(
        &mut self,
        node: &Node,
        opcode: Opcode,
        rows: usize,
        emitted: Emitted,
    ) -> Result<(), LowerError> {
        let is_memory = |id: &BufferId| self.program.buffers[id.0 as usize].data.is_none();
        let op = ProgramOp {
            name: node.name.clone(),
            kind: node.op.name(),
            opcode,
            rows: dim(node, rows)?,
            reads: emitted.reads.into_iter().filter(is_memory).collect(),
            params: emitted.params,
            writes: emitted.writes,
            scratch: emitted.scratch,
            overlap: emitted.overlap.filter(|overlap| match overlap {
                Overlap::InPlace(input) | Overlap::Trailing { input, .. } => is_memory(input),
            }),
            macs: emitted.macs,
            weight_bytes: emitted.weight_bytes,
            decoding: emitted.decoding,
            output: emitted.copied.unwrap_or(node.output),
        };
        self.program.ops.push(op);
        Ok(())
    }
}

/// What an operator file says of an operator that it emits.
struct Emitted {
    params: Params,
    reads: Vec<BufferId>,
    writes: BufferId,
    scratch: Option<BufferId>,
    overlap: Option<Overlap>,
    macs: u64,
    weight_bytes: usize,
    decoding: f64,
    /// The tensor that it writes, where that is not the node's output.
    copied: Option<TensorId>,
}

impl Emitted {
    /// An operator without weights, scratch or in-place execution.
    fn new(params: Params, reads: Vec<BufferId>, writes: BufferId) -> Self {
        let (scratch, overlap, copied) = (None, None, None);
        let (macs, weight_bytes, decoding) = (0, 0, 0.0);
        Self { params, reads, writes, scratch, overlap, macs, weight_bytes, decoding, copied }
    }
}

/// The element type of a tensor with this quantisation.
fn dtype(quant: &Quant) -> Dtype {
    match quant.bits {
        9..=16 => Dtype::I16,
        32 => Dtype::I32,
        _ => Dtype::I8,
    }
}

/// An extent as the format holds it.
fn dim(node: &Node, extent: usize) -> Result<u16, LowerError> {
    u16::try_from(extent).map_err(|_| {
        LowerError::unsupported(
            node,
            format!("an extent of {extent} exceeds 65535"),
            "split the tensor or make the model smaller",
        )
    })
}
