use std::vec::Vec;

use fixie_format::table::{Dtype, TensorId};
use proptest::prelude::*;

use super::*;
use crate::ops::conv_testing::{Traits, accumulators, grouped_windows, pointwise, traits};
use crate::testing::{Bench, Random, halves, image_len, requant};

/// A layer, and what it is made of.
#[derive(Clone)]
struct Case {
    bench: Bench,
    params: op::ConvWide,
    /// Whether input and output have 16 bits.
    wide: [bool; 2],
    input: Vec<i16>,
    weights: Vec<i8>,
    bias: Vec<i32>,
    multipliers: Vec<i32>,
}

/// Random elements; a seed that is a multiple of 4 gives nothing but the ends of their range.
fn elements(seed: u64, len: usize, wide: bool) -> Vec<i16> {
    let (high, low) = (Random::bytes(seed, len), Random::bytes(seed + 1, len));
    let element = |(&high, low): (&i8, i8)| match (wide, high) {
        (false, high) => i16::from(high),
        (true, i8::MAX) => i16::MAX,
        (true, i8::MIN) => i16::MIN,
        (true, high) => i16::from(high) << 8 | i16::from(low) & 0xff,
    };
    high.iter().zip(low).map(element).collect()
}

impl Case {
    fn new(window: Window, traits: Traits, wide: [bool; 2]) -> Self {
        let taps = image_len(window.kernel_h, window.kernel_w, window.in_c / traits.groups);
        let out_c = usize::from(window.out_c);
        let mut random = Random(!traits.seed);
        let zero = |zero: i8, wide: bool| if wide { 0 } else { zero };
        let bound = |bound: i8| i16::from(bound) * if wide[1] { 256 } else { 1 };
        let params = op::ConvWide {
            input: 0,
            output: 0,
            scratch: 0,
            groups: traits.groups,
            window,
            weights: 0,
            bias: 0,
            multipliers: 0,
            // Sums over 16-bit elements need all bits.
            shift: if wide[0] { 0 } else { traits.shift },
            pad_value: zero(traits.pad_value, wide[0]),
            out_zero: zero(traits.out_zero, wide[1]),
            reserved: 0,
            act_min: bound(traits.bounds.0),
            act_max: bound(traits.bounds.1),
        };
        let finer = if wide[0] { 8 } else { 0 };
        // Most results are neither cut nor next to nothing.
        let smaller = if wide[1] { 1 + finer } else { 5 + finer };
        let mut layer = Self {
            bench: Bench::new(),
            params,
            wide,
            input: elements(traits.seed, image_len(window.in_h, window.in_w, window.in_c), wide[0]),
            weights: Random::bytes(traits.seed.rotate_left(2), taps * out_c),
            bias: (0..out_c).map(|_| random.next() as i32 >> 12 << finer).collect(),
            multipliers: (0..out_c).map(|_| random.next() as i32 >> smaller).collect(),
        };
        layer.params.input = layer.held(&layer.input.clone());
        layer.params.output = layer.room(image_len(window.out_h, window.out_w, window.out_c));
        layer.with_constants()
    }

    /// A tensor of the input's type that holds `values`.
    fn held(&mut self, values: &[i16]) -> TensorId {
        if self.wide[0] {
            return self.bench.wide_input(values);
        }
        self.bench.input(&values.iter().map(|&value| value as i8).collect::<Vec<_>>())
    }

    /// A tensor of the output's type.
    fn room(&mut self, len: usize) -> TensorId {
        if self.wide[1] { self.bench.wide_output(len) } else { self.bench.output(len) }
    }

    fn with_constants(mut self) -> Self {
        self.params.scratch = self.bench.scratch(scratch_len(&self.params).unwrap());
        self.params.weights = self.bench.data(&self.weights);
        self.params.bias = self.bench.data(&self.bias);
        self.params.multipliers = self.bench.data(&self.multipliers);
        self
    }

    fn run(&self) -> Vec<i16> {
        let params = &self.params;
        let bytes = self.bench.run::<ConvWide>(params, params.window.out_h, params.output);
        if self.wide[1] { halves(&bytes) } else { bytes.into_iter().map(i16::from).collect() }
    }

    fn expected(&self) -> Vec<i16> {
        let params = &self.params;
        let input = (&self.input[..], params.pad_value.into());
        let constants = (&self.weights[..], &self.bias[..]);
        let accs = accumulators((&params.window, params.groups), input, constants);
        let output = |(acc, multiplier): (i64, &i32)| {
            let value = i64::from(params.out_zero) + requant(acc, *multiplier, params.shift);
            value.max(params.act_min.into()).min(params.act_max.into()) as i16
        };
        accs.into_iter().zip(self.multipliers.iter().cycle()).map(output).collect()
    }
}

