//! `Resize`: rows and columns of an image, interpolated between their neighbours or repeated.
//!
//! With `top = (256 − fc) · in[r0, c0] + fc · in[r0, c1]` and `bottom` alike from row `r1`:
//! `out = floor(((256 − fr) · top + fr · bottom + 2^15) / 2^16)`. The tables say, for each output
//! row and column, the two that it lies between and the weight `f` of the second.

use core::ops::Range;

use fixie_format::Image;
use fixie_format::op::{self, DataOffset};

use crate::arch::view::{Dst, Src};
use crate::memory::Memory;
use crate::ops::Operator;
use crate::rule::{Rule, check_data, check_output, check_row_tensor, check_rows, check_that};

/// Two rows or columns, and the weight of the second in 1/256.
type Entry = [u16; 3];

/// [`Opcode::Resize`](fixie_format::Opcode::Resize).
pub struct Resize;

impl Operator for Resize {
    type Params = op::Resize;

    fn check(params: &op::Resize, rows: u16, image: &Image<'_>) -> Result<(), Rule> {
        check_rows(rows, params.out_h)?;
        check_that(params.channels != 0, "channels")?;
        check_that(params.out_w != 0, "out_w")?;
        check_table(image, params.row_table, params.out_h, params.in_h)?;
        check_table(image, params.column_table, params.out_w, params.in_w)?;
        let (in_row, out_row) = row_bytes(params);
        check_row_tensor(image, params.input, params.in_h, in_row)?;
        check_row_tensor(image, params.output, params.out_h, out_row)?;
        check_output(image, params.output, &[params.input], &[])
    }

    fn run(params: &op::Resize, rows: Range<usize>, memory: &mut Memory<'_>) -> Option<()> {
        let tensors = memory.tensors();
        let (in_row, out_row) = row_bytes(params);
        let input = tensors.src_rows(params.input, in_row?)?;
        let output = tensors.dst_rows(params.output, out_row?)?;
        let row_table: &[Entry] = tensors.data(params.row_table, params.out_h.into())?;
        let column_table = tensors.data(params.column_table, params.out_w.into())?;
        for y in rows {
            let &[top, bottom, weight] = row_table.get(y)?;
            let between =
                Between { top: input.row(top.into())?, bottom: input.row(bottom.into())?, weight };
            between.interpolate(column_table, params.channels as usize, output.row(y)?)?;
        }
        Some(())
    }
}

/// Bytes of an input row and of an output row.
fn row_bytes(params: &op::Resize) -> (Option<usize>, Option<usize>) {
    let bytes = |width: u16| usize::from(width).checked_mul(params.channels as usize);
    (bytes(params.in_w), bytes(params.out_w))
}

/// Checks that a table has `output` entries, each between rows or columns of the input.
fn check_table(image: &Image<'_>, table: DataOffset, output: u16, input: u16) -> Result<(), Rule> {
    check_data::<Entry>(image, table, Some(output.into()))?;
    let entries: &[Entry] = image.data(table, output.into()).unwrap_or(&[]);
    let inside =
        |&[first, second, weight]: &Entry| first < input && second < input && weight <= 256;
    check_that(entries.iter().all(inside), "row_table or column_table")
}

/// The two input rows of an output row, and the weight of the second.
struct Between<'a> {
    top: Src<'a>,
    bottom: Src<'a>,
    weight: u16,
}

impl<'a> Between<'a> {
    /// Computes a row of pixels of `channels` bytes.
    fn interpolate(&self, columns: &[Entry], channels: usize, output: Dst<'_>) -> Option<()> {
        for (x, &[left, right, weight]) in columns.iter().enumerate() {
            let pixel = output.slice(x.checked_mul(channels)?, channels)?;
            let at = |row: Src<'a>, column: u16| {
                row.slice(usize::from(column).checked_mul(channels)?, channels)
            };
            let top_left = at(self.top, left)?;
            if (self.weight, weight) == (0, 0) {
                pixel.copy_from(top_left)?;
                continue;
            }
            let top = top_left.iter().zip(at(self.top, right)?.iter());
            let bottom = at(self.bottom, left)?.iter().zip(at(self.bottom, right)?.iter());
            for (cell, (top, bottom)) in pixel.cells().iter().zip(top.zip(bottom)) {
                let (top, bottom) = (mix(top, weight), mix(bottom, weight));
                cell.set((mix((top, bottom), self.weight).wrapping_add(1 << 15) >> 16) as i8);
            }
        }
        Some(())
    }
}

