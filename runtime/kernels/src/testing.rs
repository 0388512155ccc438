//! What the operators' tests share: a small image, an arena with guards, and random values.

use std::iter;
use std::ops::Range;
use std::vec;
use std::vec::Vec;

use fixie_format::op::{DataOffset, Window};
use fixie_format::table::{Dtype, Place, Port, Tensor, TensorId};
use fixie_format::{Image, ImageBuilder, Record};
use proptest::prelude::*;

use crate::memory::Memory;
use crate::ops::Operator;
use crate::rule::Rule;

/// What an arena holds where no test has put anything.
pub const FILLER: u8 = 0xa5;
/// Bytes left free behind every tensor, so that a stray write is seen.
const GUARD_LEN: usize = 20;

/// Tensors and constants for one operator under test.
///
/// ```text
/// let mut bench = Bench::new();
/// let (input, output) = (bench.input(&[1, 2]), bench.output(2));
/// let table = bench.data(&[..]);
/// let bytes = bench.run::<ops::Lut>(&Lut { input, output, table }, 1, output);
/// ```
#[derive(Clone, Default)]
pub struct Bench {
    builder: ImageBuilder,
    tensors: Vec<Tensor>,
    /// What the arena holds before the operator runs.
    arena: Vec<u8>,
    scratch: Vec<Range<usize>>,
    ports: u16,
}

impl Bench {
    /// No tensors, no constants.
    pub fn new() -> Self {
        Self::default()
    }

    /// A tensor in the arena that holds `values`.
    pub fn input(&mut self, values: &[i8]) -> TensorId {
        let id = self.output(values.len());
        let span = self.span(id);
        self.arena[span].copy_from_slice(bytemuck::cast_slice(values));
        id
    }

    /// A tensor in the arena of `len` bytes.
    pub fn output(&mut self, len: usize) -> TensorId {
        let offset = self.arena.len();
        self.arena.resize((offset + len).next_multiple_of(4) + GUARD_LEN, FILLER);
        self.tensor(Tensor {
            offset: offset as u32,
            len_bytes: len as u32,
            dtype: Dtype::I8 as u8,
            place: Place::Arena as u8,
            ring_rows: 0,
        })
    }

    /// Working memory of `len` bytes, which the operator may leave in any state.
    pub fn scratch(&mut self, len: usize) -> TensorId {
        let id = self.output(len);
        self.scratch.push(self.span(id));
        id
    }

    /// A tensor in the arena that holds `values`, in elements of 16 bits.
    pub fn wide_input(&mut self, values: &[i16]) -> TensorId {
        let bytes: Vec<i8> = values.iter().flat_map(|v| v.to_le_bytes().map(|b| b as i8)).collect();
        let id = self.input(&bytes);
        self.alias(id, |tensor| tensor.dtype = Dtype::I16 as u8)
    }

    /// A tensor in the arena of `len` elements of 16 bits.
    pub fn wide_output(&mut self, len: usize) -> TensorId {
        let id = self.output(2 * len);
        self.alias(id, |tensor| tensor.dtype = Dtype::I16 as u8)
    }

    /// A constant tensor.
    pub fn constant(&mut self, values: &[i8]) -> TensorId {
        let offset = self.builder.data(values);
        self.tensor(Tensor {
            offset,
            len_bytes: values.len() as u32,
            dtype: Dtype::I8 as u8,
            place: Place::Data as u8,
            ring_rows: 0,
        })
    }

    /// Another view of the tensor `of`, changed by `change`: a ring, an overlapping span.
    pub fn alias(&mut self, of: TensorId, change: impl FnOnce(&mut Tensor)) -> TensorId {
        let mut tensor = self.tensors[of as usize];
        change(&mut tensor);
        self.tensor(tensor)
    }

    /// Declares an input of the model and gives its index.
    pub fn port(&mut self, port: Port) -> u16 {
        self.builder.input(port);
        self.ports += 1;
        self.ports - 1
    }

    /// Appends constants to the data section.
    pub fn data<T: bytemuck::NoUninit>(&mut self, items: &[T]) -> DataOffset {
        self.builder.data(items)
    }

    /// What [`Operator::check`] says.
    pub fn check<O: Operator>(&self, params: &O::Params, rows: u16) -> Result<(), Rule> {
        let bytes = self.image();
        O::check(params, rows, &parse(&bytes))
    }

