//! From a sensor's integers to a model's.

/// `q = clamp(round(raw · scale) + zero_point)` in integers: the steps of a sensor to the steps of
/// an input.
///
/// The factor has 20 fraction bits, so a raw value of 16 bits is off by at most 2⁻⁶ of a step before
/// it is rounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Affine {
    factor: i64,
    zero_point: i64,
}

/// Fraction bits of the factor.
const FRACTION_BITS: u32 = 20;

impl Affine {
    /// For a sensor whose step is `sensor` in the unit that the model was trained on, and an input
    /// whose step is `input` and whose zero is `zero_point`.
    pub const fn new(sensor: f32, input: f32, zero_point: i32) -> Self {
        let steps = sensor / input * (1 << FRACTION_BITS) as f32;
        // Within ±2^40, so that the product with 16 bits is within ±2^56; `as` makes NaN 0.
        let bound = (1_i64 << 40) as f32;
        let half = if steps < 0.0 { -0.5 } else { 0.5 };
        Self { factor: (steps.clamp(-bound, bound) + half) as i64, zero_point: zero_point as i64 }
    }

    /// Converts one value; halves are rounded up.
    pub fn apply(self, raw: i16) -> i8 {
        let product = i64::from(raw) * self.factor;
        let steps = (product + (1 << (FRACTION_BITS - 1))) >> FRACTION_BITS;
        (steps + self.zero_point).clamp(i64::from(i8::MIN), i64::from(i8::MAX)) as i8
    }
}
