//! The `fixie` command as a user meets it.

mod bad_input;
mod common;
mod verbs;
