use fixie_format::Opcode;
use proptest::prelude::*;

use super::*;
use crate::arch::Scalar;
use crate::ops::conv_testing::{Layer, Traits, traits};
use crate::testing::windows;

/// Windows that the operator takes: strides of 1 or even ones, no vertical dilation.
fn planar_windows() -> impl Strategy<Value = op::Window> {
    (windows(), 3u16..5).prop_map(|(window, more)| {
        let channels = window.in_c + more;
        let stride_h = window.stride_h & !1 | u16::from(window.stride_h == 1);
        op::Window { in_c: channels, out_c: channels, stride_h, dilation_h: 1, ..window }
    })
}

proptest! {
    #[test]
    fn it_is_the_definition(window in planar_windows(), traits in traits()) {
        let layer = Layer::new(window, Traits { groups: window.in_c, shift: 0, ..traits });
        let expected = Some(layer.expected());
        let found = layer.run::<DepthwisePlanar>(Opcode::DepthwisePlanar);
        prop_assert_eq!(&found, &expected);
        let scalar = layer.run::<DepthwisePlanar<Scalar>>(Opcode::DepthwisePlanar);
        prop_assert_eq!(&scalar, &expected);
    }

    #[test]
    fn rings_hold_the_last_rows(
        window in planar_windows(), traits in traits(), ring_rows in 1u16..6,
    ) {
        let traits = Traits { groups: window.in_c, shift: 0, ..traits };
        let layer = Layer::new(window, traits);
        let [found, expected] =
            layer.run_on_rings::<DepthwisePlanar>(Opcode::DepthwisePlanar, ring_rows).unwrap();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn coded_constants_are_the_same(window in planar_windows(), traits in traits()) {
        let traits = Traits { groups: window.in_c, shift: 0, ..traits };
        let layer = Layer::new(window, traits);
        layer.survives_coding::<DepthwisePlanar>(Opcode::DepthwisePlanar);
    }
}

#[test]
fn changed_parameters_are_refused_or_run() {
    for seed in 0..4 {
        Layer::small(6, seed).survives_mutations::<DepthwisePlanar>(Opcode::DepthwisePlanar);
    }
}

#[test]
fn contradictions_are_refused() {
    let layer = Layer::small(6, 1);
    let (mut bench, params) = layer.packed(Opcode::DepthwisePlanar).unwrap();
    let needed = scratch_len(&params, 1).unwrap() as u32;
    let short = op::Conv { scratch: bench.scratch(needed as usize - 1), ..params };
    let check = |params| bench.check::<DepthwisePlanar>(&params, 4);
    assert_eq!(check(params), Ok(()));
    assert_eq!(check(short), Err(Rule::Scratch { needed, given: needed - 1 }));
    let behind = op::Conv { weights: params.weights + 1024, ..params };
    assert_eq!(check(behind), Err(Rule::Data(behind.weights)));
    assert_eq!(check(op::Conv { groups: 3, ..params }), Err(Rule::Parameter("groups")));
}
