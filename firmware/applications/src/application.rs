//! What all applications have in common.

use fixie::RunError;
use fixie_decision::{Detection, Settings};
use fixie_sensors::SampleSource;

/// Something that makes decisions of samples.
pub trait Application {
    /// What belongs to one moment: see [`SampleSource`].
    type Sample: Copy;

    /// How many samples can be taken now; the others have to wait where they are.
    fn room(&self) -> usize {
        usize::MAX
    }

    /// Takes the next samples, oldest first, at most [`room`](Self::room). Does the work of each as
    /// it comes, so a caller that must not be kept long pushes few at a time.
    fn push_samples(&mut self, samples: &[Self::Sample]);

    /// Does the next piece of work, at most one step of an inference.
    ///
    /// # Errors
    ///
    /// [`RunError`] if the image changed while it was in use.
    fn poll(&mut self) -> Result<Status, RunError>;
}

/// The classes of a model, and when one of them counts as detected.
#[derive(Clone, Copy, Debug)]
pub struct Classes<const COUNT: usize> {
    /// What they are called, in the order of the scores.
    pub labels: [&'static str; COUNT],
    /// When one is detected.
    pub settings: Settings,
}

/// What a poll found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// There is nothing to do until samples come.
    Idle,
    /// An inference is under way.
    Busy,
    /// An inference is complete, and what was decided by it.
    Inferred(Option<Decision>),
}

/// What an application decided, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The class, and its average score.
    pub detection: Detection,
    /// What the class is called.
    pub label: &'static str,
    /// How many samples had come when the inference began, the last of which it saw. At `f` samples
    /// a second, the decision is about the time `sample / f`.
    pub sample: u64,
}

impl Decision {
    /// Names what was detected.
    pub(crate) fn new<const CLASSES: usize>(
        detection: Detection,
        classes: &Classes<CLASSES>,
        sample: u64,
    ) -> Self {
        let label = classes.labels.get(detection.class).copied().unwrap_or("?");
        Self { detection, label, sample }
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Decision {
    fn format(&self, f: defmt::Formatter<'_>) {
        let Self { detection: Detection { score, .. }, label, sample } = *self;
        defmt::write!(f, "{=str} with score {=i8} at sample {=u64}", label, score, sample);
    }
}

/// One turn of a superloop: takes what the source has, at most `buffer` full and as much as the
/// application has room for, and polls.
///
/// # Errors
///
/// What the source reports, or [`RunError`]; both go into the caller's error.
pub fn turn<A, S, E>(
    application: &mut A,
    source: &mut S,
    buffer: &mut [A::Sample],
) -> Result<Status, E>
where
    A: Application,
    S: SampleSource<Sample = A::Sample>,
    E: From<S::Error> + From<RunError>,
{
    let len = buffer.len().min(application.room());
    let taken = source.take(buffer.get_mut(..len).unwrap_or_default())?;
    application.push_samples(buffer.get(..taken).unwrap_or_default());
    match application.poll()? {
        // Others may be waiting in the source.
        Status::Idle if taken > 0 => Ok(Status::Busy),
        status => Ok(status),
    }
}
