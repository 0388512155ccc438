//! Lut: `out[i] = table[in[i] as u8]`, any function of one 8-bit value.

use core::ops::Range;

use fixie_format::Image;
use fixie_format::op;

use crate::memory::Memory;
use crate::ops::Operator;
use crate::rule::{self, Rule, check_data, check_len, check_output, check_rows};

/// Entries of the table: one per value of a byte.
const TABLE_LEN: usize = 256;

/// [`Opcode::Lut`](fixie_format::Opcode::Lut).
pub struct Lut;

impl Operator for Lut {
    type Params = op::Lut;

    fn check(params: &op::Lut, rows: u16, image: &Image<'_>) -> Result<(), Rule> {
        check_rows(rows, 1)?;
        let len = rule::tensor(image, params.input)?.len_bytes as usize;
        check_len(image, params.input, Some(len), 1)?;
        check_len(image, params.output, Some(len), 1)?;
        check_output(image, params.output, &[], &[params.input])?;
        check_data::<i8>(image, params.table, Some(TABLE_LEN))
    }

    fn run(params: &op::Lut, _rows: Range<usize>, memory: &mut Memory<'_>) -> Option<()> {
        let tensors = memory.tensors();
        let (input, output) = (tensors.src(params.input)?, tensors.dst(params.output)?);
        let table: &[i8; TABLE_LEN] = tensors.data(params.table, TABLE_LEN)?.first_chunk()?;
        for (value, cell) in input.iter().zip(output.cells()) {
            cell.set(*table.get(value as u8 as usize)?);
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;
    use crate::testing::{Bench, Random};

    #[test]
    fn every_value_is_looked_up() {
        let input: Vec<i8> = (i8::MIN..=i8::MAX).collect();
        let table = Random::bytes(1, 256);
        let mut bench = Bench::new();
        let params = op::Lut {
            input: bench.input(&input),
            output: bench.output(256),
            table: bench.data(&table),
        };
        let expected: Vec<i8> = (i8::MIN..=i8::MAX).map(|v| table[v as u8 as usize]).collect();
        assert_eq!(bench.run::<Lut>(&params, 1, params.output), expected);
        bench.survives_mutations::<Lut>(params, 1);
        let in_place = op::Lut { output: params.input, ..params };
        assert_eq!(bench.run::<Lut>(&in_place, 1, params.input), expected);
    }

    #[test]
    fn a_partial_overlap_or_a_short_table_is_refused() {
        let mut bench = Bench::new();
        let input = bench.input(&[0; 8]);
        let params = op::Lut {
            input,
            output: bench.alias(input, |tensor| tensor.offset += 4),
            table: bench.data(&[0i8; 255]),
        };
        assert_eq!(bench.check::<Lut>(&params, 1), Err(Rule::Overlap(params.output)));
        let in_place = op::Lut { output: input, ..params };
        assert_eq!(bench.check::<Lut>(&in_place, 1), Err(Rule::Data(params.table)));
        assert_eq!(bench.check::<Lut>(&in_place, 2), Err(Rule::Rows));
    }
}
