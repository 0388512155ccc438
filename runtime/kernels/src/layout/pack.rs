//! Brings constants into the order of each opcode.

use std::vec;
use std::vec::Vec;

use fixie_format::Opcode;
use fixie_format::op::coded::CODED;
use fixie_format::op::packed::PACKED;
use fixie_format::op::paired::{TAP_ALIGN, TAP_ORDER};
use fixie_format::op::sparse::QUAD_WORDS;
use fixie_format::op::{self, blocked, planar, sparse, vectors};

use crate::coded::{self, Channel};
use crate::ops::patch::Shape;
use crate::ops::{conv_blocked, conv_vectors, depthwise_planar};

/// The constants of a convolution, as the format's `Conv` orders them.
#[derive(Clone, Copy, Debug)]
pub struct Constants<'a> {
    /// `[out_c][kernel_h][kernel_w][in_c / groups]`.
    pub weights: &'a [i8],
    /// Per output channel, −`pad_value` · Σw included.
    pub bias: &'a [i32],
    /// Per output channel.
    pub multipliers: &'a [i32],
}

/// The bytes at the record's `weights` for `opcode`; `None` if it cannot compute this
/// convolution exactly, or if the constants do not have the record's extents.
///
/// `params` needs everything but tensors and offsets. All but `Conv` and `Depthwise` carry bias
/// and multipliers with the weights: the image need not hold them once more, the record's `bias`
/// and `multipliers` can be 0. Those two take every convolution that is well-formed (and
/// depthwise).
pub fn pack(opcode: Opcode, params: &op::Conv, constants: Constants<'_>) -> Option<Vec<u8>> {
    let shape = Shape::new(params)?;
    let channels = channels(opcode, params, constants)?;
    match opcode {
        Opcode::Conv => Some(bytemuck::cast_slice(constants.weights).to_vec()),
        Opcode::ConvPaired => paired_stream(&shape, &channels),
        Opcode::ConvSparse => sparse_stream(&shape, &channels),
        Opcode::ConvBlocked => Some(blocked_stream(&shape, &channels)),
        Opcode::ConvVectors => Some(vectors_stream(&shape, &channels)),
        Opcode::Depthwise => Some(depthwise_order(&shape, constants.weights)),
        Opcode::DepthwisePlanar => Some(planar_stream(params, &channels)),
        _ => None,
    }
}

/// The same constants as a stream, for a record with the given `coding`; `None` where [`pack`] gives
/// none, for `ConvVectors` and `ConvSparse`, if a multiplier is below 0, or if that coding cannot hold
/// them. Whether it is shorter is another matter.
pub fn code(
    opcode: Opcode,
    params: &op::Conv,
    constants: Constants<'_>,
    coding: u8,
) -> Option<Vec<u8>> {
    (!matches!(opcode, Opcode::ConvVectors | Opcode::ConvSparse)).then_some(())?;
    pack(opcode, params, constants)?;
    let channels = channels(opcode, params, constants)?;
    match coding {
        CODED => coded::encode(&channels),
        PACKED => coded::pack(&channels),
        _ => None,
    }
}

/// The output channels in order, as `opcode` can hold them; `None` if it cannot.
fn channels(opcode: Opcode, params: &op::Conv, constants: Constants<'_>) -> Option<Vec<Channel>> {
    let shape = Shape::new(params)?;
    let Constants { weights, bias, multipliers } = constants;
    let out_c = usize::from(params.window.out_c);
    let lengths = [weights.len(), bias.len(), multipliers.len()];
    (lengths == [out_c.checked_mul(shape.taps)?, out_c, out_c]).then_some(())?;
    let numbers = bias.iter().zip(multipliers);
    let channels = weights.chunks_exact(shape.taps).zip(numbers).map(|(weights, numbers)| {
        Channel { weights: weights.to_vec(), bias: *numbers.0, multiplier: *numbers.1 }
    });
    let taken = match opcode {
        Opcode::Conv => true,
        Opcode::Depthwise => params.groups == params.window.in_c,
        Opcode::DepthwisePlanar => depthwise_planar::takes(params),
        Opcode::ConvVectors => conv_vectors::takes(params, &shape),
        Opcode::ConvPaired | Opcode::ConvSparse => params.shift == 0,
        Opcode::ConvBlocked => conv_blocked::takes(params),
        _ => false,
    };
    taken.then_some(())?;
    match opcode {
        Opcode::ConvPaired | Opcode::ConvSparse => {
            let second = |n: usize| n % shape.group_out % 2 == 1;
            let limited = |(n, channel)| {
                if second(n) { limited(channel, params, 1 << 23) } else { Some(channel) }
            };
            channels.enumerate().map(limited).collect()
        }
        Opcode::ConvBlocked => {
            let fits =
                |channel: &Channel| channel.multiplier.saturating_abs() < blocked::MULTIPLIER_LIMIT;
            let limited = |channel| limited(channel, params, blocked::SUM_LIMIT);
            channels.map(limited).map(|channel| channel.filter(fits)).collect()
        }
        _ => Some(channels.collect()),
    }
}

