//! `Softmax` over rows of `len` values, in integers.
//!
//! `e[i] = table[max − in[i]]` and `s = Σ e`; with `n = leading_zeros(s)` and
//! `r = floor((2^63 − 1) / (s << n))` the probability in 1/2^24 is `floor(e[i] · r / 2^(39 − n))`,
//! which the output's scale turns into the result.

use core::hint::black_box;
use core::ops::Range;

use fixie_format::Image;
use fixie_format::op;

use crate::arch::view::{Dst, Src};
use crate::memory::Memory;
use crate::ops::Operator;
use crate::requantize::Requantizer;
use crate::rule::{Rule, check_data, check_len, check_output, check_rows, check_that, product};

/// Entries of the table: one per distance of two bytes.
const TABLE_LEN: usize = 256;

/// [`Opcode::Softmax`](fixie_format::Opcode::Softmax).
pub struct Softmax;

impl Operator for Softmax {
    type Params = op::Softmax;

    fn check(params: &op::Softmax, rows: u16, image: &Image<'_>) -> Result<(), Rule> {
        let &op::Softmax { outer, len, .. } = params;
        check_rows(rows, 1)?;
        check_that(outer != 0 && len != 0, "len")?;
        check_that(params.reserved == [0; 3], "reserved")?;
        let elements = product(&[outer, len]);
        check_len(image, params.input, elements, 1)?;
        check_len(image, params.output, elements, 1)?;
        check_output(image, params.output, &[], &[params.input])?;
        check_data::<u32>(image, params.table, Some(TABLE_LEN))?;
        // A row's largest value always adds `table[0]`, so no sum is zero.
        let table: &[u32] = image.data(params.table, TABLE_LEN).unwrap_or(&[]);
        let fits = |entry: &u32| entry.checked_mul(len).is_some();
        check_that(table.first() != Some(&0) && table.iter().all(fits), "table")
    }

    fn run(params: &op::Softmax, _rows: Range<usize>, memory: &mut Memory<'_>) -> Option<()> {
        let tensors = memory.tensors();
        let (input, output) = (tensors.src(params.input)?, tensors.dst(params.output)?);
        let table: &[u32; TABLE_LEN] = tensors.data(params.table, TABLE_LEN)?.first_chunk()?;
        let requantizer =
            Requantizer { shift: 0, zero: params.out_zero, min: i8::MIN, max: i8::MAX };
        let len = params.len as usize;
        for row in 0..params.outer as usize {
            let start = row.checked_mul(len)?;
            let row = (input.slice(start, len)?, output.slice(start, len)?);
            softmax_row(row, table, |probability| {
                requantizer.apply(probability as i32, params.multiplier)
            })?;
        }
        Some(())
    }
}

/// One row; `scale` maps a probability in 1/2^24 to the output.
fn softmax_row(
    (input, output): (Src<'_>, Dst<'_>),
    table: &[u32; TABLE_LEN],
    scale: impl Fn(u32) -> i8,
) -> Option<()> {
    let max = input.iter().max()?;
    let exp = |value: i8| table.get(max.abs_diff(value) as usize).copied();
    let mut sum = 0u32;
    for value in input.iter() {
        sum = sum.wrapping_add(exp(value)?);
    }
    let zeros = sum.leading_zeros();
    let reciprocal = u64::from(reciprocal(sum.checked_shl(zeros)?));
    for (value, cell) in input.iter().zip(output.cells()) {
        let scaled = u64::from(exp(value)?).wrapping_mul(reciprocal);
        cell.set(scale((scaled >> (39 - zeros)) as u32));
    }
    Some(())
}