    /// Checks and runs an operator and gives the bytes of `output`.
    ///
    /// It runs once whole and once row by row, which must not differ, and it must change nothing
    /// beside `output` and scratch memory.
    ///
    /// # Panics
    ///
    /// Where the operator refuses its parameters or breaks one of these promises.
    pub fn run<O: Operator>(&self, params: &O::Params, rows: u16, output: TensorId) -> Vec<i8> {
        self.check::<O>(params, rows).expect("valid parameters");
        let rows = usize::from(rows);
        let whole = self.run_steps::<O>(params, iter::once(0..rows), output);
        let stepped = self.run_steps::<O>(params, (0..rows).map(|y| y..y + 1), output);
        assert_eq!(whole, stepped, "rows computed one by one differ");
        whole
    }

    /// As [`run`](Self::run), one step per item of `steps`, on parameters which may be invalid.
    pub fn run_steps<O: Operator>(
        &self,
        params: &O::Params,
        steps: impl IntoIterator<Item = Range<usize>>,
        output: TensorId,
    ) -> Vec<i8> {
        let bytes = self.image();
        let mut words = aligned(&self.arena);
        let arena = &mut bytemuck::cast_slice_mut(&mut words)[..self.arena.len()];
        let mut memory = Memory::new(parse(&bytes), arena);
        for step in steps {
            O::run(params, step, &mut memory).expect("what was checked runs");
        }
        let result = bytemuck::cast_slice(memory.bytes(output).unwrap()).to_vec();
        let written = || self.scratch.iter().cloned().chain([self.span(output)]);
        for (at, (now, before)) in arena.iter().zip(&self.arena).enumerate() {
            assert!(
                now == before || written().any(|span| span.contains(&at)),
                "arena byte {at} was overwritten"
            );
        }
        result
    }

    /// Changes the parameters byte by byte: what the operator accepts must run, and what it
    /// refuses must not panic when it is run all the same.
    ///
    /// # Panics
    ///
    /// Where it does not.
    pub fn survives_mutations<O: Operator>(&self, params: O::Params, rows: u16) {
        let bytes = self.image();
        let image = parse(&bytes);
        let mut record = vec![0; O::Params::LEN];
        params.write(&mut record).unwrap();
        for at in 0..record.len() {
            let original = record[at];
            let near = [original.wrapping_add(1), original.wrapping_sub(1)];
            for value in [0, 1, 2, 31, 32, 127, 128, 255].into_iter().chain(near) {
                record[at] = value;
                let mutant = O::Params::read(&record).unwrap();
                let accepted = O::check(&mutant, rows, &image);
                let mut words = aligned(&self.arena);
                let arena = &mut bytemuck::cast_slice_mut(&mut words)[..self.arena.len()];
                let mut memory = Memory::new(image, arena);
                let ran = O::run(&mutant, 0..usize::from(rows), &mut memory);
                assert!(
                    accepted.is_err() || ran.is_some(),
                    "accepted, but did not run with {value} at byte {at}"
                );
            }
            record[at] = original;
        }
    }

    fn tensor(&mut self, tensor: Tensor) -> TensorId {
        self.tensors.push(tensor);
        self.builder.tensor(tensor)
    }

    /// Where a tensor lies in the arena.
    fn span(&self, id: TensorId) -> Range<usize> {
        let tensor = self.tensors[id as usize];
        tensor.offset as usize..(tensor.offset + tensor.len_bytes) as usize
    }

    fn image(&self) -> Vec<u128> {
        let mut builder = self.builder.clone();
        builder.arena_len(self.arena.len() as u32);
        aligned(&builder.build())
    }
}

/// A copy of `bytes`, zero-padded, with the alignment that flash and arenas have.
fn aligned(bytes: &[u8]) -> Vec<u128> {
    let mut words = vec![0; bytes.len().div_ceil(size_of::<u128>())];
    bytemuck::cast_slice_mut(&mut words)[..bytes.len()].copy_from_slice(bytes);
    words
}

fn parse(words: &[u128]) -> Image<'_> {
    Image::parse(bytemuck::cast_slice(words)).expect("a well-formed image")
}

/// Random numbers for shapes and values, the same ones for the same seed (`SplitMix64`).
pub struct Random(pub u64);

impl Random {
    /// 64 random bits.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// `len` bytes; a seed that is a multiple of 4 gives nothing but −128 and 127.
    pub fn bytes(seed: u64, len: usize) -> Vec<i8> {
        let mut random = Self(seed);
        let extremes = seed.is_multiple_of(4);
        (0..len)
            .map(|_| match random.next() as i8 {
                negative if extremes && negative < 0 => i8::MIN,
                _ if extremes => i8::MAX,
                value => value,
            })
            .collect()
    }
}

