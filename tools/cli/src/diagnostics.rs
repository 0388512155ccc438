//! Failures as the user sees them: what could not be done, why, and what helps.

use std::error::Error;
use std::fmt::{self, Display};
use std::io::{self, IsTerminal};
use std::iter;

use fixie_compiler::data::DataError;
use fixie_device::DeviceError;
use fixie_emulator::EmulatorError;
use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme};

/// Why a command failed.
#[derive(Debug)]
pub struct Failure {
    /// What could not be done.
    what: String,
    cause: Cause,
    help: Option<String>,
}

/// A reason, and the reason for that.
#[derive(Debug)]
struct Cause {
    text: String,
    next: Option<Box<Cause>>,
}

impl Failure {
    /// A failure for a reason that no library stated.
    pub fn new(what: impl Into<String>, cause: impl Into<String>) -> Self {
        Self { what: what.into(), cause: Cause { text: cause.into(), next: None }, help: None }
    }

    /// Adds what helps.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// What failed and why, in one line.
    pub fn chain(&self) -> String {
        format!("{}: {}", self.what, self.cause.text)
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.cause)
    }
}

impl Cause {
    /// The chain of an error's reasons. Some libraries repeat a reason in the text of what it led
    /// to: it is told once.
    fn of(error: &(dyn Error + 'static)) -> Self {
        let text = error.to_string();
        let mut reasons = iter::successors(error.source(), |reason| (*reason).source());
        let next = reasons.find(|reason| !text.contains(&reason.to_string()));
        Self { next: next.map(|reason| Box::new(Self::of(reason))), text }
    }
}

impl Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for Cause {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.next.as_deref().map(|next| next as &(dyn Error + 'static))
    }
}

impl Diagnostic for Failure {
    fn help<'a>(&'a self) -> Option<Box<dyn Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn Display>)
    }
}

/// Says what could not be done when something else failed.
pub trait Context<T> {
    /// Turns an error into a [`Failure`], with the help that belongs to its kind.
    fn context<S: Into<String>>(self, what: impl FnOnce() -> S) -> Result<T, Failure>;
}

impl<T, E: Error + Send + Sync + 'static> Context<T> for Result<T, E> {
    fn context<S: Into<String>>(self, what: impl FnOnce() -> S) -> Result<T, Failure> {
        self.map_err(|error| Failure {
            what: what().into(),
            help: help_for(&error),
            cause: Cause::of(&error),
        })
    }
}

/// What helps against an error, where its own text cannot know it: the deepest reason knows best.
fn help_for(error: &(dyn Error + 'static)) -> Option<String> {
    // What a probe said is no file's error, even where it looks like one.
    if let Some(help) = error.downcast_ref().and_then(DeviceError::help) {
        return Some(help);
    }
    let own = || help_for_kind(error).map(str::to_owned);
    error.source().and_then(help_for).or_else(own)
}

fn help_for_kind(error: &(dyn Error + 'static)) -> Option<&'static str> {
    if error.is::<DataError>() {
        return Some(
            "a data file is an .npz with `x` (and `y`, `ref`, `group`), or an .npy with the samples \
             alone; `fixie help eval` says more",
        );
    }
    if error.is::<EmulatorError>() {
        return Some("`fixie run` and `fixie eval` need no emulator");
    }
    match error.downcast_ref::<io::Error>()?.kind() {
        io::ErrorKind::NotFound => Some("check the path"),
        io::ErrorKind::PermissionDenied => Some("check the permissions, or choose another path"),
        io::ErrorKind::StorageFull => Some("make room, or choose another path"),
        _ => None,
    }
}

/// Prints a failure on standard error.
pub fn report(failure: &Failure) {
    let terminal = io::stderr().is_terminal();
    let theme = if terminal { GraphicalTheme::unicode() } else { GraphicalTheme::none() };
    // Only terminals have edges: elsewhere a message stays on its line.
    let handler = GraphicalReportHandler::new_themed(theme).with_wrap_lines(terminal);
    let mut text = String::new();
    match handler.render_report(&mut text, failure) {
        Ok(()) => anstream::eprintln!("{}", text.trim_end()),
        Err(_) => anstream::eprintln!("{}", failure.chain()),
    }
}

#[cfg(test)]
mod tests {
    use thiserror::Error;

    use super::*;

    #[derive(Debug, Error)]
    #[error("{text}")]
    struct Reason {
        text: &'static str,
        source: Option<Box<Reason>>,
    }

    #[test]
    fn a_reason_that_was_told_is_not_repeated() {
        let reason = |text, source: Option<Reason>| Reason { text, source: source.map(Box::new) };
        let root = reason("disk full", None);
        let error =
            reason("a: cannot be read: disk full", Some(reason("cannot be read", Some(root))));
        assert!(Cause::of(&error).next.is_none());
        let root = reason("disk full", None);
        let other = reason("a: cannot be read", Some(reason("cannot be read", Some(root))));
        assert_eq!(Cause::of(&other).next.unwrap().text, "disk full");
    }
}
