//! Takes numbers from a stream of coded constants.

use core::slice::Iter;

use fixie_format::op::coded::{Coding, FREQUENCY_SUM, LOWER_BOUND, MAX_BITS};
use fixie_format::{Image, Record};

use crate::coded::decoder::Grid;
use crate::rule::{Rule, check_that};

/// Working memory of a decoder: what each of the 256 slots says of a weight, in the bytes of a word
/// from the lowest: its value, the slot's place among those of its symbol, and, in the two upper
/// ones, the symbol's frequency.
pub type Table = [u32; FREQUENCY_SUM];

/// What stands in the stream before the first number.
struct Head<'a> {
    coding: Coding,
    /// Each minus 1.
    frequencies: &'a [u8],
    /// Empty if they follow from `coding`.
    values: &'a [i8],
    state: u32,
    /// The bytes that refill the state, and whatever follows them.
    rest: &'a [u8],
}

impl<'a> Head<'a> {
    #[inline(never)]
    fn read(stream: &'a [u8]) -> Option<Self> {
        let coding = Coding::read(stream).filter(Coding::is_sound)?;
        let rest = stream.get(Coding::LEN..)?;
        let (frequencies, rest) = rest.split_at_checked(coding.symbols())?;
        let listed = if coding.lists_values() { coding.symbols() } else { 0 };
        let (values, rest) = rest.split_at_checked(listed)?;
        let state = u32::read(rest)?;
        let rest = rest.get(u32::LEN..)?;
        Some(Self { coding, frequencies, values: bytemuck::must_cast_slice(values), state, rest })
    }

    /// Whether the slots are as many as there must be.
    fn is_complete(&self) -> bool {
        let slots = self.frequencies.iter().map(|&f| usize::from(f).wrapping_add(1));
        slots.sum::<usize>() == FREQUENCY_SUM
    }

    /// The value of a symbol.
    fn value(&self, symbol: usize) -> u8 {
        let steps = (symbol as u8).wrapping_mul(self.coding.step);
        let counted = (self.coding.first as u8).wrapping_add(steps);
        self.values.get(symbol).map_or(counted, |&value| value as u8)
    }
}

/// Checks what stands before the numbers of the stream at `offset`.
///
/// # Errors
///
/// [`Rule::Data`] where it leaves the data section, [`Rule::Parameter`] where it contradicts itself.
pub fn check_coded(image: &Image<'_>, offset: u32) -> Result<(), Rule> {
    let head = image.data_from(offset).and_then(Head::read).ok_or(Rule::Data(offset))?;
    check_that(head.is_complete(), "frequency")
}

/// A stream of coded constants that is being read.
///
/// It gives numbers whatever the stream holds: behind its end come zeros.
pub struct RansDecoder<'a, 't> {
    reader: Reader<'a>,
    table: &'t Table,
    coding: Coding,
}

impl<'a, 't> RansDecoder<'a, 't> {
    /// Starts with the first number; `None` if the stream is cut short before it, or contradicts
    /// itself.
    #[inline(never)]
    pub fn new(stream: &'a [u8], table: &'t mut Table) -> Option<Self> {
        let head = Head::read(stream)?;
        let mut symbols = head.frequencies.iter().enumerate();
        let (mut entry, mut left) = (0, 0_u32);
        for slot in table.iter_mut() {
            if left == 0 {
                let (symbol, &frequency) = symbols.next()?;
                left = u32::from(frequency).wrapping_add(1);
                entry = left << 16 | u32::from(head.value(symbol));
            }
            *slot = entry;
            entry = entry.wrapping_add(1 << 8);
            left = left.wrapping_sub(1);
        }
        let complete = left == 0 && symbols.next().is_none();
        let Head { coding, state, rest, .. } = head;
        let words = rest.as_chunks().0.iter();
        complete.then_some(Self { reader: Reader { state, words }, table, coding })
    }

    /// The bias of the next channel.
    pub fn bias(&mut self) -> i32 {
        let bits = self.coding.bias_bits.min(32);
        let unused = u32::from(32_u8.wrapping_sub(bits));
        let number = self.number(bits) as i32;
        number.checked_shl(unused).unwrap_or(0) >> unused.min(31)
    }

    /// The multiplier of the channel whose bias was taken last.
    pub fn multiplier(&mut self) -> i32 {
        let number = self.number(self.coding.multiplier_bits);
        number.wrapping_shl(self.coding.multiplier_shift.into()) as i32
    }

    /// The next weights of that channel, to where they belong in `bytes`; `None` if that is outside.
    // One function for all kernels, whose loop has the registers for itself.
    #[inline(never)]
    pub fn weights(&mut self, bytes: &mut [i8], grid: Grid) -> Option<()> {
        let raw_bits = u32::from(self.coding.raw_bits);
        let low_bits = !u32::MAX.wrapping_shl(raw_bits);
        let table = self.table;
        let mut reader = self.reader.clone();
        let filled = grid.fill(bytes, || {
            let entry = table[usize::from(reader.state as u8)];
            let place = entry >> 8 & 0xff;
            reader.state = (entry >> 16).wrapping_mul(reader.state >> 8).wrapping_add(place);
            let weight = entry.wrapping_add(reader.state & low_bits);
            reader.state = reader.state.wrapping_shr(raw_bits);
            reader.refill();
            weight as i8
        });
        self.reader = reader;
        filled
    }

    /// A number of at most 32 bits.
    #[inline(never)]
    fn number(&mut self, bits: u8) -> u32 {
        let upper = bits.saturating_sub(MAX_BITS);
        self.reader.raw(upper) << MAX_BITS | self.reader.raw(bits.wrapping_sub(upper))
    }
}

/// The state of the coder and what refills it.
#[derive(Clone)]
struct Reader<'a> {
    state: u32,
    words: Iter<'a, [u8; 2]>,
}

impl Reader<'_> {
    /// A number of at most 16 bits.
    fn raw(&mut self, bits: u8) -> u32 {
        let number = self.state & !u32::MAX.wrapping_shl(bits.into());
        self.state = self.state.wrapping_shr(bits.into());
        self.refill();
        number
    }

    #[inline(always)]
    fn refill(&mut self) {
        if self.state < LOWER_BOUND {
            let word = self.words.next().map_or(0, |&bytes| u16::from_le_bytes(bytes));
            self.state = self.state << u16::BITS | u32::from(word);
        }
    }
}

// So that one word refills the state whatever was taken.
const _: () = assert!(MAX_BITS as u32 <= LOWER_BOUND.trailing_zeros());
