use fixie_format::Opcode;
use fixie_format::op::sparse::{COUPLE_WORDS, HEAD_WORDS};
use proptest::prelude::*;

use super::*;
use crate::ops::conv_testing::{Layer, Traits, grouped_windows, pointwise, traits};

/// A layer of which so many eighths of the blocks of two channels and four taps are 0.
fn layer(window: op::Window, traits: Traits, eighths: u64) -> Layer {
    let layer = Layer::new(window, Traits { shift: 0, ..traits }).without_lowest_weight();
    layer.without_blocks(eighths)
}

proptest! {
    #[test]
    fn it_is_the_definition(
        (window, groups) in grouped_windows(), traits in traits(), eighths in 0u64..9,
    ) {
        let layer = layer(window, Traits { groups, ..traits }, eighths);
        prop_assert_eq!(layer.run::<ConvSparse>(Opcode::ConvSparse), Some(layer.expected()));
    }

    #[test]
    fn matrix_products_of_any_size(
        pixels in 1u16..10, in_c in 1u16..40, out_c in 1u16..20, traits in traits(),
        eighths in 0u64..9,
    ) {
        let layer = layer(pointwise(pixels, in_c, out_c), traits, eighths);
        prop_assert_eq!(layer.run::<ConvSparse>(Opcode::ConvSparse), Some(layer.expected()));
    }

    #[test]
    fn rings_hold_the_last_rows(
        (window, groups) in grouped_windows(), traits in traits(), ring_rows in 1u16..6,
        eighths in 0u64..9,
    ) {
        let layer = layer(window, Traits { groups, ..traits }, eighths);
        let [found, expected] =
            layer.run_on_rings::<ConvSparse>(Opcode::ConvSparse, ring_rows).unwrap();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn any_stream_is_refused_or_runs(
        (window, groups) in grouped_windows(), traits in traits(), place in any::<usize>(),
        word in prop_oneof![0u32..40, any::<u32>()], length in 0usize..200,
    ) {
        let layer = layer(window, Traits { groups, ..traits }, 4);
        let (mut bench, params) = layer.packed(Opcode::ConvSparse).unwrap();
        let mut stream = stream_of(&layer);
        let place = place % stream.len();
        stream[place] = word;
        // A shorter one ends with the data.
        stream.truncate(stream.len() - length.min(stream.len() - 1));
        let params = op::Conv { weights: bench.data(&stream), ..params };
        if bench.check::<ConvSparse>(&params, window.out_h).is_ok() {
            bench.run::<ConvSparse>(&params, window.out_h, params.output);
        }
    }
}

/// The words of a layer's constants.
fn stream_of(layer: &Layer) -> std::vec::Vec<u32> {
    layer.stream(Opcode::ConvSparse).unwrap()
}

/// A matrix product of seven taps for one pair, of which the latter four taps are not 0.
fn small() -> Layer {
    let bounds = (i8::MIN, i8::MAX);
    let traits = Traits { groups: 1, seed: 1, shift: 0, pad_value: 3, out_zero: -4, bounds };
    let mut layer = Layer::new(pointwise(4, 8, 2), traits);
    layer.weights = std::vec![0, 0, 0, 0, 1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, -5];
    layer
}

#[test]
fn changed_parameters_are_refused_or_run() {
    for seed in 0..4 {
        let layer = Layer::small(2, seed).without_lowest_weight().without_blocks(4);
        let (bench, params) = layer.packed(Opcode::ConvSparse).unwrap();
        bench.survives_mutations::<ConvSparse>(params, params.window.out_h);
    }
}

#[test]
fn contradictions_are_refused() {
    let layer = small();
    let (mut bench, params) = layer.packed(Opcode::ConvSparse).unwrap();
    let needed = scratch_len(&params).unwrap() as u32;
    let short = op::Conv { scratch: bench.scratch(needed as usize - 1), ..params };
    let stream = stream_of(&layer);
    // Its length, both biases, the number of couples, one of them, and both multipliers.
    assert_eq!(stream.len(), 1 + HEAD_WORDS + COUPLE_WORDS + 2);
    assert_eq!(stream[HEAD_WORDS + COUPLE_WORDS], 1, "the places of both quads");
    let mut with = |place: usize, word: u32| {
        let mut stream = stream.clone();
        stream[place] = word;
        let params = op::Conv { weights: bench.data(&stream), ..params };
        (params.weights, bench.check::<ConvSparse>(&params, 1))
    };
    let at = HEAD_WORDS + COUPLE_WORDS;
    for (place, word) in [(0, stream[0]), (1, 99), (at, 0), (at, 1 << 16), (at, 0x0001_0001)] {
        assert_eq!(with(place, word).1, Ok(()), "{place} {word}");
    }
    let most = u32::MAX;
    for (place, word) in [
        (0, 0),
        (0, stream[0] - 1),
        (0, stream[0] + 1),
        (0, most),
        (HEAD_WORDS, 0),
        (HEAD_WORDS, 2),
        (HEAD_WORDS, most),
        (at, 2),
        (at, 2 << 16),
        (at, most),
    ] {
        let (offset, found) = with(place, word);
        assert_eq!(found, Err(Rule::Data(offset)), "{place} {word}");
    }
    let check = |params| bench.check::<ConvSparse>(&params, 1);
    assert_eq!(check(params), Ok(()));
    assert_eq!(check(short), Err(Rule::Scratch { needed, given: needed - 1 }));
    assert_eq!(check(op::Conv { shift: 1, ..params }), Err(Rule::Parameter("shift")));
    assert_eq!(check(op::Conv { coding: 1, ..params }), Err(Rule::Parameter("coding")));
}

#[test]
fn layers_without_weights_run() {
    let mut layer = small();
    layer.weights.fill(0);
    assert_eq!(stream_of(&layer).len(), 1 + HEAD_WORDS + 2);
    assert_eq!(layer.run::<ConvSparse>(Opcode::ConvSparse), Some(layer.expected()));
}
