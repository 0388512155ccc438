//! Functions of single elements, and of pairs of elements with broadcasting.

use fixie_format::{Opcode, op};

use super::layout::Layout;
use super::program::{Overlap, Params};
use super::{Emitted, LowerError, Lowering, Value, dim};
use crate::ir::{Constant, Node, Quant, Unary};
use crate::quantize::requant;

impl Lowering<'_> {
    /// Any function of one 8-bit value is a table.
    pub(super) fn unary(&mut self, node: &Node, function: Unary) -> Result<(), LowerError> {
        let value = self.input(node, 0)?;
        let (in_quant, out_quant) = (self.input_quant(node, 0)?, self.quant(node.output)?);
        if function == Unary::Identity && in_quant == out_quant && node.clamp.is_none() {
            self.values.insert(node.output, value);
            return Ok(());
        }
        if in_quant.is_wide() || out_quant.is_wide() {
            return self.rescale(node, function, &value);
        }
        let table = self.table(node, |x| function.eval(x))?;
        let output = self.define(node.output, value.layout)?;
        let params = op::Lut {
            input: value.buffer.0,
            output: output.0,
            table: self.program.image.data(&table),
        };
        let emitted = Emitted {
            overlap: Some(Overlap::InPlace(value.buffer)),
            ..Emitted::new(Params::Lut(params), vec![value.buffer], output)
        };
        self.emit(node, Opcode::Lut, 1, emitted)
    }

    /// `function` from the integers of the first input to those of the output, clamp included;
    /// entry *i* belongs to the integer whose bits are *i*.
    fn table(&self, node: &Node, function: impl Fn(f64) -> f64) -> Result<Vec<i8>, LowerError> {
        let (from, to) = (self.input_quant(node, 0)?, self.quant(node.output)?);
        let (low, high) = node.clamp.unwrap_or((f32::NEG_INFINITY, f32::INFINITY));
        let entry = |index: u8| {
            let real = function(from.dequantize((index as i8).into(), 0));
            to.quantize(real.max(low.into()).min(high.into()), 0) as i8
        };
        Ok((0..=255).map(entry).collect())
    }

    /// A slope per channel needs the channels innermost; one slope for all is a table.
    pub(super) fn prelu(&mut self, node: &Node) -> Result<(), LowerError> {
        let slope = node.inputs.get(1).and_then(|&id| self.graph.tensor(id).real_values());
        let slope = slope.ok_or_else(|| LowerError::missing_input(node, 1))?;
        if let (1, Some(&alpha)) = (slope.len(), slope.first()) {
            return self.unary(node, Unary::LeakyRelu { alpha });
        }
        let shape = self.graph.tensor(node.inputs[0]).shape.clone();
        let channels = shape.get(1).copied().unwrap_or(1);
        if slope.len() != channels || node.clamp.is_some() {
            return Err(LowerError::unsupported(
                node,
                format!("{} slopes for {channels} channels", slope.len()),
                "use one slope, or one per channel",
            ));
        }
        let value = self.arranged(node, node.inputs[0], Layout::channels_last(&shape))?;
        let (in_quant, out_quant) = (self.input_quant(node, 0)?, self.quant(node.output)?);
        let ratio = f64::from(in_quant.scale()) / f64::from(out_quant.scale());
        let ratios: Vec<f64> =
            std::iter::once(ratio).chain(slope.iter().map(|&s| ratio * f64::from(s))).collect();
        let requant = requant::multipliers(&ratios, 255).map_err(LowerError::scales(node))?;
        let output = self.define(node.output, value.layout)?;
        let params = op::PRelu {
            input: value.buffer.0,
            output: output.0,
            channels: channels as u32,
            positive: requant.multipliers[0],
            negative: self.program.image.data(&requant.multipliers[1..]),
            shift: requant.shift,
            in_zero: in_quant.zero_point as i8,
            out_zero: out_quant.zero_point as i8,
            reserved: 0,
        };
        let emitted = Emitted {
            overlap: Some(Overlap::InPlace(value.buffer)),
            weight_bytes: 4 * channels,
            ..Emitted::new(Params::PRelu(params), vec![value.buffer], output)
        };
        self.emit(node, Opcode::PRelu, 1, emitted)
    }

    /// `a + sign · b`.
    pub(super) fn add(&mut self, node: &Node, sign: f64) -> Result<(), LowerError> {
        let (a, b) = (self.input_quant(node, 0)?, self.input_quant(node, 1)?);
        let out = self.quant(node.output)?;
        let operand = |quant: &Quant, sign: f64| requant::Operand {
            ratio: sign * f64::from(quant.scale()) / f64::from(out.scale()),
            zero_point: quant.zero_point as i8,
        };
        let (a, b) = (operand(&a, 1.0), operand(&b, sign));
        let sum =
            requant::add_params(a, b, out.zero_point as i8).map_err(LowerError::scales(node))?;
        self.binary(node, Opcode::Add, |params| op::Binary {
            a_multiplier: sum.a_multiplier,
            b_multiplier: sum.b_multiplier,
            bias: sum.bias,
            shift: sum.shift,
            ..params
        })
    }

    pub(super) fn mul(&mut self, node: &Node) -> Result<(), LowerError> {
        let (a, b) = (self.input_quant(node, 0)?, self.input_quant(node, 1)?);
        let out = self.quant(node.output)?;
        let ratio = f64::from(a.scale()) * f64::from(b.scale()) / f64::from(out.scale());
        let requant =
            requant::multipliers(&[ratio], 255 * 255).map_err(LowerError::scales(node))?;
        self.binary(node, Opcode::Mul, |params| op::Binary {
            a_multiplier: requant.multipliers[0],
            shift: requant.shift,
            a_zero: a.zero_point as i8,
            b_zero: b.zero_point as i8,
            out_zero: out.zero_point as i8,
            ..params
        })
    }

    fn binary(
        &mut self,
        node: &Node,
        opcode: Opcode,
        arithmetic: impl FnOnce(op::Binary) -> op::Binary,
    ) -> Result<(), LowerError> {
        let (a, b) = (self.plain_input(node, 0)?, self.plain_input(node, 1)?);
        let layout = self.binary_layout(node, [&a, &b]);
        let output = self.define(node.output, layout.clone())?;
        let mut axes = broadcast_axes(&layout, [&a.layout, &b.layout]);
        let rows = split_rows(&mut axes, &layout);
        let [dims, a_strides, b_strides] = four_axes(node, &axes)?;
        let (act_min, act_max) = self.bounds(node)?;
        let params = arithmetic(op::Binary {
            a: a.buffer.0,
            b: b.buffer.0,
            output: output.0,
            rows: dim(node, rows)?,
            dims,
            a_strides,
            b_strides,
            a_multiplier: 0,
            b_multiplier: 0,
            bias: 0,
            shift: 0,
            a_zero: 0,
            b_zero: 0,
            out_zero: 0,
            act_min,
            act_max,
            reserved: 0,
        });
        let emitted = Emitted {
            overlap: self.binary_in_place([&a, &b], &layout).map(Overlap::InPlace),
            ..Emitted::new(Params::Binary(params), vec![a.buffer, b.buffer], output)
        };
        self.emit(node, opcode, rows, emitted)
    }

    /// The memory order of an operand that has the output's shape, so that it is read in order.
    fn binary_layout(&self, node: &Node, operands: [&Value; 2]) -> Layout {
        let shape = &self.graph.tensor(node.output).shape;
        let activation = |index: usize| {
            let tensor = self.graph.tensor(node.inputs[index]);
            !matches!(tensor.constant, Some(Constant::Integer(_)))
        };
        let whole = (0..2).find(|&i| activation(i) && operands[i].layout.dims == *shape);
        whole.map_or_else(|| Layout::row_major(shape), |i| operands[i].layout.clone())
    }

    /// An operand over which the output may lie: one that is read just where it is overwritten,
    /// while the other is somewhere else altogether.
    fn binary_in_place(&self, [a, b]: [&Value; 2], layout: &Layout) -> Option<super::BufferId> {
        let fits = |value: &Value| {
            value.layout.same_memory(layout)
                && self.program.buffers[value.buffer.0 as usize].data.is_none()
        };
        if a.buffer == b.buffer {
            return None;
        }
        [a, b].into_iter().find(|value| fits(value)).map(|value| value.buffer)
    }
}

