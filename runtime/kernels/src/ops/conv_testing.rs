//! What the tests of the convolutions share: random layers, and the definition in 64 bits.

use std::vec::Vec;

use fixie_format::Opcode;
use fixie_format::op::coded::CODED;
use fixie_format::op::packed::PACKED;
use fixie_format::op::{self, Window};
use proptest::prelude::*;

use crate::layout::{self, Constants, Portion};
use crate::ops::Operator;
use crate::testing::{Bench, Random, image_len, requant, windows};

/// A convolution and its memory.
#[derive(Clone)]
pub struct Layer {
    pub bench: Bench,
    /// Without weights, bias and multipliers.
    pub params: op::Conv,
    pub input: Vec<i8>,
    /// `[out_c][kernel_h][kernel_w][in_c / groups]`.
    pub weights: Vec<i8>,
    pub bias: Vec<i32>,
    pub multipliers: Vec<i32>,
}

/// What a layer is made of besides its window.
#[derive(Clone, Copy, Debug)]
pub struct Traits {
    pub groups: u16,
    pub seed: u64,
    pub shift: u8,
    pub pad_value: i8,
    pub out_zero: i8,
    pub bounds: (i8, i8),
}

/// Random traits; half of them saturate at the ends of the 8 bits.
pub fn traits() -> impl Strategy<Value = Traits> {
    let bounds = prop_oneof![
        Just((i8::MIN, i8::MAX)),
        (-128i8..20, 0i8..100).prop_map(|(min, range)| (min, min + range)),
    ];
    (any::<u64>(), 0u8..3, any::<(i8, i8)>(), bounds).prop_map(|(seed, shift, zeros, bounds)| {
        Traits { groups: 1, seed, shift, pad_value: zeros.0, out_zero: zeros.1, bounds }
    })
}

/// Windows of grouped convolutions, and the number of groups.
pub fn grouped_windows() -> impl Strategy<Value = (Window, u16)> {
    (windows(), 1u16..4, 1u16..14, 1u16..8).prop_map(|(window, groups, group_in, group_out)| {
        let (in_c, out_c) = (groups * group_in, groups * group_out);
        (Window { in_c, out_c, ..window }, groups)
    })
}

/// A window without padding, strides and dilation: a matrix product.
pub fn pointwise(pixels: u16, in_c: u16, out_c: u16) -> Window {
    Window {
        in_h: 1,
        in_w: pixels,
        in_c,
        out_h: 1,
        out_w: pixels,
        out_c,
        kernel_h: 1,
        kernel_w: 1,
        stride_h: 1,
        stride_w: 1,
        dilation_h: 1,
        dilation_w: 1,
        pad_top: 0,
        pad_left: 0,
    }
}

impl Layer {
    /// Random weights and inputs for a window; `traits.seed` decides them.
    pub fn new(window: Window, traits: Traits) -> Self {
        let taps = image_len(window.kernel_h, window.kernel_w, window.in_c / traits.groups);
        let out_c = usize::from(window.out_c);
        let input_len = image_len(window.in_h, window.in_w, window.in_c);
        let input = Random::bytes(traits.seed, input_len);
        let mut random = Random(!traits.seed);
        let mut bench = Bench::new();
        let params = op::Conv {
            input: bench.input(&input),
            output: bench.output(image_len(window.out_h, window.out_w, window.out_c)),
            scratch: 0,
            groups: traits.groups,
            window,
            weights: 0,
            bias: 0,
            multipliers: 0,
            shift: traits.shift,
            pad_value: traits.pad_value,
            out_zero: traits.out_zero,
            act_min: traits.bounds.0,
            act_max: traits.bounds.1,
            coding: 0,
            reserved: [0; 2],
        };
        Self {
            bench,
            params,
            input,
            weights: Random::bytes(traits.seed.rotate_left(2), taps * out_c),
            bias: (0..out_c).map(|_| random.next() as i32 >> 12).collect(),
            multipliers: (0..out_c).map(|_| random.next() as i32 >> 5).collect(),
        }
    }

    /// A small layer with padding that every convolution kernel takes, or, with as many groups as
    /// it has channels, 6, every depthwise one.
    pub fn small(groups: u16, seed: u64) -> Self {
        let window = Window {
            in_h: 4,
            in_w: 5,
            in_c: 6,
            out_h: 4,
            out_w: 5,
            out_c: 6,
            kernel_h: 3,
            kernel_w: 3,
            pad_top: 1,
            pad_left: 1,
            ..pointwise(5, 6, 6)
        };
        let traits = Traits {
            groups,
            seed,
            shift: 0,
            pad_value: 3,
            out_zero: -4,
            bounds: (i8::MIN, i8::MAX),
        };
        Self::new(window, traits)
    }

    /// Its constants in the order of `opcode`, in words; `None` if that opcode refuses it.
    pub fn stream(&self, opcode: Opcode) -> Option<Vec<u32>> {
        let packed = self.constants(opcode)?;
        let words = packed.as_chunks().0.iter();
        Some(words.map(|&word| u32::from_le_bytes(word)).collect())
    }

