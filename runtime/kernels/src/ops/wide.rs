//! What operators on 16-bit elements share.

use fixie_format::Image;
use fixie_format::table::{Dtype, TensorId};

use crate::arch::view::{Dst, Src};
use crate::requantize::requantize;
use crate::rule::{self, Rule, check_that};

/// Bytes of an element of 16 bits.
pub const WIDE: usize = size_of::<i16>();

/// Bytes of an element of a tensor, 1 or 2.
///
/// # Errors
///
/// [`Rule::NoTensor`]; [`Rule::Parameter`] with `name` for elements of other lengths.
pub fn element_bytes(image: &Image<'_>, id: TensorId, name: &'static str) -> Result<usize, Rule> {
    let tensor = rule::tensor(image, id)?;
    match Dtype::from_u8(tensor.dtype) {
        Some(Dtype::I8) => Ok(1),
        Some(Dtype::I16) => Ok(WIDE),
        _ => Err(Rule::Parameter(name)),
    }
}

/// Checks a zero point: elements of 16 bits have none.
///
/// # Errors
///
/// [`Rule::Parameter`].
pub fn check_zero(zero: i8, bytes: usize, name: &'static str) -> Result<(), Rule> {
    check_that(zero == 0 || bytes == 1, name)
}

/// Element `index`; `None` if it leaves the view.
#[inline(always)]
pub fn element(from: Src<'_>, bytes: usize, index: usize) -> Option<i16> {
    if bytes == 1 {
        return from.get(index).map(i16::from);
    }
    let pair: [i8; WIDE] = from.chunk(index.checked_mul(WIDE)?)?;
    Some(i16::from_le_bytes(pair.map(|byte| byte as u8)))
}

/// What turns accumulators into elements of 8 or 16 bits, the multiplier apart.
#[derive(Clone, Copy)]
pub struct Output {
    /// Left shift of the accumulator before the multiplication.
    shift: u8,
    /// Zero point.
    zero: i8,
    /// Lower bound.
    min: i16,
    /// Upper bound.
    max: i16,
    /// Bytes of an element.
    pub bytes: usize,
}

impl Output {
    /// Elements of a tensor, with the shift, zero point and bounds of a record.
    ///
    /// # Errors
    ///
    /// As [`element_bytes`], with the name `output`.
    pub fn new(
        image: &Image<'_>,
        id: TensorId,
        (shift, zero): (u8, i8),
        (min, max): (i16, i16),
    ) -> Result<Self, Rule> {
        Ok(Self { shift, zero, min, max, bytes: element_bytes(image, id, "output")? })
    }

    /// Checks that elements hold the bounds, and the shift.
    ///
    /// # Errors
    ///
    /// [`Rule::Parameter`].
    pub fn check(&self) -> Result<(), Rule> {
        let (least, most) =
            if self.bytes == 1 { (i8::MIN.into(), i8::MAX.into()) } else { (i16::MIN, i16::MAX) };
        check_that(self.shift < 32, "shift")?;
        check_that(self.min >= least && self.min <= self.max, "act_min")?;
        check_that(self.max <= most, "act_max")?;
        check_zero(self.zero, self.bytes, "out_zero")
    }

    /// Writes `clamp(zero + requantize(acc))` of some accumulators as the elements from `index` on;
    /// `None` if they leave the view.
    #[inline(always)]
    pub fn store<const N: usize>(
        self,
        to: Dst<'_>,
        index: usize,
        accs: [i32; N],
        multipliers: &[i32; N],
    ) -> Option<()> {
        let first = index.checked_mul(self.bytes)?;
        let mut values = accs;
        for (value, &multiplier) in values.iter_mut().zip(multipliers) {
            let scaled = requantize(*value, multiplier, self.shift);
            // Not `clamp`, which panics if the bounds are the wrong way round.
            let shifted = scaled.wrapping_add(self.zero.into());
            *value = shifted.max(self.min.into()).min(self.max.into());
        }
        if self.bytes == 1 {
            return to.set_chunk(first, values.map(|value| value as i8));
        }
        let to = to.slice(first, WIDE.checked_mul(N)?)?;
        for (place, value) in values.into_iter().enumerate() {
            let pair = (value as i16).to_le_bytes().map(|byte| byte as i8);
            to.set_chunk(place.wrapping_mul(WIDE), pair)?;
        }
        Some(())
    }
}
