//! Failures as the user sees them: what could not be done, why, and what helps.

use std::error::Error;
use std::fmt::{self, Display};
use std::io::{self, IsTerminal};

use fixie_compiler::data::DataError;
use fixie_emulator::EmulatorError;
use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme};

/// Why a command failed.
#[derive(Debug)]
pub struct Failure {
    /// What could not be done.
    what: String,
    cause: Box<dyn Error + Send + Sync>,
    help: Option<String>,
}

impl Failure {
    /// A failure for a reason that no library stated.
    pub fn new(what: impl Into<String>, cause: impl Into<String>) -> Self {
        Self { what: what.into(), cause: cause.into().into(), help: None }
    }

    /// Adds what helps.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// What failed and why, in one line.
    pub fn chain(&self) -> String {
        format!("{}: {}", self.what, self.cause)
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.cause)
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
            help: help_for(&error).map(str::to_owned),
            cause: Box::new(error),
        })
    }
}

/// What helps against an error, where its own text cannot know it.
fn help_for(error: &(dyn Error + 'static)) -> Option<&'static str> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let help = help_for_kind(error);
        if help.is_some() {
            return help;
        }
        cause = error.source();
    }
    None
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
