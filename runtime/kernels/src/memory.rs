//! What a kernel may touch: the tensors in the arena, its scratch, the image's constants.

use core::cell::Cell;

use fixie_format::op::DataOffset;
use fixie_format::table::{Place, Tensor, TensorId};
use fixie_format::{Image, Record};

use crate::arch::view::{Dst, Src};

/// An image and the arena in which it runs.
#[derive(Debug)]
pub struct Memory<'a> {
    image: Image<'a>,
    arena: &'a mut [u8],
}

impl<'a> Memory<'a> {
    /// Couples an image with an arena. A tensor that leaves the arena cannot be reached.
    pub fn new(image: Image<'a>, arena: &'a mut [u8]) -> Self {
        Self { image, arena }
    }

    /// The image.
    pub fn image(&self) -> &Image<'a> {
        &self.image
    }

    /// The parameters of an operator.
    pub fn params<P: Record>(&self, op: usize) -> Option<P> {
        self.image.params(&self.image.op(op)?)
    }

    /// The bytes of a tensor in the arena, for the application to fill or read.
    pub fn bytes_mut(&mut self, id: TensorId) -> Option<&mut [u8]> {
        let tensor = self.image.tensor(id as usize)?;
        let start = tensor.offset as usize;
        (tensor.place == Place::Arena as u8)
            .then_some(())
            .and(self.arena.get_mut(start..start.checked_add(tensor.len_bytes as usize)?))
    }

    /// The bytes of row `y` of a tensor of `rows` rows in the arena, which may be a ring.
    pub fn row_mut(&mut self, id: TensorId, y: usize, rows: u16) -> Option<&mut [u8]> {
        let ring_rows = self.image.tensor(id as usize)?.ring_rows;
        let held = if ring_rows == 0 { rows } else { ring_rows };
        let bytes = self.bytes_mut(id)?;
        let row_bytes = bytes.len().checked_div(held.into())?;
        let start = slot(y, ring_rows).checked_mul(row_bytes)?;
        bytes.get_mut(start..start.checked_add(row_bytes)?)
    }

    /// The bytes of a tensor, for the application to read.
    pub fn bytes(&self, id: TensorId) -> Option<&[u8]> {
        let tensor = self.image.tensor(id as usize)?;
        let start = tensor.offset as usize;
        let end = start.checked_add(tensor.len_bytes as usize)?;
        match Place::from_u8(tensor.place)? {
            Place::Arena => self.arena.get(start..end),
            Place::Data => self.image.data(tensor.offset, tensor.len_bytes as usize),
        }
    }

    /// All tensors, for an operator that needs no scratch.
    pub fn tensors(&mut self) -> Tensors<'_> {
        Tensors { image: &self.image, low: cells(self.arena), high: &[], high_start: usize::MAX }
    }

    /// The scratch memory of an operator, exclusively, and all tensors that do not touch it.
    pub fn with_scratch(&mut self, scratch: TensorId) -> Option<(&mut [u8], Tensors<'_>)> {
        let span = self.image.tensor(scratch as usize)?;
        let (start, len) = (span.offset as usize, span.len_bytes as usize);
        if span.place != Place::Arena as u8 {
            return None;
        }
        let (low, rest) = self.arena.split_at_mut_checked(start)?;
        let (scratch, high) = rest.split_at_mut_checked(len)?;
        let high_start = start + len;
        let tensors =
            Tensors { image: &self.image, low: cells(low), high: cells(high), high_start };
        Some((scratch, tensors))
    }
}

/// Working memory as words; what does not fill the last one is left out. `None` if it is not aligned.
pub fn words_mut(bytes: &mut [u8]) -> Option<&mut [u32]> {
    let len = bytes.len() & !(size_of::<u32>() - 1);
    bytemuck::try_cast_slice_mut(bytes.get_mut(..len)?).ok()
}

/// Shares a slice so that views into it may overlap.
fn cells(bytes: &mut [u8]) -> &[Cell<u8>] {
    Cell::from_mut(bytes).as_slice_of_cells()
}

