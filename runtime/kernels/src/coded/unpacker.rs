//! Takes numbers from a stream of packed constants.

use fixie_format::op::packed::{MAX_LISTED, MAX_LISTED_BITS, Packing};
use fixie_format::op::paired;
use fixie_format::{Image, Record};

use crate::coded::decoder::Grid;
use crate::rule::Rule;

/// Bits of a short index in a word.
const NIBBLE: u32 = 4;
/// Indices that lie in as many whole bytes as each of them has bits.
const CHUNK: usize = 8;

/// The value of every index of a few bits.
struct Values([i8; MAX_LISTED]);

impl Values {
    fn new(packing: Packing, listed: &[u8]) -> Self {
        let mut values = [0; MAX_LISTED];
        let mut next = packing.first;
        for value in &mut values {
            *value = next;
            next = next.wrapping_add_unsigned(packing.step);
        }
        for (value, &listed) in values.iter_mut().zip(listed) {
            *value = listed as i8;
        }
        Self(values)
    }

    /// That of the lowest four bits of a word.
    #[inline(always)]
    fn of(&self, word: u32) -> i8 {
        self.0[word as usize % MAX_LISTED]
    }

    /// What four indices of two channels stand for, as [`Unpacker::pairs`] says.
    #[inline(always)]
    fn pairs(&self, upper: &Self, a: u32, b: u32) -> [u32; 2] {
        let number = |shift: u32| {
            let number = i32::from(upper.of(b >> shift)) << 8;
            number.wrapping_add(self.of(a >> shift).into()) as u32
        };
        [number(0) & 0xffff | number(8) << 16, number(4) & 0xffff | number(12) << 16]
    }
}

/// What stands in the stream before the first channel, and what follows it.
fn read_head(stream: &[u8]) -> Option<(Packing, Values, &[u8])> {
    let packing = Packing::read(stream).filter(Packing::is_sound)?;
    let rest = stream.get(Packing::LEN..)?;
    let (listed, rest) = rest.split_at_checked(packing.listed_values())?;
    Some((packing, Values::new(packing, listed), rest))
}

/// Checks that the stream at `offset` holds so many channels of `taps` weights.
///
/// # Errors
///
/// [`Rule::Data`] where it leaves the data section or contradicts itself.
pub fn check_packed(
    image: &Image<'_>,
    offset: u32,
    channels: usize,
    taps: usize,
) -> Result<(), Rule> {
    let is_whole = |stream| {
        let (packing, _, rest) = read_head(stream)?;
        let channel_len = packing.weights_len(taps)?.checked_add(packing.numbers_len())?;
        Some(rest.len() >= channel_len.checked_mul(channels)?)
    };
    let found = image.data_from(offset).and_then(is_whole);
    found.filter(|&is_whole| is_whole).map(|_| ()).ok_or(Rule::Data(offset))
}

/// A stream of packed constants that is being read.
pub struct Unpacker<'a> {
    packing: Packing,
    values: Values,
    /// The bytes that nothing was taken from yet.
    rest: &'a [u8],
    /// Of a channel's bias and multiplier.
    numbers_len: usize,
    /// Where a multiplier is in them, before it is shifted.
    multiplier_mask: u32,
    /// Of the channel whose bias was taken last.
    multiplier: i32,
}

impl<'a> Unpacker<'a> {
    /// Starts with the first number; `None` if the stream is cut short before it, or contradicts
    /// itself.
    #[inline(never)]
    pub fn new(stream: &'a [u8]) -> Option<Self> {
        let (packing, values, rest) = read_head(stream)?;
        let numbers_len = packing.numbers_len();
        let multiplier_mask = !u32::MAX.wrapping_shl(packing.multiplier_bits.into());
        Some(Self { packing, values, rest, numbers_len, multiplier_mask, multiplier: 0 })
    }

