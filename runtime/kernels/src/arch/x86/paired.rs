//! The loops of `ConvPaired`: a lane of a vector is a pair of channels.
//!
//! ```text
//! once: transpose the weights, so that a row has the same two taps of sixteen pairs
//! for every block, for every sixteen pairs:
//!     for every two taps, for every pixel: add their products to its sums
//! ```

use std::array;
use std::cell::OnceCell;
use std::vec::Vec;

use bytemuck::must_cast;

use crate::arch::paired::{BLOCK, Pairs};
use crate::arch::scalar::paired::{expand_run, run_lanes};
use crate::arch::scalar::pieces;
use crate::arch::view::{Dst, Src};
use crate::arch::x86::lanes::{self, Row};

/// Pairs of a group: as many as a row has.
const GROUP: usize = lanes::avx512::LANES;

/// The words of a group's pairs in their order; those with weights are followed by the weights of the
/// lower channels alone.
type Group = [[Row; 2]];

/// Pairs whose weights are transposed for the first block; single pixels do without. Only hosts have a
/// heap to keep them on.
pub struct Arranged<'a> {
    pairs: Pairs<'a>,
    groups: OnceCell<Vec<[Row; 2]>>,
}

impl<'a> From<Pairs<'a>> for Arranged<'a> {
    fn from(pairs: Pairs<'a>) -> Self {
        Self { pairs, groups: OnceCell::new() }
    }
}

impl<'a> AsRef<Pairs<'a>> for Arranged<'a> {
    fn as_ref(&self) -> &Pairs<'a> {
        &self.pairs
    }
}

/// Transposes the words of all pairs.
#[target_feature(enable = "avx2")]
fn arrange(pairs: &Pairs<'_>) -> Vec<[Row; 2]> {
    use lanes::avx2::{COLUMNS, columns, low_bytes, zeros};

    let mut all = Vec::with_capacity(pairs.channels().div_ceil(2 * GROUP) * pairs.pair_words());
    for group in pairs.stream().chunks(pairs.pair_words().wrapping_mul(GROUP)) {
        let mut rows = pieces(group, pairs.pair_words());
        let mut half = || array::from_fn(|_| rows.next().unwrap_or_default());
        let [first, second]: [[&[u32]; GROUP / 2]; 2] = [half(), half()];
        let has_second = second.iter().any(|pair| !pair.is_empty());
        for at in (0..pairs.pair_words()).step_by(COLUMNS) {
            let behind = if has_second { columns(&second, at) } else { [zeros(); COLUMNS] };
            let words = columns(&first, at).into_iter().zip(behind);
            for (a, b) in words.take(pairs.pair_words().wrapping_sub(at)) {
                let low = must_cast([low_bytes(a), low_bytes(b)]);
                all.push([Row(must_cast([a, b])), Row(low)]);
            }
        }
    }
    all
}

/// The groups of `pairs`, each with the first of its channels and how many there are from there on.
#[target_feature(enable = "avx2")]
fn groups<'g>(pairs: &'g Arranged<'_>) -> impl Iterator<Item = (&'g Group, usize, usize)> {
    let groups = pairs.groups.get_or_init(|| arrange(&pairs.pairs));
    let channels = pairs.pairs.channels();
    let firsts = (0..channels).step_by(2 * GROUP);
    let groups = pieces(groups, pairs.pairs.pair_words()).zip(firsts);
    groups.map(move |(group, first)| (group, first, channels.wrapping_sub(first)))
}

/// The patches of the pixels of a block.
fn pixels<'p>(pairs: &Pairs<'_>, patch: &'p [u32]) -> Option<[&'p [u32]; BLOCK]> {
    (patch.len() == pairs.patch_words()).then_some(())?;
    let mut pixels = pieces(patch, patch.len() / BLOCK);
    Some([pixels.next()?, pixels.next()?, pixels.next()?])
}

/// [`Isa::paired_block`](crate::arch::Isa::paired_block) with vectors of half a row.
#[target_feature(enable = "avx2")]
pub fn by_halves(arranged: &Arranged<'_>, patch: &[u32], out: Dst<'_>, step: usize) -> Option<()> {
    let pixels = pixels(&arranged.pairs, patch)?;
    for (group, first, left) in groups(arranged) {
        for half in [0, 1] {
            let behind = GROUP.wrapping_mul(half);
            if left > behind {
                let values = avx2::channels(group, half, &pixels, arranged.pairs.zero())?;
                store(out, (first.checked_add(behind)?, step), &values, left.wrapping_sub(behind))?;
            }
        }
    }
    Some(())
}

