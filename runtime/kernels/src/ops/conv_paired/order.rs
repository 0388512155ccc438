//! The order of [`paired`], and how constants that are a stream are brought into it.

use fixie_format::op::paired;

use crate::coded::{Decoder, Grid, Order, Storage, Unpacker};

/// The order of [`paired`].
pub struct PairOrder {
    /// Taps of a kernel row.
    pub row_taps: usize,
    /// Groups of four of them, padding included.
    pub run_quads: usize,
    /// Groups of four taps of a patch.
    pub quads: usize,
}

/// The words of two channels.
struct Pair<'w> {
    full_bias: &'w mut u32,
    low_bias: &'w mut u32,
    lanes: &'w mut [u32],
    multipliers: [&'w mut u32; 2],
    /// There is a second channel.
    is_whole: bool,
}

impl Pair<'_> {
    /// Writes bias and multiplier of the first channel, and those of none for the second.
    fn set_first(&mut self, bias: i32, multiplier: i32) {
        (*self.low_bias, *self.full_bias) = (bias as u32, bias as u32);
        let [first, second] = &mut self.multipliers;
        (**first, **second) = (multiplier as u32, 0);
    }

    /// Writes bias and multiplier of the second channel, behind those of the first.
    fn set_second(&mut self, bias: i32, multiplier: i32) {
        *self.full_bias = (bias as u32).wrapping_shl(8).wrapping_add(*self.low_bias);
        let [_, second] = &mut self.multipliers;
        **second = multiplier as u32;
    }
}

impl PairOrder {
    /// Whether there are no zeros between the weights of a channel.
    fn is_dense(&self) -> bool {
        self.row_taps.is_multiple_of(paired::TAP_ALIGN)
    }

    /// Where the weights of a channel are decoded: in the lower or upper bytes of its pair's lanes.
    fn grid(&self) -> Grid {
        const LANE: usize = size_of::<i16>();
        Grid {
            rows: self.quads.checked_div(self.run_quads).unwrap_or(0),
            row_step: self.run_quads.wrapping_mul(paired::TAP_ALIGN * LANE),
            columns: self.row_taps,
            column_step: LANE,
        }
    }

    /// Goes through the pairs of so many channels; `None` if `words` are not those of pairs.
    #[inline(always)]
    fn for_each_pair(
        &self,
        channels: usize,
        words: &mut [u32],
        mut run: impl FnMut(Pair<'_>) -> Option<()>,
    ) -> Option<()> {
        let mut left = channels;
        for pair in words.chunks_mut(paired::pair_words(self.quads)) {
            let [full_bias, low_bias, lanes @ .., m0, m1] = pair else {
                return None;
            };
            run(Pair { full_bias, low_bias, lanes, multipliers: [m0, m1], is_whole: left > 1 })?;
            left = left.saturating_sub(2);
        }
        Some(())
    }

    /// As [`Order::decode`], both channels of a pair at once, if the order is dense.
    fn unpack(
        &self,
        unpacker: &mut Unpacker<'_>,
        channels: usize,
        words: &mut [u32],
    ) -> Option<()> {
        let taps = self.quads.checked_mul(paired::TAP_ALIGN)?;
        self.for_each_pair(channels, words, |mut pair| {
            pair.set_first(unpacker.bias(), unpacker.multiplier());
            let first = unpacker.indices(taps)?;
            let mut second = None;
            if pair.is_whole {
                pair.set_second(unpacker.bias(), unpacker.multiplier());
                second = Some(unpacker.indices(taps)?);
            }
            unpacker.pairs(first, second, pair.lanes.as_chunks_mut().0);
            Some(())
        })
    }
}

impl Order for PairOrder {
    const UNIT: usize = 2;

    fn words(&self, channels: usize) -> Option<usize> {
        channels.div_ceil(2).checked_mul(paired::pair_words(self.quads))
    }

    #[inline(never)]
    fn decode<S: Storage>(
        &self,
        decoder: &mut Decoder<'_, '_, S>,
        channels: usize,
        words: &mut [u32],
    ) -> Option<()> {
        if let Some(unpacker) = decoder.unpacker()
            && unpacker.has_short_indices()
            && self.is_dense()
        {
            return self.unpack(unpacker, channels, words);
        }
        self.for_each_pair(channels, words, |mut pair| {
            // Zeros between the weights, or of a second channel that there is not.
            if !(pair.is_whole && self.is_dense()) {
                pair.lanes.fill(0);
            }
            pair.set_first(decoder.bias(), decoder.multiplier());
            decoder.weights(bytemuck::must_cast_slice_mut(pair.lanes), self.grid())?;
            if pair.is_whole {
                pair.set_second(decoder.bias(), decoder.multiplier());
                let bytes: &mut [i8] = bytemuck::must_cast_slice_mut(pair.lanes);
                decoder.weights(bytes.get_mut(1..)?, self.grid())?;
            }
            combine(pair.lanes);
            Some(())
        })
    }
}

/// Makes one number of the two weights in each lane, and brings lanes into their order.
#[inline(never)]
fn combine(lanes: &mut [u32]) {
    const SIGNS: u32 = 0x8000_8000;
    // A lower weight below 0 borrows from the upper one: 256 less, in both lanes by themselves.
    let numbers = |both: u32| {
        let borrowed = (both & 0x0080_0080) << 1;
        (both | SIGNS).wrapping_sub(borrowed) ^ (!both & SIGNS)
    };
    const { assert!(matches!(paired::TAP_ORDER, [0, 2, 1, 3])) };
    for [first, second] in lanes.as_chunks_mut::<2>().0 {
        let (ab, cd) = (numbers(*first), numbers(*second));
        *first = ab & 0xffff | cd << 16;
        *second = ab >> 16 | cd & 0xffff_0000;
    }
}
