//! `Add` and `Mul`: two operands, each read with strides of its own.
//!
//! - `Add`: `clamp(floor((a · a_multiplier + b · b_multiplier + bias) / 2^shift))`, one rounding
//!   for both operands.
//! - `Mul`: `clamp(out_zero + requant((a − a_zero) · (b − b_zero)))`.
//!
//! An operator of one row computes everything at once. One of `dims[0]` rows takes the outermost
//! axis row by row; then its operands and its output may be rings.

use core::marker::PhantomData;
use core::ops::Range;

use fixie_format::Image;
use fixie_format::op::Binary;
use fixie_format::table::TensorId;

use crate::arch::sum::Sum;
use crate::arch::view::{Dst, Src};
use crate::arch::{Isa, Native, each_pair};
use crate::memory::Memory;
use crate::ops::Operator;
use crate::requantize::{Requantizer, clamp};
use crate::rule::{
    Rule, check_len, check_output, check_room, check_row_tensor, check_rows, check_that, product,
};

/// [`Opcode::Add`](fixie_format::Opcode::Add), its inner loops by `I`.
pub struct Add<I = Native>(PhantomData<I>);

impl<I: Isa> Operator for Add<I> {
    type Params = Binary;

    fn check(params: &Binary, rows: u16, image: &Image<'_>) -> Result<(), Rule> {
        check(params, rows, image)
    }

    fn run(params: &Binary, rows: Range<usize>, memory: &mut Memory<'_>) -> Option<()> {
        let sum = Sum {
            multipliers: [params.a_multiplier, params.b_multiplier],
            bias: params.bias,
            shift: params.shift,
        };
        let bounds = (params.act_min, params.act_max);
        for_each_row(params, rows, memory, |a, b, output| {
            if let (Some(a), Some(b)) = (a.contiguous(output.len()), b.contiguous(output.len())) {
                I::sums(&sum, a, b, output)?;
                if bounds != (i8::MIN, i8::MAX) {
                    I::clamp(output, bounds);
                }
                Some(())
            } else {
                strided_rows(a, b, output, move |a, b| clamp(sum.of(a, b), bounds.0, bounds.1))
            }
        })
    }
}

/// [`Opcode::Mul`](fixie_format::Opcode::Mul).
pub struct Mul;

impl Operator for Mul {
    type Params = Binary;

    fn check(params: &Binary, rows: u16, image: &Image<'_>) -> Result<(), Rule> {
        check(params, rows, image)
    }

    fn run(params: &Binary, rows: Range<usize>, memory: &mut Memory<'_>) -> Option<()> {
        let requantizer = Requantizer {
            shift: params.shift,
            zero: params.out_zero,
            min: params.act_min,
            max: params.act_max,
        };
        let (a_zero, b_zero) = (i32::from(params.a_zero), i32::from(params.b_zero));
        let multiplier = params.a_multiplier;
        // It owns what it needs: a reference would be read anew after every write.
        let scaled = move |a: i8, b: i8| {
            let product = (i32::from(a) - a_zero) * (i32::from(b) - b_zero);
            requantizer.apply(product, multiplier)
        };
        for_each_row(params, rows, memory, |a, b, output| {
            match (a.contiguous(output.len()), b.contiguous(output.len())) {
                (Some(a), Some(b)) => each_pair(a, b, output, scaled),
                _ => strided_rows(a, b, output, scaled),
            }
        })
    }
}

/// The rules of both operators.
fn check(params: &Binary, rows: u16, image: &Image<'_>) -> Result<(), Rule> {
    check_rows(rows, params.rows)?;
    let by_rows = u32::from(rows) == params.dims[0];
    check_that(rows == 1 || by_rows, "rows")?;
    check_that(params.shift < 32, "shift")?;
    check_that(params.act_min <= params.act_max, "act_min")?;
    check_that(params.reserved == 0, "reserved")?;
    check_that(!params.dims.contains(&0), "dims")?;
    let row_bytes = product(&params.dims[1..]);
    if by_rows {
        check_row_tensor(image, params.output, rows, row_bytes)?;
    } else {
        check_len(image, params.output, product(&params.dims), 1)?;
    }
    let row_bytes = row_bytes.and_then(|bytes| bytes.try_into().ok());
    for (operand, strides) in [(params.a, params.a_strides), (params.b, params.b_strides)] {
        let whole_rows = by_rows && Some(strides[0]) == row_bytes;
        check_operand(params, image, operand, strides, whole_rows)?;
    }
    Ok(())
}

