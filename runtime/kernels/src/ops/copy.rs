//! `Copy`: elements moved with any strides on both sides, which makes transposes, slices,
//! concatenations and tilings.
//!
//! For every index vector `i` below `dims`:
//! `out[out_base + Σ i·out_stride] = in[in_base + Σ i·in_stride]`.

use core::ops::Range;

use fixie_format::Image;
use fixie_format::op;

use crate::memory::Memory;
use crate::ops::Operator;
use crate::rule::{Rule, check_data, check_output, check_room, check_rows, check_that};

/// The most axes that a copy has.
const MAX_AXES: usize = 8;

/// Extent, input stride, output stride.
type Axis = [i32; 3];

/// [`Opcode::Copy`](fixie_format::Opcode::Copy).
pub struct Copy;

impl Operator for Copy {
    type Params = op::Copy;

    fn check(params: &op::Copy, rows: u16, image: &Image<'_>) -> Result<(), Rule> {
        let rank = usize::from(params.rank);
        check_rows(rows, 1)?;
        check_that(rank <= MAX_AXES, "rank")?;
        check_that(matches!(params.element_bytes, 1 | 2 | 4), "element_bytes")?;
        check_that(params.reserved == 0, "reserved")?;
        check_data::<Axis>(image, params.axes, Some(rank))?;
        let axes: &[Axis] = image.data(params.axes, rank).unwrap_or(&[]);
        check_that(axes.iter().all(|[extent, ..]| *extent > 0), "axes")?;
        let broken = Rule::Parameter("axes");
        let in_len = reach(params.in_base, axes.iter().map(|axis| (axis[0], axis[1])));
        let out_len = reach(params.out_base, axes.iter().map(|axis| (axis[0], axis[2])));
        let (in_len, out_len) = in_len.zip(out_len).ok_or(broken)?;
        check_room(image, params.input, Some(in_len), params.element_bytes.into())?;
        check_room(image, params.output, Some(out_len), params.element_bytes.into())?;
        // Every element is written once, which bounds the time that a copy takes.
        let copies = axes.iter().try_fold(1usize, |n, axis| n.checked_mul(axis[0] as usize));
        check_that(copies.is_some_and(|n| n <= out_len), "axes")?;
        check_output(image, params.output, &[params.input], &[])
    }

    fn run(params: &op::Copy, _rows: Range<usize>, memory: &mut Memory<'_>) -> Option<()> {
        let tensors = memory.tensors();
        let (input, output) = (tensors.src(params.input)?, tensors.dst(params.output)?);
        let axes: &[Axis] = tensors.data(params.axes, params.rank.into())?;
        let element = i32::from(params.element_bytes);
        // What lies side by side on both ends moves as one block.
        let (block, axes) = match axes.split_last() {
            Some((&[extent, 1, 1], outer)) => (extent.wrapping_mul(element) as usize, outer),
            _ => (element as usize, axes),
        };
        let (&inner, outer) = axes.split_last().unwrap_or((&[1, 0, 0], &[]));
        let mut counts = [0; MAX_AXES];
        let counts = counts.get_mut(..outer.len())?;
        let mut at = Position {
            input: (params.in_base as usize).wrapping_mul(element as usize),
            output: (params.out_base as usize).wrapping_mul(element as usize),
        };
        loop {
            let mut line = at;
            for _ in 0..inner[0] {
                if block == 1 {
                    output.set(line.output, input.get(line.input)?)?;
                } else {
                    let source = input.slice(line.input, block)?;
                    output.slice(line.output, block)?.copy_from(source)?;
                }
                line.step(inner, element);
            }
            if !at.advance(outer, counts, element) {
                return Some(());
            }
        }
    }
}

/// The smallest length that holds every element which `base` and `(extent, stride)` pairs reach;
/// `None` if they reach below zero or too far.
fn reach(base: u32, axes: impl Iterator<Item = (i32, i32)>) -> Option<usize> {
    let mut lowest = i64::from(base);
    let mut highest = lowest;
    for (extent, stride) in axes {
        let span = i64::from(extent).checked_sub(1)?.checked_mul(stride.into())?;
        let end = if span < 0 { &mut lowest } else { &mut highest };
        *end = end.checked_add(span)?;
    }
    if lowest < 0 {
        return None;
    }
    usize::try_from(highest.checked_add(1)?).ok()
}

/// Where the next element lies on both ends, in bytes.
#[derive(Clone, Copy)]
struct Position {
    input: usize,
    output: usize,
}

impl Position {
    /// Goes one element on along an axis whose strides count elements of `element` bytes.
    fn step(&mut self, [_, in_stride, out_stride]: Axis, element: i32) {
        let bytes = |stride: i32| stride.wrapping_mul(element) as usize;
        self.input = self.input.wrapping_add(bytes(in_stride));
        self.output = self.output.wrapping_add(bytes(out_stride));
    }

