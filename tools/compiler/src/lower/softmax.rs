//! Softmax: a table of exponentials and one division per row.

use fixie_format::{Opcode, op};

use super::layout::Layout;
use super::program::{Overlap, Params};
use super::{Emitted, LowerError, Lowering};
use crate::ir::Node;

impl Lowering<'_> {
    pub(super) fn softmax(&mut self, node: &Node, axis: usize) -> Result<(), LowerError> {
        let mut value = self.plain_input(node, 0)?;
        let dims = value.layout.dims.clone();
        if value.layout.strides()[axis] != 1 && dims[axis] != 1 {
            let others = value.layout.order.iter().copied().filter(|&a| a != axis);
            let order = others.chain([axis]).collect();
            value = self.arranged(node, node.inputs[0], Layout { dims: dims.clone(), order })?;
        }
        let (in_quant, out_quant) = (self.input_quant(node, 0)?, self.quant(node.output)?);
        let len = dims[axis];
        let multiplier = (256.0 / f64::from(out_quant.scale())).round();
        if multiplier > f64::from(i32::MAX) || len == 0 {
            return Err(LowerError::unsupported(
                node,
                "its output scale is too small, or its axis empty",
                "quantise probabilities with a scale of 1/256",
            ));
        }
        let output = self.define(node.output, value.layout)?;
        let params = op::Softmax {
            input: value.buffer.0,
            output: output.0,
            outer: (dims.iter().product::<usize>() / len) as u32,
            len: len as u32,
            table: self.program.image.data(&exponentials(in_quant.scale().into(), len)),
            multiplier: multiplier as i32,
            out_zero: out_quant.zero_point as i8,
            reserved: [0; 3],
        };
        let emitted = Emitted {
            overlap: Some(Overlap::InPlace(value.buffer)),
            ..Emitted::new(Params::Softmax(params), vec![value.buffer], output)
        };
        self.emit(node, Opcode::Softmax, 1, emitted)
    }
}

/// `2^t · exp(−d · scale)` for `d` in `0..256`, with the largest `t` of at most 23 for which the
/// sum of `len` of them stays within 32 bits.
fn exponentials(scale: f64, len: usize) -> Vec<u32> {
    let bits = len.next_power_of_two().trailing_zeros();
    let amplitude = f64::from(1u32 << 31_u32.saturating_sub(bits).min(23));
    (0..256).map(|d| (amplitude * (-f64::from(d) * scale).exp()).round() as u32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_stay_within_32_bits() {
        for len in [1usize, 2, 10, 256, 257, 1000, 65535] {
            let largest = u64::from(exponentials(0.1, len)[0]) * len as u64;
            assert!(largest <= 1 << 31, "{len}");
        }
        assert_eq!(exponentials(0.5, 10)[0], 1 << 23);
        assert_eq!(exponentials(1.0, 10)[1], ((1u32 << 23) as f64 / 1f64.exp()).round() as u32);
    }
}
