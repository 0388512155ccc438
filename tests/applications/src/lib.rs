//! Builds the firmware of an application for an emulated board, plays it a recording and reads its
//! log.
#![expect(clippy::missing_panics_doc, reason = "test helpers panic where a check fails")]
#![forbid(unsafe_code)]

pub mod latency;

use fixie_compiler::compile::{Options, compile};
use fixie_compiler::data::Dataset;
use fixie_compiler::lower::Inputs;
use fixie_compiler::onnx::{ImportOptions, Model};
use fixie_emulator::firmware::{Application, Firmware};
use fixie_emulator::log::{Record, decode};
use fixie_emulator::qemu::{Run, Speed};
use fixie_emulator::{Board, EmulatorError};
use fixie_tests::shipped;

/// 62.5 million instructions a second.
pub const FAST: Speed = Speed::Instructions { shift: 4 };
/// What an instruction takes at that speed.
pub const FAST_INSTRUCTION_NS: u64 = 1 << 4;

/// What an application's log says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// What it decided, in order.
    pub decisions: Vec<Decision>,
    /// Samples that were due.
    pub samples: u64,
    /// Samples that were lost.
    pub missed: u64,
    /// The fullest that the queue was, and its capacity.
    pub queued: u64,
    /// What fits the queue.
    pub capacity: u64,
    /// Inferences.
    pub inferences: u64,
    /// The longest time for which the queue was not looked at.
    pub longest_turn_ns: u64,
}

/// A decision in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What the class is called.
    pub label: String,
    /// The last sample that mattered.
    pub sample: u64,
    /// From that sample to the decision.
    pub latency_ns: u64,
}

/// An application with the model that the repository ships for it.
#[derive(Debug, Clone, Copy)]
pub struct Shipped {
    /// The application.
    pub application: Application,
    /// The model, `NAME/NAME.onnx`.
    pub model: &'static str,
    /// How the application gives the model its input.
    pub inputs: Inputs,
}

/// Plays a recording to an application on a fast core, and compares how long it takes with the table
/// of latencies.
pub fn play_fast(board: &str, shipped: Shipped, recording: &[u8]) -> Session {
    let session = play(board, shipped, recording, FAST).unwrap();
    latency::check(Board::find(board).unwrap(), shipped.application.binary, &session);
    session
}

/// Plays a recording to an application.
///
/// # Errors
///
/// Whatever keeps firmware from being built or run.
pub fn play(
    board: &str,
    shipped: Shipped,
    recording: &[u8],
    speed: Speed,
) -> Result<Session, EmulatorError> {
    let board = Board::find(board)?;
    let image = shipped.image(board);
    let firmware = Firmware::build(board, shipped.application, Some(&image), &|_| {})?;
    let run = Run { input: recording, speed, ..Run::default() };
    let outcome = firmware.run(&run, &|_| {})?;
    let log = decode(&firmware.elf, &outcome.log)?;
    log.iter().for_each(|record| println!("{:<14} {record}", board.name));
    Ok(Session::read(&log))
}

impl Shipped {
    /// The model, converted for a board.
    pub fn image(&self, board: &Board) -> Vec<u8> {
        let folder = shipped(self.model);
        let path = folder.join(self.model).with_extension("onnx");
        let model = Model::load(&path, &ImportOptions::default()).unwrap();
        let calibration = Dataset::load(&folder.join("calib.npz"), model.inputs()).unwrap();
        let target = board.name.parse().unwrap();
        let options = Options { inputs: self.inputs, ..Options::for_target(target) };
        compile(&model, Some(&calibration), &options, &mut |_| {}).unwrap().image
    }
}

impl Session {
    fn read(log: &[Record]) -> Self {
        let last = log.last().expect("a log").message.as_str();
        assert!(last.starts_with("ended after"), "{last}");
        let [samples, missed, queued, capacity, inferences, longest_turn_ns, ..] =
            numbers(last)[..]
        else {
            panic!("{last}")
        };
        let decisions = log.iter().filter_map(|record| Decision::read(&record.message)).collect();
        Self { decisions, samples, missed, queued, capacity, inferences, longest_turn_ns }
    }
}

impl Decision {
    /// `walking with score 101 at sample 230, latency 1234 ns`.
    fn read(message: &str) -> Option<Self> {
        let (label, rest) = message.split_once(" with score ")?;
        let (_score, rest) = rest.split_once(' ')?;
        let [sample, latency_ns] = numbers(rest)[..] else { panic!("{message}") };
        Some(Self { label: label.to_owned(), sample, latency_ns })
    }
}

/// All numbers in a text.
fn numbers(text: &str) -> Vec<u64> {
    text.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect()
}
