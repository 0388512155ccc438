//! How integers stand for real numbers.

use serde::{Deserialize, Serialize};

/// `real = scale · (q − zero_point)`, with one scale for the whole tensor or one per index of an
/// axis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quant {
    /// One value, or one per index of `axis`.
    pub scales: Vec<f32>,
    /// The integer that stands for zero. 0 for weights.
    pub zero_point: i32,
    /// The axis which `scales` runs along, where there is more than one.
    pub axis: Option<usize>,
    /// Bits per integer, signed: 8, 32, or 9 to 16 of a wide activation, which is held in 16.
    pub bits: u8,
}

impl Quant {
    /// An 8-bit tensor of one scale: an activation.
    pub fn per_tensor(scale: f32, zero_point: i32) -> Self {
        Self { scales: vec![scale], zero_point, axis: None, bits: 8 }
    }

    /// Whether this is an activation of more than 8 bits, held in 16: symmetric, with one scale.
    pub fn is_wide(&self) -> bool {
        (9..=16).contains(&self.bits) && self.zero_point == 0 && self.scales.len() == 1
    }

    /// The scale at `index` of the axis.
    pub fn scale_at(&self, index: usize) -> f32 {
        self.scales[if self.scales.len() == 1 { 0 } else { index }]
    }

    /// The scale of a tensor that has only one.
    pub fn scale(&self) -> f32 {
        debug_assert_eq!(self.scales.len(), 1);
        self.scales[0]
    }

    /// Smallest and largest integer.
    pub fn range(&self) -> (i32, i32) {
        let half = 1i64 << (self.bits - 1);
        (-half as i32, (half - 1) as i32)
    }

    /// The largest magnitude of an integer.
    pub fn limit(&self) -> i64 {
        1 << (self.bits - 1)
    }

    /// The integer nearest to a real value (halves to even, as ONNX rounds), within the range.
    pub fn quantize(&self, real: f64, index: usize) -> i32 {
        let (min, max) = self.range();
        let steps = (real / f64::from(self.scale_at(index))).round_ties_even();
        (steps + f64::from(self.zero_point)).clamp(f64::from(min), f64::from(max)) as i32
    }

    /// The real value that an integer stands for.
    pub fn dequantize(&self, q: i32, index: usize) -> f64 {
        f64::from(q - self.zero_point) * f64::from(self.scale_at(index))
    }
}
