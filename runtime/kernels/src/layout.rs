//! For the compiler: weights in the order of each convolution kernel, and its scratch memory.
//!
//! Both depend on the opcode and the record alone, never on the machine that asks.

use fixie_format::Opcode;
use fixie_format::op;

use crate::ops::{
    conv, conv_blocked, conv_paired, conv_sparse, conv_vectors, depthwise, depthwise_planar,
};

pub use crate::ops::conv_wide::scratch_len as wide_scratch_len;

/// How much of a layer a kernel should be able to do at a time. With less it is right as well, only
/// slower.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Portion {
    /// Output rows.
    pub rows: usize,
    /// Output channels that are decoded, if the constants are coded. All pixels of the step see them
    /// before the next ones are decoded.
    pub channels: usize,
}

impl Portion {
    /// The whole layer.
    pub const WHOLE: Self = Self { rows: usize::MAX, channels: usize::MAX };
}

/// Bytes of scratch memory that a convolution by `opcode` needs for a portion of the layer; `None` if
/// they overflow, or if `opcode` is no convolution.
pub fn scratch_len(params: &op::Conv, opcode: Opcode, portion: Portion) -> Option<usize> {
    let Portion { rows, channels } = portion;
    match opcode {
        Opcode::Conv => conv::scratch_len(params, channels),
        Opcode::ConvPaired => conv_paired::scratch_len(params, channels),
        Opcode::ConvSparse => conv_sparse::scratch_len(params),
        Opcode::ConvBlocked => conv_blocked::scratch_len(params, channels),
        Opcode::ConvVectors => conv_vectors::scratch_len(params),
        Opcode::Depthwise => depthwise::scratch_len(params),
        Opcode::DepthwisePlanar => depthwise_planar::scratch_len(params, rows),
        _ => None,
    }
}

pub use depthwise_planar::{Tiling, tiling};
#[cfg(any(feature = "pack", test))]
pub use pack::{Constants, code, pack};

#[cfg(any(feature = "pack", test))]
mod pack {
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

    /// The same constants as a stream, for a record with the given `coding`; `None` where
    /// [`pack`] gives none, for `ConvVectors` and `ConvSparse`, if a multiplier is below 0, or if that coding cannot
    /// hold them. Whether it is shorter is another matter.
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
    fn channels(
        opcode: Opcode,
        params: &op::Conv,
        constants: Constants<'_>,
    ) -> Option<Vec<Channel>> {
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
                let fits = |channel: &Channel| {
                    channel.multiplier.saturating_abs() < blocked::MULTIPLIER_LIMIT
                };
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
}

#[cfg(test)]
mod tests {
    use fixie_format::Opcode;
    use fixie_format::op::{self, Window};

    use super::*;
    use crate::ops::conv_testing::{Layer, pointwise};

    fn params(window: Window, groups: u16) -> op::Conv {
        op::Conv { window, groups, ..Layer::small(1, 1).params }
    }

    fn words(bytes: &[u8]) -> std::vec::Vec<i32> {
        bytes.chunks(4).map(|word| i32::from_le_bytes(word.try_into().unwrap())).collect()
    }

    #[test]
    fn a_paired_stream_has_both_channels_in_a_number() {
        let params = params(pointwise(1, 5, 3), 1);
        let constants = Constants {
            weights: &[1, 2, 3, 4, 5, -1, -2, 0, 100, -127, 7, 7, 7, 7, -128],
            bias: &[10, -20, 30],
            multipliers: &[1000, 2000, 3000],
        };
        let lanes = |low: i32, high: i32| high << 16 | (low & 0xffff);
        let v = |w1: i32, w0: i32| 256 * w1 + w0;
        let expected = [
            v(-20, 10),
            10,
            lanes(v(-1, 1), v(0, 3)),
            lanes(v(-2, 2), v(100, 4)),
            lanes(v(-127, 5), 0),
            0,
            1000,
            2000,
            30,
            30,
            lanes(7, 7),
            lanes(7, 7),
            lanes(-128, 0),
            0,
            3000,
            0,
        ];
        let packed = pack(Opcode::ConvPaired, &params, constants).unwrap();
        assert_eq!(words(&packed), expected);
    }

    #[test]
    fn a_sparse_stream_has_only_quads_that_are_not_zero() {
        let params = params(pointwise(1, 14, 3), 1);
        let mut weights = [0; 3 * 14];
        weights[5] = 3;
        weights[13] = -4;
        weights[14 + 4] = 2;
        weights[2 * 14] = 9;
        weights[2 * 14 + 8] = 8;
        weights[2 * 14 + 12] = 7;
        let constants =
            Constants { weights: &weights, bias: &[10, -20, 30], multipliers: &[1000, 2000, 3000] };
        let lanes = |low: i32, high: i32| high << 16 | (low & 0xffff);
        let places = lanes;
        let pair = [256 * -20 + 10, 10, 1];
        let couple = [256 * 2, lanes(3, 0), 0, lanes(-4, 0), places(1, 3)];
        let single = [30, 30, 2];
        let couples = [[9, 0, 8, 0, places(0, 2)], [7, 0, 0, 0, places(3, 0)]];
        let pairs = [&pair[..], &couple, &[1000, 2000], &single, couples.as_flattened()];
        let expected = [&[25][..], &pairs.concat(), &[3000, 0]].concat();
        let packed = pack(Opcode::ConvSparse, &params, constants).unwrap();
        assert_eq!(words(&packed), expected);
    }