/// The most that products of some weights can add up to.
fn swing(weights: &[i8]) -> i64 {
    weights.iter().map(|&w| 128 * i64::from(w).abs()).sum()
}

/// A channel whose sum stays below `limit`, so that it can be told from another one beside it:
/// the given one, or one without weights whose output is the same whatever the input.
fn limited(channel: Channel, params: &op::Conv, limit: i64) -> Option<Channel> {
    if i64::from(channel.bias).abs() + swing(&channel.weights) < limit {
        return Some(channel);
    }
    let value = constant_output(&channel, params)?;
    // From a small bias.
    let weights = vec![0; channel.weights.len()];
    Some(Channel { weights, bias: value << 8, multiplier: 1 << 24 })
}

/// The output minus its zero point, if it is the same whatever the input.
fn constant_output(channel: &Channel, params: &op::Conv) -> Option<i32> {
    let output = |acc: i64| {
        let requantised = (acc * i64::from(channel.multiplier) + (1 << 31)) >> 32;
        let value = requantised + i64::from(params.out_zero);
        value.max(params.act_min.into()).min(params.act_max.into())
    };
    let (bias, swing) = (i64::from(channel.bias), swing(&channel.weights));
    let (least, most) = (output(bias - swing), output(bias + swing));
    (least == most).then(|| least as i32 - i32::from(params.out_zero))
}

/// The stream of [`blocked`].
fn blocked_stream(shape: &Shape, channels: &[Channel]) -> Vec<u8> {
    let padding = vec![0; blocked::quads(shape.taps) * blocked::TAP_ALIGN - shape.taps];
    let mut bytes = Vec::new();
    for channel in channels {
        bytes.extend(channel.bias.to_le_bytes());
        bytes.extend(channel.multiplier.to_le_bytes());
        bytes.extend(channel.weights.iter().map(|&w| w as u8));
        bytes.extend(&padding);
    }
    bytes
}

/// The stream of [`vectors`].
fn vectors_stream(shape: &Shape, channels: &[Channel]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for group in channels.chunks_exact(shape.group_out) {
        for first in (0..group.len()).step_by(vectors::CHANNELS) {
            let first = first.min(group.len() - vectors::CHANNELS);
            push_block(&mut bytes, &group[first..][..vectors::CHANNELS], shape.taps);
        }
    }
    bytes
}

/// Appends the channels of a block.
fn push_block(bytes: &mut Vec<u8>, channels: &[Channel], taps: usize) {
    bytes.extend(channels.iter().flat_map(|channel| channel.bias.to_le_bytes()));
    for first in (0..taps).step_by(vectors::LANES) {
        for channel in vectors::CHANNEL_ORDER.map(|n| &channels[n]) {
            let weights = channel.weights[first..].iter().map(|&w| w as u8);
            bytes.extend(weights.chain([0; vectors::LANES]).take(vectors::LANES));
        }
    }
    bytes.extend(channels.iter().flat_map(|channel| channel.multiplier.to_le_bytes()));
}

/// The stream of [`paired`](fixie_format::op::paired).
fn paired_stream(shape: &Shape, channels: &[Channel]) -> Option<Vec<u8>> {
    let mut words = Vec::new();
    for pair in pairs(shape, channels)? {
        words.extend(pair.biases);
        words.extend(pair.quads.as_flattened());
        words.extend(pair.multipliers);
    }
    Some(bytemuck::cast_slice(&words).to_vec())
}

