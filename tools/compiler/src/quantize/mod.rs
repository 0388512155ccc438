//! Gives every tensor its integers: scales, zero points, quantised weights.

pub mod requant;
