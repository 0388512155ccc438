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
mod samples;

use fixie::{InputRow, Progress, RunError};
use fixie_board::{mark, stack};
use semihosting::fs::File;
use semihosting::io::Write;
use semihosting::process;
use static_cell::ConstStaticCell;

use failure::Failure;
use samples::Samples;

fixie::include_image!(mod net = env!("FIXIE_IMAGE"));

static ARENA: ConstStaticCell<net::Arena> = ConstStaticCell::new(net::Arena::new());

/// What the report states.
struct Report {
    arena_bytes: usize,
    stack_bytes: usize,
    samples: u64,
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
    let (first, stack_bytes) =
        stack::high_water(|| net::bind(arena)?.run_rows(keep_row).map_err(Failure::from));
    first?;

    mark();
    mark();

    mark();
    let bound = net::bind(arena);
    mark();
    let mut net = bound?;

    let mut samples = Samples::open(&net)?;
    run_all(&mut net, &mut samples)?;

    // The rows of inputs that are given one by one are there: counted is the network alone.
    samples.load(&mut net, 0)?;
    mark();
    let run = net.run_rows(keep_row);
    mark();
    run?;

    samples.load(&mut net, 0)?;
    let steps = run_by_steps(&mut net)?;

    let samples = samples.count;
    Ok(Report { arena_bytes: size_of::<net::Arena>(), stack_bytes, samples, steps })
}

/// Leaves a row as it is.
#[expect(clippy::unnecessary_wraps, reason = "it is what `run_rows` calls")]
fn keep_row(_row: InputRow<'_>) -> Result<(), RunError> {
    Ok(())
}

/// Runs every sample of the input and writes what comes out.
fn run_all(net: &mut net::Engine<'_>, samples: &mut Samples) -> Result<(), Failure> {
    let mut output = File::create(c"output.bin")?;
    for sample in 0..samples.count {
        samples.load(net, sample)?;
        samples.run(net, sample)?;
        for index in 0..net.image().output_count() {
            output.write_all(net.output(index)?.bytes())?;
        }
    }
    Ok(())
}

fn run_by_steps(net: &mut net::Engine<'_>) -> Result<usize, Failure> {
    let mut steps = 0;
    mark();
    loop {
        let progress = net.step();
        if progress == Ok(Progress::NeedsRow) {
            keep_row(net.row()?)?;
            continue;
        }
        mark();
        steps += 1;
        if progress? == Progress::Done {
            return Ok(steps);
        }
    }
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