/// [`Isa::paired_block`](crate::arch::Isa::paired_block) with vectors of a row, where it is more than
/// half full.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
pub fn by_rows(arranged: &Arranged<'_>, patch: &[u32], out: Dst<'_>, step: usize) -> Option<()> {
    let (pixels, zero) = (pixels(&arranged.pairs, patch)?, arranged.pairs.zero());
    for (group, first, left) in groups(arranged) {
        if left > GROUP {
            store(out, (first, step), &avx512::channels(group, 0, &pixels, zero)?, left)?;
        } else {
            store(out, (first, step), &vnni::channels(group, 0, &pixels, zero)?, left)?;
        }
    }
    Some(())
}

/// See [`Isa::paired_expand`](crate::arch::Isa::paired_expand).
#[target_feature(enable = "avx2")]
pub fn expand(runs: [Src<'_>; BLOCK], patch: &mut [u32], quad: usize) -> Option<()> {
    for (run, lanes) in runs.into_iter().zip(run_lanes(patch, quad)?) {
        let (whole, rest) = lanes.get_mut(..run.len())?.as_chunks_mut::<16>();
        for (n, lanes) in whole.iter_mut().enumerate() {
            *lanes = must_cast(lanes::avx2::taps(run.chunk(n.wrapping_mul(16))?));
        }
        expand_run(run.slice(run.len().checked_sub(rest.len())?, rest.len())?, rest)?;
    }
    Some(())
}

/// Writes as many channels of each pixel as there are `left`, from the first one on.
#[inline(always)]
fn store<const N: usize>(
    out: Dst<'_>,
    (first, step): (usize, usize),
    values: &[[i8; N]; BLOCK],
    left: usize,
) -> Option<()> {
    for (pixel, &values) in values.iter().enumerate() {
        let at = pixel.checked_mul(step)?.checked_add(first)?;
        if left >= N {
            out.set_chunk(at, values)?;
            continue;
        }
        let (quads, rest) = values.get(..left)?.as_chunks::<4>();
        for (n, &quad) in quads.iter().enumerate() {
            out.set_chunk(at.checked_add(n.wrapping_mul(4))?, quad)?;
        }
        let at = at.checked_add(quads.as_flattened().len())?;
        for (n, &value) in rest.iter().enumerate() {
            out.set(at.checked_add(n)?, value)?;
        }
    }
    Some(())
}

/// The channels of a group, for the vectors of a module of [`lanes`].
macro_rules! channels {
    ($module:ident, $features:literal) => {
        mod $module {
            use super::*;
            use crate::arch::x86::lanes::$module::*;

            /// The channels of as many pairs as a vector has, from so many vectors on, of each pixel.
            #[target_feature(enable = $features)]
            pub fn channels(
                group: &Group,
                part: usize,
                [a, b, c]: &[&[u32]; BLOCK],
                zero: i8,
            ) -> Option<[[i8; 2 * LANES]; BLOCK]> {
                let [[full, _], [low, _], taps @ .., [m0, _], [m1, _]] = group else {
                    return None;
                };
                // Two words in turns, since a sum is ready only some instructions later.
                let start = [load(full, part), load(low, part)];
                let mut sums = [[start; BLOCK], [[zeros(); 2]; BLOCK]];
                let words = a.as_chunks::<2>().0.iter().zip(b.as_chunks::<2>().0);
                let words = words.zip(c.as_chunks::<2>().0);
                for (taps, ((a, b), c)) in taps.as_chunks::<2>().0.iter().zip(words) {
                    let words = a.iter().zip(b).zip(c);
                    for ((sums, [both, low]), ((&a, &b), &c)) in
                        sums.iter_mut().zip(taps).zip(words)
                    {
                        let [both, low] = [load(both, part), load(low, part)];
                        for ([full_sum, low_sum], seen) in sums.iter_mut().zip([a, b, c]) {
                            let seen = splat(seen);
                            *full_sum = add_products(*full_sum, both, seen);
                            *low_sum = add_products(*low_sum, low, seen);
                        }
                    }
                }
                let multipliers = [load(m0, part), load(m1, part)];
                let mut values = [[0; 2 * LANES]; BLOCK];
                let [first, second] = sums;
                for ((values, a), b) in values.iter_mut().zip(first).zip(second) {
                    let [full, low] = [add(a[0], b[0]), add(a[1], b[1])];
                    *values = activations([low, upper(full, low)], multipliers, zero);
                }
                Some(values)
            }
        }
    };
}

channels!(avx2, "avx2");
channels!(vnni, "avx2,avx512vl,avx512vnni");
channels!(avx512, "avx512f,avx512bw,avx512vl,avx512vnni");
