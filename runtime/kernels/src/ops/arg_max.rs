//! `ArgMax`: the index of the largest value along the middle axis of `[outer, len, inner]`.

use core::ops::Range;

use fixie_format::Image;
use fixie_format::op;

use crate::arch::view::Src;
use crate::memory::Memory;
use crate::ops::Operator;
use crate::rule::{Rule, check_len, check_output, check_rows, check_that, product};

/// [`Opcode::ArgMax`](fixie_format::Opcode::ArgMax).
pub struct ArgMax;

impl Operator for ArgMax {
    type Params = op::ArgMax;

    fn check(params: &op::ArgMax, rows: u16, image: &Image<'_>) -> Result<(), Rule> {
        let &op::ArgMax { outer, len, inner, .. } = params;
        check_rows(rows, 1)?;
        check_that(outer != 0 && len != 0 && inner != 0, "len")?;
        check_that(params.last <= 1, "last")?;
        check_that(params.reserved == [0; 3], "reserved")?;
        check_len(image, params.input, product(&[outer, len, inner]), 1)?;
        check_len(image, params.output, product(&[outer, inner]), size_of::<i32>())?;
        check_output(image, params.output, &[params.input], &[])
    }

    fn run(params: &op::ArgMax, _rows: Range<usize>, memory: &mut Memory<'_>) -> Option<()> {
        let tensors = memory.tensors();
        let (input, output) = (tensors.src(params.input)?, tensors.dst(params.output)?);
        let (len, inner) = (params.len as usize, params.inner as usize);
        let plane = len.checked_mul(inner)?;
        let mut written = 0;
        for outer in 0..params.outer as usize {
            let values = input.slice(outer.checked_mul(plane)?, plane)?;
            for channel in 0..inner {
                let column = values.slice(channel, plane.checked_sub(channel)?)?;
                let index = largest(column, inner, params.last != 0)? as i32;
                let word = output.slice(written, size_of::<i32>())?;
                for (cell, byte) in word.cells().iter().zip(index.to_le_bytes()) {
                    cell.set(byte as i8);
                }
                written += size_of::<i32>();
            }
        }
        Some(())
    }
}

/// The index of the largest of every `stride`-th value: of the first such, or of the last.
fn largest(values: Src<'_>, stride: usize, last: bool) -> Option<u32> {
    let mut best = values.get(0)?;
    let (mut index_of_best, mut index, mut at) = (0, 0u32, 0usize);
    while let Some(value) = values.get(at) {
        if value > best || (last && value == best) {
            (best, index_of_best) = (value, index);
        }
        index = index.wrapping_add(1);
        at = at.checked_add(stride)?;
    }
    Some(index_of_best)
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;
    use crate::testing::{Bench, Random};

    fn sample([outer, len, inner]: [u32; 3], values: &[i8]) -> (Bench, op::ArgMax) {
        let mut bench = Bench::new();
        let params = op::ArgMax {
            input: bench.input(values),
            output: bench.output((outer * inner * 4) as usize),
            outer,
            len,
            inner,
            last: 0,
            reserved: [0; 3],
        };
        (bench, params)
    }

    proptest! {
        #[test]
        fn it_is_the_first_or_the_last_of_the_largest(
            dims in [1u32..4, 1u32..40, 1u32..6], seed: u64, last in 0u8..2,
        ) {
            let [outer, len, inner] = dims.map(|extent| extent as usize);
            let values = Random::bytes(seed, outer * len * inner);
            let (bench, params) = sample(dims, &values);
            let params = op::ArgMax { last, ..params };
            let result = bench.run::<ArgMax>(&params, 1, params.output);
            let mut expected = Vec::new();
            for (o, i) in (0..outer).flat_map(|o| (0..inner).map(move |i| (o, i))) {
                let column: Vec<i8> = (0..len).map(|p| values[(o * len + p) * inner + i]).collect();
                let largest = column.iter().max().unwrap();
                let mut indices = (0..len as i32).filter(|&p| column[p as usize] == *largest);
                let index = if last == 1 { indices.next_back() } else { indices.next() };
                expected.extend(index.unwrap().to_le_bytes().map(|byte| byte as i8));
            }
            prop_assert_eq!(result, expected);
        }
    }

    #[test]
    fn contradictions_are_refused() {
        let (bench, params) = sample([2, 3, 1], &[0; 6]);
        let refused = [
            (op::ArgMax { inner: 0, ..params }, Rule::Parameter("len")),
            (op::ArgMax { last: 2, ..params }, Rule::Parameter("last")),
            (
                op::ArgMax { outer: 3, len: 2, ..params },
                Rule::Length { tensor: params.output, needed: 12, given: 8 },
            ),
        ];
        assert_eq!(bench.check::<ArgMax>(&params, 1), Ok(()));
        bench.survives_mutations::<ArgMax>(params, 1);
        for (params, rule) in refused {
            assert_eq!(bench.check::<ArgMax>(&params, 1), Err(rule));
        }
    }
}
