//! Every kernel of every emulated core against the host's, over random and extreme layers.
//!
//! Needs the compilers and emulators that `cargo xtask setup` finds or installs.

use fixie_emulator::Board;
use fixie_emulator::firmware::{Application, Firmware};
use fixie_emulator::qemu::Run;
use fixie_kernels_on_core::{Case, Kind, Random, case, wide_case};

/// Runs the cases.
const KERNEL_TESTS: Application = Application {
    workspace: "",
    package: "fixie-kernel-tests",
    binary: "kernel-tests",
    features: None,
};

/// Layers per kind and kernel.
const LAYERS: usize = 60;

/// Layers of every kind for every kernel that takes them.
fn cases() -> Vec<Case> {
    let mut random = Random(2);
    let mut cases = Vec::new();
    for kind in Kind::ALL {
        for &opcode in kind.opcodes() {
            let taken = (0..).filter_map(|_: u64| case(kind, opcode, &mut random));
            cases.extend(taken.take(LAYERS));
        }
        cases.extend((0..LAYERS).filter_map(|_| wide_case(kind, &mut random)));
    }
    cases
}

/// Runs all cases on a board and compares their outputs; the core must use the instruction set
/// `isa`.
fn compare(board: &str, isa: &str) {
    let cases = cases();
    let mut input = Vec::new();
    for case in &cases {
        case.append_to(&mut input);
    }
    let board = Board::find(board).unwrap();
    let firmware = Firmware::build(board, KERNEL_TESTS, None, &|_| {}).unwrap();
    let outcome = firmware.run(&Run { input: &input, ..Run::default() }, &|_| {}).unwrap();
    assert_eq!(outcome.report, format!("isa {isa}\ncases {}\n", cases.len()), "{}", board.name);
    let mut outputs = &outcome.output[..];
    for (index, case) in cases.iter().enumerate() {
        let expected = case.run();
        let (output, rest) = outputs.split_at(expected.len());
        assert_eq!(output, expected, "{}: case {index}", board.name);
        outputs = rest;
    }
    assert!(outputs.is_empty());
}

#[test]
fn cortex_m3_equals_the_host() {
    compare("cortex-m3", "thumb");
}

#[test]
fn cortex_m4_equals_the_host() {
    compare("cortex-m4", "dsp");
}

#[test]
fn cortex_m7_equals_the_host() {
    compare("cortex-m7", "dsp");
}

#[test]
fn cortex_m33_equals_the_host() {
    compare("cortex-m33", "dsp");
}

#[test]
fn cortex_m55_equals_the_host() {
    compare("cortex-m55", "helium");
}

#[test]
fn cortex_m0plus_equals_the_host() {
    compare("cortex-m0plus", "thumb");
}

#[test]
fn rv32_equals_the_host() {
    compare("rv32", "rv32");
}
