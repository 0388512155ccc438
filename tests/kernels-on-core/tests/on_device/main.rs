//! The whole way to a decision on a chip, without a chip: an ONNX model is converted, found to fit,
//! flashed with its firmware through probe-rs, verified and run, and its log is read over RTT.
//!
//! The chip is QEMU's micro:bit behind an emulated debug port. probe-rs's flash algorithm for the
//! nRF51 executes there, on a model of that chip's flash controller, and so does the firmware.

mod bench;
mod camera;
mod stand;
