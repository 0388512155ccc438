//! Output pixels of a convolution whose patches must be gathered.

use crate::arch::view::Src;

/// Pixels whose patches are gathered at a time.
pub const BLOCK: usize = 2;

/// Neighbouring output pixels that see padding at the same taps.
#[derive(Clone, Copy)]
pub struct Neighbours<'a> {
    /// The input.
    pub memory: Src<'a>,
    /// What the first pixel sees of it: rows up to the end of a ring, and those behind it.
    pub pieces: [Piece; 2],
    /// Bytes between rows in the input and in a patch.
    pub steps: [usize; 2],
    /// Bytes of a row that lie inside the input.
    pub run: usize,
    /// Bytes from what one pixel sees to what the next one does.
    pub pixel_step: usize,
    /// Number of pixels.
    pub pixels: usize,
    /// What stands at the other taps, if there are any.
    pub padding: Option<i8>,
}

/// Some rows of a patch.
#[derive(Clone, Copy)]
pub struct Piece {
    /// Where the first one starts in the input.
    pub from: usize,
    /// Where it starts in the patch.
    pub to: usize,
    /// Number of rows.
    pub rows: usize,
}

impl Neighbours<'_> {
    /// The pixels from `first` on, at most `limit`; `None` if there are none.
    pub fn part(&self, first: usize, limit: usize) -> Option<Self> {
        let pixels = self.pixels.checked_sub(first)?.min(limit);
        let behind = first.checked_mul(self.pixel_step)?;
        let mut pieces = self.pieces;
        for piece in &mut pieces {
            piece.from = piece.from.wrapping_add(behind);
        }
        (pixels != 0).then_some(Self { pieces, pixels, ..*self })
    }

    /// Whether all rows of all pixels lie inside the input and inside patches of `taps` bytes.
    pub fn fits(&self, taps: usize) -> Option<bool> {
        let mut fits = true;
        let behind = self.pixels.checked_sub(1)?.checked_mul(self.pixel_step)?;
        for piece in &self.pieces {
            if let Some(last) = piece.rows.checked_sub(1) {
                let [from, to] = [(piece.from, self.steps[0]), (piece.to, self.steps[1])]
                    .map(|(start, step)| last.checked_mul(step)?.checked_add(start));
                fits &= from?.checked_add(behind)?.checked_add(self.run)? <= self.memory.len()
                    && to?.checked_add(self.run)? <= taps;
            }
        }
        Some(fits)
    }
}
