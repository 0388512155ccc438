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
