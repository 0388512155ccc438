//! The counter against code of known length, on emulated cores.

use fixie_emulator::firmware::{CALIBRATION, Firmware};
use fixie_emulator::qemu::{Profiling, Run};
use fixie_emulator::{Board, Counters, Profile};

/// Turns of the loop in the calibration firmware.
const TURNS: u64 = 100;
/// Instructions around the loop which the empty function does not have.
const AROUND: u64 = 3;

fn profile(board: &str) -> Profile {
    let board = Board::find(board).unwrap();
    let firmware = Firmware::build(board, CALIBRATION, None, &|_| {}).unwrap();
    let run = Run { profile: Profiling::List { first: 1, last: 2 }, ..Run::default() };
    firmware.run(&run, &|_| {}).unwrap().profile.unwrap()
}

/// What the loop counts beyond a call of an empty function.
fn loop_counters(profile: &Profile) -> Counters {
    let [empty, looped, end] = profile.marks[..] else {
        panic!("three marks, not {}", profile.marks.len())
    };
    (end - looped) - (looped - empty)
}

fn assert_exact(board: &str) -> Counters {
    let first = profile(board);
    let counters = loop_counters(&first);
    assert_eq!(counters.instructions, AROUND + 5 * TURNS, "{board}");
    assert_eq!(counters.loads, TURNS, "{board}");
    assert_eq!(counters.stores, TURNS, "{board}");
    assert_eq!(counters.multiplies, TURNS, "{board}");
    assert_eq!(counters.branches, TURNS, "{board}");
    // The first turn is in the block of the function's entry.
    let body = first.hot.first().unwrap();
    assert_eq!((body.executions, body.instructions), (TURNS - 1, 5 * (TURNS - 1)), "{board}");
    assert_eq!(profile(board), first, "{board}: a second run counts otherwise");
    counters
}

#[test]
fn cortex_m4_counts_are_exact() {
    let counters = assert_exact("cortex-m4");
    // Each turn: store 1, load 2, three more; a refill of 2 for each but the last.
    assert_eq!(counters.cortex_m4_cycles, AROUND + 6 * TURNS + 2 * (TURNS - 1));
}

#[test]
fn cortex_m0_counts_are_exact() {
    assert_exact("cortex-m0");
}

#[test]
fn rv32_counts_are_exact() {
    assert_exact("rv32");
}
