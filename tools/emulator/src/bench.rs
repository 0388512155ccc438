//! An image on a board: its figures, and its outputs.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::board::Board;
use crate::digest::sha256_hex;
use crate::elf::{Elf, Function};
use crate::firmware::{BARE, BENCH, Firmware};
use crate::qemu::{Outcome, Profiling, Run};
use crate::{Counters, EmulatorError, HotBlock, Profile, Stage};

/// The marks of the bench firmware, in the order in which it passes them; then one after each step.
mod marks {
    pub const EMPTY: (usize, usize) = (0, 1);
    pub const BIND: (usize, usize) = (2, 3);
    pub const RUN: (usize, usize) = (4, 5);
    pub const FIRST_STEP: usize = 6;
}

/// What is to be measured.
pub struct BenchRequest<'a> {
    /// The board.
    pub board: &'static Board,
    /// The image.
    pub image: &'a [u8],
    /// One or more inputs, each all inputs of the model one after the other as raw bytes.
    pub input: &'a [u8],
    /// The operators of the image.
    pub layers: &'a [Layer],
    /// For each step of the schedule, the index of its operator in `layers`.
    pub steps: &'a [usize],
    /// Whether to list the functions that the inference spends its instructions in.
    pub hot: bool,
    /// Told what is being done.
    pub progress: &'a dyn Fn(Stage),
}

/// What is to be run.
pub struct RunRequest<'a> {
    /// The board.
    pub board: &'static Board,
    /// The image.
    pub image: &'a [u8],
    /// One or more inputs, each all inputs of the model one after the other as raw bytes.
    pub input: &'a [u8],
    /// Told what is being done.
    pub progress: &'a dyn Fn(Stage),
}

/// An operator of the image, as the compiler knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// Its name in the model.
    pub name: String,
    /// What it does.
    pub op: String,
    /// Multiply-accumulates of one inference.
    pub macs: u64,
}

/// The figures of one image on one board.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BenchReport {
    /// The board's name.
    pub target: &'static str,
    /// Executed instructions of one inference in steady state: exact.
    pub instructions: u64,
    /// Estimated cycles of one inference; none where no model of the core exists.
    pub cycles_estimate: Option<u64>,
    /// Multiply-accumulates of one inference.
    pub macs: u64,
    /// RAM for inputs, outputs, activations, scratch and state.
    pub arena_bytes: u64,
    /// Deepest stack while binding and running.
    pub stack_bytes: u64,
    /// Flash for code and constants, without the image, of a firmware that does nothing else.
    pub code_bytes: u64,
    /// Flash for the image.
    pub image_bytes: u64,
    /// SHA-256 of the raw output bytes of all inputs, in hexadecimal.
    pub output_sha256: String,
    /// The operators, in the order of the image.
    pub layers: Vec<LayerReport>,
    /// Executed instructions of binding the image to its arena, once at start-up.
    pub bind_instructions: u64,
    /// The compiler that built the firmware, on which the counts depend.
    pub compiler: String,
    /// Where the instructions of the inference went, most first; empty unless asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hot: Vec<HotFunction>,
}

/// The figures of one operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LayerReport {
    /// Its name in the model.
    pub name: String,
    /// What it does.
    pub op: String,
    /// Multiply-accumulates of one inference.
    pub macs: u64,
    /// Executed instructions of one inference.
    pub instructions: u64,
    /// Of these, reads of memory.
    pub loads: u64,
    /// Of these, writes of memory.
    pub stores: u64,
    /// Of these, multiplies.
    pub multiplies: u64,
    /// Of these, branches.
    pub branches: u64,
    /// Estimated cycles; none where no model of the core exists.
    pub cycles_estimate: Option<u64>,
}

/// A function and what it executed itself, without those it calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HotFunction {
    /// Its path in the source.
    pub name: String,
    /// Executed instructions of one inference.
    pub instructions: u64,
}

