//! `MaxPool`: the largest value of each window, limited to the activation's range. Padding does
//! not count; a window that lies wholly in the padding gives `act_min`.

use core::ops::Range;

use fixie_format::Image;
use fixie_format::op;

use crate::memory::Memory;
use crate::ops::Operator;
use crate::ops::pool::{check_pool, pool};
use crate::rule::{Rule, check_that};

/// [`Opcode::MaxPool`](fixie_format::Opcode::MaxPool).
pub struct MaxPool;

impl Operator for MaxPool {
    type Params = op::MaxPool;

    fn check(params: &op::MaxPool, rows: u16, image: &Image<'_>) -> Result<(), Rule> {
        check_that(params.act_min <= params.act_max, "act_min")?;
        check_pool(&params.window, rows, image, (params.input, params.output))
    }

    fn run(params: &op::MaxPool, rows: Range<usize>, memory: &mut Memory<'_>) -> Option<()> {
        let ports = (params.input, params.output);
        pool(&params.window, rows, memory.tensors(), ports, |view, pixel| {
            pixel.fill(params.act_min);
            view.for_each(|seen| {
                for (value, largest) in seen.iter().zip(pixel.cells()) {
                    largest.set(largest.get().max(value.min(params.act_max)));
                }
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;
    use crate::testing::{Bench, Random, image_len, seen, windows};

    /// A pool over `window`, its memory and its input.
    fn sample(window: op::Window, seed: u64) -> (Bench, op::MaxPool, Vec<i8>) {
        let values = Random::bytes(seed, image_len(window.in_h, window.in_w, window.in_c));
        let mut bench = Bench::new();
        let params = op::MaxPool {
            input: bench.input(&values),
            output: bench.output(image_len(window.out_h, window.out_w, window.out_c)),
            window,
            act_min: -128,
            act_max: 127,
        };
        (bench, params, values)
    }

    /// The definition: the largest of what each output sees, within bounds.
    fn largest(window: &op::Window, values: &[i8], min: i8, max: i8) -> Vec<i8> {
        seen(window, values)
            .iter()
            .map(|seen| seen.iter().fold(min, |a, &b| a.max(b)).min(max))
            .collect()
    }

    proptest! {
        #[test]
        fn it_is_the_largest_value_seen(
            window in windows(), seed: u64, act_min in -128i8..20, range in 0i8..100,
        ) {
            let (bench, params, values) = sample(window, seed);
            let act_max = act_min + range;
            let params = op::MaxPool { act_min, act_max, ..params };
            let expected = largest(&window, &values, act_min, act_max);
            prop_assert_eq!(bench.run::<MaxPool>(&params, window.out_h, params.output), expected);
        }

        #[test]
        fn rings_hold_the_last_rows(window in windows(), seed: u64, ring_rows in 1u16..6) {
            let (in_row, out_row) = (
                image_len(1, window.in_w, window.in_c),
                image_len(1, window.out_w, window.out_c),
            );
            let slots = Random::bytes(seed, in_row * usize::from(ring_rows));
            let mut bench = Bench::new();
            let input = bench.input(&slots);
            let output = bench.output(out_row * usize::from(ring_rows));
            let params = op::MaxPool {
                input: bench.alias(input, |tensor| tensor.ring_rows = ring_rows),
                output: bench.alias(output, |tensor| tensor.ring_rows = ring_rows),
                window,
                act_min: -128,
                act_max: 127,
            };
            // The ring as the operator sees it: row y is slot y mod ring_rows.
            let rows = slots.iter().copied().cycle();
            let unrolled: Vec<i8> = rows.take(in_row * usize::from(window.in_h)).collect();
            let all = largest(&window, &unrolled, -128, 127);
            let ring = bench.run::<MaxPool>(&params, window.out_h, params.output);
            let last = usize::from(window.out_h.saturating_sub(ring_rows));
            for (y, row) in all.chunks(out_row).enumerate().skip(last) {
                let slot = y % usize::from(ring_rows) * out_row;
                prop_assert_eq!(&ring[slot..slot + out_row], row);
            }
        }
    }

    #[test]
    fn contradictions_are_refused() {
        let window = op::Window {
            in_h: 4,
            in_w: 4,
            in_c: 2,
            out_h: 2,
            out_w: 2,
            out_c: 2,
            kernel_h: 2,
            kernel_w: 2,
            stride_h: 2,
            stride_w: 2,
            dilation_h: 1,
            dilation_w: 1,
            pad_top: 0,
            pad_left: 0,
        };
        let (mut bench, params, _) = sample(window, 1);
        let short = bench.output(7);
        let refused = [
            (op::MaxPool { act_min: 1, act_max: 0, ..params }, Rule::Parameter("act_min")),
            (
                op::MaxPool { window: op::Window { out_c: 1, ..window }, ..params },
                Rule::Parameter("window.out_c"),
            ),
            (
                op::MaxPool { window: op::Window { stride_w: 0, ..window }, ..params },
                Rule::Parameter("window"),
            ),
            (
                op::MaxPool { output: short, ..params },
                Rule::Length { tensor: short, needed: 8, given: 7 },
            ),
            (op::MaxPool { output: 99, ..params }, Rule::NoTensor(99)),
        ];
        assert_eq!(bench.check::<MaxPool>(&params, 2), Ok(()));
        bench.survives_mutations::<MaxPool>(params, 2);
        assert_eq!(bench.check::<MaxPool>(&params, 1), Err(Rule::Rows));
        for (params, rule) in refused {
            assert_eq!(bench.check::<MaxPool>(&params, 2), Err(rule));
        }
        let over_input = bench.alias(params.input, |tensor| tensor.len_bytes = 8);
        let trailing = op::MaxPool { output: over_input, ..params };
        assert_eq!(bench.check::<MaxPool>(&trailing, 2), Ok(()));
        let ahead = bench.alias(over_input, |tensor| tensor.offset += 4);
        let ahead_of_input = op::MaxPool { output: ahead, ..params };
        assert_eq!(bench.check::<MaxPool>(&ahead_of_input, 2), Err(Rule::Overlap(ahead)));
    }
}