    /// The bias of the next channel; behind the end of the stream 0.
    #[inline(never)]
    pub fn bias(&mut self) -> i32 {
        let numbers = match self.rest.first_chunk() {
            Some(&bytes) => u64::from_le_bytes(bytes),
            None => number(self.rest),
        };
        self.rest = self.rest.get(self.numbers_len..).unwrap_or_default();
        let bias_bits = u32::from(self.packing.bias_bits);
        let multiplier = numbers.wrapping_shr(bias_bits) as u32 & self.multiplier_mask;
        self.multiplier = multiplier.wrapping_shl(self.packing.multiplier_shift.into()) as i32;
        let unused = u32::BITS.wrapping_sub(bias_bits);
        (numbers as i32).checked_shl(unused).unwrap_or(0) >> unused.min(31)
    }

    /// The multiplier of the channel whose bias was taken last.
    pub fn multiplier(&self) -> i32 {
        self.multiplier
    }

    /// The next weights of that channel, to where they belong in `bytes`; `None` if that is outside,
    /// or behind the end of the stream.
    // One function for all kernels, whose loop has the registers for itself.
    #[inline(never)]
    pub fn weights(&mut self, bytes: &mut [i8], grid: Grid) -> Option<()> {
        let mut indices = self.indices(grid.rows.wrapping_mul(grid.columns))?;
        if self.has_short_indices() {
            let (mut word, mut left) = (0, 0_usize);
            return grid.fill(bytes, || {
                if left == 0 {
                    (word, left) = (indices.next_nibbles(), CHUNK);
                }
                let weight = self.values.of(word);
                (word, left) = (word >> NIBBLE, left.wrapping_sub(1));
                weight
            });
        }
        let Packing { bits, first, step, .. } = self.packing;
        let (bits, mask) = (u32::from(bits), !u32::MAX.wrapping_shl(bits.into()));
        let mut stored = indices.rest.iter();
        // The lowest bits that were read and not used yet, and how many.
        let (mut word, mut count) = (0, 0_u32);
        grid.fill(bytes, || {
            if count < bits {
                let byte = stored.next().copied().unwrap_or(0);
                word |= u32::from(byte).wrapping_shl(count);
                count = count.wrapping_add(u8::BITS);
            }
            let steps = (word & mask).wrapping_mul(step.into());
            (word, count) = (word.wrapping_shr(bits), count.wrapping_sub(bits));
            steps.wrapping_add(first as u32) as i8
        })
    }

    /// Whether indices have few bits, so that [`Self::pairs`] can take them.
    pub fn has_short_indices(&self) -> bool {
        self.packing.bits <= MAX_LISTED_BITS
    }

    /// The next weights of that channel, as the stream holds them; `None` behind its end.
    pub fn indices(&mut self, count: usize) -> Option<Indices<'a>> {
        let rest = self.rest;
        // The check has found that these numbers do not overflow.
        let bits = count.wrapping_mul(self.packing.bits.into());
        self.rest = rest.get(bits.div_ceil(8)..)?;
        Some(Indices { rest, bits: self.packing.bits })
    }

    /// The weights of two channels side by side, which are short: four of each, as the numbers
    /// `256 · w1 + w0`, in the order of [`paired`](fixie_format::op::paired), to each place. A second
    /// channel that there is not has weights of 0.
    // One function, whose loop has the registers for itself.
    #[inline(never)]
    pub fn pairs(&self, first: Indices<'_>, second: Option<Indices<'_>>, places: &mut [[u32; 2]]) {
        const { assert!(matches!(paired::TAP_ORDER, [0, 2, 1, 3])) };
        let values = &self.values;
        let (mut first, mut left) = (first, places);
        let has_both = second.is_some();
        let (mut second, upper) = match second {
            Some(second) => (second, values),
            None => (first, &Values([0; MAX_LISTED])),
        };
        if self.packing.bits == MAX_LISTED_BITS && has_both {
            let done = if self.packing.step == 0 {
                fill_listed(first.rest, second.rest, left, values)
            } else {
                fill_even(first.rest, second.rest, left, self.packing)
            };
            first.skip(done);
            second.skip(done);
            left = left.get_mut(done.wrapping_mul(2)..).unwrap_or_default();
        }
        for two in left.chunks_mut(2) {
            let (mut a, mut b) = (first.nibbles(), second.nibbles());
            for place in two {
                *place = values.pairs(upper, a, b);
                (a, b) = (a >> (4 * NIBBLE), b >> (4 * NIBBLE));
            }
        }
    }
}