/// Extent, stride of `a`, stride of `b`.
type BroadcastAxis = [usize; 3];

/// The output's axes in memory order, each with the operands' strides (0 where broadcast),
/// neighbours joined where one axis can stand for both.
fn broadcast_axes(layout: &Layout, operands: [&Layout; 2]) -> Vec<BroadcastAxis> {
    let strides = operands.map(|operand| {
        let missing = layout.dims.len() - operand.dims.len();
        let own = operand.strides();
        move |axis: usize| match axis.checked_sub(missing) {
            Some(axis) if operand.dims[axis] != 1 => own[axis],
            _ => 0,
        }
    });
    let mut axes: Vec<BroadcastAxis> = Vec::new();
    for &axis in layout.order.iter().filter(|&&axis| layout.dims[axis] != 1) {
        let next = [layout.dims[axis], strides[0](axis), strides[1](axis)];
        match axes.last_mut() {
            Some(outer) if outer[1] == next[0] * next[1] && outer[2] == next[0] * next[2] => {
                *outer = [outer[0] * next[0], next[1], next[2]];
            }
            _ => axes.push(next),
        }
    }
    axes
}

/// Cuts operands that are read from front to back into the rows of an image, so that they can be
/// computed row by row. Gives the number of rows.
fn split_rows(axes: &mut Vec<BroadcastAxis>, layout: &Layout) -> usize {
    let rows = layout.order.iter().map(|&axis| layout.dims[axis]).find(|&extent| extent != 1);
    match (&axes[..], rows) {
        (&[[len, 1, 1]], Some(rows)) if rows < len && layout.dims.len() == 4 => {
            let row = len / rows;
            *axes = vec![[rows, row, row], [1, 0, 0], [1, 0, 0], [row, 1, 1]];
            rows
        }
        _ => 1,
    }
}

