//! Views of tensors which may overlap.
//!
//! An operator may write its output over its own input. Rust's plain references rule that out, so
//! kernels read through [`Src`] and write through [`Dst`], both of which follow the rules of
//! `Cell`: any number may point at the same bytes, and none can be sent to another thread.

use core::cell::Cell;
use core::marker::PhantomData;
use core::ptr;

/// Bytes to read: a tensor in the arena, or constants in flash.
///
/// Unlike a slice it may be written meanwhile through a [`Dst`] on the same bytes.
#[derive(Clone, Copy)]
pub struct Src<'a> {
    start: *const i8,
    len: usize,
    bytes: PhantomData<&'a [Cell<i8>]>,
}

impl<'a> Src<'a> {
    /// Number of bytes.
    #[inline(always)]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The first byte, for an assembly loop. Reading `len` bytes from there is sound.
    #[inline(always)]
    pub fn as_ptr(&self) -> *const i8 {
        self.start
    }

    /// Byte `index`.
    #[inline(always)]
    pub fn get(&self, index: usize) -> Option<i8> {
        // SAFETY: `index < len`, and the constructors saw `len` readable bytes that live for 'a.
        (index < self.len).then(|| unsafe { self.start.add(index).read() })
    }

    /// `N` bytes from `start` on; `None` if they leave the view.
    #[inline(always)]
    pub fn chunk<const N: usize>(&self, start: usize) -> Option<[i8; N]> {
        let inside = start.checked_add(N)? <= self.len;
        // SAFETY: the bytes lie inside, see `get`; an array of them has no alignment.
        inside.then(|| unsafe { self.start.add(start).cast::<[i8; N]>().read() })
    }

    /// `len` bytes from `start` on; `None` if they leave the view.
    #[inline(always)]
    pub fn slice(&self, start: usize, len: usize) -> Option<Self> {
        let end = start.checked_add(len)?;
        // SAFETY: `start + len` is at most `self.len`, so the new view lies inside this one.
        (end <= self.len).then(|| Self { start: unsafe { self.start.add(start) }, len, ..*self })
    }

    /// Copies the bytes into `to`; `None` if the lengths differ.
    #[inline(always)]
    pub fn copy_to(&self, to: &mut [i8]) -> Option<()> {
        // SAFETY: both are `len` bytes long; `to` is exclusive, so it cannot overlap the view.
        (to.len() == self.len)
            .then(|| unsafe { ptr::copy_nonoverlapping(self.start, to.as_mut_ptr(), self.len) })
    }

    /// The bytes in order.
    #[inline(always)]
    pub fn iter(self) -> impl ExactSizeIterator<Item = i8> + 'a {
        // SAFETY: the index stays below `len`; see `get`.
        (0..self.len).map(move |index| unsafe { self.start.add(index).read() })
    }
}

impl<'a> From<&'a [Cell<u8>]> for Src<'a> {
    fn from(cells: &'a [Cell<u8>]) -> Self {
        Self { start: cells.as_ptr().cast(), len: cells.len(), bytes: PhantomData }
    }
}

impl<'a> From<&'a [i8]> for Src<'a> {
    fn from(bytes: &'a [i8]) -> Self {
        Self { start: bytes.as_ptr(), len: bytes.len(), bytes: PhantomData }
    }
}

/// Bytes to write: a tensor in the arena.
#[derive(Clone, Copy)]
pub struct Dst<'a> {
    cells: &'a [Cell<i8>],
}

impl<'a> Dst<'a> {
    /// Number of bytes.
    #[inline(always)]
    pub fn len(&self) -> usize {
        self.cells.len()
    }

    /// Whether there are none.
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// The first byte, for an assembly loop. Writing `len` bytes from there is sound.
    #[inline(always)]
    pub fn as_mut_ptr(&self) -> *mut i8 {
        self.cells.as_ptr().cast_mut().cast()
    }

    /// Writes byte `index`; `None` if it leaves the view.
    #[inline(always)]
    pub fn set(&self, index: usize, value: i8) -> Option<()> {
        self.cells.get(index).map(|cell| cell.set(value))
    }

    /// Writes `N` bytes from `start` on; `None` if they leave the view.
    #[inline(always)]
    pub fn set_chunk<const N: usize>(&self, start: usize, values: [i8; N]) -> Option<()> {
        let inside = start.checked_add(N)? <= self.len();
        // SAFETY: the bytes lie inside; cells allow writes through a shared reference, and an array
        // of bytes has no alignment.
        inside.then(|| unsafe { self.as_mut_ptr().add(start).cast::<[i8; N]>().write(values) })
    }

    /// `len` bytes from `start` on; `None` if they leave the view.
    #[inline(always)]
    pub fn slice(&self, start: usize, len: usize) -> Option<Self> {
        self.cells.get(start..start.checked_add(len)?).map(|cells| Self { cells })
    }

    /// The bytes as cells, to write in order.
    #[inline(always)]
    pub fn cells(&self) -> &'a [Cell<i8>] {
        self.cells
    }

    /// Writes `value` to every byte.
    pub fn fill(&self, value: i8) {
        for cell in self.cells {
            cell.set(value);
        }
    }

    /// Copies `from`, which may overlap; `None` if the lengths differ.
    #[inline(always)]
    pub fn copy_from(&self, from: Src<'_>) -> Option<()> {
        // SAFETY: both are `len` bytes long; `ptr::copy` allows overlap, and cells allow writes
        // through a shared reference.
        (from.len == self.len())
            .then(|| unsafe { ptr::copy(from.start, self.as_mut_ptr(), from.len) })
    }
}

impl<'a> From<&'a [Cell<u8>]> for Dst<'a> {
    fn from(cells: &'a [Cell<u8>]) -> Self {
        let start = cells.as_ptr().cast::<Cell<i8>>();
        // SAFETY: `u8` and `i8` have the same size and alignment, every bit pattern is valid for
        // both, and the new slice covers the same cells for the same lifetime.
        Self { cells: unsafe { core::slice::from_raw_parts(start, cells.len()) } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_stay_inside() {
        let mut bytes = [1u8, 2, 3, 4];
        let cells = Cell::from_mut(&mut bytes[..]).as_slice_of_cells();
        let (src, dst) = (Src::from(cells), Dst::from(cells));
        assert_eq!(src.get(4), None);
        assert_eq!(src.slice(1, 3).unwrap().get(2), Some(4));
        assert!(src.slice(1, 4).is_none() && src.slice(usize::MAX, 2).is_none());
        assert!(dst.slice(4, 1).is_none() && dst.set(4, 0).is_none());
        dst.slice(1, 3).unwrap().copy_from(src.slice(0, 3).unwrap()).unwrap();
        assert!(src.iter().eq([1, 1, 2, 3]), "an overlapping copy");
    }
}
