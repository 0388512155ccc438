//! `Fill`: one byte everywhere, such as the zero point around a tensor to be padded.

use core::ops::Range;

use fixie_format::Image;
use fixie_format::op;

use crate::memory::Memory;
use crate::ops::Operator;
use crate::rule::{self, Rule, check_len, check_output, check_rows, check_that};

/// [`Opcode::Fill`](fixie_format::Opcode::Fill).
pub struct Fill;

impl Operator for Fill {
    type Params = op::Fill;

    fn check(params: &op::Fill, rows: u16, image: &Image<'_>) -> Result<(), Rule> {
        check_rows(rows, 1)?;
        check_that(params.reserved == 0, "reserved")?;
        let len = rule::tensor(image, params.output)?.len_bytes as usize;
        check_len(image, params.output, Some(len), 1)?;
        check_output(image, params.output, &[], &[])
    }

    fn run(params: &op::Fill, _rows: Range<usize>, memory: &mut Memory<'_>) -> Option<()> {
        memory.tensors().dst(params.output)?.fill(params.value);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use std::vec;

    use super::*;
    use crate::testing::Bench;

    #[test]
    fn every_byte_is_written() {
        let mut bench = Bench::new();
        let params = op::Fill { output: bench.output(7), value: -3, reserved: 0 };
        assert_eq!(bench.run::<Fill>(&params, 1, params.output), vec![-3; 7]);
        bench.survives_mutations::<Fill>(params, 1);
    }

    #[test]
    fn constants_and_rings_are_refused() {
        let mut bench = Bench::new();
        let output = bench.output(8);
        let ring = bench.alias(output, |tensor| tensor.ring_rows = 2);
        let constant = bench.constant(&[0; 8]);
        let check = |output| {
            let params = op::Fill { output, value: 0, reserved: 0 };
            bench.check::<Fill>(&params, 1)
        };
        assert_eq!(check(output), Ok(()));
        assert_eq!(check(constant), Err(Rule::Overlap(constant)));
        assert!(matches!(check(ring), Err(Rule::Length { .. })));
    }
}