/// The format's four axes, ones in front.
fn four_axes(node: &Node, axes: &[BroadcastAxis]) -> Result<[[u32; 4]; 3], LowerError> {
    let missing = 4usize.checked_sub(axes.len()).ok_or_else(|| {
        LowerError::unsupported(
            node,
            format!("its operands are broadcast along {} separate axes", axes.len()),
            "reshape the operands to at most 4 axes",
        )
    })?;
    let mut four = [[1; 4], [0; 4], [0; 4]];
    for (place, axis) in axes.iter().enumerate() {
        for (row, &value) in four.iter_mut().zip(axis) {
            row[missing + place] = value as u32;
        }
    }
    Ok(four)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_operands_are_one_axis() {
        let map = Layout::channels_last(&[1, 8, 4, 5]);
        assert_eq!(broadcast_axes(&map, [&map, &map]), [[160, 1, 1]]);
    }

    #[test]
    fn a_value_per_channel_is_broadcast_over_pixels() {
        let map = Layout::channels_last(&[1, 8, 4, 5]);
        let channel = Layout::row_major(&[8, 1, 1]);
        assert_eq!(broadcast_axes(&map, [&map, &channel]), [[20, 8, 0], [8, 1, 1]]);
        let scalar = Layout::row_major(&[]);
        assert_eq!(broadcast_axes(&map, [&map, &scalar]), [[160, 1, 0]]);
    }

    #[test]
    fn operands_in_different_orders_need_no_copy() {
        let (last, first) = (Layout::channels_last(&[1, 3, 4]), Layout::row_major(&[1, 3, 4]));
        assert_eq!(broadcast_axes(&last, [&last, &first]), [[4, 3, 1], [3, 1, 4]]);
    }
}
