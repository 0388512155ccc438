//! Operators on activations of 16 bits.

use fixie_format::{Opcode, op};
use fixie_kernels::layout;

use super::conv::{Integers, too_large};
use super::program::{BufferId, Params};
use super::{Emitted, LowerError, Lowering, Value, dim};
use crate::ir::{Node, Unary};
use crate::quantize::requant;

/// Channels of a row of 16-bit elements.
const MOST_CHANNELS: u16 = u16::MAX / 2;

impl Lowering<'_> {
    /// A convolution or matrix product whose input or output has 16 bits.
    pub(super) fn emit_wide(
        &mut self,
        node: &Node,
        [input, output]: [BufferId; 2],
        (window, groups): (op::Window, usize),
        integers: &Integers,
    ) -> Result<(), LowerError> {
        if window.in_c.max(window.out_c) > MOST_CHANNELS {
            return Err(too_large(node));
        }
        let (act_min, act_max) = self.wide_bounds(node)?;
        let mut params = op::ConvWide {
            input: input.0,
            output: output.0,
            scratch: 0,
            groups: dim(node, groups)?,
            window,
            weights: self.program.image.data(&integers.weights),
            bias: self.program.image.data(&integers.bias),
            multipliers: self.program.image.data(&integers.requant.multipliers),
            shift: integers.requant.shift,
            pad_value: self.input_quant(node, 0)?.zero_point as i8,
            out_zero: self.quant(node.output)?.zero_point as i8,
            reserved: 0,
            act_min,
            act_max,
        };
        let scratch_len = layout::wide_scratch_len(&params).ok_or_else(|| too_large(node))?;
        let scratch = self.add_scratch(scratch_len)?;
        params.scratch = scratch.0;
        let outputs = u64::from(window.out_h) * u64::from(window.out_w) * u64::from(window.out_c);
        let emitted = Emitted {
            scratch: Some(scratch),
            macs: outputs * integers.taps as u64,
            weight_bytes: integers.weights.len() + 8 * integers.bias.len(),
            ..Emitted::new(Params::ConvWide(params), vec![input], output)
        };
        self.emit(node, Opcode::ConvWide, window.out_h.into(), emitted)
    }

    /// A conversion from or to 16 bits. Quantisation leaves no other function of them.
    pub(super) fn rescale(
        &mut self,
        node: &Node,
        function: Unary,
        value: &Value,
    ) -> Result<(), LowerError> {
        if function != Unary::Identity {
            let problem = format!("{} of 16 bits", function.name());
            return Err(LowerError::unsupported(node, problem, "report this with the model"));
        }
        let (from, to) = (self.input_quant(node, 0)?, self.quant(node.output)?);
        let ratio = f64::from(from.scale()) / f64::from(to.scale());
        let requant =
            requant::multipliers(&[ratio], 2 * from.limit()).map_err(LowerError::scales(node))?;
        let (act_min, act_max) = self.wide_bounds(node)?;
        let output = self.define(node.output, value.layout.clone())?;
        let params = op::Rescale {
            input: value.buffer.0,
            output: output.0,
            multiplier: requant.multipliers[0],
            shift: requant.shift,
            in_zero: from.zero_point as i8,
            out_zero: to.zero_point as i8,
            reserved: 0,
            act_min,
            act_max,
        };
        let emitted = Emitted::new(Params::Rescale(params), vec![value.buffer], output);
        self.emit(node, Opcode::Rescale, 1, emitted)
    }

    /// The integers between which a node's output of up to 16 bits must stay.
    fn wide_bounds(&self, node: &Node) -> Result<(i16, i16), LowerError> {
        let (min, max) = node.integer_bounds(&self.quant(node.output)?);
        Ok((min as i16, max as i16))
    }
}