proptest! {
    #[test]
    fn it_is_the_definition(
        (window, groups) in grouped_windows(), traits in traits(), wide in any::<[bool; 2]>(),
    ) {
        let layer = Case::new(window, Traits { groups, ..traits }, wide);
        prop_assert_eq!(layer.run(), layer.expected());
    }

    #[test]
    fn depthwise_layers(
        (window, _) in grouped_windows(), traits in traits(), wide in any::<[bool; 2]>(),
        channels in 1u16..20, multiplier in 1u16..3,
    ) {
        let window = Window { in_c: channels, out_c: multiplier * channels, ..window };
        let layer = Case::new(window, Traits { groups: channels, ..traits }, wide);
        prop_assert_eq!(layer.run(), layer.expected());
    }

    #[test]
    fn matrix_products_of_any_size(
        pixels in 1u16..4, in_c in 1u16..90, out_c in 1u16..20, traits in traits(),
        wide in any::<[bool; 2]>(),
    ) {
        let layer = Case::new(pointwise(pixels, in_c, out_c), traits, wide);
        prop_assert_eq!(layer.run(), layer.expected());
    }

    #[test]
    fn rings_hold_the_last_rows(
        (window, groups) in grouped_windows(), traits in traits(), wide in any::<[bool; 2]>(),
        ring_rows in 1u16..6,
    ) {
        let mut layer = Case::new(window, Traits { groups, ..traits }, wide);
        let slots = usize::from(ring_rows);
        let [in_row, out_row] =
            [image_len(1, window.in_w, window.in_c), image_len(1, window.out_w, window.out_c)];
        layer.input.resize(in_row * slots, 0);
        let (input, output) = (layer.held(&layer.input.clone()), layer.room(out_row * slots));
        layer.params.input = layer.bench.alias(input, |tensor| tensor.ring_rows = ring_rows);
        layer.params.output = layer.bench.alias(output, |tensor| tensor.ring_rows = ring_rows);
        let ring = layer.run();
        layer.input = layer.input.repeat(usize::from(window.in_h).div_ceil(slots));
        for (y, row) in layer.expected().chunks(out_row).enumerate() {
            if y + slots >= usize::from(window.out_h) {
                prop_assert_eq!(&ring[y % slots * out_row..][..out_row], row);
            }
        }
    }
}

/// A layer with padding and two groups.
fn small(seed: u64, wide: [bool; 2]) -> Case {
    let window = Window {
        in_h: 4,
        in_w: 5,
        in_c: 6,
        out_h: 4,
        out_c: 6,
        kernel_h: 3,
        kernel_w: 3,
        pad_top: 1,
        pad_left: 1,
        ..pointwise(5, 6, 6)
    };
    let bounds = (i8::MIN, i8::MAX);
    let traits = Traits { groups: 2, seed, shift: 0, pad_value: 3, out_zero: -4, bounds };
    Case::new(window, traits, wide)
}

#[test]
fn changed_parameters_are_refused_or_run() {
    for wide in [[false, false], [false, true], [true, false], [true, true]] {
        let layer = small(1, wide);
        layer.bench.survives_mutations::<ConvWide>(layer.params, layer.params.window.out_h);
    }
}

#[test]
fn contradictions_are_refused() {
    let Case { bench, params, .. } = small(1, [true, true]);
    let check = |params| bench.check::<ConvWide>(&params, 4);
    assert_eq!(check(params), Ok(()));
    let window = params.window;
    for (changed, name) in [
        (op::ConvWide { groups: 4, ..params }, "groups"),
        (op::ConvWide { shift: 32, ..params }, "shift"),
        (op::ConvWide { act_min: 1, act_max: 0, ..params }, "act_min"),
        (op::ConvWide { pad_value: 1, ..params }, "pad_value"),
        (op::ConvWide { out_zero: 1, ..params }, "out_zero"),
        (op::ConvWide { reserved: 1, ..params }, "reserved"),
        (op::ConvWide { window: Window { in_c: 0x8000, ..window }, ..params }, "window"),
    ] {
        assert_eq!(check(changed), Err(Rule::Parameter(name)));
    }
    let Case { mut bench, params, .. } = small(1, [true, false]);
    let check = |bench: &Bench, params| bench.check::<ConvWide>(&params, 4);
    assert_eq!(
        check(&bench, op::ConvWide { act_max: 128, ..params }),
        Err(Rule::Parameter("act_max"))
    );
    let words = bench.alias(params.input, |tensor| tensor.dtype = Dtype::I32 as u8);
    assert_eq!(
        check(&bench, op::ConvWide { input: words, ..params }),
        Err(Rule::Parameter("input"))
    );
    let bytes = bench.alias(params.input, |tensor| tensor.dtype = Dtype::I8 as u8);
    assert!(matches!(
        check(&bench, op::ConvWide { input: bytes, ..params }),
        Err(Rule::Length { .. })
    ));
}
