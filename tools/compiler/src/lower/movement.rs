//! Reshape, Transpose, Concat, Slice: names for memory where possible, strided copies elsewhere.

use fixie_format::{Opcode, op};

use super::layout::Layout;
use super::program::{BufferId, Params};
use super::{Emitted, LowerError, Lowering, Value};
use crate::ir::{Node, SliceAxis, TensorId};

/// One axis of a strided copy, in elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopyAxis {
    /// Number of elements.
    pub extent: usize,
    /// Distance between neighbours in the source.
    pub from: isize,
    /// Distance between neighbours in the destination.
    pub to: isize,
}

impl Lowering<'_> {
    /// Same memory, other shape. A flattened channels-last tensor keeps its factorised axes for a
    /// dense layer, which reorders its weights instead.
    pub(super) fn reshape(&mut self, node: &Node) -> Result<(), LowerError> {
        let value = self.input(node, 0)?;
        let shape = &self.graph.tensor(node.output).shape;
        let flat = shape.iter().filter(|&&extent| extent != 1).count() <= 1;
        let layout = match value.layout.reshape(shape) {
            Some(layout) => layout,
            None if flat => value.layout,
            None => {
                let row_major = Layout::row_major(&value.layout.dims);
                let copied = self.arranged(node, node.inputs[0], row_major)?;
                let layout = copied.layout.reshape(shape);
                let layout = layout.unwrap_or_else(|| Layout::row_major(shape));
                self.values.insert(node.output, Value { buffer: copied.buffer, layout });
                return Ok(());
            }
        };
        self.values.insert(node.output, Value { buffer: value.buffer, layout });
        Ok(())
    }

    /// The same memory under other axis names.
    pub(super) fn transpose(&mut self, node: &Node, perm: &[usize]) -> Result<(), LowerError> {
        let Value { buffer, layout } = self.plain_input(node, 0)?;
        self.values.insert(node.output, Value { buffer, layout: layout.transpose(perm) });
        Ok(())
    }

    /// Copies every input to its place in the output, in the memory order of the first.
    pub(super) fn concat(&mut self, node: &Node, axis: usize) -> Result<(), LowerError> {
        let order = self.plain_input(node, 0)?.layout.order;
        let dims = self.graph.tensor(node.output).shape.clone();
        let layout = Layout { dims, order };
        let strides = layout.strides();
        let output = self.define(node.output, layout.clone())?;
        let mut start = 0;
        for index in 0..node.inputs.len() {
            self.same_quant(node, index)?;
            let part = self.plain_input(node, index)?;
            let from = part.layout.strides();
            let axes = layout.order.iter().map(|&a| CopyAxis {
                extent: part.layout.dims[a],
                from: from[a] as isize,
                to: strides[a] as isize,
            });
            let axes: Vec<_> = axes.collect();
            let base = start * strides[axis];
            self.emit_copy(node, node.output, (part.buffer, 0), (output, base), &axes)?;
            start += part.layout.dims[axis];
        }
        Ok(())
    }

    /// Copies a strided part of the input.
    pub(super) fn slice(&mut self, node: &Node, axes: &[SliceAxis]) -> Result<(), LowerError> {
        self.same_quant(node, 0)?;
        let value = self.plain_input(node, 0)?;
        let from = value.layout.strides();
        let dims = self.graph.tensor(node.output).shape.clone();
        let layout = Layout { dims, order: value.layout.order.clone() };
        let to = layout.strides();
        let base: usize = axes.iter().zip(&from).map(|(axis, stride)| axis.start * stride).sum();
        let copied = layout.order.iter().map(|&a| CopyAxis {
            extent: axes[a].len,
            from: from[a] as isize * axes[a].step,
            to: to[a] as isize,
        });
        let copied: Vec<_> = copied.collect();
        let output = self.define(node.output, layout)?;
        self.emit_copy(node, node.output, (value.buffer, base), (output, 0), &copied)
    }

    /// An input over its own axes: a flattened channels-last tensor is copied into ONNX order.
    pub(super) fn plain_input(&mut self, node: &Node, index: usize) -> Result<Value, LowerError> {
        let value = self.input(node, index)?;
        let shape = &self.graph.tensor(node.inputs[index]).shape;
        if value.layout.is_plain(shape) {
            return Ok(value);
        }
        let row_major = Layout::row_major(shape);
        self.arranged(node, node.inputs[index], row_major)
    }

    /// An operator that only moves elements needs them in the output's own quantisation.
    pub(super) fn same_quant(&self, node: &Node, index: usize) -> Result<(), LowerError> {
        if self.input_quant(node, index)? == self.quant(node.output)? {
            return Ok(());
        }
        Err(LowerError::unsupported(
            node,
            format!("input {index} and the output have different scales or zero points"),
            "report this with the model",
        ))
    }

    /// Emits a strided copy between two buffers, each with the element at which it starts.
    pub(super) fn emit_copy(
        &mut self,
        node: &Node,
        tensor: TensorId,
        from: (BufferId, usize),
        to: (BufferId, usize),
        axes: &[CopyAxis],
    ) -> Result<(), LowerError> {
        let dtype = super::dtype(&self.quant(tensor)?);
        let axes = merge(axes);
        let table: Vec<i32> =
            axes.iter().flat_map(|a| [a.extent as i32, a.from as i32, a.to as i32]).collect();
        let params = op::Copy {
            input: from.0.0,
            output: to.0.0,
            in_base: from.1 as u32,
            out_base: to.1 as u32,
            axes: self.program.image.data(&table),
            rank: axes.len() as u8,
            element_bytes: dtype.size_bytes() as u8,
            reserved: 0,
        };
        let emitted = Emitted {
            copied: Some(tensor),
            ..Emitted::new(Params::Copy(params), vec![from.0], to.0)
        };
        self.emit(node, Opcode::Copy, 1, emitted)
    }
}

/// Drops axes of one element and joins neighbours that one longer axis can stand for.
fn merge(axes: &[CopyAxis]) -> Vec<CopyAxis> {
    let mut merged: Vec<CopyAxis> = Vec::new();
    for &axis in axes.iter().filter(|axis| axis.extent != 1) {
        match merged.last_mut() {
            Some(outer)
                if outer.from == axis.from * axis.extent as isize
                    && outer.to == axis.to * axis.extent as isize =>
            {
                *outer = CopyAxis { extent: outer.extent * axis.extent, ..axis };
            }
            _ => merged.push(axis),
        }
    }
    if merged.is_empty() {
        merged.push(CopyAxis { extent: 1, from: 1, to: 1 });
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(extent: usize, from: isize, to: isize) -> CopyAxis {
        CopyAxis { extent, from, to }
    }

    #[test]
    fn contiguous_axes_become_one() {
        let axes = [axis(1, 99, 99), axis(4, 15, 15), axis(5, 3, 3), axis(3, 1, 1)];
        assert_eq!(merge(&axes), [axis(60, 1, 1)]);
        assert_eq!(merge(&[axis(1, 7, 7)]), [axis(1, 1, 1)]);
    }

    #[test]
    fn strided_axes_stay() {
        let axes = [axis(4, 30, 15), axis(5, 3, 3), axis(3, 1, 1)];
        assert_eq!(merge(&axes), [axis(4, 30, 15), axis(15, 1, 1)]);
        assert_eq!(merge(&[axis(2, -2, 2), axis(2, -1, 1)]), [axis(4, -1, 1)]);
    }
}