/// The elements of 16 bits that these bytes are.
pub fn halves(bytes: &[i8]) -> Vec<i16> {
    bytes.chunks(2).map(|pair| i16::from_le_bytes([pair[0] as u8, pair[1] as u8])).collect()
}

/// The format's `requant`, in 128 bits; `acc << shift` must be within 32 bits, as there.
pub fn requant(acc: i64, multiplier: i32, shift: u8) -> i64 {
    let shifted = i128::from(acc) << shift;
    assert!(i32::try_from(shifted).is_ok(), "the test leaves 32 bits");
    let product = shifted * i128::from(multiplier) + (1 << 31);
    product.div_euclid(1 << 32) as i64
}

/// Windows with `in_c == out_c`, small enough to look at; some see nothing but padding.
pub fn windows() -> impl Strategy<Value = Window> {
    let axis = || (1u16..9, 1u16..5, 1u16..4, 1u16..4, 0u16..7, 1u16..7);
    (axis(), axis(), 1u16..20).prop_map(|(vertical, horizontal, channels)| {
        let (in_h, kernel_h, stride_h, dilation_h, pad_top, out_h) = vertical;
        let (in_w, kernel_w, stride_w, dilation_w, pad_left, out_w) = horizontal;
        Window {
            in_h,
            in_w,
            in_c: channels,
            out_h,
            out_w,
            out_c: channels,
            kernel_h,
            kernel_w,
            stride_h,
            stride_w,
            dilation_h,
            dilation_w,
            pad_top,
            pad_left,
        }
    })
}

/// Elements of an `[h, w, c]` tensor.
pub fn image_len(h: u16, w: u16, c: u16) -> usize {
    usize::from(h) * usize::from(w) * usize::from(c)
}

/// For every element of the output, `[out_h, out_w, out_c]`: what its window sees of that channel.
pub fn seen(window: &Window, input: &[i8]) -> Vec<Vec<i8>> {
    let position = |output: u16, stride: u16, pad: u16, tap: u16, dilation: u16| {
        i64::from(output) * i64::from(stride) - i64::from(pad)
            + i64::from(tap) * i64::from(dilation)
    };
    let mut outputs = Vec::new();
    for (y, x, c) in indices(window.out_h, window.out_w, window.out_c) {
        let mut values = Vec::new();
        for (i, j, _) in indices(window.kernel_h, window.kernel_w, 1) {
            let row = position(y, window.stride_h, window.pad_top, i, window.dilation_h);
            let column = position(x, window.stride_w, window.pad_left, j, window.dilation_w);
            let inside = (0..i64::from(window.in_h)).contains(&row)
                && (0..i64::from(window.in_w)).contains(&column);
            if inside {
                let pixel = row as usize * usize::from(window.in_w) + column as usize;
                values.push(input[pixel * usize::from(window.in_c) + usize::from(c)]);
            }
        }
        outputs.push(values);
    }
    outputs
}

/// All index triples below the given extents, the last one varying fastest.
fn indices(a: u16, b: u16, c: u16) -> impl Iterator<Item = (u16, u16, u16)> {
    (0..a).flat_map(move |i| (0..b).flat_map(move |j| (0..c).map(move |k| (i, j, k))))
}

/// An operator that writes one tensor, whatever it was given as output.
struct Stray;

impl Operator for Stray {
    type Params = TensorId;

    fn check(_: &TensorId, _: u16, _: &Image<'_>) -> Result<(), Rule> {
        Ok(())
    }

    fn run(written: &TensorId, _: Range<usize>, memory: &mut Memory<'_>) -> Option<()> {
        memory.tensors().dst(*written)?.fill(1);
        Some(())
    }
}

#[test]
fn scratch_may_be_left_in_any_state() {
    let mut bench = Bench::new();
    let (scratch, output) = (bench.scratch(3), bench.output(2));
    assert_eq!(bench.run::<Stray>(&scratch, 1, output), [FILLER as i8; 2]);
    assert_eq!(bench.run::<Stray>(&output, 1, output), [1; 2]);
}

#[test]
#[should_panic(expected = "arena byte 0 was overwritten")]
fn a_stray_write_is_seen() {
    let mut bench = Bench::new();
    let (input, output) = (bench.input(&[0]), bench.output(1));
    bench.run::<Stray>(&input, 1, output);
}
