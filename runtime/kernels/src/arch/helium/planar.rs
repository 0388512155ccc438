//! The loops of `DepthwisePlanar` for 3×3 kernels at strides of 1 and 2.
//!
//! A word of a plane holds the bytes of four rows in one column: those of its row pair and of the
//! next one. So a vector of four words is the window of one output and, at a stride of 1, of three
//! more, beside and below it: `VMLADAV` with the same weights, shifted, gives their sums.
//!
//! Every row pair is written twice, as the upper halves of its words and the lower halves of those
//! before. What takes the most instructions is what comes after the sums: of 16 per four outputs
//! (19 at a stride of 2), 4 are multiplications.

use core::arch::global_asm;
use core::ops::Range;

use crate::arch::planar::{Channels, Placed, Planes};
use crate::arch::scalar;

// With link-time optimisation LLVM reads module-level assembly before it knows the core.
global_asm!(".cpu cortex-m55");
global_asm!(include_str!("planar.s"), options(raw));

/// Arguments of `fixie_helium_planar_expand`.
#[repr(C)]
struct ExpandArgs {
    upper: *const i8,
    lower: *const i8,
    /// At most [`MAX_STEP`] if there are several columns.
    steps: [usize; 2],
    /// Columns, at least 1.
    count: usize,
    words: *mut u32,
    last_words: *mut u32,
    /// Row pairs, at least 1.
    pairs: usize,
    pair_step: usize,
    row_len: usize,
    plane_len: usize,
}

/// Arguments of the other functions, which change them.
#[derive(Clone, Copy)]
#[repr(C)]
struct ChannelsArgs {
    zero: i32,
    column_step: usize,
    /// Modulo 2^32.
    row_step: usize,
    /// At least 2.
    columns: usize,
    /// At least 1.
    rows: usize,
    plane: *const u32,
    out: *mut i8,
    streams: *const u32,
    channels: usize,
    row_len: usize,
    plane_len: usize,
    first: usize,
    left: usize,
    word_step: usize,
}

unsafe extern "C" {
    fn fixie_helium_planar_expand(args: &ExpandArgs);
    fn fixie_helium_planar_3x3(args: &mut ChannelsArgs);
    fn fixie_helium_planar_3x3_s2(args: &mut ChannelsArgs);
    fn fixie_helium_planar_3x3_down(args: &mut ChannelsArgs);
}

/// The most bytes between two columns that are copied together: offsets have 16 bits.
const MAX_STEP: usize = u16::MAX as usize - 3;

/// Whether planes have the order of this file and not that of the scalar loops: at least two output
/// columns, and planes whose fourth one still starts at an offset of 16 bits.
#[inline(always)]
fn has_quads(planes: &Planes<'_>) -> bool {
    let columns = match planes.square_stride() {
        Some(1) => 4,
        Some(_) => 5,
        None => usize::MAX,
    };
    planes.columns() >= columns && planes.plane_words() < (1 << 12)
}

/// See [`Isa::planar_fill`](crate::arch::Isa::planar_fill).
pub fn fill(planes: &mut Planes<'_>, value: i8) {
    if has_quads(planes) {
        planes.words_mut().fill(u32::from_ne_bytes([value as u8; 4]));
    } else {
        scalar::planar_fill(planes, value);
    }
}

/// See [`Isa::planar_expand`](crate::arch::Isa::planar_expand).
pub fn expand(placed: &Placed<'_>, channel: usize, planes: &mut Planes<'_>) -> Option<()> {
    if !has_quads(planes) {
        return scalar_expand(placed, channel, planes);
    }
    let lines = placed.lines();
    if lines.steps().iter().any(|&step| step > MAX_STEP) {
        return expand_apart(placed, channel, planes);
    }
    expand_columns(placed, channel, planes, 0..lines.count())
}

/// Column by column.
#[cold]
#[inline(never)]
fn expand_apart(placed: &Placed<'_>, channel: usize, planes: &mut Planes<'_>) -> Option<()> {
    let mut columns = 0..placed.lines().count();
    columns.try_for_each(|n| expand_columns(placed, channel, planes, n..n.saturating_add(1)))
}