/// The stream of [`sparse`].
fn sparse_stream(shape: &Shape, channels: &[Channel]) -> Option<Vec<u8>> {
    let mut words = vec![0];
    for pair in pairs(shape, channels)? {
        (pair.quads.len() <= sparse::MAX_QUADS).then_some(())?;
        let places = pair.quads.iter().zip(0i32..).filter(|(quad, _)| **quad != [0, 0]);
        let places: Vec<_> = places.collect();
        words.extend(pair.biases);
        words.push(places.len().div_ceil(2) as i32);
        for couple in places.chunks(2) {
            let (first, second) = (couple[0], couple.get(1).unwrap_or(&(&[0, 0], 0)));
            words.extend([first.0, second.0].into_iter().flatten());
            words.push(second.1 << 16 | first.1);
        }
        words.extend(pair.multipliers);
    }
    words[0] = i32::try_from(words.len() - 1).ok()?;
    Some(bytemuck::cast_slice(&words).to_vec())
}

/// Two channels of one group.
struct Pair {
    /// Of both, and of the first one.
    biases: [i32; 2],
    /// Four taps each.
    quads: Vec<[i32; QUAD_WORDS]>,
    multipliers: [i32; 2],
}

/// The pairs of all groups; `None` if some weights cannot be held as one number.
fn pairs(shape: &Shape, channels: &[Channel]) -> Option<Vec<Pair>> {
    let none = Channel { weights: vec![0; shape.taps], bias: 0, multiplier: 0 };
    let groups = channels.chunks_exact(shape.group_out);
    let pairs = groups.flat_map(|group| group.chunks(2)).map(|pair| {
        let (first, second) = (&pair[0], pair.get(1).unwrap_or(&none));
        Some(Pair {
            biases: [second.bias.wrapping_mul(256).wrapping_add(first.bias), first.bias],
            quads: quads([&first.weights, &second.weights], shape.row_taps)?,
            multipliers: [first.multiplier, second.multiplier],
        })
    });
    pairs.collect()
}

/// The weights of two channels as numbers of both, in groups of four taps.
fn quads([first, second]: [&[i8]; 2], row_taps: usize) -> Option<Vec<[i32; QUAD_WORDS]>> {
    let mut quads = Vec::new();
    for (first, second) in first.chunks_exact(row_taps).zip(second.chunks_exact(row_taps)) {
        for (first, second) in first.chunks(TAP_ALIGN).zip(second.chunks(TAP_ALIGN)) {
            let mut quad = [0; TAP_ALIGN];
            for ((v, &w0), &w1) in quad.iter_mut().zip(first).zip(second) {
                *v = i16::try_from(256 * i32::from(w1) + i32::from(w0)).ok()?;
            }
            let [a, b, c, d] = TAP_ORDER.map(|tap| quad[tap]);
            quads.push([word(a, b), word(c, d)]);
        }
    }
    Some(quads)
}

/// `[kernel_h][kernel_w][out_c]`.
fn depthwise_order(shape: &Shape, weights: &[i8]) -> Vec<u8> {
    let tap = |k: usize| weights.iter().skip(k).step_by(shape.taps);
    (0..shape.taps).flat_map(tap).map(|&w| w as u8).collect()
}

/// The stream of [`planar`].
fn planar_stream(params: &op::Conv, channels: &[Channel]) -> Vec<u8> {
    let (rows, columns) = (params.window.kernel_h.into(), params.window.kernel_w.into());
    let padding = vec![0; planar::column_words(rows) * 4 - rows];
    let mut bytes = Vec::new();
    for channel in channels {
        bytes.extend(channel.bias.to_le_bytes());
        bytes.extend(channel.multiplier.to_le_bytes());
        for column in 0..columns {
            let weights = channel.weights.iter().skip(column).step_by(columns);
            bytes.extend(weights.map(|&w| w as u8));
            bytes.extend(&padding);
        }
    }
    bytes
}

/// Two lanes, the first in the lower half.
fn word(low: i16, high: i16) -> i32 {
    i32::from(high) << 16 | i32::from(low as u16)
}
