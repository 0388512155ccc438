//! `AvgPool`: `clamp(out_zero + requant(Σ (in − in_zero)))` over the part of each window that lies
//! inside the input. The multiplier holds the scales and the division by the number of elements,
//! so there is one for each number that occurs.

use core::marker::PhantomData;
use core::ops::Range;

use fixie_format::Image;
use fixie_format::op;

use crate::arch::{Isa, Native};
use crate::memory::Memory;
use crate::ops::Operator;
use crate::ops::pool::{check_pool, pool};
use crate::requantize::Requantizer;
use crate::rule::{Rule, check_data, check_that};

/// [`Opcode::AvgPool`](fixie_format::Opcode::AvgPool), its inner loop by `I`.
pub struct AvgPool<I = Native>(PhantomData<I>);

impl<I: Isa> Operator for AvgPool<I> {
    type Params = op::AvgPool;

    fn check(params: &op::AvgPool, rows: u16, image: &Image<'_>) -> Result<(), Rule> {
        check_that(params.shift < 32, "shift")?;
        check_that(params.act_min <= params.act_max, "act_min")?;
        check_that(params.reserved == 0, "reserved")?;
        check_that(params.multiplier_count != 0, "multiplier_count")?;
        let count = Some(params.multiplier_count.into());
        check_data::<[i32; 2]>(image, params.multipliers, count)?;
        check_pool(&params.window, rows, image, (params.input, params.output))
    }

    fn run(params: &op::AvgPool, rows: Range<usize>, memory: &mut Memory<'_>) -> Option<()> {
        let tensors = memory.tensors();
        let pairs = tensors.data(params.multipliers, params.multiplier_count.into())?;
        let requantizer = Requantizer {
            shift: params.shift,
            zero: params.out_zero,
            min: params.act_min,
            max: params.act_max,
        };
        let ports = (params.input, params.output);
        pool(&params.window, rows, tensors, ports, |view, pixel| {
            let multiplier = multiplier(pairs, view.pixel_count())?;
            view.average::<I>(params.in_zero, requantizer, multiplier, pixel)
        })
    }
}

/// The multiplier that belongs to `count` elements, or else the last one.
fn multiplier(pairs: &[[i32; 2]], count: usize) -> Option<i32> {
    let listed = pairs.iter().find(|[of, _]| *of as usize == count);
    listed.or(pairs.last()).map(|[_, multiplier]| *multiplier)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;
    use crate::testing::{Bench, Random, image_len, requant, seen, windows};

    /// The multipliers of a pool that scales by `ratio`, one per number of elements.
    fn multipliers(counts: impl IntoIterator<Item = usize>, ratio: f64) -> Vec<[i32; 2]> {
        counts
            .into_iter()
            .map(|count| {
                let exact = ratio / count.max(1) as f64 * 2f64.powi(32 - i32::from(SHIFT));
                [count as i32, exact.round() as i32]
            })
            .collect()
    }

    const SHIFT: u8 = 10;

    proptest! {
        #[test]
        fn it_is_the_mean_of_what_is_seen(
            window in windows(), seed: u64, in_zero: i8, out_zero: i8, ratio in 0.1..1.9f64,
            act_min in -128i8..0, act_max in 0i8..=127,
        ) {
            let values = Random::bytes(seed, image_len(window.in_h, window.in_w, window.in_c));
            let seen = seen(&window, &values);
            let counts: BTreeSet<usize> = seen.iter().map(Vec::len).collect();
            let pairs = multipliers(counts, ratio);
            let mut bench = Bench::new();
            let params = op::AvgPool {
                input: bench.input(&values),
                output: bench.output(seen.len()),
                window,
                multipliers: bench.data(&pairs),
                multiplier_count: pairs.len() as u16,
                shift: SHIFT,
                in_zero,
                out_zero,
                act_min,
                act_max,
                reserved: 0,
            };
            let result = bench.run::<AvgPool>(&params, window.out_h, params.output);
            for (seen, &result) in seen.iter().zip(&result) {
                let sum: i64 = seen.iter().map(|&v| i64::from(v) - i64::from(in_zero)).sum();
                let [_, multiplier] = *pairs.iter().find(|p| p[0] as usize == seen.len()).unwrap();
                let exact = i64::from(out_zero) + requant(sum, multiplier, SHIFT);
                prop_assert_eq!(i64::from(result), exact.clamp(act_min.into(), act_max.into()));
                // The real mean: the multiplier is exact to half a unit, of sums below 2^13.
                let mean = sum as f64 / seen.len().max(1) as f64 * ratio + f64::from(out_zero);
                let error = mean.clamp(act_min.into(), act_max.into()) - f64::from(result);
                let of_multiplier = 0.5 * sum.abs() as f64 / 2f64.powi(32 - i32::from(SHIFT));
                prop_assert!(error.abs() <= 0.5 + of_multiplier, "{error}");
            }
        }
    }

    #[test]
    fn a_number_of_elements_that_is_not_listed_uses_the_last_multiplier() {
        let pairs = multipliers([1, 2, 3], 1.0);
        assert_eq!(multiplier(&pairs, 2), Some(pairs[1][1]));
        assert_eq!(multiplier(&pairs, 4), Some(pairs[2][1]));
        assert_eq!(multiplier(&[], 1), None);
    }

    #[test]
    fn constants_and_ranges_are_checked() {
        let window = op::Window {
            in_h: 2,
            in_w: 2,
            in_c: 1,
            out_h: 1,
            out_w: 1,
            out_c: 1,
            kernel_h: 2,
            kernel_w: 2,
            stride_h: 1,
            stride_w: 1,
            dilation_h: 1,
            dilation_w: 1,
            pad_top: 0,
            pad_left: 0,
        };
        let mut bench = Bench::new();
        let params = op::AvgPool {
            input: bench.input(&[0; 4]),
            output: bench.output(1),
            window,
            multipliers: bench.data(&[[4, 1 << 30]]),
            multiplier_count: 1,
            shift: 31,
            in_zero: 0,
            out_zero: 0,
            act_min: 0,
            act_max: 0,
            reserved: 0,
        };
        assert_eq!(bench.check::<AvgPool>(&params, 1), Ok(()));
        bench.survives_mutations::<AvgPool>(params, 1);
        let refused = [
            (op::AvgPool { shift: 32, ..params }, Rule::Parameter("shift")),
            (op::AvgPool { act_min: 1, ..params }, Rule::Parameter("act_min")),
            (op::AvgPool { reserved: 1, ..params }, Rule::Parameter("reserved")),
            (op::AvgPool { multiplier_count: 0, ..params }, Rule::Parameter("multiplier_count")),
            (op::AvgPool { multiplier_count: 2, ..params }, Rule::Data(0)),
        ];
        for (params, rule) in refused {
            assert_eq!(bench.check::<AvgPool>(&params, 1), Err(rule));
        }
    }
}
