//! What the encoder writes, the decoder reads, in as few bytes as the entropy allows.

use std::vec;
use std::vec::Vec;

use fixie_format::Record;
use fixie_format::op::coded::Coding;
use fixie_format::op::packed::Packing;
use proptest::prelude::*;

use super::rans::RansDecoder;
use super::unpacker::Unpacker;
use super::{Channel, Grid, encode, pack};
use crate::testing::Random;

/// Takes channels of the given numbers of weights from a stream of coded constants.
fn decode(stream: &[u8], taps: &[usize]) -> Option<Vec<Channel>> {
    let mut table = [0; 256];
    let mut decoder = RansDecoder::new(stream, &mut table)?;
    let channel = |&taps: &usize| Channel {
        bias: decoder.bias(),
        multiplier: decoder.multiplier(),
        weights: {
            let mut weights = vec![0; taps];
            decoder.weights(&mut weights, Grid::line(taps, 1)).unwrap();
            weights
        },
    };
    Some(taps.iter().map(channel).collect())
}

/// The same from a stream of packed constants, by a line if `step` is 1.
fn unpack(stream: &[u8], taps: &[usize], step: usize) -> Option<Vec<Channel>> {
    let mut unpacker = Unpacker::new(stream)?;
    let channel = |&taps: &usize| {
        let bias = unpacker.bias();
        let mut bytes = vec![0; taps * step];
        unpacker.weights(&mut bytes, Grid::line(taps, step))?;
        let weights = bytes.into_iter().step_by(step).collect();
        Some(Channel { bias, multiplier: unpacker.multiplier(), weights })
    };
    taps.iter().map(channel).collect()
}

fn taps(channels: &[Channel]) -> Vec<usize> {
    channels.iter().map(|channel| channel.weights.len()).collect()
}

/// Channels with constants of some bits and weights from a list of levels.
fn channels() -> impl Strategy<Value = Vec<Channel>> {
    channels_of(prop_oneof![
        Just((-128..=127).collect::<Vec<i8>>()),
        Just((-7..=7).collect()),
        Just(vec![-96, -32, 32, 96]),
        prop::collection::vec(any::<i8>(), 1..20),
    ])
}

/// Channels with weights of few values.
fn packable() -> impl Strategy<Value = Vec<Channel>> {
    channels_of(prop_oneof![
        (1u8..16, 1u8..18).prop_map(|(steps, step)| {
            (0..=steps).map(|n| (-120 + i32::from(n) * i32::from(step)) as i8).collect()
        }),
        prop::collection::vec(any::<i8>(), 1..40),
    ])
}

