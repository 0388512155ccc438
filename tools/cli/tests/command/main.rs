//! The `fixie` command as a user meets it.

mod bad_input;
mod common;
#[cfg(target_os = "linux")]
mod on_board;
#[cfg(unix)]
mod over_serial;
mod verbs;
