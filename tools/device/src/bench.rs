//! Cycles per layer, as the bench firmware on the board reports them over RTT
//! (`firmware/measure/src/lib.rs` says in which form).

use std::thread;
use std::time::{Duration, Instant};

use crc::{CRC_32_ISO_HDLC, Crc};
use fixie_emulator::Layer;
use fixie_format::Image;
use serde::Serialize;

use crate::DeviceError;
use crate::device::Device;
use crate::firmware::Firmware;
use crate::log::{Log, LogTable};

/// How long the board may take for one round. The slowest core takes some seconds for the largest
/// model.
const LIMIT: Duration = Duration::from_mins(1);
/// How long the firmware's channel takes to fill, at least.
const POLL: Duration = Duration::from_millis(2);

/// The checksum by which outputs are compared: CRC-32 as of zip.
pub fn crc32(bytes: &[u8]) -> u32 {
    Crc::<u32>::new(&CRC_32_ISO_HDLC).checksum(bytes)
}

/// What is to be measured.
#[derive(Debug, Clone, Copy)]
pub struct BenchRequest<'a> {
    /// The bench firmware, which is flashed and running.
    pub firmware: &'a Firmware,
    /// The image, which is flashed too.
    pub image: &'a [u8],
    /// [`crc32`] of the output bytes that this computer has for the samples flashed with it.
    pub outputs_crc32: u32,
    /// The operators of the image.
    pub layers: &'a [Layer],
}

/// The figures of one image on one chip.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BenchReport {
    /// The chip.
    pub target: String,
    /// Cycles of one inference, from the core's own counter.
    pub cycles: u64,
    /// Multiply-accumulates of one inference.
    pub macs: u64,
    /// RAM for inputs, outputs, activations, scratch and state.
    pub arena_bytes: u64,
    /// Deepest stack while binding and running.
    pub stack_bytes: u64,
    /// Flash for the bench firmware, which has all operators and the log.
    pub code_bytes: u64,
    /// Flash for the image.
    pub image_bytes: u64,
    /// For each sample, the index of the largest element of the first output.
    pub decisions: Vec<usize>,
    /// CRC-32 of the raw output bytes of all samples.
    pub output_crc32: u32,
    /// The operators, in the order of the image.
    pub layers: Vec<LayerReport>,
    /// Cycles of binding the image to its arena, once at start-up.
    pub bind_cycles: u64,
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
    /// Cycles of one inference.
    pub cycles: u64,
}

/// Listens to the bench until it has reported one round, and makes sure that the outputs are those
/// of this computer.
///
/// # Errors
///
/// [`DeviceError::Bench`] for what the firmware says, [`DeviceError::OutputsDiffer`],
/// [`DeviceError::BenchTimeout`], and what [`Log`] says.
pub fn bench(device: &mut Device, request: &BenchRequest<'_>) -> Result<BenchReport, DeviceError> {
    let table = LogTable::of(Some(request.firmware))?;
    let mut log = Log::attach(device, Some(request.firmware), &table)?;
    let (start, mut round) = (Instant::now(), None);
    while start.elapsed() < LIMIT {
        for line in log.read(device)? {
            let words: Vec<_> = line.message.split(' ').collect();
            match words[..] {
                ["bench", "error", ..] => {
                    let problem = words[2..].join(" ");
                    return Err(DeviceError::Bench(problem));
                }
                ["bench", "begin", ref figures @ ..] => round = Round::begin(figures),
                ["bench", "step", op, cycles] => {
                    round = round.and_then(|round: Round| round.step(op, cycles));
                }
                ["bench", "sample", decision] => {
                    round = round.and_then(|round| round.sample(decision));
                }
                ["bench", "end", ref figures @ ..] => {
                    let complete = round.take().and_then(|round| round.end(figures));
                    if let Some(round) = complete {
                        return round.report(device.chip(), request);
                    }
                }
                _ => {}
            }
        }
        thread::sleep(POLL);
    }
    Err(DeviceError::BenchTimeout(LIMIT.as_secs()))
}

