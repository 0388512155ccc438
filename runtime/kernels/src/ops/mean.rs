//! `Mean` over the middle axis of `[outer, len, inner]`:
//! `clamp(out_zero + requant(Σ (in − in_zero)))`, the division being part of the multiplier.

use core::marker::PhantomData;
use core::ops::Range;

use fixie_format::Image;
use fixie_format::op;

use crate::arch::{Isa, Native};
use crate::memory::Memory;
use crate::ops::Operator;
use crate::ops::pool::View;
use crate::ops::window::Taps;
use crate::requantize::Requantizer;
use crate::rule::{Rule, check_len, check_output, check_rows, check_that, product};

/// [`Opcode::Mean`](fixie_format::Opcode::Mean), its inner loop by `I`.
pub struct Mean<I = Native>(PhantomData<I>);

impl<I: Isa> Operator for Mean<I> {
    type Params = op::Mean;

    fn check(params: &op::Mean, rows: u16, image: &Image<'_>) -> Result<(), Rule> {
        let &op::Mean { outer, len, inner, .. } = params;
        check_rows(rows, 1)?;
        check_that(params.shift < 32, "shift")?;
        check_that(params.act_min <= params.act_max, "act_min")?;
        check_that(params.reserved == [0; 3], "reserved")?;
        check_that(outer != 0 && len != 0 && inner != 0, "len")?;
        check_len(image, params.input, product(&[outer, len, inner]), 1)?;
        check_len(image, params.output, product(&[outer, inner]), 1)?;
        check_output(image, params.output, &[params.input], &[])
    }

    fn run(params: &op::Mean, _rows: Range<usize>, memory: &mut Memory<'_>) -> Option<()> {
        let tensors = memory.tensors();
        let (len, inner) = (params.len as usize, params.inner as usize);
        let input = tensors.src_rows(params.input, len.checked_mul(inner)?)?;
        let output = tensors.dst_rows(params.output, inner)?;
        let requantizer = Requantizer {
            shift: params.shift,
            zero: params.out_zero,
            min: params.act_min,
            max: params.act_max,
        };
        for outer in 0..params.outer as usize {
            let view = View {
                input,
                channels: inner,
                rows: Taps::from(outer..outer + 1),
                columns: Taps::from(0..len),
            };
            let means = output.row(outer)?;
            view.average::<I>(params.in_zero, requantizer, params.multiplier, means)?;
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;
    use crate::testing::{Bench, Random, requant};

    /// A mean over `[outer, len, inner]` that only divides, its memory and its input.
    fn sample([outer, len, inner]: [u32; 3], shift: u8, seed: u64) -> (Bench, op::Mean, Vec<i8>) {
        let values = Random::bytes(seed, (outer * len * inner) as usize);
        let multiplier = (2f64.powi(32 - i32::from(shift)) / f64::from(len)).round();
        let mut bench = Bench::new();
        let params = op::Mean {
            input: bench.input(&values),
            output: bench.output((outer * inner) as usize),
            outer,
            len,
            inner,
            multiplier: multiplier as i32,
            shift,
            in_zero: 0,
            out_zero: 0,
            act_min: -128,
            act_max: 127,
            reserved: [0; 3],
        };
        (bench, params, values)
    }

    /// The sums over the middle axis of `[.., len, inner]`.
    fn sums(values: &[i8], len: usize, inner: usize) -> Vec<i64> {
        values
            .chunks(len * inner)
            .flat_map(|outer| (0..inner).map(move |c| outer.iter().skip(c).step_by(inner)))
            .map(|column| column.map(|&value| i64::from(value)).sum())
            .collect()
    }

    proptest! {
        #[test]
        fn it_is_the_mean_over_the_axis(
            dims in [1u32..5, 1u32..60, 1u32..30], seed: u64, in_zero: i8, out_zero: i8,
            act_min in -128i8..0, act_max in 0i8..=127,
        ) {
            let (bench, params, values) = sample(dims, 12, seed);
            let params = op::Mean { in_zero, out_zero, act_min, act_max, ..params };
            let result = bench.run::<Mean>(&params, 1, params.output);
            let expected: Vec<i8> = sums(&values, params.len as usize, params.inner as usize)
                .into_iter()
                .map(|sum| sum - i64::from(params.len) * i64::from(in_zero))
                .map(|sum| i64::from(out_zero) + requant(sum, params.multiplier, params.shift))
                .map(|mean| mean.clamp(act_min.into(), act_max.into()) as i8)
                .collect();
            prop_assert_eq!(result, expected);
        }

        #[test]
        fn it_is_off_by_half_a_step_at_most(
            dims in [1u32..3, 1u32..200, 1u32..12], seed: u64,
        ) {
            let (bench, params, values) = sample(dims, 12, seed);
            let result = bench.run::<Mean>(&params, 1, params.output);
            let exact = sums(&values, params.len as usize, params.inner as usize);
            for (sum, result) in exact.into_iter().zip(result) {
                // The multiplier is exact to half a unit in 2^20, of a sum.
                let bound = 0.5 + 0.5 * sum.abs() as f64 / 2f64.powi(20);
                let error = sum as f64 / f64::from(params.len) - f64::from(result);
                prop_assert!(error.abs() <= bound, "{error}");
            }
        }
    }

    #[test]
    fn contradictions_are_refused() {
        let (bench, params, _) = sample([2, 3, 4], 2, 1);
        assert_eq!(bench.check::<Mean>(&params, 1), Ok(()));
        bench.survives_mutations::<Mean>(params, 1);
        assert_eq!(bench.check::<Mean>(&params, 2), Err(Rule::Rows));
        let refused = [
            (op::Mean { len: 0, ..params }, Rule::Parameter("len")),
            (op::Mean { shift: 32, ..params }, Rule::Parameter("shift")),
            (
                op::Mean { inner: 1 << 31, outer: 1 << 31, len: 1 << 31, ..params },
                Rule::Length { tensor: params.input, needed: u32::MAX, given: 24 },
            ),
            (
                op::Mean { outer: 3, len: 2, ..params },
                Rule::Length { tensor: params.output, needed: 12, given: 8 },
            ),
        ];
        for (params, rule) in refused {
            assert_eq!(bench.check::<Mean>(&params, 1), Err(rule));
        }
    }
}
