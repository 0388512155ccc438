//! The bench firmware with a model that can be worked out by hand, on every board.

mod common;

use std::cell::RefCell;

use common::{LEN, two_tables};
use fixie_emulator::{
    BOARDS, BenchRequest, Board, EmulatorError, Layer, RunRequest, Stage, bench, run_many,
};

fn tables() -> ([i8; 256], [i8; 256]) {
    let first = std::array::from_fn(|index| (index as u8).wrapping_mul(37) as i8);
    let second = std::array::from_fn(|index| (index as u8 ^ 0x5A) as i8);
    (first, second)
}

fn image(arena_bytes: u32) -> Vec<u8> {
    let (first, second) = tables();
    two_tables(&first, &second, arena_bytes)
}

/// Three samples which hold every kind of byte.
fn samples() -> Vec<u8> {
    (0..3 * LEN).map(|index| (index * 91 + 128) as u8).collect()
}

fn run(board: &str, image: &[u8], input: &[u8]) -> Result<Vec<u8>, EmulatorError> {
    run_many(&RunRequest { board: Board::find(board)?, image, input, progress: &|_| {} })
}

#[test]
fn every_board_gives_the_expected_bytes() {
    let (first, second) = tables();
    for board in BOARDS {
        let output = run(board.name, &image(192), &samples()).unwrap();
        assert_eq!(output, expected(&first, &second, &samples()), "{}", board.name);
    }
}

#[test]
fn a_report_adds_up() {
    let layer = |name: &str| Layer { name: name.into(), op: "Lut".into(), macs: 7 };
    let layers = [layer("first"), layer("second")];
    let image = image(192);
    let stages = RefCell::new(Vec::new());
    let request = BenchRequest {
        board: Board::find("cortex-m4").unwrap(),
        image: &image,
        input: &samples(),
        layers: &layers,
        steps: &[0, 1],
        hot: true,
        progress: &|stage| stages.borrow_mut().push(stage),
    };
    let report = bench(&request).unwrap();
    assert_eq!(report.target, "cortex-m4");
    assert_eq!((report.macs, report.arena_bytes), (14, 192));
    assert_eq!(report.image_bytes, image.len() as u64);
    assert!((1024..8192).contains(&report.code_bytes), "{}", report.code_bytes);
    assert!((128..2048).contains(&report.stack_bytes), "{}", report.stack_bytes);
    assert!(report.cycles_estimate > Some(report.instructions));

    let names: Vec<_> = report.layers.iter().map(|layer| layer.name.as_str()).collect();
    assert_eq!(names, ["first", "second"]);
    for layer in &report.layers {
        // Each byte is loaded, looked up and stored.
        assert!(layer.loads >= 2 * LEN as u64 && layer.stores >= LEN as u64, "{layer:?}");
        let counted = layer.loads + layer.stores + layer.multiplies + layer.branches;
        assert!(counted < layer.instructions, "{layer:?}");
    }
    let hot: u64 = report.hot.iter().map(|function| function.instructions).sum();
    assert!(hot >= report.instructions, "{hot} in blocks, {} in all", report.instructions);

    assert!(stages.borrow().contains(&Stage::Emulation { board: "cortex-m4" }));
    assert_eq!(bench(&request).unwrap(), report, "a second run differs");
}

#[test]
fn an_input_that_ends_inside_a_sample_is_refused() {
    let error = run("cortex-m4", &image(192), &samples()[..=LEN]).unwrap_err();
    assert!(error.to_string().contains("ends inside a sample"), "{error}");
    let error = run("cortex-m4", &image(192), &[]).unwrap_err();
    assert!(error.to_string().contains("holds no sample"), "{error}");
}

#[test]
fn an_image_that_does_not_bind_is_refused_by_the_firmware() {
    let mut image = image(192);
    let last = image.len() - 1;
    image[last] ^= 1;
    let error = run("cortex-m4", &image, &samples()).unwrap_err();
    assert!(matches!(error, EmulatorError::Guest { board: "cortex-m4", .. }), "{error}");
}

#[test]
fn a_model_larger_than_the_board_is_refused_with_the_lack() {
    // The micro:bit has 16 KiB of RAM.
    let error = run("cortex-m0", &image(20_000), &samples()).unwrap_err();
    let message = error.to_string();
    assert!(matches!(error, EmulatorError::DoesNotFit { board: "cortex-m0", .. }), "{message}");
    assert!(message.contains("RAM is too small by"), "{message}");
    // The arena alone would fit, the stack would not.
    let error = run("cortex-m0", &image(15_872), &samples()).unwrap_err();
    assert!(error.to_string().contains("no room left for the stack"), "{error}");
}

/// The host's answer.
fn expected(first: &[i8; 256], second: &[i8; 256], input: &[u8]) -> Vec<u8> {
    let look_up = |table: &[i8; 256], index: u8| table[usize::from(index)] as u8;
    input.iter().map(|&value| look_up(second, look_up(first, value))).collect()
}