/// `(256 − weight) · first + weight · second`.
fn mix<T: Into<i32>>((first, second): (T, T), weight: u16) -> i32 {
    let (first, weight) = (first.into(), i32::from(weight));
    let step = second.into().wrapping_sub(first);
    first.wrapping_mul(256).wrapping_add(step.wrapping_mul(weight))
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;
    use crate::testing::{Bench, Random, image_len};

    /// A table of `output` entries over `input` rows or columns; all weights 0 if `nearest`.
    fn table(input: u16, output: u16, nearest: bool, random: &mut Random) -> Vec<Entry> {
        let mut below = |limit: u16| (random.next() % u64::from(limit)) as u16;
        (0..output)
            .map(|_| [below(input), below(input), if nearest { 0 } else { below(257) }])
            .collect()
    }

    struct Sample {
        bench: Bench,
        params: op::Resize,
        values: Vec<i8>,
        rows: Vec<Entry>,
        columns: Vec<Entry>,
    }

    fn sample(in_h: u16, in_w: u16, out_h: u16, out_w: u16, channels: u16, seed: u64) -> Sample {
        let mut random = Random(seed);
        let nearest = seed.is_multiple_of(3);
        let rows = table(in_h, out_h, nearest, &mut random);
        let columns = table(in_w, out_w, nearest, &mut random);
        let values = Random::bytes(seed, image_len(in_h, in_w, channels));
        let mut bench = Bench::new();
        let params = op::Resize {
            input: bench.input(&values),
            output: bench.output(image_len(out_h, out_w, channels)),
            in_h,
            in_w,
            out_h,
            out_w,
            channels: channels.into(),
            row_table: bench.data(&rows),
            column_table: bench.data(&columns),
        };
        Sample { bench, params, values, rows, columns }
    }

    proptest! {
        #[test]
        fn it_is_the_real_interpolation_rounded_half_up(
            (in_h, in_w) in (1u16..6, 1u16..6), (out_h, out_w) in (1u16..8, 1u16..8),
            channels in 1u16..12, seed: u64,
        ) {
            let Sample { bench, params, values, rows, columns } =
                sample(in_h, in_w, out_h, out_w, channels, seed);
            let result = bench.run::<Resize>(&params, out_h, params.output);
            let value = |y: u16, x: u16, c: u16| {
                f64::from(values[image_len(y, in_w, channels) + image_len(x, 1, channels) + usize::from(c)])
            };
            let lerp = |first: f64, second: f64, weight: u16| {
                first + (second - first) * f64::from(weight) / 256.0
            };
            let mut expected = Vec::new();
            for &[r0, r1, fr] in &rows {
                for &[c0, c1, fc] in &columns {
                    for c in 0..channels {
                        let top = lerp(value(r0, c0, c), value(r0, c1, c), fc);
                        let bottom = lerp(value(r1, c0, c), value(r1, c1, c), fc);
                        // Exact: 8 bits and twice 8 fractional bits fit in a double.
                        expected.push((lerp(top, bottom, fr) + 0.5).floor() as i8);
                    }
                }
            }
            prop_assert_eq!(result, expected);
        }
    }

    #[test]
    fn tables_that_leave_the_input_are_refused() {
        let Sample { mut bench, params, .. } = sample(3, 4, 2, 2, 1, 1);
        assert_eq!(bench.check::<Resize>(&params, 2), Ok(()));
        bench.survives_mutations::<Resize>(params, 2);
        assert_eq!(bench.check::<Resize>(&params, 1), Err(Rule::Rows));
        let entries: [[Entry; 2]; 3] =
            [[[0, 0, 0], [3, 0, 0]], [[0, 0, 0], [0, 3, 0]], [[0, 0, 0], [0, 0, 257]]];
        for table in entries {
            let params = op::Resize { row_table: bench.data(&table), ..params };
            let refused = Rule::Parameter("row_table or column_table");
            assert_eq!(bench.check::<Resize>(&params, 2), Err(refused));
        }
        let params = op::Resize { row_table: 1 << 20, ..params };
        assert_eq!(bench.check::<Resize>(&params, 2), Err(Rule::Data(1 << 20)));
    }
}
