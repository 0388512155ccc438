//! Keyword spotting on emulated boards: a recording of spoken words in, those that are keywords out,
//! each once, no sample missed while it infers.

use std::fs::File;

use fixie_application_tests::{Shipped, play, play_fast};
use fixie_applications::keyword::{FRONT_END, SAMPLE_RATE_HZ, SHIPPED, STRIDE};
use fixie_compiler::lower::Inputs;
use fixie_emulator::firmware::KEYWORD;
use fixie_emulator::qemu::Speed;
use fixie_tests::shipped;
use ndarray::Array1;
use ndarray_npy::NpzReader;

const APPLICATION: Shipped =
    Shipped { application: KEYWORD, model: "keyword", inputs: Inputs::Whole };

/// The shipped recording, and what is said in it when.
struct Clip {
    /// 16-bit samples.
    sound: Vec<i16>,
    /// First sample of each word.
    starts: Vec<u64>,
    /// Its class; background if it is no keyword.
    classes: Vec<usize>,
}

impl Clip {
    fn load() -> Self {
        let mut file = NpzReader::new(File::open(shipped("keyword/clip.npz")).unwrap()).unwrap();
        let sound: Array1<i16> = file.by_name("sound.npy").unwrap();
        let starts: Array1<i64> = file.by_name("start.npy").unwrap();
        let classes: Array1<i64> = file.by_name("y.npy").unwrap();
        Self {
            sound: sound.to_vec(),
            starts: starts.iter().map(|&start| start as u64).collect(),
            classes: classes.iter().map(|&class| class as usize).collect(),
        }
    }

    fn bytes(&self) -> Vec<u8> {
        self.sound.iter().flat_map(|sample| sample.to_le_bytes()).collect()
    }

    /// The keywords with the sample at which each begins.
    fn keywords(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let words = self.classes.iter().zip(&self.starts);
        words
            .filter(|(class, _)| **class != 0)
            .map(|(&class, &start)| (SHIPPED.labels[class], start))
    }
}

fn check(board: &str) {
    let clip = Clip::load();
    let session = play_fast(board, APPLICATION, &clip.bytes());
    assert_eq!((session.samples, session.missed), (clip.sound.len() as u64, 0));
    assert!(session.queued < session.capacity, "{session:?}");

    let heard: Vec<_> = session.decisions.iter().map(|decision| &*decision.label).collect();
    assert_eq!(heard, clip.keywords().map(|(word, _)| word).collect::<Vec<_>>());
    for (decision, (_, start)) in session.decisions.iter().zip(clip.keywords()) {
        // Within a second from when the word begins.
        let within = start..start + u64::from(SAMPLE_RATE_HZ);
        assert!(within.contains(&decision.sample), "{decision:?}");
        // Before the next inference is due.
        let limit_ns = 1_000_000_000 * (STRIDE * FRONT_END.hop_len) as u64 / 16_000;
        assert!(decision.latency_ns < limit_ns, "{decision:?}");
    }
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

/// At a million instructions a second there is not enough time for each sample, and that is seen.
#[test]
fn a_core_that_is_too_slow_misses_samples() {
    let speed = Speed::Instructions { shift: 10 };
    let session = play("cortex-m4", APPLICATION, &Clip::load().bytes(), speed).unwrap();
    assert!(session.missed > 0, "{session:?}");
}