/// `floor((2^63 − 1) / divisor)` for a divisor of at least 2^31: the largest number whose product
/// with the divisor is below 2^63.
///
/// Found bit by bit: it is needed once per row, and a 64-bit division would double the code of
/// this kernel.
fn reciprocal(divisor: u32) -> u32 {
    let mut quotient = 0;
    // Unknown to the compiler, or else it writes the 32 rounds out.
    let mut bit = black_box(1 << 31);
    while bit != 0 {
        let larger = quotient | bit;
        if u64::from(larger) * u64::from(divisor) < 1 << 63 {
            quotient = larger;
        }
        bit >>= 1;
    }
    quotient
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;
    use crate::testing::{Bench, Random};

    /// Fractional bits of the table which keep the sum of `len` entries within 32 bits.
    fn table_bits(len: u32) -> u32 {
        (31 - len.ilog2()).min(23)
    }

    fn table(scale: f64, bits: u32) -> Vec<u32> {
        (0..256)
            .map(|d| ((-f64::from(d) * scale).exp() * 2f64.powi(bits as i32)).round() as u32)
            .collect()
    }

    /// A softmax to 1/256 and zero point −128, as it is usual, its memory and its input.
    fn sample(outer: u32, len: u32, table: &[u32], seed: u64) -> (Bench, op::Softmax, Vec<i8>) {
        let values = Random::bytes(seed, (outer * len) as usize);
        let mut bench = Bench::new();
        let params = op::Softmax {
            input: bench.input(&values),
            output: bench.output(values.len()),
            outer,
            len,
            table: bench.data(table),
            multiplier: 1 << 16,
            out_zero: -128,
            reserved: [0; 3],
        };
        (bench, params, values)
    }

    /// The definition in the format, step by step in 128 bits.
    fn by_definition(row: &[i8], table: &[u32], params: &op::Softmax) -> Vec<i8> {
        let max = i32::from(*row.iter().max().unwrap());
        let e = |value: i8| u128::from(table[(max - i32::from(value)) as usize]);
        let s: u128 = row.iter().map(|&value| e(value)).sum();
        let n = u32::try_from(s).expect("a sum of 32 bits").leading_zeros();
        let r = ((1u128 << 63) - 1) / (s << n);
        row.iter()
            .map(|&value| {
                let p = (e(value) * r) >> (39 - n);
                let scaled = p as i128 * i128::from(params.multiplier) + (1 << 31);
                let out = i128::from(params.out_zero) + scaled.div_euclid(1 << 32);
                out.clamp(-128, 127) as i8
            })
            .collect()
    }

    proptest! {
        #[test]
        fn it_follows_the_definition_also_in_place(
            outer in 1u32..4, len in 1u32..80, scale in 0.001..1.0f64, seed: u64,
            out_zero: i8, multiplier in 1i32..1 << 20,
        ) {
            let table = table(scale, table_bits(len));
            let (bench, params, values) = sample(outer, len, &table, seed);
            let params = op::Softmax { out_zero, multiplier, ..params };
            let rows = values.chunks(len as usize);
            let expected: Vec<i8> =
                rows.flat_map(|row| by_definition(row, &table, &params)).collect();
            prop_assert_eq!(&bench.run::<Softmax>(&params, 1, params.output), &expected);
            let in_place = op::Softmax { output: params.input, ..params };
            prop_assert_eq!(&bench.run::<Softmax>(&in_place, 1, params.input), &expected);
        }

        #[test]
        fn it_is_the_real_softmax_to_half_a_step(
            len in 1u32..2000, scale in 0.001..1.0f64, seed: u64,
        ) {
            let bits = table_bits(len);
            let (bench, params, values) = sample(1, len, &table(scale, bits), seed);
            let result = bench.run::<Softmax>(&params, 1, params.output);
            let max = f64::from(*values.iter().max().unwrap());
            let e = |value: i8| ((f64::from(value) - max) * scale).exp();
            let s: f64 = values.iter().map(|&value| e(value)).sum();
            // Entries are off by half a unit, so e / s by (0.5 + 0.5 · len) / 2^bits at most as
            // s ≥ 1; then the probability and the reciprocal are cut to 24 and 31 bits.
            let of_table = (0.5 + 0.5 * f64::from(len)) / 2f64.powi(bits as i32);
            let bound = 0.5 + 256.0 * (of_table + 2f64.powi(-24) + 2f64.powi(-31));
            for (&value, &result) in values.iter().zip(&result) {
                let real = (256.0 * e(value) / s - 128.0).min(127.0);
                let error = real - f64::from(result);
                prop_assert!(error.abs() <= bound, "{error} with {len} values");
            }
        }
    }

    #[test]
    fn a_table_whose_sums_vanish_or_overflow_is_refused() {
        let mut entries = [1 << 23; 256];
        let (mut bench, params, _) = sample(1, 511, &entries, 1);
        assert_eq!(bench.check::<Softmax>(&params, 1), Ok(()));
        bench.survives_mutations::<Softmax>(params, 1);
        entries[255] = u32::MAX / 511 + 1;
        let overflowing = bench.data(&entries);
        let vanishing = bench.data(&[0u32; 256]);
        let short = bench.data(&[1u32; 255]);
        for (table, rule) in [
            (overflowing, Rule::Parameter("table")),
            (vanishing, Rule::Parameter("table")),
            (short, Rule::Data(short)),
        ] {
            let params = op::Softmax { table, ..params };
            assert_eq!(bench.check::<Softmax>(&params, 1), Err(rule));
        }
        let params = op::Softmax { outer: 0, len: 0, ..params };
        assert_eq!(bench.check::<Softmax>(&params, 1), Err(Rule::Parameter("len")));
    }
}
