//! The rules which an operator's parameters must obey, and helpers to check them.

use core::fmt;

use fixie_format::table::{Place, Tensor, TensorId};
use fixie_format::{Image, op::DataOffset};

/// The rule that an operator of an image breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rule {
    /// The parameter record leaves its section.
    Params,
    /// A tensor index is not in the table.
    NoTensor(TensorId),
    /// A tensor has not the length that the parameters imply.
    Length {
        /// The tensor.
        tensor: TensorId,
        /// Bytes implied by the parameters; `u32::MAX` where they overflow.
        needed: u32,
        /// Bytes that the tensor has.
        given: u32,
    },
    /// The scratch memory is smaller than the kernel needs.
    Scratch {
        /// Bytes needed.
        needed: u32,
        /// Bytes given.
        given: u32,
    },
    /// A tensor that is written is constant, or two tensors overlap that must not.
    Overlap(TensorId),
    /// Constants leave the data section or are misaligned.
    Data(DataOffset),
    /// A parameter is outside its range, or parameters contradict each other.
    Parameter(&'static str),
    /// The number of rows is not what the parameters imply.
    Rows,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Params => f.write_str("its parameters leave their section"),
            Self::NoTensor(tensor) => write!(f, "tensor {tensor} does not exist"),
            Self::Length { tensor, needed, given } => {
                write!(f, "tensor {tensor} has {given} bytes where {needed} are needed")
            }
            Self::Scratch { needed, given } => {
                write!(f, "scratch has {given} bytes where {needed} are needed")
            }
            Self::Overlap(tensor) => {
                write!(f, "tensor {tensor} overlaps another one or is constant")
            }
            Self::Data(offset) => write!(f, "constants at {offset} leave the data section"),
            Self::Parameter(name) => write!(f, "parameter `{name}` is out of range"),
            Self::Rows => f.write_str("its number of rows contradicts its shape"),
        }
    }
}

/// The tensor with this index.
///
/// # Errors
///
/// [`Rule::NoTensor`].
pub fn tensor(image: &Image<'_>, id: TensorId) -> Result<Tensor, Rule> {
    image.tensor(id as usize).ok_or(Rule::NoTensor(id))
}

/// Checks that a tensor has exactly `elements` elements of `element_bytes` and is no ring.
///
/// `elements` is a product of factors that may overflow, hence `None` for "too large".
///
/// # Errors
///
/// [`Rule::NoTensor`], [`Rule::Length`].
pub fn check_len(
    image: &Image<'_>,
    id: TensorId,
    elements: Option<usize>,
    element_bytes: usize,
) -> Result<Tensor, Rule> {
    let found = tensor(image, id)?;
    let needed = elements.and_then(|n| n.checked_mul(element_bytes));
    if needed == Some(found.len_bytes as usize) && found.ring_rows == 0 {
        Ok(found)
    } else {
        Err(length(id, needed, &found))
    }
}

/// Checks that a tensor holds `rows` rows of `row_bytes`, or as many as its ring has.
///
/// # Errors
///
/// [`Rule::NoTensor`], [`Rule::Length`].
pub fn check_row_tensor(
    image: &Image<'_>,
    id: TensorId,
    rows: u16,
    row_bytes: Option<usize>,
) -> Result<(), Rule> {
    let found = tensor(image, id)?;
    let held = match found.ring_rows {
        0 => rows,
        ring_rows => ring_rows,
    };
    let needed = row_bytes.and_then(|bytes| bytes.checked_mul(held as usize));
    if needed == Some(found.len_bytes as usize) { Ok(()) } else { Err(length(id, needed, &found)) }
}

/// Checks that a tensor has at least `elements` elements of `element_bytes` and is no ring.
///
/// # Errors
///
/// [`Rule::NoTensor`], [`Rule::Length`].
pub fn check_room(
    image: &Image<'_>,
    id: TensorId,
    elements: Option<usize>,
    element_bytes: usize,
) -> Result<(), Rule> {
    let found = tensor(image, id)?;
    let needed = elements.and_then(|n| n.checked_mul(element_bytes));
    match needed {
        Some(bytes) if bytes <= found.len_bytes as usize && found.ring_rows == 0 => Ok(()),
        _ => Err(length(id, needed, &found)),
    }
}

