//! `PRelu`: `clamp(out_zero + requant(in − in_zero))`, with a multiplier per channel for values
//! below zero and a common one for the others.

use core::ops::Range;

use fixie_format::Image;
use fixie_format::op;

use crate::memory::Memory;
use crate::ops::Operator;
use crate::requantize::Requantizer;
use crate::rule::{self, Rule, check_data, check_len, check_output, check_rows, check_that};

/// [`Opcode::PRelu`](fixie_format::Opcode::PRelu).
pub struct PRelu;

impl Operator for PRelu {
    type Params = op::PRelu;

    fn check(params: &op::PRelu, rows: u16, image: &Image<'_>) -> Result<(), Rule> {
        let channels = params.channels as usize;
        check_rows(rows, 1)?;
        check_that(params.shift < 32, "shift")?;
        check_that(params.reserved == 0, "reserved")?;
        let len = rule::tensor(image, params.input)?.len_bytes as usize;
        check_that(len.checked_rem(channels) == Some(0), "channels")?;
        check_len(image, params.input, Some(len), 1)?;
        check_len(image, params.output, Some(len), 1)?;
        check_output(image, params.output, &[], &[params.input])?;
        check_data::<i32>(image, params.negative, Some(channels))
    }

    fn run(params: &op::PRelu, _rows: Range<usize>, memory: &mut Memory<'_>) -> Option<()> {
        let tensors = memory.tensors();
        let (input, output) = (tensors.src(params.input)?, tensors.dst(params.output)?);
        let negative: &[i32] = tensors.data(params.negative, params.channels as usize)?;
        let requantizer =
            Requantizer { shift: params.shift, zero: params.out_zero, min: i8::MIN, max: i8::MAX };
        let mut slopes = negative.iter().cycle();
        for (value, cell) in input.iter().zip(output.cells()) {
            let below = *slopes.next()?;
            let value = i32::from(value) - i32::from(params.in_zero);
            let multiplier = if value < 0 { below } else { params.positive };
            cell.set(requantizer.apply(value, multiplier));
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

    const SHIFT: u8 = 8;

    /// A multiplier for `ratio`.
    fn multiplier(ratio: f64) -> i32 {
        (ratio * 2f64.powi(32 - i32::from(SHIFT))).round() as i32
    }

    proptest! {
        #[test]
        fn slopes_are_per_channel_and_in_place_is_the_same(
            slopes in proptest::collection::vec(-2.0..2.0f64, 1..9), pixels in 1usize..12,
            positive in 0.0..3.0f64, in_zero: i8, out_zero: i8, seed: u64,
        ) {
            let values = Random::bytes(seed, slopes.len() * pixels);
            let negative: Vec<i32> = slopes.iter().map(|&slope| multiplier(slope)).collect();
            let mut bench = Bench::new();
            let params = op::PRelu {
                input: bench.input(&values),
                output: bench.output(values.len()),
                channels: slopes.len() as u32,
                positive: multiplier(positive),
                negative: bench.data(&negative),
                shift: SHIFT,
                in_zero,
                out_zero,
                reserved: 0,
            };
            let result = bench.run::<PRelu>(&params, 1, params.output);
            for (i, (&value, &result)) in values.iter().zip(&result).enumerate() {
                let value = i64::from(value) - i64::from(in_zero);
                let channel = i % slopes.len();
                let (multiplier, slope) = match value {
                    0.. => (params.positive, positive),
                    _ => (negative[channel], slopes[channel]),
                };
                let exact = i64::from(out_zero) + requant(value, multiplier, SHIFT);
                prop_assert_eq!(i64::from(result), exact.clamp(-128, 127));
                let real = (value as f64 * slope + f64::from(out_zero)).clamp(-128.0, 127.0);
                // Half a step, and half a unit in 2^24 of a value of 8 bits.
                prop_assert!((real - f64::from(result)).abs() <= 0.5 + 0.5 * 256.0 / 2f64.powi(24));
            }
            let in_place = op::PRelu { output: params.input, ..params };
            prop_assert_eq!(bench.run::<PRelu>(&in_place, 1, params.input), result);
        }
    }

    #[test]
    fn contradictions_are_refused() {
        let mut bench = Bench::new();
        let params = op::PRelu {
            input: bench.input(&[0; 6]),
            output: bench.output(6),
            channels: 3,
            positive: 0,
            negative: bench.data(&[0i32; 3]),
            shift: 0,
            in_zero: 0,
            out_zero: 0,
            reserved: 0,
        };
        let shifted = bench.alias(params.input, |tensor| tensor.offset += 4);
        let refused = [
            (op::PRelu { channels: 0, ..params }, Rule::Parameter("channels")),
            (op::PRelu { channels: 4, ..params }, Rule::Parameter("channels")),
            (op::PRelu { shift: 32, ..params }, Rule::Parameter("shift")),
            (op::PRelu { channels: 6, ..params }, Rule::Data(params.negative)),
            (op::PRelu { output: shifted, ..params }, Rule::Overlap(shifted)),
        ];
        assert_eq!(bench.check::<PRelu>(&params, 1), Ok(()));
        bench.survives_mutations::<PRelu>(params, 1);
        for (params, rule) in refused {
            assert_eq!(bench.check::<PRelu>(&params, 1), Err(rule));
        }
    }
}
