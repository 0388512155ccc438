//! Names of choices that users give.

use thiserror::Error;

/// A name that is none of the choices.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("unknown {what} `{name}`: choose {choices}")]
pub struct UnknownName {
    what: &'static str,
    name: String,
    choices: &'static str,
}

impl UnknownName {
    /// `choices` lists what may stand instead of `name`.
    pub(crate) fn new(what: &'static str, name: &str, choices: &'static str) -> Self {
        Self { what, name: name.to_owned(), choices }
    }
}
