//! `Mean` and `ArgMax` over axes that are neighbours in memory.

use fixie_format::{Opcode, op};

use super::layout::Layout;
use super::program::Params;
use super::{Emitted, LowerError, Lowering, Value};
use crate::ir::{Node, TensorId};
use crate::quantize::requant;

/// A tensor seen as `[outer, len, inner]` around the axes to reduce.
struct Reduced {
    value: Value,
    outer: usize,
    len: usize,
    inner: usize,
    /// The output's layout: the axes that stay, in their order.
    layout: Layout,
}

impl Lowering<'_> {
    pub(super) fn mean(&mut self, node: &Node, axes: &[usize]) -> Result<(), LowerError> {
        let reduced = self.reduced(node, axes)?;
        let (in_quant, out_quant) = (self.input_quant(node, 0)?, self.quant(node.output)?);
        let ratio = f64::from(in_quant.scale()) / f64::from(out_quant.scale());
        let largest = 255 * reduced.len as i64;
        let requant = requant::multipliers(&[ratio / reduced.len as f64], largest)
            .map_err(LowerError::scales(node))?;
        let (act_min, act_max) = self.bounds(node)?;
        let output = self.define(node.output, reduced.layout)?;
        let params = op::Mean {
            input: reduced.value.buffer.0,
            output: output.0,
            outer: reduced.outer as u32,
            len: reduced.len as u32,
            inner: reduced.inner as u32,
            multiplier: requant.multipliers[0],
            shift: requant.shift,
            in_zero: in_quant.zero_point as i8,
            out_zero: out_quant.zero_point as i8,
            act_min,
            act_max,
            reserved: [0; 3],
        };
        let emitted = Emitted::new(Params::Mean(params), vec![reduced.value.buffer], output);
        self.emit(node, Opcode::Mean, 1, emitted)
    }

    pub(super) fn arg_max(
        &mut self,
        node: &Node,
        axis: usize,
        last: bool,
    ) -> Result<(), LowerError> {
        let reduced = self.reduced(node, &[axis])?;
        let output = self.define(node.output, reduced.layout)?;
        let params = op::ArgMax {
            input: reduced.value.buffer.0,
            output: output.0,
            outer: reduced.outer as u32,
            len: reduced.len as u32,
            inner: reduced.inner as u32,
            last: last.into(),
            reserved: [0; 3],
        };
        let emitted = Emitted::new(Params::ArgMax(params), vec![reduced.value.buffer], output);
        self.emit(node, Opcode::ArgMax, 1, emitted)
    }

    /// Arranges the input so that `axes` are neighbours, in ascending order, in memory.
    fn reduced(&mut self, node: &Node, axes: &[usize]) -> Result<Reduced, LowerError> {
        let mut value = self.plain_input(node, 0)?;
        if !neighbours(&value.layout, axes) {
            let kept = value.layout.order.iter().copied().filter(|axis| !axes.contains(axis));
            let order = kept.chain(axes.iter().copied()).collect();
            let layout = Layout { dims: value.layout.dims.clone(), order };
            value = self.arranged(node, node.inputs[0], layout)?;
        }
        let layout = &value.layout;
        let extent = |axes: &[usize]| axes.iter().map(|&axis| layout.dims[axis]).product();
        let longer = |axis: &usize| layout.dims[*axis] != 1 && axes.contains(axis);
        let first = layout.order.iter().position(longer).unwrap_or(0);
        let end = layout.order.iter().rposition(longer).map_or(first, |place| place + 1);
        Ok(Reduced {
            outer: extent(&layout.order[..first]),
            len: extent(&layout.order[first..end]),
            inner: extent(&layout.order[end..]),
            layout: self.without(node.output, layout, axes),
            value,
        })
    }

    /// The layout of the output, whose reduced axes have length 1 or are gone.
    fn without(&self, output: TensorId, input: &Layout, axes: &[usize]) -> Layout {
        let shape = self.graph.tensor(output).shape.clone();
        if shape.len() == input.dims.len() {
            return Layout { dims: shape, order: input.order.clone() };
        }
        let renumbered = |axis: usize| axis - axes.iter().filter(|&&a| a < axis).count();
        let kept = input.order.iter().filter(|axis| !axes.contains(axis));
        Layout { dims: shape, order: kept.map(|&axis| renumbered(axis)).collect() }
    }
}

/// Whether no longer axis lies between those of `axes`, and they lie in ascending order.
fn neighbours(layout: &Layout, axes: &[usize]) -> bool {
    let longer: Vec<usize> =
        layout.order.iter().copied().filter(|&axis| layout.dims[axis] != 1).collect();
    let places: Vec<usize> =
        axes.iter().filter_map(|axis| longer.iter().position(|a| a == axis)).collect();
    places.windows(2).all(|pair| pair[1] == pair[0] + 1)
}