/// The tensors of an image as views that may overlap.
///
/// Kernels read and write through [`Src`] and [`Dst`], so that an output may lie over an input
/// where the compiler decided so. Look-ups are once per run or row: they are calls, to keep the
/// kernels small.
#[derive(Clone, Copy)]
pub struct Tensors<'a> {
    image: &'a Image<'a>,
    /// The arena below the scratch memory (or all of it).
    low: &'a [Cell<u8>],
    /// The arena above the scratch memory.
    high: &'a [Cell<u8>],
    /// Where `high` starts in the arena.
    high_start: usize,
}

impl<'a> Tensors<'a> {
    /// A tensor to read.
    #[inline(never)]
    pub fn src(&self, id: TensorId) -> Option<Src<'a>> {
        let tensor = self.image.tensor(id as usize)?;
        match Place::from_u8(tensor.place)? {
            Place::Arena => self.span(&tensor).map(Src::from),
            Place::Data => self.data::<i8>(tensor.offset, tensor.len_bytes as usize).map(Src::from),
        }
    }

    /// A tensor to write.
    #[inline(never)]
    pub fn dst(&self, id: TensorId) -> Option<Dst<'a>> {
        let tensor = self.image.tensor(id as usize)?;
        (tensor.place == Place::Arena as u8).then_some(())?;
        self.span(&tensor).map(Dst::from)
    }

    /// A tensor to read row by row; it may be a ring.
    #[inline(never)]
    pub fn src_rows(&self, id: TensorId, row_bytes: usize) -> Option<SrcRows<'a>> {
        let ring_rows = self.image.tensor(id as usize)?.ring_rows;
        Some(SrcRows { rows: self.src(id)?, row_bytes, ring_rows })
    }

    /// A tensor to write row by row; it may be a ring.
    #[inline(never)]
    pub fn dst_rows(&self, id: TensorId, row_bytes: usize) -> Option<DstRows<'a>> {
        let ring_rows = self.image.tensor(id as usize)?.ring_rows;
        Some(DstRows { rows: self.dst(id)?, row_bytes, ring_rows })
    }

    /// `len` constants at `offset` in the data section.
    pub fn data<T: bytemuck::AnyBitPattern>(
        &self,
        offset: DataOffset,
        len: usize,
    ) -> Option<&'a [T]> {
        self.image.data(offset, len)
    }

    /// All constants from `offset` in the data section on.
    pub fn data_from(&self, offset: DataOffset) -> Option<&'a [u8]> {
        self.image.data_from(offset)
    }

    /// The cells of a tensor in the arena, unless it touches the scratch memory.
    fn span(&self, tensor: &Tensor) -> Option<&'a [Cell<u8>]> {
        let start = tensor.offset as usize;
        let (part, start) = match start.checked_sub(self.high_start) {
            Some(start) => (self.high, start),
            None => (self.low, start),
        };
        part.get(start..start.checked_add(tensor.len_bytes as usize)?)
    }
}

/// The slot of row `y` in a tensor which holds all its rows, or only the last `ring_rows`.
fn slot(y: usize, ring_rows: u16) -> usize {
    y.checked_rem(ring_rows as usize).unwrap_or(y)
}

/// The rows of a tensor to read.
#[derive(Clone, Copy)]
pub struct SrcRows<'a> {
    rows: Src<'a>,
    row_bytes: usize,
    ring_rows: u16,
}

impl<'a> SrcRows<'a> {
    /// Row `y`.
    #[inline(never)]
    pub fn row(&self, y: usize) -> Option<Src<'a>> {
        self.rows.slice(slot(y, self.ring_rows).checked_mul(self.row_bytes)?, self.row_bytes)
    }
}

impl<'a> SrcRows<'a> {
    /// What lies from row `y` to the end of the tensor's memory.
    #[inline(never)]
    pub fn from_row(&self, y: usize) -> Option<Src<'a>> {
        let start = slot(y, self.ring_rows).checked_mul(self.row_bytes)?;
        self.rows.slice(start, self.rows.len().checked_sub(start)?)
    }
}

/// The rows of a tensor to write.
#[derive(Clone, Copy)]
pub struct DstRows<'a> {
    rows: Dst<'a>,
    row_bytes: usize,
    ring_rows: u16,
}

impl<'a> DstRows<'a> {
    /// Row `y`.
    #[inline(never)]
    pub fn row(&self, y: usize) -> Option<Dst<'a>> {
        self.rows.slice(slot(y, self.ring_rows).checked_mul(self.row_bytes)?, self.row_bytes)
    }
}