/// An operand holds what its strides reach; it may be a ring if it is read by whole rows. It may
/// lie under the output if it is read in the order in which the output is written.
fn check_operand(
    params: &Binary,
    image: &Image<'_>,
    operand: TensorId,
    strides: [u32; 4],
    whole_rows: bool,
) -> Result<(), Rule> {
    let (mut last, mut inner, mut contiguous) = (0, 1u32, true);
    for (&extent, &stride) in params.dims.iter().zip(&strides).rev() {
        // No overflow: the product of the extents fits in 32 bits, and so does their sum.
        last += u64::from(extent.wrapping_sub(1)) * u64::from(stride);
        contiguous &= extent == 1 || stride == inner;
        inner = inner.wrapping_mul(extent);
    }
    if whole_rows && contiguous {
        let rows = params.dims[0].try_into().map_err(|_| Rule::Rows)?;
        check_row_tensor(image, operand, rows, Some(strides[0] as usize))?;
    } else {
        let elements = usize::try_from(last).ok().and_then(|last| last.checked_add(1));
        check_room(image, operand, elements, 1)?;
    }
    if contiguous {
        check_output(image, params.output, &[], &[operand])
    } else {
        check_output(image, params.output, &[operand], &[])
    }
}

/// Calls `f` for every row along the innermost axis, of the whole output or of the given rows of it.
fn for_each_row(
    params: &Binary,
    rows: Range<usize>,
    memory: &mut Memory<'_>,
    f: impl Fn(Row<'_>, Row<'_>, Dst<'_>) -> Option<()>,
) -> Option<()> {
    let tensors = memory.tensors();
    let row_bytes = product(&params.dims[1..])?;
    let a = tensors.src_rows(params.a, params.a_strides[0] as usize)?;
    let b = tensors.src_rows(params.b, params.b_strides[0] as usize)?;
    let output = tensors.dst_rows(params.output, row_bytes)?;
    let len = params.dims[3] as usize;
    for i in if params.rows == 1 { 0..params.dims[0] as usize } else { rows } {
        let (a, b, output) = (a.from_row(i)?, b.from_row(i)?, output.row(i)?);
        let mut start = 0;
        for j in 0..params.dims[1] {
            for k in 0..params.dims[2] {
                let a = Row::new(a, &params.a_strides, [j, k])?;
                let b = Row::new(b, &params.b_strides, [j, k])?;
                f(a, b, output.slice(start, len)?)?;
                start += len;
            }
        }
    }
    Some(())
}

/// An operand along the innermost axis.
#[derive(Clone, Copy)]
struct Row<'a> {
    /// From the first element on.
    values: Src<'a>,
    stride: usize,
}

impl<'a> Row<'a> {
    /// The row at `middle`, the indices along the two axes between the outermost and the
    /// innermost.
    fn new(operand: Src<'a>, strides: &[u32; 4], middle: [u32; 2]) -> Option<Self> {
        let step = |index: u32, stride: u32| (index as usize).checked_mul(stride as usize);
        let start = step(middle[0], strides[1])?.checked_add(step(middle[1], strides[2])?)?;
        Some(Self {
            values: operand.slice(start, operand.len().checked_sub(start)?)?,
            stride: strides[3] as usize,
        })
    }

    /// `len` values, if they lie one behind the other.
    fn contiguous(&self, len: usize) -> Option<Src<'a>> {
        if self.stride == 1 { self.values.slice(0, len) } else { None }
    }
}