    #[test]
    fn a_planar_stream_has_columns_behind_its_constants() {
        let window = Window { kernel_h: 2, kernel_w: 2, ..pointwise(1, 4, 4) };
        let constants = Constants {
            weights: &[1, 2, 3, 4, -1, -2, -3, -4, 0, 0, 0, 0, 9, 9, 9, 9],
            bias: &[5, 6, 7, 8],
            multipliers: &[50, 60, 70, 80],
        };
        let packed = pack(Opcode::DepthwisePlanar, &params(window, 4), constants).unwrap();
        assert_eq!(packed.len(), 4 * 4 * 4);
        assert_eq!(words(&packed[16..24]), [6, 60]);
        assert_eq!(
            packed[24..32].iter().map(|&w| w as i8).collect::<std::vec::Vec<_>>(),
            [-1, -3, 0, 0, -2, -4, 0, 0]
        );
    }

    #[test]
    fn sums_that_could_not_be_told_apart_are_refused() {
        // Half a step at 2^23, so that no output is the same for all inputs.
        let pack_pair = |weights: &[i8], bias: &[i32]| {
            let in_c = (weights.len() / 2) as u16;
            let constants = Constants { weights, bias, multipliers: &[257, 257] };
            pack(Opcode::ConvPaired, &params(pointwise(1, in_c, 2), 1), constants)
        };
        assert!(pack_pair(&[0, -128], &[0, 0]).is_some());
        assert!(pack_pair(&[-1, -128], &[0, 0]).is_none(), "-32769 in 16 bits");
        let (weights, limit) = ([9, 9, 127, 127], (1 << 23) - 128 * 254);
        assert!(pack_pair(&weights, &[i32::MAX, limit - 1]).is_some());
        assert!(pack_pair(&weights, &[0, limit]).is_none());
        assert!(pack_pair(&weights, &[0, -limit]).is_none());
        let long = [127; 2 * 517];
        assert!(pack_pair(&long[..2 * 516], &[0, 0]).is_some());
        assert!(pack_pair(&long, &[0, 0]).is_none());
    }

    #[test]
    fn a_channel_that_always_saturates_may_have_any_bias() {
        for (bias, multiplier) in [(1 << 30, 1 << 20), (-1 << 30, 1 << 20), (1 << 24, -99)] {
            let mut layer = Layer::small(2, 1).without_lowest_weight();
            layer.bias[1] = bias;
            layer.multipliers[1] = multiplier;
            let found = layer.run::<crate::ops::ConvPaired>(Opcode::ConvPaired);
            assert_eq!(found, Some(layer.expected()));
        }
    }

    #[test]
    fn kernels_refuse_what_they_do_not_compute() {
        let refused = |opcode, params: op::Conv| {
            let out_c = usize::from(params.window.out_c);
            let taps = usize::from(params.window.in_c / params.groups)
                * usize::from(params.window.kernel_h * params.window.kernel_w);
            let (weights, numbers) = (std::vec![1; out_c * taps], std::vec![1; out_c]);
            let constants = Constants { weights: &weights, bias: &numbers, multipliers: &numbers };
            pack(opcode, &params, constants).is_none()
        };
        let conv = Layer::small(1, 1).params;
        let depthwise = Layer::small(6, 1).params;
        for opcode in [Opcode::Conv, Opcode::ConvPaired] {
            assert!(!refused(opcode, conv) && !refused(opcode, depthwise));
        }
        for opcode in [Opcode::Depthwise, Opcode::DepthwisePlanar] {
            assert!(refused(opcode, conv) && !refused(opcode, depthwise));
        }
        for opcode in [Opcode::ConvPaired, Opcode::DepthwisePlanar] {
            assert!(refused(opcode, op::Conv { shift: 1, ..depthwise }), "{opcode:?}");
        }
        let window = depthwise.window;
        for window in [
            Window { stride_h: 3, ..window },
            Window { dilation_h: 2, ..window },
            Window { out_c: 12, ..window },
        ] {
            let params = op::Conv { window, ..depthwise };
            assert!(refused(Opcode::DepthwisePlanar, params), "{window:?}");
            assert!(!refused(Opcode::Depthwise, params), "{window:?}");
        }
        let short = Constants { weights: &[1; 9], bias: &[1; 6], multipliers: &[1; 6] };
        assert!(pack(Opcode::Conv, &conv, short).is_none());
    }
}
