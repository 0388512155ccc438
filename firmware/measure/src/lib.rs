//! Measures the image in the board's image region, for `fixie bench --chip`.
//!
//! Behind the image may lie samples:
//!
//! ```text
//! region := image padding(16) ["FXIN" len_bytes:u32 sample*] sample := the bytes of input 0, of input 1 …
//! ```
//!
//! Without any there is one of zero bytes. Inputs that are given row by row get their rows from there,
//! when they want them. All of them run again and again, so that whoever listens
//! late misses nothing. Each round is reported over RTT, one defmt message for each line:
//!
//! ```text
//! round := "bench begin" image arena_bytes stack_bytes bind_cycles run_cycles
//!          ("bench step" operator cycles)*
//!          ("bench sample" decision)*
//!          "bench end" steps samples outputs
//!        | "bench error" what went wrong
//! image := checksum of the image's header     decision := the largest element of output 0
//! outputs := CRC-32 of all output bytes
//! ```
//!
//! The figures are those of the first sample.

#![no_std]
#![forbid(unsafe_code)]

mod failure;
mod sample;

use crc::{CRC_32_ISO_HDLC, Crc};
use fixie::{ALL_OPS, Image, Progress};
use fixie_board::{split, stack};
use fixie_format::ALIGNMENT;

use failure::Failure;
use sample::Sample;

type Engine<'a> = fixie::Engine<'a, ALL_OPS>;

static CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

/// What samples begin with.
const SAMPLES_MAGIC: [u8; 4] = *b"FXIN";

/// Keeps a round from filling the channel before the host has read the last one.
const PAUSE_CYCLES: u32 = 200_000;

/// A counter of the core's cycles, which wraps after 2³².
pub type Counter = fn() -> u32;

/// Measures for ever.
pub fn measure(now: Counter) -> ! {
    let mut arena = split::arena();
    loop {
        let outcome =
            arena.as_deref_mut().ok_or(Failure::Arena).and_then(|arena| round(arena, now));
        if let Err(failure) = outcome {
            defmt::println!("bench error {}", defmt::Display2Format(&failure));
        }
        let start = now();
        while now().wrapping_sub(start) < PAUSE_CYCLES {}
    }
}

fn round(arena: &mut [u8], now: Counter) -> Result<(), Failure> {
    let (first, stack_bytes) = stack::high_water(|| Sample::ZEROS.run(&mut bind(arena)?));
    first?;

    let (bound, bind_cycles) = counted(now, || bind(arena));
    let mut net = bound?;
    let samples = samples(net.image())?;
    let sample = Sample::all(net.image(), samples)?.next().ok_or(Failure::Truncated)?;
    sample.load(&mut net)?;
    let (run, run_cycles) = counted(now, || sample.run(&mut net));
    run?;
    let image = net.image();
    defmt::println!(
        "bench begin {=u32} {=u32} {=u32} {=u32} {=u32}",
        image.checksum(),
        image.arena_len() as u32,
        stack_bytes as u32,
        bind_cycles,
        run_cycles
    );

    sample.load(&mut net)?;
    let steps = run_by_steps(&mut net, sample, now)?;
    let (count, outputs) = run_all(&mut net, samples)?;
    defmt::println!("bench end {=u32} {=u32} {=u32}", steps, count, outputs);
    Ok(())
}

/// The samples behind the image; none if there are none.
fn samples(image: &Image<'_>) -> Result<&'static [u8], Failure> {
    let start = image.bytes().len().next_multiple_of(ALIGNMENT);
    let Some((head, rest)) = split::image_region().get(start..).and_then(<[u8]>::split_first_chunk)
    else {
        return Ok(&[]);
    };
    let [a, b, c, d, len @ ..]: [u8; 8] = *head;
    if [a, b, c, d] != SAMPLES_MAGIC {
        return Ok(&[]);
    }
    rest.get(..u32::from_le_bytes(len) as usize).ok_or(Failure::Truncated)
}

fn bind(arena: &mut [u8]) -> Result<Engine<'_>, Failure> {
    let image = Image::parse(split::image_region()).map_err(fixie::BindError::from)?;
    Ok(Engine::new(image, arena)?)
}

/// Runs every sample and reports what it is taken for. Gives the number of samples and the CRC-32 of
/// all output bytes.
fn run_all(net: &mut Engine<'_>, samples: &[u8]) -> Result<(u32, u32), Failure> {
    let (mut count, mut digest) = (0, CRC.digest());
    let image = *net.image();
    for sample in Sample::all(&image, samples)? {
        sample.load(net)?;
        sample.run(net)?;
        for index in 0..image.output_count() {
            digest.update(net.output(index)?.bytes());
        }
        defmt::println!("bench sample {=u32}", net.output(0)?.argmax().class as u32);
        count += 1;
    }
    Ok((count, digest.finalize()))
}

/// Reports each step. Gives their number.
fn run_by_steps(net: &mut Engine<'_>, sample: Sample<'_>, now: Counter) -> Result<u32, Failure> {
    let mut steps = 0;
    let image = *net.image();
    loop {
        let op = image.step(steps).map_or(u16::MAX, |step| step.op);
        let (progress, cycles) = counted(now, || net.step());
        if progress == Ok(Progress::NeedsRow) {
            sample.give(&image, net.row()?)?;
            continue;
        }
        defmt::println!("bench step {=u16} {=u32}", op, cycles);
        steps += 1;
        if progress? == Progress::Done {
            return Ok(steps as u32);
        }
    }
}

/// Does some work and gives its result and the cycles that it took, those of asking the counter
/// taken off.
fn counted<R>(now: Counter, work: impl FnOnce() -> R) -> (R, u32) {
    let empty = now();
    let start = now();
    let result = work();
    let end = now();
    (result, end.wrapping_sub(start).saturating_sub(start.wrapping_sub(empty)))
}