/// Writes `f(a, b)` along the innermost axis, whatever the strides.
fn strided_rows(a: Row<'_>, b: Row<'_>, output: Dst<'_>, f: impl Fn(i8, i8) -> i8) -> Option<()> {
    for (at, cell) in output.cells().iter().enumerate() {
        let a = a.values.get(at.wrapping_mul(a.stride))?;
        cell.set(f(a, b.values.get(at.wrapping_mul(b.stride))?));
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use std::vec;
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;
    use crate::testing::{Bench, Random, requant};

    const DIMS: Range<u32> = 1..6;

    /// Strides of an operand: contiguous but for the axes which it lacks.
    fn strides(dims: [u32; 4], present: [bool; 4]) -> [u32; 4] {
        let mut strides = [0; 4];
        let mut inner = 1;
        for axis in (0..4).rev().filter(|&axis| present[axis]) {
            strides[axis] = inner;
            inner *= dims[axis];
        }
        strides
    }

    /// Elements of an operand with such strides.
    fn operand_len(dims: [u32; 4], present: [bool; 4]) -> usize {
        let extents = (0..4).filter(|&axis| present[axis]).map(|axis| dims[axis] as usize);
        extents.product()
    }

    /// Two operands, their memory, and the pair of values that belongs to each output element.
    struct Sample {
        bench: Bench,
        params: Binary,
        pairs: Vec<(i64, i64)>,
    }

    fn sample(dims: [u32; 4], a_present: [bool; 4], b_present: [bool; 4], seed: u64) -> Sample {
        let a = Random::bytes(seed, operand_len(dims, a_present));
        let b = Random::bytes(seed ^ 4, operand_len(dims, b_present));
        let mut bench = Bench::new();
        let params = Binary {
            a: bench.input(&a),
            b: bench.constant(&b),
            output: bench.output(operand_len(dims, [true; 4])),
            rows: 1,
            dims,
            a_strides: strides(dims, a_present),
            b_strides: strides(dims, b_present),
            a_multiplier: 1,
            b_multiplier: 1,
            bias: 0,
            shift: 0,
            a_zero: 0,
            b_zero: 0,
            out_zero: 0,
            act_min: -128,
            act_max: 127,
            reserved: 0,
        };
        let mut indices = vec![(0, 0)];
        for ((extent, a_stride), b_stride) in
            dims.into_iter().zip(params.a_strides).zip(params.b_strides)
        {
            let step = |(a, b)| (0..extent).map(move |i| (a + i * a_stride, b + i * b_stride));
            indices = indices.into_iter().flat_map(step).collect();
        }
        let pair = |(i, j): (u32, u32)| (i64::from(a[i as usize]), i64::from(b[j as usize]));
        let pairs = indices.into_iter().map(pair).collect();
        Sample { bench, params, pairs }
    }

    proptest! {
        #[test]
        fn a_sum_has_one_rounding(
            dims in [DIMS, DIMS, DIMS, 1..40], a_present: [bool; 4], b_present: [bool; 4],
            seed: u64, a_multiplier in -(1i32 << 21)..1 << 21, b_multiplier in -(1i32 << 21)..1 << 21,
            bias in -(1i32 << 29)..1 << 29, shift in 0u8..32,
            act_min in -128i8..0, act_max in 0i8..=127,
        ) {
            let Sample { bench, params, pairs } = sample(dims, a_present, b_present, seed);
            let params =
                Binary { a_multiplier, b_multiplier, bias, shift, act_min, act_max, ..params };
            let expected: Vec<i8> = pairs
                .iter()
                .map(|(a, b)| a * i64::from(a_multiplier) + b * i64::from(b_multiplier))
                .map(|sum| (sum + i64::from(bias)).div_euclid(1 << shift))
                .map(|sum| sum.clamp(act_min.into(), act_max.into()) as i8)
                .collect();
            prop_assert_eq!(bench.run::<Add>(&params, 1, params.output), expected);
        }

        #[test]
        fn a_product_is_requantised(
            dims in [DIMS, DIMS, DIMS, 1..40], a_present: [bool; 4], b_present: [bool; 4],
            seed: u64, multiplier: i32, shift in 0u8..15, a_zero: i8, b_zero: i8, out_zero: i8,
        ) {
            let Sample { bench, params, pairs } = sample(dims, a_present, b_present, seed);
            let params =
                Binary { a_multiplier: multiplier, shift, a_zero, b_zero, out_zero, ..params };
            let expected: Vec<i8> = pairs
                .iter()
                .map(|(a, b)| (a - i64::from(a_zero)) * (b - i64::from(b_zero)))
                .map(|product| i64::from(out_zero) + requant(product, multiplier, shift))
                .map(|product| product.clamp(-128, 127) as i8)
                .collect();
            prop_assert_eq!(bench.run::<Mul>(&params, 1, params.output), expected);
        }

        #[test]
        fn a_sum_of_reals_is_off_by_half_a_step(
            seed: u64, a_ratio in 0.01..2.0f64, b_ratio in -2.0..2.0f64,
            a_zero: i8, b_zero: i8, out_zero: i8,
        ) {
            const SHIFT: u8 = 20;
            let one = f64::from(1 << SHIFT);
            let Sample { bench, params, pairs } = sample([1, 1, 1, 64], [true; 4], [true; 4], seed);
            let (a_multiplier, b_multiplier) =
                ((a_ratio * one).round() as i32, (b_ratio * one).round() as i32);
            let zeros = a_multiplier * i32::from(a_zero) + b_multiplier * i32::from(b_zero);
            let bias = (i32::from(out_zero) << SHIFT) - zeros + (1 << (SHIFT - 1));
            let params = Binary { a_multiplier, b_multiplier, bias, shift: SHIFT, ..params };
            let result = bench.run::<Add>(&params, 1, params.output);
            for ((a, b), result) in pairs.into_iter().zip(result) {
                let (a, b) = ((a - i64::from(a_zero)) as f64, (b - i64::from(b_zero)) as f64);
                let real = (a_ratio * a + b_ratio * b + f64::from(out_zero)).clamp(-128.0, 127.0);
                // Half a step, and the multipliers are exact to half a unit.
                let bound = 0.5 + 0.5 * (a.abs() + b.abs()) / one;
                prop_assert!((real - f64::from(result)).abs() <= bound);
            }
        }

        #[test]
        fn row_by_row_is_the_same(
            dims in [DIMS, DIMS, DIMS, DIMS], a_present: [bool; 4], b_present: [bool; 4], seed: u64,
        ) {
            let Sample { bench, params, .. } = sample(dims, a_present, b_present, seed);
            let rows = dims[0] as u16;
            prop_assert_eq!(
                bench.run::<Add>(&Binary { rows, ..params }, rows, params.output),
                bench.run::<Add>(&params, 1, params.output)
            );
        }

        #[test]
        fn in_place_is_the_same(dims in [DIMS, DIMS, DIMS, DIMS], b_present: [bool; 4], seed: u64) {
            let Sample { bench, params, .. } = sample(dims, [true; 4], b_present, seed);
            let in_place = Binary { output: params.a, ..params };
            prop_assert_eq!(
                bench.run::<Add>(&in_place, 1, params.a),
                bench.run::<Add>(&params, 1, params.output)
            );
        }
    }

    #[test]
    fn a_tensor_added_to_itself_in_place_doubles() {
        let Sample { bench, params, pairs } = sample([1, 2, 3, 4], [true; 4], [true; 4], 1);
        let params =
            Binary { b: params.a, b_strides: params.a_strides, output: params.a, ..params };
        let doubled: Vec<i8> = pairs.iter().map(|(a, _)| (2 * a).clamp(-128, 127) as i8).collect();
        assert_eq!(bench.run::<Add>(&params, 1, params.a), doubled);
    }

    #[test]
    fn an_operand_read_out_of_order_may_not_lie_under_the_output() {
        let Sample { bench, params, .. } = sample([1, 1, 3, 3], [true; 4], [true; 4], 1);
        let over_a = Binary { output: params.a, ..params };
        assert_eq!(bench.check::<Mul>(&over_a, 1), Ok(()));
        let transposed = Binary { a_strides: [9, 9, 1, 3], ..over_a };
        assert_eq!(bench.check::<Mul>(&transposed, 1), Err(Rule::Overlap(params.a)));
        let apart = Binary { output: params.output, ..transposed };
        assert_eq!(bench.check::<Mul>(&apart, 1), Ok(()));
    }

    #[test]
    fn contradictions_are_refused() {
        let Sample { bench, params, .. } = sample([1, 1, 3, 3], [true; 4], [true; 4], 1);
        let long = |needed| Rule::Length { tensor: params.b, needed, given: 9 };
        let refused = [
            (Binary { dims: [1, 1, 0, 3], ..params }, Rule::Parameter("dims")),
            (Binary { shift: 32, ..params }, Rule::Parameter("shift")),
            (Binary { act_max: -1, act_min: 0, ..params }, Rule::Parameter("act_min")),
            (Binary { rows: 2, ..params }, Rule::Rows),
            (Binary { b_strides: [0, 0, 4, 1], ..params }, long(11)),
            (Binary { b_strides: [0, 0, u32::MAX, 1], ..params }, long(u32::MAX)),
            (Binary { output: params.b, ..params }, Rule::Overlap(params.b)),
        ];
        bench.survives_mutations::<Add>(params, 1);
        bench.survives_mutations::<Mul>(params, 1);
        for (params, rule) in refused {
            assert_eq!(bench.check::<Add>(&params, 1), Err(rule));
        }
    }
}
