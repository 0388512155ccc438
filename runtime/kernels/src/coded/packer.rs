//! For the compiler: writes streams of packed constants.

use std::vec;
use std::vec::Vec;

use fixie_format::Record;
use fixie_format::op::packed::{MAX_LISTED_BITS, Packing};

use super::encoder::{Channel, Widths, distance};

/// The shortest stream for some channels; `None` if there is no weight, or if a multiplier is below 0.
pub fn pack(channels: &[Channel]) -> Option<Vec<u8>> {
    let weights = || channels.iter().flat_map(|channel| &channel.weights).copied();
    let palette = Palette::best(weights().collect())?;
    let widths = Widths::of(channels)?;
    let packing = Packing {
        bits: palette.bits,
        first: palette.values[0],
        step: palette.step,
        bias_bits: widths.bias_bits,
        multiplier_bits: widths.multiplier_bits,
        multiplier_shift: widths.multiplier_shift,
    };
    let mut stream = vec![0; Packing::LEN];
    packing.write(&mut stream)?;
    let listed = palette.values.iter().map(|&value| value as u8).chain(std::iter::repeat(0));
    stream.extend(listed.take(packing.listed_values()));
    for channel in channels {
        let numbers = [
            (widths.bias(channel), widths.bias_bits),
            (widths.multiplier(channel), widths.multiplier_bits),
        ];
        push(&mut stream, numbers);
        let index = |weight| palette.values.binary_search(weight).ok();
        let indices: Option<Vec<usize>> = channel.weights.iter().map(index).collect();
        push(&mut stream, indices?.into_iter().map(|index| (index as u32, palette.bits)));
    }
    Some(stream)
}

/// Appends numbers of so many bits, from the lowest bit of a byte on.
fn push(stream: &mut Vec<u8>, numbers: impl IntoIterator<Item = (u32, u8)>) {
    let (mut waiting, mut count) = (0_u64, 0);
    for (number, bits) in numbers {
        waiting |= u64::from(number) << count;
        count += bits;
        while count >= 8 {
            stream.push(waiting as u8);
            (waiting, count) = (waiting >> 8, count - 8);
        }
    }
    if count > 0 {
        stream.push(waiting as u8);
    }
}

/// What indices stand for.
struct Palette {
    /// Ascending.
    values: Vec<i8>,
    bits: u8,
    /// 0: the values are listed.
    step: u8,
}

impl Palette {
    /// The one with the shortest indices, listed only if that makes them shorter.
    fn best(weights: Vec<i8>) -> Option<Self> {
        let mut levels = weights;
        levels.sort_unstable();
        levels.dedup();
        let (least, range) = (*levels.first()?, levels.last()?.abs_diff(levels[0]));
        let even = |step| Self::even(least, range, step);
        let listed = Self { bits: bits(levels.len()), step: 0, values: levels.clone() };
        let listed = Some(listed).filter(|listed| listed.bits <= MAX_LISTED_BITS);
        let candidates = [even(distance(&levels).max(1)), listed, even(1)];
        candidates.into_iter().flatten().min_by_key(|palette| palette.bits)
    }

    /// An even grid; `None` if there are indices that would stand for more than 127.
    fn even(least: i8, range: u8, step: u8) -> Option<Self> {
        let bits = bits(usize::from(range / step) + 1);
        let span = i32::from(step) * ((1 << bits) - 1);
        let beyond = (i32::from(least) + span - i32::from(i8::MAX)).max(0) as u32;
        let below = beyond.next_multiple_of(step.into()) as i32;
        let first = i8::try_from(i32::from(least) - below).ok()?;
        let values = (0..=span).step_by(step.into()).map(|above| (i32::from(first) + above) as i8);
        Some(Self { values: values.collect(), bits, step })
    }
}

/// Bits of an index of so many values, at least 1.
fn bits(values: usize) -> u8 {
    (usize::BITS - (values - 1).leading_zeros()).max(1) as u8
}
