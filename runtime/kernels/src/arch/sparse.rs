//! What the inner loops of `ConvSparse` work on.

use fixie_format::op::paired::TAP_ALIGN;
use fixie_format::op::sparse::{COUPLE_WORDS, HEAD_WORDS, MAX_QUADS, TAIL_WORDS};

use crate::arch::paired::PATCH_WORDS;

/// The output channels of one group: a stream of weights that was divided into pairs, see
/// [`sparse`](fixie_format::op::sparse).
#[derive(Clone, Copy)]
pub struct SparsePairs<'a> {
    stream: &'a [u32],
    /// Words before the last pair.
    last: usize,
    quads: usize,
    channels: usize,
    zero: i8,
    is_inside: bool,
}

impl<'a> SparsePairs<'a> {
    /// The pairs of `channels` channels from the front of a stream, for patches of `quads` times
    /// four taps, both at least 1, and what follows them; `zero` is the output's zero point. `None`
    /// if the stream ends before, or if a patch is too large to be addressed.
    pub fn take(
        stream: &'a [u32],
        quads: usize,
        channels: usize,
        zero: i8,
    ) -> Option<(Self, &'a [u32])> {
        quads.checked_mul(PATCH_WORDS * size_of::<u32>())?;
        (channels != 0 && (1..=MAX_QUADS).contains(&quads)).then_some(())?;
        let (mut last, mut end) = (0usize, 0);
        for _ in 0..channels.div_ceil(2) {
            last = end;
            end = last.checked_add(SparsePair::first(stream.get(last..)?)?.words())?;
        }
        let (stream, behind) = stream.split_at_checked(end)?;
        Some((Self { stream, last, quads, channels, zero, is_inside: false }, behind))
    }

    /// The same, after a look at every weight's place; `None` if one is outside of the patch.
    pub fn inside(self) -> Option<Self> {
        let last = self.last_quad();
        let mut inside = true;
        for pair in self.pairs() {
            for &[.., at] in pair.couples {
                inside &= at & 0xffff <= last && at >> 16 <= last;
            }
        }
        inside.then_some(Self { is_inside: true, ..self })
    }

    /// Whether it is known that no weight's place is outside of the patch.
    pub fn is_inside(&self) -> bool {
        self.is_inside
    }

    /// The pairs in order.
    #[inline(always)]
    pub fn pairs(&self) -> impl Iterator<Item = SparsePair<'a>> {
        let mut rest = self.stream;
        core::iter::from_fn(move || {
            let pair = SparsePair::first(rest)?;
            rest = rest.get(pair.words()..)?;
            Some(pair)
        })
    }

    /// All words: those of whole pairs, at least one.
    pub fn stream(&self) -> &'a [u32] {
        self.stream
    }

    /// All pairs but the last one, and the last one.
    pub fn split_last(&self) -> Option<(&'a [u32], &'a [u32])> {
        self.stream.split_at_checked(self.last)
    }

    /// The last group of four taps.
    pub fn last_quad(&self) -> u32 {
        // Not 0 and at most 2^16, as `take` found out.
        (self.quads as u32).wrapping_sub(1)
    }

    /// Taps with padding, a multiple of 4.
    pub fn taps(&self) -> usize {
        self.quads.wrapping_mul(TAP_ALIGN)
    }

    /// Words of the expanded patches of a block.
    pub fn patch_words(&self) -> usize {
        self.quads.wrapping_mul(PATCH_WORDS)
    }

    /// Number of output channels; an odd last one is paired with nothing.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Zero point of the output.
    pub fn zero(&self) -> i8 {
        self.zero
    }
}

/// Two channels.
pub struct SparsePair<'a> {
    /// Where the sum over both weights starts.
    pub full: i32,
    /// Where the sum of the first channel starts.
    pub low: i32,
    /// Two quads each, and their places.
    pub couples: &'a [[u32; COUPLE_WORDS]],
    /// Of both channels.
    pub multipliers: [i32; 2],
}

impl<'a> SparsePair<'a> {
    /// The pair that a stream starts with; `None` if the stream is shorter.
    #[inline(always)]
    fn first(stream: &'a [u32]) -> Option<Self> {
        let ([full, low, couples], rest) = stream.split_first_chunk::<HEAD_WORDS>()?;
        let (couples, rest) =
            rest.split_at_checked((*couples as usize).checked_mul(COUPLE_WORDS)?)?;
        let [m0, m1] = rest.first_chunk::<TAIL_WORDS>()?;
        Some(Self {
            full: *full as i32,
            low: *low as i32,
            couples: couples.as_chunks().0,
            multipliers: [*m0, *m1].map(|multiplier| multiplier as i32),
        })
    }

    /// Its words in the stream.
    fn words(&self) -> usize {
        self.couples.as_flattened().len().wrapping_add(HEAD_WORDS + TAIL_WORDS)
    }
}
