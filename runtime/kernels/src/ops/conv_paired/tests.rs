use fixie_format::Opcode;
use proptest::prelude::*;

use super::*;
use crate::ops::conv_testing::{Layer, Traits, grouped_windows, pointwise, traits};

proptest! {
    #[test]
    fn it_is_the_definition((window, groups) in grouped_windows(), traits in traits()) {
        let traits = Traits { groups, shift: 0, ..traits };
        let layer = Layer::new(window, traits).without_lowest_weight();
        prop_assert_eq!(layer.run::<ConvPaired>(Opcode::ConvPaired), Some(layer.expected()));
    }

    #[test]
    fn matrix_products_of_any_size(
        pixels in 1u16..10, in_c in 1u16..40, out_c in 1u16..20, traits in traits(),
    ) {
        let layer = Layer::new(pointwise(pixels, in_c, out_c), Traits { shift: 0, ..traits })
            .without_lowest_weight();
        prop_assert_eq!(layer.run::<ConvPaired>(Opcode::ConvPaired), Some(layer.expected()));
    }

    #[test]
    fn rings_hold_the_last_rows(
        (window, groups) in grouped_windows(), traits in traits(), ring_rows in 1u16..6,
    ) {
        let traits = Traits { groups, shift: 0, ..traits };
        let layer = Layer::new(window, traits).without_lowest_weight();
        let [found, expected] =
            layer.run_on_rings::<ConvPaired>(Opcode::ConvPaired, ring_rows).unwrap();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn coded_constants_are_the_same(
        (window, groups) in grouped_windows(), traits in traits(),
    ) {
        let traits = Traits { groups, shift: 0, ..traits };
        let layer = Layer::new(window, traits).without_lowest_weight();
        layer.survives_coding::<ConvPaired>(Opcode::ConvPaired);
    }
}

#[test]
fn changed_parameters_are_refused_or_run() {
    for seed in 0..4 {
        Layer::small(2, seed)
            .without_lowest_weight()
            .survives_mutations::<ConvPaired>(Opcode::ConvPaired);
    }
}

#[test]
fn contradictions_are_refused() {
    let layer = Layer::small(2, 1).without_lowest_weight();
    let (mut bench, params) = layer.packed(Opcode::ConvPaired).unwrap();
    let needed = scratch_len(&params, 1).unwrap() as u32;
    let short = op::Conv { scratch: bench.scratch(needed as usize - 1), ..params };
    let check = |params| bench.check::<ConvPaired>(&params, 4);
    assert_eq!(check(params), Ok(()));
    assert_eq!(check(short), Err(Rule::Scratch { needed, given: needed - 1 }));
    let behind = op::Conv { weights: params.weights + 1024, ..params };
    assert_eq!(check(behind), Err(Rule::Data(behind.weights)));
    assert_eq!(check(op::Conv { shift: 1, ..params }), Err(Rule::Parameter("shift")));
}