/// Runs an image on a board and measures it.
///
/// # Errors
///
/// Whatever keeps firmware from being built or run; see [`EmulatorError`].
pub fn bench(request: &BenchRequest<'_>) -> Result<BenchReport, EmulatorError> {
    let board = request.board;
    let firmware = Firmware::build(board, BENCH, Some(request.image), request.progress)?;
    let code_bytes = code_bytes(board, request.image, request.progress)?;
    let (first, last) = marks::RUN;
    let profile = if request.hot { Profiling::List { first, last } } else { Profiling::Count };
    let run = Run { input: request.input, profile, ..Run::default() };
    let outcome = firmware.run(&run, request.progress)?;
    report(request, &firmware, &outcome, code_bytes)
}

/// Runs an image on a board and gives the raw output bytes of all inputs, one after the other.
///
/// # Errors
///
/// Whatever keeps firmware from being built or run; see [`EmulatorError`].
pub fn run_many(request: &RunRequest<'_>) -> Result<Vec<u8>, EmulatorError> {
    let firmware = Firmware::build(request.board, BENCH, Some(request.image), request.progress)?;
    let run = Run { input: request.input, ..Run::default() };
    Ok(firmware.run(&run, request.progress)?.output)
}

/// Flash of the bare inference, without the image.
fn code_bytes(
    board: &'static Board,
    image: &[u8],
    progress: &dyn Fn(Stage),
) -> Result<u64, EmulatorError> {
    let firmware = Firmware::build(board, BARE, Some(image), progress)?;
    let elf = Elf::parse(&firmware.elf)?;
    if !elf.contains(image) {
        return Err(EmulatorError::Malformed {
            what: "firmware",
            problem: "the image is not in it".to_owned(),
        });
    }
    Ok(elf.flash_bytes() - image.len() as u64)
}

fn report(
    request: &BenchRequest<'_>,
    firmware: &Firmware,
    outcome: &Outcome,
    code_bytes: u64,
) -> Result<BenchReport, EmulatorError> {
    let guest = GuestReport::parse(&outcome.report);
    let profile = outcome.profile.as_ref().ok_or_else(|| malformed("it was not written"))?;
    let mark_cost = region(profile, marks::EMPTY, Counters::default())?;
    let run = region(profile, marks::RUN, mark_cost)?;
    let bind = region(profile, marks::BIND, mark_cost)?;
    let steps = step_counters(profile, mark_cost);
    if steps.len() != request.steps.len() || guest.get("steps")? != steps.len() as u64 {
        return Err(malformed(&format!(
            "it has {} steps, the image has {}",
            steps.len(),
            request.steps.len()
        )));
    }
    let board = request.board;
    let compiler = crate::toolchain::Toolchain::find(board.target)?.release().to_owned();
    Ok(BenchReport {
        target: board.name,
        instructions: run.instructions,
        cycles_estimate: cycles_estimate(board, run),
        macs: request.layers.iter().map(|layer| layer.macs).sum(),
        arena_bytes: guest.get("arena_bytes")?,
        stack_bytes: guest.get("stack_bytes")?,
        code_bytes,
        image_bytes: request.image.len() as u64,
        output_sha256: sha256_hex([&outcome.output]),
        layers: layer_reports(request, &steps),
        bind_instructions: bind.instructions,
        compiler,
        hot: hot_functions(&profile.hot, &Elf::parse(&firmware.elf)?.functions()),
    })
}

/// What was counted between two marks, without what the marks themselves cost.
fn region(
    profile: &Profile,
    (first, last): (usize, usize),
    mark_cost: Counters,
) -> Result<Counters, EmulatorError> {
    match (profile.marks.get(first), profile.marks.get(last)) {
        (Some(&before), Some(&after)) => Ok(after - before - mark_cost),
        _ => Err(malformed(&format!("it ends before mark {last}"))),
    }
}

fn step_counters(profile: &Profile, mark_cost: Counters) -> Vec<Counters> {
    let marks = profile.marks.get(marks::FIRST_STEP..).unwrap_or_default();
    marks.windows(2).map(|pair| pair[1] - pair[0] - mark_cost).collect()
}

