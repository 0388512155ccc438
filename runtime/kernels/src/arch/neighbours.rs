//! Output pixels of a convolution whose patches must be gathered.

use crate::arch::view::Src;

/// What neighbouring output pixels see that see padding at the same taps.
#[derive(Clone, Copy)]
pub struct Sight<'a> {
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

/// Neighbouring output pixels: all that they see lies inside the input and inside their patches.
#[derive(Clone, Copy)]
pub struct Neighbours<'a> {
    sight: Sight<'a>,
    taps: usize,
}

impl<'a> Neighbours<'a> {
    /// Pixels with patches of `taps` bytes. `None` if there are none, or if rows of a pixel leave
    /// the input or its patch.
    pub fn new(sight: Sight<'a>, taps: usize) -> Option<Self> {
        let mut fits = true;
        let behind = sight.pixels.checked_sub(1)?.checked_mul(sight.pixel_step)?;
        for piece in &sight.pieces {
            if let Some(last) = piece.rows.checked_sub(1) {
                let [from, to] = [(piece.from, sight.steps[0]), (piece.to, sight.steps[1])]
                    .map(|(start, step)| last.checked_mul(step)?.checked_add(start));
                fits &= from?.checked_add(behind)?.checked_add(sight.run)? <= sight.memory.len()
                    && to?.checked_add(sight.run)? <= taps;
            }
        }
        fits.then_some(Self { sight, taps })
    }

    /// What they see.
    pub fn sight(&self) -> &Sight<'a> {
        &self.sight
    }

    /// Bytes of a patch.
    pub fn taps(&self) -> usize {
        self.taps
    }

    /// Number of pixels, at least 1.
    pub fn pixels(&self) -> usize {
        self.sight.pixels
    }

    /// The pixels from `first` on, at most `limit`; `None` if there are none.
    pub fn part(&self, first: usize, limit: usize) -> Option<Self> {
        let pixels = self.sight.pixels.checked_sub(first)?.min(limit);
        let behind = first.wrapping_mul(self.sight.pixel_step);
        let pieces =
            self.sight.pieces.map(|piece| Piece { from: piece.from.wrapping_add(behind), ..piece });
        let sight = Sight { pieces, pixels, ..self.sight };
        (pixels != 0).then_some(Self { sight, ..*self })
    }
}