fn channels_of(levels: impl Strategy<Value = Vec<i8>>) -> impl Strategy<Value = Vec<Channel>> {
    (levels, 0u32..32, 1u32..32, 1usize..5, 1usize..80, any::<u64>()).prop_map(
        |(levels, bias_shift, multiplier_shift, count, taps, seed)| {
            let mut random = Random(seed);
            let mut level = || levels[random.next() as usize % levels.len()];
            let weights: Vec<Vec<i8>> =
                (0..count).map(|_| (0..taps).map(|_| level()).collect()).collect();
            let channel = |weights| Channel {
                weights,
                bias: random.next() as i32 >> bias_shift,
                multiplier: ((random.next() as u32) >> multiplier_shift) as i32,
            };
            weights.into_iter().map(channel).collect()
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_is_read(channels in channels()) {
        let stream = encode(&channels).unwrap();
        prop_assert_eq!(decode(&stream, &taps(&channels)), Some(channels));
    }

    #[test]
    fn what_is_packed_is_unpacked(channels in packable(), step in 1usize..4) {
        let stream = pack(&channels).unwrap();
        prop_assert_eq!(unpack(&stream, &taps(&channels), step), Some(channels));
    }

    #[test]
    fn any_bytes_give_an_error_or_numbers(
        stream in prop::collection::vec(any::<u8>(), 0..400), bits in 1u8..9, step in 0u8..3,
    ) {
        decode(&stream, &[100, 100]);
        unpack(&stream, &[100, 100], 1);
        let sound = [&[bits, 1, step, 9, 9, 9], &stream[..]].concat();
        unpack(&sound, &[100, 100], 2);
    }

    #[test]
    fn damaged_streams_give_an_error_or_numbers(
        channels in channels(), at in any::<prop::sample::Index>(), bit in 0u32..8, cut in any::<bool>(),
    ) {
        let mut stream = encode(&channels).unwrap();
        let at = at.index(stream.len());
        stream[at] ^= 1_u8 << bit;
        stream.truncate(if cut { at } else { stream.len() });
        decode(&stream, &taps(&channels));
    }
}

/// Weights as a normal distribution, roughly: the mean of twelve uniform numbers.
fn bell(count: usize, deviation: f64, seed: u64) -> Vec<i8> {
    let mut random = Random(seed);
    let mut uniform = || random.next() as f64 / u64::MAX as f64 - 0.5;
    let mut normal = || (0..12).map(|_| uniform()).sum::<f64>() * deviation;
    (0..count).map(|_| normal().round().clamp(-127.0, 127.0) as i8).collect()
}

/// Bits of all weights together, if every one takes what its frequency in the list says.
fn entropy_bits(weights: &[i8]) -> f64 {
    let mut counts = [0.0_f64; 256];
    weights.iter().for_each(|&weight| counts[usize::from(weight as u8)] += 1.0);
    let of = |&count: &f64| count * (weights.len() as f64 / count).log2();
    counts.iter().filter(|&&count| count > 0.0).map(of).sum()
}

#[test]
fn streams_are_within_three_percent_of_the_entropy() {
    for deviation in [0.4, 1.0, 2.0, 5.0, 20.0, 36.0] {
        let weights = bell(16384, deviation, 1);
        let floor = entropy_bits(&weights) / 8.0;
        let stream = encode(&[Channel { weights, bias: 0, multiplier: 0 }]).unwrap();
        let found = stream.len() as f64;
        assert!(found <= floor * 1.03, "deviation {deviation}: {found} of {floor}");
        assert!(found >= floor, "less than is possible");
    }
}

#[test]
fn palettes_and_coarse_grids_cost_their_entropy() {
    let indices = bell(4096, 1.5, 3);
    let palette = [-119, -61, -30, -8, 5, 22, 57, 126];
    let listed: Vec<i8> = indices.iter().map(|&i| palette[(i + 4).clamp(0, 7) as usize]).collect();
    let multiples: Vec<i8> = indices.iter().map(|&i| i * 11).collect();
    for weights in [listed, multiples] {
        let floor = entropy_bits(&weights) / 8.0;
        let stream = encode(&[Channel { weights, bias: 0, multiplier: 0 }]).unwrap();
        assert!((stream.len() as f64) <= floor * 1.03, "{} of {floor}", stream.len());
    }
}

#[test]
fn constants_take_the_bits_they_need() {
    let channel = |bias, multiplier| Channel { weights: vec![1], bias, multiplier };
    let stream = encode(&[channel(-128, 0x5000), channel(127, 0x1000)]).unwrap();
    let coding = Coding::read(&stream).unwrap();
    assert_eq!((coding.bias_bits, coding.multiplier_bits, coding.multiplier_shift), (8, 3, 12));
    assert!(encode(&[channel(0, -1)]).is_none(), "multipliers below zero are left to others");
    assert!(encode(&[]).is_none());
}

#[test]
fn a_table_that_does_not_fill_the_slots_is_refused() {
    let stream = encode(&[Channel { weights: vec![1, 2, 3], bias: 0, multiplier: 0 }]).unwrap();
    assert!(decode(&stream, &[3]).is_some());
    let mut other = stream.clone();
    other[Coding::LEN] ^= 1;
    assert!(decode(&other, &[3]).is_none());
}

#[test]
fn indices_are_as_short_as_the_values_allow() {
    let packing = |weights: &[i8]| {
        let stream = pack(&[Channel { weights: weights.to_vec(), bias: -5, multiplier: 1 << 20 }])?;
        let packing = Packing::read(&stream).unwrap();
        Some((packing.bits, packing.first, packing.step, stream.len()))
    };
    // The head has 6 bytes, bias and multiplier have one.
    assert_eq!(packing(&[5; 9]), Some((1, 5, 1, 9)));
    assert_eq!(packing(&[-1, 0, 1]), Some((2, -1, 1, 8)));
    assert_eq!(packing(&[-96, -32, 32, 96]), Some((2, -96, 64, 8)));
    assert_eq!(packing(&[-7, 7, 0, 1]), Some((2, -7, 0, 6 + 4 + 1 + 1)));
    let sixteen: Vec<i8> = (-8..8).collect();
    assert_eq!(packing(&sixteen), Some((4, -8, 1, 6 + 1 + 8)));
    let seventeen: Vec<i8> = (-8..9).collect();
    assert_eq!(packing(&seventeen), Some((5, -8, 1, 6 + 1 + 11)));
    assert_eq!(packing(&[-128, 127]), Some((1, -128, 255, 6 + 1 + 1)));
    // No index may stand for more than 127.
    assert_eq!(packing(&[127, 126, 125]), Some((2, 124, 1, 8)));
    assert_eq!(packing(&[-127, 0, 127]), Some((2, -127, 0, 6 + 4 + 1 + 1)));
    let all: Vec<i8> = (-128..=127).collect();
    assert_eq!(packing(&all), Some((8, -128, 1, 6 + 1 + 256)));
    assert!(pack(&[Channel { weights: vec![1], bias: 0, multiplier: -1 }]).is_none());
    assert!(pack(&[]).is_none());
}

#[test]
fn packings_that_contradict_themselves_are_refused() {
    let stream = pack(&[Channel { weights: vec![1, 2, 3], bias: 0, multiplier: 0 }]).unwrap();
    assert!(unpack(&stream, &[3], 1).is_some());
    assert!(unpack(&stream, &[9], 1).is_none(), "behind the end");
    for (at, wrong) in [(0, 0), (0, 9), (3, 33), (4, 32), (5, 32)] {
        let mut other = stream.clone();
        other[at] = wrong;
        assert!(unpack(&other, &[3], 1).is_none(), "{wrong} at {at}");
    }
}