    fn constants(&self, opcode: Opcode) -> Option<Vec<u8>> {
        let constants =
            Constants { weights: &self.weights, bias: &self.bias, multipliers: &self.multipliers };
        layout::pack(opcode, &self.params, constants)
    }

    /// The layer in the order of `opcode`; `None` if that opcode refuses it.
    pub fn packed(&self, opcode: Opcode) -> Option<(Bench, op::Conv)> {
        let packed = self.constants(opcode)?;
        let mut bench = self.bench.clone();
        let scratch_len = layout::scratch_len(&self.params, opcode, self.portion()).unwrap();
        let params = op::Conv {
            scratch: bench.scratch(scratch_len),
            weights: bench.data(&packed),
            bias: bench.data(&self.bias),
            multipliers: bench.data(&self.multipliers),
            ..self.params
        };
        Some((bench, params))
    }

    /// Any number of rows and channels is enough.
    fn portion(&self) -> Portion {
        let first = self.bias.first().copied().unwrap_or(0);
        Portion {
            rows: 1 + first.rem_euclid(16) as usize,
            channels: 1 + first.rem_euclid(5) as usize,
        }
    }

    /// As [`packed`](Self::packed), with constants as a stream of the given coding.
    pub fn coded(&self, opcode: Opcode, coding: u8) -> Option<(Bench, op::Conv)> {
        let constants =
            Constants { weights: &self.weights, bias: &self.bias, multipliers: &self.multipliers };
        let stream = layout::code(opcode, &self.params, constants, coding)?;
        let mut bench = self.bench.clone();
        let mut params = op::Conv { coding, ..self.params };
        params.weights = bench.data(&stream);
        params.scratch =
            bench.scratch(layout::scratch_len(&params, opcode, self.portion()).unwrap());
        Some((bench, params))
    }

    /// As [`packed`](Self::packed), with the output over the input, `lead` bytes before it.
    pub fn trailing(&self, opcode: Opcode, lead: usize) -> Option<(Bench, op::Conv)> {
        // Room around the input for whatever of the output lies before and behind it.
        let mut layer = Self { bench: Bench::new(), ..self.clone() };
        layer.bench.output(lead);
        let input = layer.bench.input(&self.input);
        let len =
            image_len(self.params.window.out_h, self.params.window.out_w, self.params.window.out_c);
        layer.bench.output(len);
        let output = layer.bench.alias(input, |tensor| {
            tensor.offset -= lead as u32;
            tensor.len_bytes = len as u32;
        });
        layer.params = op::Conv { input, output, ..self.params };
        layer.packed(opcode)
    }

    /// The output by `O`, whose opcode is `opcode`; `None` if that opcode refuses the layer.
    pub fn run<O: Operator<Params = op::Conv>>(&self, opcode: Opcode) -> Option<Vec<i8>> {
        let (bench, params) = self.packed(opcode)?;
        Some(bench.run::<O>(&params, params.window.out_h, params.output))
    }

    /// With constants of every coding the output is the one by definition.
    pub fn survives_coding<O: Operator<Params = op::Conv>>(self, opcode: Opcode) {
        let check = |layer: &Self, coding| {
            let (bench, params) = layer.coded(opcode, coding).unwrap();
            let found = bench.run::<O>(&params, params.window.out_h, params.output);
            assert_eq!(found, layer.expected(), "coding {coding}");
        };
        let layer = self.with_codable_multipliers();
        check(&layer, CODED);
        check(&layer.with_few_weights(), PACKED);
    }

    /// Every change of the record is refused or runs, whatever the coding of its constants.
    pub fn survives_mutations<O: Operator<Params = op::Conv>>(self, opcode: Opcode) {
        let (bench, params) = self.packed(opcode).unwrap();
        bench.survives_mutations::<O>(params, params.window.out_h);
        let layer = self.with_codable_multipliers().with_few_weights();
        for coding in [CODED, PACKED] {
            let (bench, params) = layer.coded(opcode, coding).unwrap();
            bench.survives_mutations::<O>(params, params.window.out_h);
        }
    }

    /// As [`run`](Self::run) with rings of `ring_rows` rows for input and output: row *y* of the
    /// input is what row *y* mod `ring_rows` is. Gives the rows that are left and the same rows by
    /// definition.
    pub fn run_on_rings<O: Operator<Params = op::Conv>>(
        mut self,
        opcode: Opcode,
        ring_rows: u16,
    ) -> Option<[Vec<i8>; 2]> {
        let Window { in_w, in_c, in_h, out_w, out_c, out_h, .. } = self.params.window;
        let slots = usize::from(ring_rows);
        let (in_row, out_row) = (image_len(1, in_w, in_c), image_len(1, out_w, out_c));
        self.input.resize(in_row * slots, 0);
        let mut bench = Bench::new();
        let (input, output) = (bench.input(&self.input), bench.output(out_row * slots));
        self.params.input = bench.alias(input, |tensor| tensor.ring_rows = ring_rows);
        self.params.output = bench.alias(output, |tensor| tensor.ring_rows = ring_rows);
        self.bench = bench;
        let ring = self.run::<O>(opcode)?;
        self.input = self.input.repeat(usize::from(in_h).div_ceil(slots));
        let (mut found, mut expected) = (Vec::new(), Vec::new());
        for (y, row) in self.expected().chunks(out_row).enumerate() {
            if y + slots >= usize::from(out_h) {
                found.extend(&ring[y % slots * out_row..][..out_row]);
                expected.extend(row);
            }
        }
        Some([found, expected])
    }