/// Copies some columns of all lines: one, or such as are at most [`MAX_STEP`] apart.
#[inline(always)]
fn expand_columns(
    placed: &Placed<'_>,
    channel: usize,
    planes: &mut Planes<'_>,
    part: Range<usize>,
) -> Option<()> {
    let start = planes.start(placed)?;
    let lines = placed.lines();
    let inside = part.start < part.end && part.end <= lines.count();
    inside.then_some(())?;
    let (columns, plane_words) = (planes.columns(), planes.plane_words());
    // The row pair before lies one row before, or behind the last one.
    let before = if placed.row_pair() == 0 { plane_words } else { 0 };
    let ([upper, lower], steps) = (lines.rows(channel)?, lines.steps());
    let words = planes.words_mut().as_mut_ptr().wrapping_add(start).wrapping_add(part.start);
    let args = ExpandArgs {
        upper: upper.as_ptr().wrapping_add(part.start.wrapping_mul(steps[0])),
        lower: lower.as_ptr().wrapping_add(part.start.wrapping_mul(steps[1])),
        steps,
        count: part.len(),
        words,
        last_words: words.wrapping_add(before).wrapping_sub(columns),
        pairs: lines.pair_count(),
        pair_step: lines.pair_step(),
        row_len: columns.wrapping_mul(4),
        plane_len: plane_words.wrapping_mul(4),
    };
    // SAFETY: it reads four bytes at each of `count` steps of both rows of every pair, which
    // `Lines` found inside; it writes halves of `count` words of each of `pairs` row pairs, and
    // of the one before, in each of the four planes: `start` found them inside the plane, and
    // `Planes::new` all planes inside its words. The counts are not 0. The planes are
    // exclusive, so no row overlaps them. Offsets of lanes are below 2^16, by `has_quads` and
    // `MAX_STEP`, if there is more than one column.
    unsafe { fixie_helium_planar_expand(&args) };
    Some(())
}

/// The scalar loop, which is not inlined so that the others do not need its stack.
#[inline(never)]
fn scalar_expand(placed: &Placed<'_>, channel: usize, planes: &mut Planes<'_>) -> Option<()> {
    scalar::planar_expand(placed, channel, planes)
}

/// As [`scalar_expand`].
#[inline(never)]
fn scalar_channels(channels: &Channels<'_>, table: &mut [u32]) -> Option<()> {
    scalar::planar_channels(channels, table)
}

/// See [`Isa::planar_channels`](crate::arch::Isa::planar_channels).
pub fn channels(channels: &Channels<'_>, table: &mut [u32]) -> Option<()> {
    let (planes, outputs) = (channels.planes(), channels.outputs());
    if !has_quads(planes) {
        return scalar_channels(channels, table);
    }
    (outputs.columns() >= 2).then_some(())?;
    let row_len = planes.columns().wrapping_mul(4);
    let plane_words = planes.plane_words();
    let skipped = channels.skipped().wrapping_mul(plane_words);
    let mut args = ChannelsArgs {
        zero: channels.zero().into(),
        column_step: outputs.column_step(),
        row_step: outputs.row_step() as usize,
        columns: outputs.columns(),
        rows: outputs.rows(),
        plane: planes.words().as_ptr().wrapping_add(skipped),
        out: outputs.first(),
        streams: channels.streams().as_ptr(),
        channels: channels.count(),
        row_len,
        plane_len: plane_words.wrapping_mul(4),
        first: channels.first_pair().wrapping_mul(row_len),
        left: 0,
        word_step: row_len,
    };
    // Exchanged, odd last columns and rows are read with one word more.
    let pairs = args.rows / 2;
    let seen = pairs.wrapping_add(args.rows % 2 & args.columns % 2);
    let goes_on = channels.first_pair().wrapping_add(seen) < planes.window().row_pairs;
    // SAFETY: by `Channels::new` each plane has the rows and columns that the windows of all outputs
    // see, in whole row pairs, the last of which is followed by the first. At a stride of 1 a vector
    // is the columns of two outputs, of which there are at least two; at one of 2 the words behind
    // the window of every second one are not read. Exchanged, there are at least two rows, all of
    // them see row pairs up to `first_pair + pairs` without a break, and an odd last column reads one
    // word behind its window: in the last row the first word of the row pair behind the one that it
    // sees, `first_pair + seen` at most, which by `goes_on` is there. The outputs lie in `out`, by
    // `Channels::new`, and are cells; neither planes nor streams, which are slices, overlap them.
    // Each stream has five words: bias, multiplier, three columns.
    unsafe {
        if planes.square_stride() == Some(2) {
            fixie_helium_planar_3x3_s2(&mut args);
        } else if args.rows > args.columns && goes_on {
            // Rows and columns are exchanged: the inner loop goes down.
            let mut down = ChannelsArgs {
                column_step: args.row_step,
                row_step: args.column_step,
                columns: args.rows,
                rows: args.columns,
                // A step to the side are two words.
                row_len: 8,
                ..args
            };
            fixie_helium_planar_3x3_down(&mut down);
        } else {
            fixie_helium_planar_3x3(&mut args);
        }
    }
    Some(())
}
