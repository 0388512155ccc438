//! Runs the image it was built with on an emulated board, for `fixie bench` and the tests.
//!
//! Files in the emulator's working directory, by semihosting:
//!
//! ```text
//! input.bin    sample*, sample := the raw bytes of input 0, of input 1 …
//! output.bin   result*, result := the raw bytes of output 0, of output 1 …; one for each sample
//! report.txt   (key ' ' number '\n')*, or "error " and what went wrong
//! ```
//!
//! After the samples the first of them runs twice more between profiling marks, whole and step by
//! step. In the order of the marks:
//!
//! ```text
//! 0 (nothing) 1 … 2 (bind) 3 … 4 (run) 5 … 6 (step 0) 7 (step 1) 8 …
//! ```

#![no_std]
#![no_main]

mod failure;

use fixie::Progress;
use fixie_board::{mark, stack};
use semihosting::fs::File;
use semihosting::io::{Read, Seek, Write};
use semihosting::process;
use static_cell::ConstStaticCell;

use failure::Failure;

fixie::include_image!(mod net = env!("FIXIE_IMAGE"));

static ARENA: ConstStaticCell<net::Arena> = ConstStaticCell::new(net::Arena::new());

/// What the report states.
struct Report {
    arena_bytes: usize,
    stack_bytes: usize,
    samples: usize,
    steps: usize,
}

#[fixie_board::entry]
fn main() -> ! {
    let outcome = bench();
    let reported = write_report(&outcome);
    process::exit(i32::from(outcome.is_err() || reported.is_err()))
}

fn bench() -> Result<Report, Failure> {
    let arena = ARENA.try_take().ok_or(Failure::Arena)?;
    let (first, stack_bytes) = stack::high_water(|| net::bind(arena)?.run().map_err(Failure::from));
    first?;

    mark();
    mark();

    mark();
    let bound = net::bind(arena);
    mark();
    let mut net = bound?;

    let mut input = File::open(c"input.bin")?;
    let samples = run_all(&mut net, &mut input)?;

    load_first(&mut net, &mut input)?;
    mark();
    let run = net.run();
    mark();
    run?;

    load_first(&mut net, &mut input)?;
    let steps = run_by_steps(&mut net)?;

    Ok(Report { arena_bytes: size_of::<net::Arena>(), stack_bytes, samples, steps })
}

/// Runs every sample of the input and writes what comes out. Gives the number of samples.
fn run_all(net: &mut net::Engine<'_>, input: &mut File) -> Result<usize, Failure> {
    let mut output = File::create(c"output.bin")?;
    let mut samples = 0;
    while load(net, input)? {
        net.run()?;
        for index in 0..net.image().output_count() {
            output.write_all(net.output(index)?.bytes())?;
        }
        samples += 1;
    }
    Ok(samples)
}

fn run_by_steps(net: &mut net::Engine<'_>) -> Result<usize, Failure> {
    let mut steps = 0;
    mark();
    loop {
        let progress = net.step();
        mark();
        steps += 1;
        if progress? == Progress::Done {
            return Ok(steps);
        }
    }
}

fn load_first(net: &mut net::Engine<'_>, input: &mut File) -> Result<(), Failure> {
    input.rewind()?;
    if load(net, input)? { Ok(()) } else { Err(Failure::NoSample) }
}

/// Fills all inputs with the next sample; false at the end of the file.
fn load(net: &mut net::Engine<'_>, input: &mut File) -> Result<bool, Failure> {
    for index in 0..net.image().input_count() {
        let mut port = net.input(index)?;
        let bytes = port.bytes_mut();
        match fill(input, bytes)? {
            0 if index == 0 => return Ok(false),
            filled if filled < bytes.len() => return Err(Failure::Truncated),
            _ => {}
        }
    }
    Ok(true)
}

/// Reads until `bytes` is full or the file ends. Gives the number of bytes read.
fn fill(input: &mut File, bytes: &mut [u8]) -> Result<usize, Failure> {
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match input.read(rest)? {
            0 => break,
            count => filled += count,
        }
    }
    Ok(filled)
}

fn write_report(outcome: &Result<Report, Failure>) -> Result<(), Failure> {
    let mut file = File::create(c"report.txt")?;
    match outcome {
        Ok(report) => {
            writeln!(file, "arena_bytes {}", report.arena_bytes)?;
            writeln!(file, "stack_bytes {}", report.stack_bytes)?;
            writeln!(file, "samples {}", report.samples)?;
            writeln!(file, "steps {}", report.steps)?;
        }
        Err(failure) => writeln!(file, "error {failure}")?,
    }
    Ok(())
}
