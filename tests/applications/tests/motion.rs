//! Activity recognition on emulated boards: recorded motion in, the right activities out, no sample
//! missed while it infers.

use std::fs::File;

use fixie_application_tests::{Shipped, play_fast};
use fixie_applications::motion::{AXES, SAMPLE_RATE_HZ, SHIPPED, STRIDE, WINDOW_LEN};
use fixie_compiler::lower::Inputs;
use fixie_emulator::firmware::MOTION;
use fixie_tests::shipped;
use ndarray::{Array1, Array3, Axis};
use ndarray_npy::NpzReader;

const APPLICATION: Shipped =
    Shipped { application: MOTION, model: "motion", inputs: Inputs::Whole };

/// Recordings of the evaluation data, two of each activity in turn.
const RECORDINGS: [usize; 8] = [20, 21, 30, 31, 10, 11, 0, 1];

/// The recordings as the sensor gives them, `[time][axis]`, and what they show.
fn clip() -> (Vec<u8>, Vec<&'static str>) {
    let mut file = NpzReader::new(File::open(shipped("motion/eval.npz")).unwrap()).unwrap();
    let x: Array3<i16> = file.by_name("x.npy").unwrap();
    let y: Array1<i64> = file.by_name("y.npy").unwrap();
    assert_eq!(x.shape()[1..], [AXES, WINDOW_LEN]);
    let samples = RECORDINGS
        .into_iter()
        .flat_map(|index| x.index_axis(Axis(0), index).t().iter().copied().collect::<Vec<_>>());
    let bytes = samples.flat_map(i16::to_le_bytes).collect();
    (bytes, RECORDINGS.map(|index| SHIPPED.labels[y[index] as usize]).to_vec())
}

fn check(board: &str) {
    let (recording, shown) = clip();
    let session = play_fast(board, APPLICATION, &recording);
    assert_eq!((session.samples, session.missed), ((shown.len() * WINDOW_LEN) as u64, 0));

    // Each activity lasts for two recordings and is told once, from what lies in it.
    let decided: Vec<_> = session.decisions.iter().map(|decision| &*decision.label).collect();
    assert_eq!(decided, shown.iter().copied().step_by(2).collect::<Vec<_>>());
    for (decision, start) in session.decisions.iter().zip((0..).step_by(2 * WINDOW_LEN)) {
        let within = start + 1..=start + 2 * WINDOW_LEN as u64;
        assert!(within.contains(&decision.sample), "{decision:?}");
        // Before the next inference is due.
        let limit_ns = 1_000_000_000 * STRIDE as u64 / u64::from(SAMPLE_RATE_HZ);
        assert!(decision.latency_ns < limit_ns, "{decision:?}");
    }
}

#[test]
fn on_cortex_m0() {
    check("cortex-m0");
}

#[test]
fn on_cortex_m0plus() {
    check("cortex-m0plus");
}

#[test]
fn on_cortex_m3() {
    check("cortex-m3");
}

#[test]
fn on_cortex_m4() {
    check("cortex-m4");
}

#[test]
fn on_cortex_m33() {
    check("cortex-m33");
}

#[test]
fn on_cortex_m55() {
    check("cortex-m55");
}

#[test]
fn on_rv32() {
    check("rv32");
}
