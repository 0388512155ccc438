//! Rescale: the same real values with another scale, in 8 or 16 bits.

use core::ops::Range;

use fixie_format::Image;
use fixie_format::op;

use crate::memory::Memory;
use crate::ops::Operator;
use crate::ops::wide::{Output, check_zero, element, element_bytes};
use crate::rule::{self, Rule, check_len, check_output, check_rows, check_that};

/// [`Opcode::Rescale`](fixie_format::Opcode::Rescale).
pub struct Rescale;

/// How results are written, and bytes of an element of the input.
fn formats(params: &op::Rescale, image: &Image<'_>) -> Result<(Output, usize), Rule> {
    let (rounding, bounds) = ((params.shift, params.out_zero), (params.act_min, params.act_max));
    let output = Output::new(image, params.output, rounding, bounds)?;
    Ok((output, element_bytes(image, params.input, "input")?))
}

impl Operator for Rescale {
    type Params = op::Rescale;

    fn check(params: &op::Rescale, rows: u16, image: &Image<'_>) -> Result<(), Rule> {
        check_rows(rows, 1)?;
        let (output, in_bytes) = formats(params, image)?;
        output.check()?;
        check_zero(params.in_zero, in_bytes, "in_zero")?;
        check_that(params.reserved == 0, "reserved")?;
        let len = rule::tensor(image, params.input)?.len_bytes as usize;
        let elements = len.checked_div(in_bytes);
        check_len(image, params.input, elements, in_bytes)?;
        check_len(image, params.output, elements, output.bytes)?;
        check_output(image, params.output, &[params.input], &[])
    }

    fn run(params: &op::Rescale, _rows: Range<usize>, memory: &mut Memory<'_>) -> Option<()> {
        let (output, in_bytes) = formats(params, memory.image()).ok()?;
        let tensors = memory.tensors();
        let (from, to) = (tensors.src(params.input)?, tensors.dst(params.output)?);
        for index in 0..from.len().checked_div(in_bytes)? {
            let value = i32::from(element(from, in_bytes, index)?);
            let value = value.wrapping_sub(params.in_zero.into());
            output.store(to, index, [value], &[params.multiplier])?;
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;
    use crate::testing::{Bench, halves, requant};

    /// Input and output of these bytes per element.
    fn bench(values: &[i16], bytes: [usize; 2]) -> (Bench, op::Rescale) {
        let mut bench = Bench::new();
        let narrow: Vec<i8> = values.iter().map(|&value| value as i8).collect();
        let input = if bytes[0] == 1 { bench.input(&narrow) } else { bench.wide_input(values) };
        let len = values.len();
        let output = if bytes[1] == 1 { bench.output(len) } else { bench.wide_output(len) };
        let (act_min, act_max) = if bytes[1] == 1 { (-100, 127) } else { (-30000, i16::MAX) };
        let params = op::Rescale {
            input,
            output,
            multiplier: 0,
            shift: 0,
            in_zero: 0,
            out_zero: 0,
            reserved: 0,
            act_min,
            act_max,
        };
        (bench, params)
    }

    proptest! {
        #[test]
        fn it_is_the_definition(
            values in prop::collection::vec(any::<i16>(), 1..20), wide in any::<[bool; 2]>(),
            multiplier in any::<i32>(), shift in 0u8..14, zeros in any::<[i8; 2]>(),
        ) {
            let bytes = wide.map(|wide| if wide { 2 } else { 1 });
            let (bench, params) = bench(&values, bytes);
            let [in_zero, out_zero] = [0, 1].map(|i| if wide[i] { 0 } else { zeros[i] });
            let params = op::Rescale { multiplier, shift, in_zero, out_zero, ..params };
            let found = bench.run::<Rescale>(&params, 1, params.output);
            let found = match bytes[1] {
                1 => found.into_iter().map(i16::from).collect(),
                _ => halves(&found),
            };
            let expected = values.iter().map(|&value| {
                let value = if wide[0] { value.into() } else { i64::from(value as i8) };
                let scaled = requant(value - i64::from(in_zero), multiplier, shift);
                let value = scaled + i64::from(out_zero);
                value.max(params.act_min.into()).min(params.act_max.into()) as i16
            });
            prop_assert_eq!(found, expected.collect::<Vec<_>>());
        }
    }

    #[test]
    fn changed_parameters_are_refused_or_run() {
        for bytes in [[1, 1], [1, 2], [2, 1], [2, 2]] {
            let (bench, params) = bench(&[1, 2, 3, 4], bytes);
            bench.survives_mutations::<Rescale>(params, 1);
        }
    }

    #[test]
    fn contradictions_are_refused() {
        let (bench, params) = bench(&[1, 2, 3], [2, 1]);
        let check = |params| bench.check::<Rescale>(&params, 1);
        assert_eq!(check(params), Ok(()));
        for (changed, name) in [
            (op::Rescale { shift: 32, ..params }, "shift"),
            (op::Rescale { in_zero: 1, ..params }, "in_zero"),
            (op::Rescale { reserved: 1, ..params }, "reserved"),
            (op::Rescale { act_min: -129, ..params }, "act_min"),
            (op::Rescale { act_max: 128, ..params }, "act_max"),
        ] {
            assert_eq!(check(changed), Err(Rule::Parameter(name)));
        }
        let same = op::Rescale { output: params.input, ..params };
        assert_eq!(
            check(op::Rescale { act_min: -100, act_max: 100, ..same }),
            Err(Rule::Overlap(params.input))
        );
    }
}
