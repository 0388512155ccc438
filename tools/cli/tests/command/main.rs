//! The `fixie` command as a user meets it.

mod bad_input;
mod common;
mod on_board;
#[cfg(unix)]
mod over_serial;
mod verbs;
