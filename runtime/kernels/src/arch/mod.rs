//! Instruction sets: the only place with `unsafe` and assembly.

pub mod view;