/// The error of a tensor that is not as long as it must be.
fn length(id: TensorId, needed: Option<usize>, found: &Tensor) -> Rule {
    Rule::Length {
        tensor: id,
        needed: needed.and_then(|n| n.try_into().ok()).unwrap_or(u32::MAX),
        given: found.len_bytes,
    }
}

/// Checks that scratch memory has at least `needed` bytes and that none of `tensors` touches it.
///
/// # Errors
///
/// [`Rule::NoTensor`], [`Rule::Scratch`], [`Rule::Overlap`].
pub fn check_scratch(
    image: &Image<'_>,
    id: TensorId,
    needed: Option<usize>,
    tensors: &[TensorId],
) -> Result<(), Rule> {
    let scratch = tensor(image, id)?;
    let given = scratch.len_bytes;
    if needed.is_none_or(|needed| needed > given as usize) {
        let needed = needed.and_then(|n| n.try_into().ok()).unwrap_or(u32::MAX);
        return Err(Rule::Scratch { needed, given });
    }
    if scratch.place != Place::Arena as u8 {
        return Err(Rule::Overlap(id));
    }
    for &other in tensors {
        if overlap(&scratch, &tensor(image, other)?) {
            return Err(Rule::Overlap(other));
        }
    }
    Ok(())
}

/// Checks that `len` items of constants lie at `offset`.
///
/// # Errors
///
/// [`Rule::Data`].
pub fn check_data<T: bytemuck::AnyBitPattern>(
    image: &Image<'_>,
    offset: DataOffset,
    len: Option<usize>,
) -> Result<(), Rule> {
    len.and_then(|len| image.data::<T>(offset, len)).map(|_| ()).ok_or(Rule::Data(offset))
}

/// The product of extents; `None` if it is too large to be a length.
pub fn product(extents: &[u32]) -> Option<usize> {
    extents.iter().try_fold(1, |product: usize, &extent| product.checked_mul(extent as usize))
}

/// Checks that an operator has the number of rows that its shape implies.
///
/// # Errors
///
/// [`Rule::Rows`].
pub fn check_rows(rows: u16, implied: u16) -> Result<(), Rule> {
    if rows == implied { Ok(()) } else { Err(Rule::Rows) }
}

/// Checks that a parameter obeys its rule.
///
/// # Errors
///
/// [`Rule::Parameter`].
pub fn check_that(holds: bool, name: &'static str) -> Result<(), Rule> {
    if holds { Ok(()) } else { Err(Rule::Parameter(name)) }
}

/// Checks that an output can be written and touches none of `inputs`; it may lie over one of
/// `trailed`, which the operator reads from front to back, if it starts at the same byte or before
/// it. Then the writer of the image answers for it that nothing is overwritten before it is read.
///
/// # Errors
///
/// [`Rule::NoTensor`], [`Rule::Overlap`].
pub fn check_output(
    image: &Image<'_>,
    output: TensorId,
    inputs: &[TensorId],
    trailed: &[TensorId],
) -> Result<(), Rule> {
    let written = tensor(image, output)?;
    let mut allowed = written.place == Place::Arena as u8;
    for &id in inputs {
        allowed &= !overlap(&written, &tensor(image, id)?);
    }
    for &id in trailed {
        let read = tensor(image, id)?;
        allowed &= written.offset <= read.offset || !overlap(&written, &read);
    }
    if allowed { Ok(()) } else { Err(Rule::Overlap(output)) }
}

/// Whether two tensors share a byte of the arena.
pub(crate) fn overlap(a: &Tensor, b: &Tensor) -> bool {
    let arena = Place::Arena as u8;
    let (a_end, b_end) =
        (a.offset.saturating_add(a.len_bytes), b.offset.saturating_add(b.len_bytes));
    a.place == arena && b.place == arena && a.offset < b_end && b.offset < a_end
}