    /// Goes to the next index vector of `axes`, like an odometer; false after the last one.
    fn advance(&mut self, axes: &[Axis], counts: &mut [i32], element: i32) -> bool {
        for (&axis, count) in axes.iter().zip(counts).rev() {
            let [extent, ..] = axis;
            *count += 1;
            self.step(axis, element);
            if *count < extent {
                return true;
            }
            *count = 0;
            // Back to the start of this axis.
            self.step(axis, element.wrapping_mul(extent).wrapping_neg());
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use std::vec;
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;
    use crate::testing::{Bench, FILLER, Random};

    /// All index vectors below the extents of `axes`, as the elements read and written.
    fn moves(params: &op::Copy, axes: &[Axis]) -> Vec<(i64, i64)> {
        let mut moves = vec![(i64::from(params.in_base), i64::from(params.out_base))];
        for &[extent, in_stride, out_stride] in axes {
            let steps = |(from, to): (i64, i64)| {
                (0..i64::from(extent))
                    .map(move |i| (from + i * i64::from(in_stride), to + i * i64::from(out_stride)))
            };
            moves = moves.into_iter().flat_map(steps).collect();
        }
        moves
    }

    /// Axes whose output lies as densely as it can, in a random order of the axes; the input is
    /// read with random strides, some of them negative.
    fn axes() -> impl Strategy<Value = Vec<Axis>> {
        let axis = (1i32..5, prop_oneof![Just(1), -6i32..7], any::<u32>());
        proptest::collection::vec(axis, 0..=5).prop_map(|mut drawn| {
            let mut order: Vec<usize> = (0..drawn.len()).collect();
            if drawn.iter().any(|axis| axis.2 % 2 == 0) {
                order.sort_by_key(|&at| drawn[at].2);
            }
            let mut axes: Vec<Axis> =
                drawn.drain(..).map(|(n, stride, _)| [n, stride, 0]).collect();
            let mut stride = 1;
            for &at in order.iter().rev() {
                axes[at][2] = stride;
                stride *= axes[at][0];
            }
            axes
        })
    }

    /// A copy along `axes` that writes behind `gap` elements, its memory and its input.
    fn sample(axes: &[Axis], element_bytes: u8, gap: u32, seed: u64) -> (Bench, op::Copy, Vec<i8>) {
        let back = |axis: &Axis| (axis[0] - 1) * axis[1].min(0);
        let forth = |axis: &Axis| (axis[0] - 1) * axis[1].max(0);
        let in_base = -axes.iter().map(back).sum::<i32>();
        let in_len = in_base + axes.iter().map(forth).sum::<i32>() + 1;
        let copies: i32 = axes.iter().map(|axis| axis[0]).product();
        let bytes = usize::from(element_bytes);
        let values = Random::bytes(seed, in_len as usize * bytes);
        let mut bench = Bench::new();
        let params = op::Copy {
            input: bench.input(&values),
            output: bench.output((copies as usize + gap as usize) * bytes),
            in_base: in_base as u32,
            out_base: gap,
            axes: bench.data(axes),
            rank: axes.len() as u8,
            element_bytes,
            reserved: 0,
        };
        (bench, params, values)
    }

    proptest! {
        #[test]
        fn every_element_arrives(
            axes in axes(), size in prop::sample::select(&[1u8, 2, 4]), gap in 0u32..5, seed: u64,
        ) {
            let (bench, params, values) = sample(&axes, size, gap, seed);
            let result = bench.run::<Copy>(&params, 1, params.output);
            let mut expected = vec![FILLER as i8; result.len()];
            let bytes = usize::from(size);
            for (from, to) in moves(&params, &axes) {
                let (from, to) = (from as usize * bytes, to as usize * bytes);
                expected[to..to + bytes].copy_from_slice(&values[from..from + bytes]);
            }
            prop_assert_eq!(result, expected);
        }
    }

    #[test]
    fn copies_that_leave_a_tensor_or_never_end_are_refused() {
        let axes = [[3, 4, 1], [4, 1, 3]];
        let (mut bench, params, _) = sample(&axes, 1, 0, 1);
        assert_eq!(bench.check::<Copy>(&params, 1), Ok(()));
        bench.survives_mutations::<Copy>(params, 1);
        let broken = Rule::Parameter("axes");
        let longer = |tensor, needed| Rule::Length { tensor, needed, given: 12 };
        let endless = [i32::MAX, i32::MAX, 0];
        for (axes, rule) in [
            ([[3, 4, 1], [4, -1, 3]], broken),
            ([[3, 4, 1], [0, 1, 3]], broken),
            ([[-3, 4, 1], [4, 1, 3]], broken),
            ([[1 << 30, 0, 0], [4, 1, 3]], broken),
            ([endless; 2], longer(params.input, u32::MAX)),
        ] {
            let params = op::Copy { axes: bench.data(&axes), ..params };
            assert_eq!(bench.check::<Copy>(&params, 1), Err(rule));
        }
        for (params, rule) in [
            (op::Copy { in_base: 1, ..params }, longer(params.input, 13)),
            (op::Copy { out_base: 1, ..params }, longer(params.output, 13)),
            (op::Copy { rank: 9, ..params }, Rule::Parameter("rank")),
            (op::Copy { element_bytes: 3, ..params }, Rule::Parameter("element_bytes")),
            (op::Copy { output: params.input, ..params }, Rule::Overlap(params.input)),
            (op::Copy { axes: 1 << 20, ..params }, Rule::Data(1 << 20)),
        ] {
            assert_eq!(bench.check::<Copy>(&params, 1), Err(rule));
        }
    }
}
