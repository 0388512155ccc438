//! Flashing and its failures, on chips behind an emulated probe: all of probe-rs runs, the chip's
//! flash algorithm is replaced by what it is for (`nor.rs`).

mod attaching;
mod files;
mod fitting;
mod flashing;
mod nor;
mod stand;
