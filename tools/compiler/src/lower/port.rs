//! Inputs, outputs and state.

use fixie_format::table::{Dtype, MAX_RANK, Port};
use fixie_format::{Opcode, op};

use super::layout::Layout;
use super::program::{BufferId, Params, ProgramOp, ProgramState};
use super::{Inputs, LowerError, Lowering, Value};
use crate::ir::{Node, Op, TensorId, Unary};

impl Lowering<'_> {
    /// Gives every input the memory order that its consumers want.
    pub(super) fn inputs(&mut self) -> Result<(), LowerError> {
        for &id in &self.graph.inputs {
            let layout = self.demands[id.0].clone();
            let buffer = self.define(id, layout.clone())?;
            let quant = self.quant(id)?;
            if self.graph.states.iter().any(|&(_, input)| input == id) {
                let fill = quant.zero_point as i8;
                self.program.states.push(ProgramState { buffer, fill });
            } else {
                let mut port = self.port(id, &Value { buffer, layout })?;
                if self.feeding == Inputs::ByRows {
                    port.rows = self.feed(id, &port)?;
                }
                self.program.inputs.push(port);
            }
        }
        Ok(())
    }

    /// Has the next input given row by row, by an operator of its own. Gives the number of rows.
    fn feed(&mut self, id: TensorId, port: &Port) -> Result<u16, LowerError> {
        let node = self.copy_node(id);
        let rows = rows(port).ok_or_else(|| {
            LowerError::unsupported(
                &node,
                "an input of one axis, or not of 8 bits, has no rows to be given one by one",
                "convert without --input-rows",
            )
        })?;
        let index = self.program.inputs.len() as u16;
        let params = op::Feed { output: port.tensor, port: index };
        let rows = super::dim(&node, rows)?;
        self.program.ops.push(ProgramOp {
            name: node.name,
            kind: "Input",
            opcode: Opcode::Feed,
            rows,
            params: Params::Feed(params),
            reads: Vec::new(),
            writes: BufferId(port.tensor),
            scratch: None,
            overlap: None,
            macs: 0,
            weight_bytes: 0,
            decoding: 0.0,
            output: id,
        });
        Ok(rows)
    }

    /// Declares the outputs, over their own axes and in memory of their own.
    pub(super) fn outputs(&mut self) -> Result<(), LowerError> {
        for &id in &self.graph.outputs {
            if self.graph.states.iter().any(|&(output, _)| output == id) {
                continue;
            }
            let node = self.copy_node(id);
            let shape = &self.graph.tensor(id).shape;
            let mut value = self.value(id)?;
            if !value.layout.is_plain(shape) {
                value = self.arranged(&node, id, Layout::row_major(shape))?;
            }
            if self.program.buffers[value.buffer.0 as usize].data.is_some() {
                value = self.copied(&node, id, &value)?;
            }
            let port = self.port(id, &value)?;
            self.program.outputs.push(port);
        }
        Ok(())
    }

    /// Copies each new state over the old one, behind everything that reads the old one.
    pub(super) fn states(&mut self) -> Result<(), LowerError> {
        for &(output, input) in &self.graph.states {
            let node = self.copy_node(output);
            if self.quant(output)? != self.quant(input)? {
                return Err(LowerError::unsupported(
                    &node,
                    "the state and its new value have different scales",
                    "report this with the model",
                ));
            }
            let held = self.value(input)?;
            let new = self.arranged(&node, output, held.layout.clone())?;
            if new.buffer != held.buffer {
                self.copy_whole(&node, output, &new, &held)?;
            }
        }
        Ok(())
    }

    /// A copy of a tensor in the arena, in the same order.
    fn copied(&mut self, node: &Node, id: TensorId, value: &Value) -> Result<Value, LowerError> {
        let buffer = self.define(id, value.layout.clone())?;
        let copy = Value { buffer, layout: value.layout.clone() };
        self.copy_whole(node, id, value, &copy)?;
        Ok(copy)
    }

    fn copy_whole(
        &mut self,
        node: &Node,
        id: TensorId,
        from: &Value,
        to: &Value,
    ) -> Result<(), LowerError> {
        let extent = self.graph.tensor(id).len();
        let axes = [super::movement::CopyAxis { extent, from: 1, to: 1 }];
        self.emit_copy(node, id, (from.buffer, 0), (to.buffer, 0), &axes)
    }

    /// Stands for the copying of a tensor in reports.
    fn copy_node(&self, id: TensorId) -> Node {
        Node {
            name: self.graph.tensor(id).name.clone(),
            op: Op::Unary(Unary::Identity),
            inputs: vec![id],
            output: id,
            clamp: None,
        }
    }

    fn port(&self, id: TensorId, value: &Value) -> Result<Port, LowerError> {
        let tensor = self.graph.tensor(id);
        let rank = tensor.shape.len();
        if rank > MAX_RANK {
            return Err(LowerError::unsupported(
                &self.copy_node(id),
                format!("an input or output of {rank} axes"),
                format!("reshape it to at most {MAX_RANK} axes"),
            ));
        }
        let quant = self.quant(id)?;
        let (mut dims, mut order) = ([1; MAX_RANK], [0; MAX_RANK]);
        for (to, &from) in dims.iter_mut().zip(&value.layout.dims) {
            *to = from as u32;
        }
        for (to, &from) in order.iter_mut().zip(&value.layout.order) {
            *to = from as u8;
        }
        Ok(Port {
            tensor: value.buffer.0,
            rank: rank as u8,
            dtype: super::dtype(&quant) as u8,
            scale: quant.scale(),
            zero_point: quant.zero_point,
            dims,
            order,
            rows: 0,
        })
    }
}

/// Rows of an input as it lies in memory: the extent of the outermost axis that is not 1, if each of
/// them holds several elements of 8 bits.
fn rows(port: &Port) -> Option<usize> {
    let rank = usize::from(port.rank);
    let extents = port.order[..rank].iter().map(|&axis| port.dims[usize::from(axis)] as usize);
    let mut extents = extents.skip_while(|&extent| extent == 1);
    let rows = extents.next()?;
    (extents.product::<usize>() > 1 && port.dtype == Dtype::I8 as u8).then_some(rows)
}
