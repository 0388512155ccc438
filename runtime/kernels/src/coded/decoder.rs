//! Takes the constants of a convolution from a stream, however it is coded.

use core::marker::PhantomData;

use fixie_format::op;
use fixie_format::op::coded::CODED;
use fixie_format::op::packed::PACKED;

use crate::coded::rans::{RansDecoder, Table};
use crate::coded::source::Storage;
use crate::coded::unpacker::Unpacker;
use crate::memory::{Tensors, words_mut};

/// A stream of constants that is being read, by what `S` can read. The others are dead code.
pub struct Decoder<'a, 't, S> {
    stream: Stream<'a, 't>,
    storage: PhantomData<S>,
}

enum Stream<'a, 't> {
    Coded(RansDecoder<'a, 't>),
    Packed(Unpacker<'a>),
}

/// Bytes of scratch memory that a decoder needs for itself.
pub fn working_len(params: &op::Conv) -> usize {
    if params.coding == CODED { size_of::<Table>() } else { 0 }
}

impl<'a, 't, S: Storage> Decoder<'a, 't, S> {
    /// Starts with the first number of a record's constants; gives the scratch memory that it leaves.
    /// `None` if the stream contradicts itself.
    pub fn new(
        params: &op::Conv,
        tensors: &Tensors<'a>,
        scratch: &'t mut [u8],
    ) -> Option<(Self, &'t mut [u8])> {
        let bytes = tensors.data_from(params.weights)?;
        let (working, rest) = scratch.split_at_mut_checked(working_len(params))?;
        let stream = match params.coding {
            CODED if S::CODED => {
                let table = words_mut(working)?.first_chunk_mut()?;
                Stream::Coded(RansDecoder::new(bytes, table)?)
            }
            PACKED if S::PACKED => Stream::Packed(Unpacker::new(bytes)?),
            _ => return None,
        };
        Some((Self { stream, storage: PhantomData }, rest))
    }

    /// The bias of the next channel.
    pub fn bias(&mut self) -> i32 {
        match &mut self.stream {
            Stream::Coded(decoder) if S::CODED => decoder.bias(),
            Stream::Packed(unpacker) if S::PACKED => unpacker.bias(),
            _ => 0,
        }
    }

    /// The multiplier of the channel whose bias was taken last.
    pub fn multiplier(&mut self) -> i32 {
        match &mut self.stream {
            Stream::Coded(decoder) if S::CODED => decoder.multiplier(),
            Stream::Packed(unpacker) if S::PACKED => unpacker.multiplier(),
            _ => 0,
        }
    }

    /// The next weights of that channel, to where they belong in `bytes`; `None` if that is outside.
    pub fn weights(&mut self, bytes: &mut [i8], grid: Grid) -> Option<()> {
        match &mut self.stream {
            Stream::Coded(decoder) if S::CODED => decoder.weights(bytes, grid),
            Stream::Packed(unpacker) if S::PACKED => unpacker.weights(bytes, grid),
            _ => None,
        }
    }

    /// What unpacks the constants; `None` if they are not packed.
    pub fn unpacker(&mut self) -> Option<&mut Unpacker<'a>> {
        match &mut self.stream {
            Stream::Packed(unpacker) if S::PACKED => Some(unpacker),
            _ => None,
        }
    }
}

/// Where the weights of a channel belong.
#[derive(Clone, Copy)]
pub struct Grid {
    /// Number of rows.
    pub rows: usize,
    /// Bytes from one row to the next.
    pub row_step: usize,
    /// Weights of a row.
    pub columns: usize,
    /// Bytes from one weight of a row to the next, at least 1.
    pub column_step: usize,
}

impl Grid {
    /// Weights that are `step` bytes apart.
    pub fn line(count: usize, step: usize) -> Self {
        Self { rows: 1, row_step: 0, columns: count, column_step: step }
    }

    /// Puts numbers where they belong in `bytes`; `None` if that is outside.
    #[inline(always)]
    pub fn fill(self, bytes: &mut [i8], mut next: impl FnMut() -> i8) -> Option<()> {
        let Some(more) = self.columns.checked_sub(1) else { return Some(()) };
        let last = more.checked_mul(self.column_step)?;
        let step = self.column_step.max(1);
        let mut row = 0_usize;
        for _ in 0..self.rows {
            // Its end is that of the loop: one comparison for a weight.
            let slots = bytes.get_mut(row..)?.get_mut(..=last)?;
            let mut at = 0_usize;
            while let Some(slot) = slots.get_mut(at) {
                *slot = next();
                at = at.wrapping_add(step);
            }
            row = row.wrapping_add(self.row_step);
        }
        Some(())
    }
}