    /// The output by definition.
    pub fn expected(&self) -> Vec<i8> {
        let params = &self.params;
        let input = (&self.input[..], params.pad_value);
        let constants = (&self.weights[..], &self.bias[..]);
        let accs = accumulators((&params.window, params.groups), input, constants);
        let output = |(acc, multiplier): (i64, &i32)| {
            let value = i64::from(params.out_zero) + requant(acc, *multiplier, params.shift);
            value.max(params.act_min.into()).min(params.act_max.into()) as i8
        };
        accs.into_iter().zip(self.multipliers.iter().cycle()).map(output).collect()
    }

    /// Makes multipliers positive, as those of real layers are.
    pub fn with_codable_multipliers(mut self) -> Self {
        for multiplier in &mut self.multipliers {
            *multiplier = multiplier.saturating_abs();
        }
        self
    }

    /// Replaces weights by multiples of 17, of which there are few enough for 1 to 4 bits; those of one
    /// layer in five are kept.
    pub fn with_few_weights(mut self) -> Self {
        let most = [1, 2, 4, 7, 0][self.bias.first().map_or(0, |bias| *bias as usize % 5)];
        if most == 0 {
            return self;
        }
        for weight in &mut self.weights {
            *weight = (*weight / 17).clamp(1 - most, most) * 17;
        }
        self
    }

    /// Makes so many eighths of the blocks of two channels and four taps zero: the taps of a kernel
    /// row in fours.
    pub fn without_blocks(mut self, eighths: u64) -> Self {
        let window = &self.params.window;
        let groups = self.params.groups;
        let row_taps = image_len(1, window.kernel_w, window.in_c / groups);
        let taps = row_taps * usize::from(window.kernel_h);
        let group_out = usize::from(window.out_c / groups);
        for (at, weight) in self.weights.iter_mut().enumerate() {
            let (channel, tap) = (at / taps, at % taps);
            let pair = channel / group_out * group_out + channel % group_out / 2;
            let quad = tap / row_taps * row_taps + tap % row_taps / 4;
            let seed = self.bias[0] as u64 ^ (pair * 65536 + quad) as u64;
            if Random(seed).next() % 8 < eighths {
                *weight = 0;
            }
        }
        self
    }

    /// Replaces weights of −128 by −127, as a symmetric quantiser would have.
    pub fn without_lowest_weight(mut self) -> Self {
        for weight in &mut self.weights {
            *weight = (*weight).max(-127);
        }
        self
    }
}

/// The accumulators of a convolution by definition, `[out_h, out_w, out_c]`: of an input with what
/// stands outside it, and weights with biases.
pub fn accumulators<T: Copy + Into<i64>>(
    (window, groups): (&Window, u16),
    (input, pad_value): (&[T], T),
    (weights, bias): (&[i8], &[i32]),
) -> Vec<i64> {
    let group_in = window.in_c / groups;
    let taps = image_len(window.kernel_h, window.kernel_w, group_in);
    let mut accs = Vec::new();
    for y in 0..window.out_h {
        for x in 0..window.out_w {
            for (n, (weights, &bias)) in (0..).zip(weights.chunks(taps).zip(bias)) {
                let first = n / (window.out_c / groups) * group_in;
                let mut weights = weights.iter();
                let mut acc = i64::from(bias);
                for i in 0..window.kernel_h {
                    for j in 0..window.kernel_w {
                        let pixel = pixel_seen(window, [y, x], [i, j]);
                        for c in first..first + group_in {
                            let at = |pixel| pixel * usize::from(window.in_c) + usize::from(c);
                            let seen = pixel.map_or(pad_value, |pixel| input[at(pixel)]);
                            acc += i64::from(*weights.next().unwrap()) * seen.into();
                        }
                    }
                }
                accs.push(acc);
            }
        }
    }
    accs
}

/// The pixel of the input, counted row by row, that tap `(i, j)` of output `(y, x)` sees; `None` in
/// the padding.
fn pixel_seen(window: &Window, [y, x]: [u16; 2], [i, j]: [u16; 2]) -> Option<usize> {
    let at = |output: u16, stride: u16, pad: u16, tap: u16, dilation: u16| {
        i64::from(output) * i64::from(stride) - i64::from(pad)
            + i64::from(tap) * i64::from(dilation)
    };
    let row = at(y, window.stride_h, window.pad_top, i, window.dilation_h);
    let column = at(x, window.stride_w, window.pad_left, j, window.dilation_w);
    let inside =
        (0..i64::from(window.in_h)).contains(&row) && (0..i64::from(window.in_w)).contains(&column);
    inside.then(|| row as usize * usize::from(window.in_w) + column as usize)
}