/// As [`Unpacker::pairs`] for indices of four bits, as long as there are whole words of them: gives
/// their number.
#[inline(never)]
fn fill_listed(first: &[u8], second: &[u8], places: &mut [[u32; 2]], values: &Values) -> usize {
    fill_words(first, second, places, |a, b| values.pairs(values, a, b))
}

/// The same where the values are on an even grid: two numbers at a time.
#[inline(never)]
fn fill_even(first: &[u8], second: &[u8], places: &mut [[u32; 2]], packing: Packing) -> usize {
    const INDICES: u32 = 0x000f_000f;
    let step = u32::from(packing.step);
    // In all four bytes, the lower ones of which are signed.
    let least = (packing.first as u32).wrapping_mul(0x0101_0101);
    fill_words(first, second, places, |a, b| {
        // Taps 0 and 1 in the lower half, taps 2 and 3 in the upper one.
        let [a, b] = [a, b].map(|word| word & 0xffff | word << 8 & 0xffff_0000);
        [0, NIBBLE].map(|shift| {
            let indices = a >> shift & INDICES | (b >> shift & INDICES) << 8;
            let numbers = indices.wrapping_mul(step).wrapping_add(least);
            // A lower number below 0 has borrowed from the upper one.
            numbers.wrapping_add((numbers & 0x8000) << 1)
        })
    })
}

#[inline(always)]
fn fill_words(
    first: &[u8],
    second: &[u8],
    places: &mut [[u32; 2]],
    pairs: impl Fn(u32, u32) -> [u32; 2],
) -> usize {
    let mut second = second.as_chunks().0.iter();
    let mut count = 0_usize;
    for ([here, behind], &a) in places.as_chunks_mut().0.iter_mut().zip(first.as_chunks().0) {
        let Some(&b) = second.next() else { break };
        let (a, b) = (u32::from_le_bytes(a), u32::from_le_bytes(b));
        *here = pairs(a, b);
        *behind = pairs(a >> (4 * NIBBLE), b >> (4 * NIBBLE));
        count = count.wrapping_add(1);
    }
    count
}

/// Weights of a channel, as the stream holds them, and what follows them.
#[derive(Clone, Copy)]
pub struct Indices<'a> {
    rest: &'a [u8],
    /// Of each.
    bits: u8,
}

impl Indices<'_> {
    /// The next [`CHUNK`] indices, which are short, in four bits each.
    #[inline(always)]
    fn next_nibbles(&mut self) -> u32 {
        match self.rest.split_first_chunk() {
            Some((&bytes, rest)) if self.bits == MAX_LISTED_BITS => {
                self.rest = rest;
                u32::from_le_bytes(bytes)
            }
            _ => self.nibbles(),
        }
    }

    /// The same for any number of bits.
    #[inline(never)]
    fn nibbles(&mut self) -> u32 {
        let word = match self.rest.first_chunk() {
            Some(&bytes) => u32::from_le_bytes(bytes),
            None => number(self.rest) as u32,
        };
        self.skip(1);
        let mask = !u32::MAX.wrapping_shl(self.bits.into());
        let index = |n: u32| word.wrapping_shr(n.wrapping_mul(self.bits.into())) & mask;
        (0..CHUNK as u32).rev().fold(0, |nibbles, n| nibbles << NIBBLE | index(n))
    }

    /// Leaves out so many times [`CHUNK`] indices.
    fn skip(&mut self, chunks: usize) {
        let len = chunks.wrapping_mul(self.bits.into());
        self.rest = self.rest.get(len..).unwrap_or_default();
    }
}

/// A few bytes as a number.
#[inline(never)]
fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte))
}
