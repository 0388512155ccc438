//! Takes numbers from a stream of packed constants.

use fixie_format::op::packed::{MAX_LISTED, MAX_LISTED_BITS, Packing};
use fixie_format::{Image, Record};

use crate::coded::decoder::Grid;
use crate::rule::Rule;

/// Indices that lie in as many whole bytes as each of them has bits.
const CHUNK: usize = 8;

/// What the lowest bits of a word stand for, whatever is above them: the value of every index of a few
/// bits, again and again.
#[derive(Clone, Copy)]
struct Values([i8; MAX_LISTED]);

impl Values {
    /// Of a second channel that there is not.
    const ZERO: Self = Self([0; MAX_LISTED]);

    fn new(packing: &Packing, listed: &[u8]) -> Self {
        let mut values = [0; MAX_LISTED];
        for (n, value) in (0..).zip(&mut values) {
            let index: u8 = n & !u8::MAX.wrapping_shl(packing.bits.into());
            let counted = (packing.first as u8).wrapping_add(index.wrapping_mul(packing.step));
            *value = listed.get(usize::from(index)).map_or(counted, |&value| value) as i8;
        }
        Self(values)
    }

    #[inline(always)]
    fn of(&self, word: u32) -> i8 {
        self.0[word as usize % MAX_LISTED]
    }
}

/// What stands in the stream before the first channel, and what follows it.
fn read_head(stream: &[u8]) -> Option<(Packing, Values, &[u8])> {
    let packing = Packing::read(stream).filter(Packing::is_sound)?;
    let rest = stream.get(Packing::LEN..)?;
    let (listed, rest) = rest.split_at_checked(packing.listed_values())?;
    Some((packing, Values::new(&packing, listed), rest))
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
    /// Of the channel whose bias was taken last.
    multiplier: i32,
}

impl<'a> Unpacker<'a> {
    /// Starts with the first number; `None` if the stream is cut short before it, or contradicts
    /// itself.
    #[inline(never)]
    pub fn new(stream: &'a [u8]) -> Option<Self> {
        let (packing, values, rest) = read_head(stream)?;
        Some(Self { packing, values, rest, multiplier: 0 })
    }

    /// The bias of the next channel; behind the end of the stream 0.
    #[inline(never)]
    pub fn bias(&mut self) -> i32 {
        let Packing { bias_bits, multiplier_bits, multiplier_shift, .. } = self.packing;
        let numbers = match self.rest.first_chunk() {
            Some(&bytes) => u64::from_le_bytes(bytes),
            None => self.rest.iter().rev().fold(0, |all, &byte| all << 8 | u64::from(byte)),
        };
        self.rest = self.rest.get(self.packing.numbers_len()..).unwrap_or_default();
        let multiplier = numbers.wrapping_shr(bias_bits.into()) as u32;
        let multiplier = multiplier & !u32::MAX.wrapping_shl(multiplier_bits.into());
        self.multiplier = multiplier.wrapping_shl(multiplier_shift.into()) as i32;
        let unused = u32::from(32_u8.wrapping_sub(bias_bits));
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
        let mut indices = self.indices(grid.rows.checked_mul(grid.columns)?)?;
        if self.has_short_indices() && (grid.rows, grid.column_step) == (1, 1) {
            for chunk in bytes.get_mut(..grid.columns)?.chunks_mut(CHUNK) {
                let mut word = indices.next_chunk();
                for weight in chunk {
                    *weight = self.values.of(word);
                    word = indices.behind(word);
                }
            }
            return Some(());
        }
        let mut row = 0_usize;
        for _ in 0..grid.rows {
            let mut at = row;
            for _ in 0..grid.columns {
                *bytes.get_mut(at)? = self.value(indices.next());
                at = at.wrapping_add(grid.column_step);
            }
            row = row.wrapping_add(grid.row_step);
        }
        Some(())
    }

    /// Whether indices have few bits, so that [`Self::pairs`] can take them.
    pub fn has_short_indices(&self) -> bool {
        self.packing.bits <= MAX_LISTED_BITS
    }

    #[inline(always)]
    fn value(&self, index: u32) -> i8 {
        if self.has_short_indices() {
            return self.values.of(index);
        }
        let steps = index.wrapping_mul(self.packing.step.into());
        steps.wrapping_add(self.packing.first as u32) as i8
    }

    /// The next weights of that channel, as the stream holds them; `None` behind its end.
    pub fn indices(&mut self, count: usize) -> Option<Indices<'a>> {
        let len = self.packing.weights_len(count)?;
        let (rest, behind) = self.rest.split_at_checked(len)?;
        self.rest = behind;
        Some(Indices { rest, bits: self.packing.bits, word: 0, count: 0 })
    }

    /// Goes through the weights of two channels side by side, which are short, four of each at a time, which `put`
    /// gets as the numbers `256 · w1 + w0`, until there is no place left. A second channel that there
    /// is not has weights of 0.
    #[inline(always)]
    pub fn pairs<T>(
        &self,
        mut first: Indices<'a>,
        second: Option<Indices<'a>>,
        places: &mut [T],
        put: impl Fn(&mut T, [i32; 4]),
    ) {
        let values = self.values;
        let (mut second, upper) = match second {
            Some(second) => (second, values),
            None => (first, Values::ZERO),
        };
        for two in places.chunks_mut(CHUNK / 4) {
            let (mut a, mut b) = (first.next_chunk(), second.next_chunk());
            for place in two {
                let mut next = || {
                    let number = (i32::from(upper.of(b)) << 8).wrapping_add(values.of(a).into());
                    (a, b) = (first.behind(a), second.behind(b));
                    number
                };
                put(place, [next(), next(), next(), next()]);
            }
        }
    }
}

/// Weights of a channel, as the stream holds them.
#[derive(Clone, Copy)]
pub struct Indices<'a> {
    rest: &'a [u8],
    /// Of each.
    bits: u8,
    /// The lowest bits that [`Self::next`] has read and not given yet, and how many.
    word: u32,
    count: u8,
}

impl Indices<'_> {
    /// The next index; behind the end 0.
    #[inline(always)]
    fn next(&mut self) -> u32 {
        if self.count < self.bits {
            let (byte, rest) = self.rest.split_first().unwrap_or((&0, &[]));
            self.word |= u32::from(*byte).wrapping_shl(self.count.into());
            self.count = self.count.wrapping_add(8);
            self.rest = rest;
        }
        let index = self.word & !u32::MAX.wrapping_shl(self.bits.into());
        self.word = self.behind(self.word);
        self.count = self.count.wrapping_sub(self.bits);
        index
    }

    /// The next [`CHUNK`] indices, which are short, the first one in the lowest bits.
    #[inline(always)]
    fn next_chunk(&mut self) -> u32 {
        let word = match self.rest.first_chunk() {
            Some(&bytes) => u32::from_le_bytes(bytes),
            None => self.rest.iter().rev().fold(0, |word, &byte| word << 8 | u32::from(byte)),
        };
        self.rest = self.rest.get(self.bits.into()..).unwrap_or_default();
        word
    }

    /// A word without its first index.
    #[inline(always)]
    fn behind(&self, word: u32) -> u32 {
        word.wrapping_shr(self.bits.into())
    }
}