/// The operators with the sums of their steps.
fn layer_reports(request: &BenchRequest<'_>, steps: &[Counters]) -> Vec<LayerReport> {
    let mut sums = vec![Counters::default(); request.layers.len()];
    for (&layer, &counters) in request.steps.iter().zip(steps) {
        if let Some(sum) = sums.get_mut(layer) {
            *sum = *sum + counters;
        }
    }
    let reports = request.layers.iter().zip(sums).map(|(layer, sum)| LayerReport {
        name: layer.name.clone(),
        op: layer.op.clone(),
        macs: layer.macs,
        instructions: sum.instructions,
        loads: sum.loads,
        stores: sum.stores,
        multiplies: sum.multiplies,
        branches: sum.branches,
        cycles_estimate: cycles_estimate(request.board, sum),
    });
    reports.collect()
}

/// The estimate, for the cores that the profiler has a model of.
fn cycles_estimate(board: &Board, counters: Counters) -> Option<u64> {
    match board.cpu? {
        "cortex-m4" => Some(counters.cortex_m4_cycles),
        "cortex-m7" => Some(counters.cortex_m7_cycles),
        _ => None,
    }
}

/// Adds the blocks up by the functions that they lie in.
fn hot_functions(blocks: &[HotBlock], functions: &[Function]) -> Vec<HotFunction> {
    let mut sums = BTreeMap::<&str, u64>::new();
    for block in blocks {
        let after = functions.partition_point(|function| function.address <= block.address);
        let name = after.checked_sub(1).map_or("?", |index| &functions[index].name);
        *sums.entry(name).or_default() += block.instructions;
    }
    let mut hot: Vec<_> = sums
        .into_iter()
        .map(|(name, instructions)| HotFunction { name: readable(name), instructions })
        .collect();
    hot.sort_by_key(|function| std::cmp::Reverse(function.instructions));
    hot
}

/// A symbol as its source names it, without the compiler's hash.
fn readable(symbol: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(symbol))
}

/// The lines of the firmware's report, `key number`.
struct GuestReport<'a>(BTreeMap<&'a str, u64>);

impl<'a> GuestReport<'a> {
    fn parse(text: &'a str) -> Self {
        let entries = text.lines().filter_map(|line| {
            let (key, value) = line.split_once(' ')?;
            Some((key, value.parse().ok()?))
        });
        Self(entries.collect())
    }

    fn get(&self, key: &str) -> Result<u64, EmulatorError> {
        self.0.get(key).copied().ok_or_else(|| EmulatorError::Malformed {
            what: "the firmware's report",
            problem: format!("it does not state {key}"),
        })
    }
}

fn malformed(problem: &str) -> EmulatorError {
    EmulatorError::Malformed { what: "the profile", problem: problem.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counters(instructions: u64) -> Counters {
        Counters { instructions, ..Counters::default() }
    }

    #[test]
    fn what_marks_cost_is_taken_off_every_region() {
        let marks = [0, 4, 10, 114, 120, 1124, 2000, 2104, 2508].map(counters).to_vec();
        let profile = Profile { marks, hot: Vec::new() };
        let cost = region(&profile, marks::EMPTY, Counters::default()).unwrap();
        assert_eq!(region(&profile, marks::BIND, cost).unwrap().instructions, 100);
        assert_eq!(region(&profile, marks::RUN, cost).unwrap().instructions, 1000);
        let steps: Vec<_> =
            step_counters(&profile, cost).iter().map(|step| step.instructions).collect();
        assert_eq!(steps, [100, 400]);
    }

    #[test]
    fn a_profile_that_ends_early_is_an_error() {
        let profile = Profile { marks: vec![counters(0)], hot: Vec::new() };
        assert!(region(&profile, marks::EMPTY, Counters::default()).is_err());
    }

    #[test]
    fn blocks_belong_to_the_function_before_them() {
        let function = |name: &str, address| Function { name: name.into(), address, len_bytes: 0 };
        let block = |address, instructions| HotBlock { address, executions: 1, instructions };
        let functions = [function("first", 0x100), function("second", 0x200)];
        let blocks = [block(0x1f0, 7), block(0x200, 20), block(0x100, 5), block(0x10, 1)];
        let hot = hot_functions(&blocks, &functions);
        let hot: Vec<_> = hot.iter().map(|hot| (hot.name.as_str(), hot.instructions)).collect();
        assert_eq!(hot, [("second", 20), ("first", 12), ("?", 1)]);
    }
}
