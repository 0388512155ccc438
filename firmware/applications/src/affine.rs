//! From a sensor's integers to a model's.

use fixie::Port;

/// `q = clamp(round((raw · scale + offset) / input.scale) + input.zero_point)`: the steps of a
/// sensor to the steps of an input, in integers.
///
/// Factor and offset have 20 fraction bits, so a raw value of 16 bits is off by at most 2⁻⁵ of a
/// step before it is rounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Affine {
    factor: i64,
    /// Offset, zero point and the half that rounds.
    base: i64,
}

const FRACTION_BITS: u32 = 20;

impl Affine {
    /// For a sensor whose raw value is `raw · scale + offset` in the unit that the model was trained
    /// on.
    pub const fn new(scale: f32, offset: f32, input: &Port) -> Self {
        let whole = (input.zero_point as i64) << FRACTION_BITS;
        let base = fixed(offset / input.scale) + whole + (1 << (FRACTION_BITS - 1));
        Self { factor: fixed(scale / input.scale), base }
    }

    /// Converts one value; halves are rounded up.
    pub fn apply(self, raw: i16) -> i8 {
        let steps = (i64::from(raw) * self.factor + self.base) >> FRACTION_BITS;
        steps.clamp(i64::from(i8::MIN), i64::from(i8::MAX)) as i8
    }
}

/// A number of steps in fixed point, within ±2^40, so that its product with 16 bits is within
/// ±2^56; NaN becomes 0.
const fn fixed(steps: f32) -> i64 {
    let bound = (1_i64 << 40) as f32;
    let scaled = (steps * (1 << FRACTION_BITS) as f32).clamp(-bound, bound);
    (if scaled < 0.0 { scaled - 0.5 } else { scaled + 0.5 }) as i64
}
