//! The superloop.

use core::convert::Infallible;
use core::fmt;

use fixie::RunError;
use fixie_applications::{Application, StartError, Status, turn};
use fixie_board::split;
use fixie_sensors::SampleSource;
use static_cell::StaticCell;

use crate::{Board, halt};

/// Binds the image of the image region to the arena. The application is made where it stays, not on
/// the stack.
#[expect(clippy::mut_from_ref, reason = "the cell gives its content out once")]
pub fn start<A>(
    place: &'static StaticCell<Result<A, StartError>>,
    new: impl FnOnce(&'static [u8], &'static mut [u8]) -> Result<A, StartError>,
) -> &'static mut A {
    let Some(arena) = split::arena() else {
        defmt::error!("the arena is in use already");
        halt()
    };
    defmt::info!("arena of {=usize} bytes", arena.len());
    match place.init_with(|| new(split::image_region(), arena)) {
        Ok(application) => application,
        Err(error) => {
            defmt::error!("{}", defmt::Display2Format(error));
            halt()
        }
    }
}

/// Feeds an application from a source for ever. `buffer` holds what is taken in one turn.
pub fn run<B: Board, A: Application>(
    application: &mut A,
    source: impl SampleSource<Sample = A::Sample, Error: fmt::Debug>,
    buffer: &mut [A::Sample],
) -> ! {
    let mut source = Logged(source);
    defmt::info!("started");
    loop {
        match turn::<_, _, Stopped>(application, &mut source, buffer) {
            Ok(Status::Idle) => B::sleep(),
            Ok(Status::Busy | Status::Inferred(None)) => {}
            Ok(Status::Inferred(Some(decision))) => defmt::info!("{}", decision),
            Err(Stopped(error)) => {
                defmt::error!("{}", defmt::Display2Format(&error));
                halt()
            }
        }
    }
}

/// Why the loop ends.
struct Stopped(RunError);

impl From<RunError> for Stopped {
    fn from(error: RunError) -> Self {
        Self(error)
    }
}

impl From<Infallible> for Stopped {
    fn from(error: Infallible) -> Self {
        match error {}
    }
}

/// A source whose errors are logged. After one it gives what comes next: a gap in the samples spoils
/// the inferences that see it, no more.
struct Logged<S>(S);

impl<S: SampleSource<Error: fmt::Debug>> SampleSource for Logged<S> {
    type Sample = S::Sample;
    type Error = Infallible;

    fn take(&mut self, samples: &mut [S::Sample]) -> Result<usize, Infallible> {
        Ok(self.0.take(samples).unwrap_or_else(|error| {
            defmt::warn!("samples are missing: {}", defmt::Debug2Format(&error));
            0
        }))
    }
}
