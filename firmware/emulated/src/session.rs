//! The superloop of an emulated board.

use core::convert::Infallible;
use core::fmt;

use bytemuck::{Pod, Zeroable};
use fixie::RunError;
use fixie_applications::{Application, StartError, Status, turn};
use heapless::spsc::Queue;
use semihosting::fs::File;
use semihosting::io::{self, Write};
use semihosting::process;

use crate::recording::{MAX_BLOCK, Recording};
use crate::timer;

/// The board's side of an application.
pub struct Board<T: 'static, const QUEUE: usize> {
    /// In place of the sensor.
    pub recording: &'static Recording<T>,
    /// Between the interrupt and the application.
    pub queue: &'static mut Queue<T, QUEUE>,
    /// Interrupts in a second.
    pub interrupts_per_s: u32,
    /// Samples that each interrupt delivers.
    pub block: usize,
    /// What the interrupt does: [`Recording::deliver`] of the recording.
    pub interrupt: fn(),
}

/// Why an application ended early.
pub enum Failure {
    /// It did not start.
    Start(StartError),
    /// An inference stopped.
    Run(RunError),
    /// The recording cannot be read.
    Host(io::Error),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start(error) => error.fmt(f),
            Self::Run(error) => error.fmt(f),
            Self::Host(error) => write!(f, "the recording: {error}"),
        }
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        Self::Start(error)
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        Self::Run(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Host(error)
    }
}

impl From<Infallible> for Failure {
    fn from(error: Infallible) -> Self {
        match error {}
    }
}

/// Runs an application on a recording, to its end.
///
/// # Errors
///
/// [`Failure`].
pub fn run<A, const QUEUE: usize>(
    application: Result<A, StartError>,
    board: Board<A::Sample, QUEUE>,
) -> Result<(), Failure>
where
    A: Application,
    A::Sample: Pod,
{
    let mut application = application?;
    let Board { recording, queue, interrupts_per_s, block, interrupt } = board;
    let (producer, mut consumer) = queue.split();
    recording.open(producer, block)?;
    defmt::info!("started");
    timer::start(interrupts_per_s, interrupt);

    let mut buffer = [A::Sample::zeroed(); MAX_BLOCK];
    let (mut inferences, mut asleep_ns, mut longest_turn_ns) = (0_u32, 0, 0);
    loop {
        let is_over = recording.progress().is_over;
        let before = timer::now_ns();
        let status: Status = turn::<_, _, Failure>(&mut application, &mut consumer, &mut buffer)?;
        let now = timer::now_ns();
        longest_turn_ns = longest_turn_ns.max(now - before);
        match status {
            Status::Idle if is_over => break,
            Status::Idle => {
                timer::sleep();
                asleep_ns += timer::now_ns() - now;
            }
            Status::Busy => {}
            Status::Inferred(decision) => {
                inferences += 1;
                if let Some(decision) = decision {
                    let interrupts = decision.sample.div_ceil(block as u64);
                    let due = interrupts * 1_000_000_000 / u64::from(interrupts_per_s);
                    defmt::info!("{}, latency {=u64} ns", decision, now - due);
                }
            }
        }
    }
    let progress = recording.progress();
    defmt::info!(
        "ended after {=u64} samples: missed {=u64}, queued {=usize} of {=usize} at most, \
         inferences {=u32}, longest turn {=u64} ns, asleep {=u64} ns of {=u64}",
        progress.samples,
        progress.missed,
        progress.queued,
        QUEUE - 1,
        inferences,
        longest_turn_ns,
        asleep_ns,
        timer::now_ns(),
    );
    Ok(())
}

/// Reports how an application ended, and ends the emulation.
pub fn finish(outcome: Result<(), Failure>) -> ! {
    let failure = outcome.err();
    if let Some(failure) = &failure {
        defmt::error!("{}", defmt::Display2Format(failure));
        if let Ok(mut file) = File::create(c"report.txt") {
            // The exit code says that something is wrong, even if this does not get through.
            let _ = writeln!(file, "error {failure}");
        }
    }
    process::exit(i32::from(failure.is_some()))
}