/// A round, as far as it was reported. A line that is not understood, or missing, makes it none.
#[derive(Debug, Default)]
struct Round {
    checksum: u32,
    arena_bytes: u64,
    stack_bytes: u64,
    bind_cycles: u64,
    run_cycles: u64,
    /// Operator and cycles.
    steps: Vec<(usize, u64)>,
    decisions: Vec<usize>,
    outputs: u32,
}

impl Round {
    fn begin(figures: &[&str]) -> Option<Self> {
        let [checksum, arena, stack, bind, run] = numbers(figures)?;
        Some(Self {
            checksum,
            arena_bytes: arena.into(),
            stack_bytes: stack.into(),
            bind_cycles: bind.into(),
            run_cycles: run.into(),
            ..Self::default()
        })
    }

    fn step(mut self, op: &str, cycles: &str) -> Option<Self> {
        self.steps.push((op.parse().ok()?, cycles.parse().ok()?));
        Some(self)
    }

    fn sample(mut self, decision: &str) -> Option<Self> {
        self.decisions.push(decision.parse().ok()?);
        Some(self)
    }

    fn end(mut self, figures: &[&str]) -> Option<Self> {
        let [steps, samples, outputs] = numbers(figures)?;
        self.outputs = outputs;
        let counted = (self.steps.len(), self.decisions.len());
        (counted == (steps as usize, samples as usize)).then_some(self)
    }

    fn report(self, chip: &str, request: &BenchRequest<'_>) -> Result<BenchReport, DeviceError> {
        let image = Image::parse(request.image)?;
        if self.checksum != image.checksum() {
            return Err(DeviceError::Bench("it measures another image".to_owned()));
        }
        let (here, there) = (request.outputs_crc32, self.outputs);
        if here != there {
            return Err(DeviceError::OutputsDiffer { here, there });
        }
        let mut cycles = vec![0; request.layers.len()];
        for &(op, step) in &self.steps {
            let layer = cycles.get_mut(op);
            *layer.ok_or_else(|| DeviceError::Bench(format!("it ran an operator {op}")))? += step;
        }
        let layers = request.layers.iter().zip(cycles).map(|(layer, cycles)| LayerReport {
            name: layer.name.clone(),
            op: layer.op.clone(),
            macs: layer.macs,
            cycles,
        });
        Ok(BenchReport {
            target: chip.to_owned(),
            cycles: self.run_cycles,
            macs: request.layers.iter().map(|layer| layer.macs).sum(),
            arena_bytes: self.arena_bytes,
            stack_bytes: self.stack_bytes,
            code_bytes: request.firmware.flash_bytes(),
            image_bytes: request.image.len() as u64,
            decisions: self.decisions,
            output_crc32: there,
            layers: layers.collect(),
            bind_cycles: self.bind_cycles,
        })
    }
}

/// As many numbers as are wanted, if that is what the words are.
fn numbers<const N: usize>(words: &[&str]) -> Option<[u32; N]> {
    let numbers: Option<Vec<_>> = words.iter().map(|word| word.parse().ok()).collect();
    numbers?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_with_a_lost_line_is_none() {
        let begin = || Round::begin(&["1", "2", "3", "4", "5"]).unwrap();
        let step = || begin().step("0", "7").unwrap();
        let complete = step().sample("3").unwrap().end(&["1", "1", "9"]).unwrap();
        assert_eq!((complete.run_cycles, complete.decisions, complete.outputs), (5, vec![3], 9));
        assert!(begin().sample("3").unwrap().end(&["1", "1", "9"]).is_none());
        assert!(step().end(&["1", "1", "9"]).is_none());
        assert!(Round::begin(&["1", "2", "3", "4"]).is_none());
        assert!(begin().step("0", "7x").is_none());
    }
}
