//! The loops of `DepthwisePlanar`.
//!
//! 3×3 kernels at strides of 1 and 2 have loops of their own, which keep all weights in registers.
//! Any other kernel goes by a table with an entry for every two taps of a column:
//!
//! ```text
//! entry := offset:u32 even:i16×2 odd:i16×2
//! ```
//!
//! `offset` is where the word of the two taps lies, in bytes after the word of the first two.
//! `even` are its weights for an output whose window starts with the upper row of a pair, `odd` for
//! the one that starts a row below: the same weights one tap later. So two outputs, one above the
//! other, share every word.

use core::arch::global_asm;

use fixie_format::op::planar;

use crate::arch::planar::{Channels, Placed, Planes, Window};

global_asm!(include_str!("depthwise.s"), options(raw));

/// Arguments of `fixie_planar_expand`.
#[repr(C)]
struct ExpandArgs {
    /// Where the first column of the first plane goes.
    words: *mut u32,
    upper: *const i8,
    upper_step: usize,
    lower: *const i8,
    lower_step: usize,
    plane_bytes: usize,
    /// Columns, at least 1.
    count: usize,
    /// Row pairs, at least 1.
    pairs: usize,
    /// From the end of a pair's pixels to the start of the next one's.
    gap: isize,
    /// The same for its words in a plane.
    words_gap: usize,
}

/// Arguments of `fixie_planar_3x3` and `fixie_planar_3x3_s2`; the first ones of
/// `fixie_planar_any`.
#[derive(Clone, Copy)]
#[repr(C)]
struct ChannelsArgs {
    zero: i32,
    /// Bytes between output columns.
    column_step: usize,
    /// Bytes from the words of some output rows to those of the next.
    words_step: usize,
    /// Output columns, at least 1.
    columns: usize,
    /// The first channel's plane; those of the others follow.
    plane: *const u32,
    plane_end: *const u32,
    /// Bytes from the start of a plane to the words of the first row.
    first: usize,
    /// Bytes from one output row to the next, modulo 2³².
    row_step: usize,
    /// Output rows, at least 1.
    rows: usize,
    /// The first channel's outputs; those of the others are beside them.
    out: *mut i8,
    /// Bias, multiplier and weights of every channel.
    streams: *const u32,
    /// At least 1.
    channels: usize,
}

/// Arguments of `fixie_planar_any`.
#[repr(C)]
struct AnyArgs {
    channels: ChannelsArgs,
    table: *mut u32,
    /// A whole number of two entries, at least 1, behind `table`.
    table_end: *mut u32,
    /// Words of the weights of a kernel column.
    column_words: usize,
    kernel_columns: usize,
    /// Bytes between the words of neighbouring output columns.
    words_column_step: usize,
    /// Output rows at a time: 2, of which the second starts a row below the first, or 1.
    turn: usize,
}

unsafe extern "C" {
    fn fixie_planar_expand(args: &ExpandArgs);
    fn fixie_planar_3x3(args: &ChannelsArgs);
    fn fixie_planar_3x3_s2(args: &ChannelsArgs);
    fn fixie_planar_any(args: &AnyArgs);
}

/// See [`Isa::planar_expand`](crate::arch::Isa::planar_expand). In the order
/// `[row pair][column][row]`.
pub fn expand(placed: &Placed<'_>, channel: usize, planes: &mut Planes<'_>) -> Option<()> {
    let (at, lines) = (planes.start(placed)?, placed.lines());
    let [upper, lower] = lines.rows(channel)?;
    let (mut count, mut pairs) = (lines.count(), lines.pair_count());
    let [mut upper_step, mut lower_step] = lines.steps();
    let row_len = count.wrapping_mul(upper_step);
    if planes.columns() == 1 && pairs > 1 {
        // In a single column the words of all pairs follow each other like those of a row.
        (count, pairs) = (pairs, 1);
        (upper_step, lower_step) = (lines.pair_step(), lines.pair_step());
    }
    let args = ExpandArgs {
        plane_bytes: planes.plane_words().checked_mul(4)?,
        words_gap: planes.columns().wrapping_sub(count).wrapping_mul(4),
        words: planes.words_mut().get_mut(at..)?.as_mut_ptr(),
        upper: upper.as_ptr(),
        upper_step,
        lower: lower.as_ptr(),
        lower_step,
        count,
        pairs,
        gap: (lines.pair_step() as isize).wrapping_sub(row_len as isize),
    };
    // SAFETY: it reads four bytes at each of `count` steps of both rows of every pair, which
    // `Lines` found inside (with more than one pair the steps are the same); it writes `count`
    // words of each of `pairs` row pairs from `at` on of each of the four planes, which `start`
    // found inside the plane, and `Planes::new` all planes inside its words. The counts are not 0.
    // The planes are exclusive, so no row overlaps them.
    unsafe { fixie_planar_expand(&args) };
    Some(())
}

/// See [`Isa::planar_channels`](crate::arch::Isa::planar_channels).
pub fn channels(channels: &Channels<'_>, table: &mut [u32]) -> Option<()> {
    let args = channels_args(channels);
    let stride = channels.planes().square_stride();
    if stride == Some(1) {
        // SAFETY: by `Channels::new` each plane has the rows and columns that the windows of all
        // outputs see, in whole row pairs, the last of which is followed by the first; the last
        // of an odd number of output rows sees whole pairs too. The outputs lie in `out`, by
        // `Channels::new`, and are cells; neither planes nor streams, which are slices, overlap
        // them. Each stream has five words: bias, multiplier, three columns.
        unsafe { fixie_planar_3x3(&args) };
        Some(())
    } else if stride.is_some() {
        // SAFETY: as above.
        unsafe { fixie_planar_3x3_s2(&args) };
        Some(())
    } else {
        any(channels, table, args)
    }
}

fn channels_args(channels: &Channels<'_>) -> ChannelsArgs {
    let (window, outputs) = (channels.window(), channels.outputs());
    let row_bytes = window.columns.wrapping_mul(4);
    let plane_words = window.row_pairs.wrapping_mul(window.columns);
    let skipped_words = plane_words.wrapping_mul(channels.skipped());
    let plane = channels.planes().words().as_ptr().wrapping_add(skipped_words);
    ChannelsArgs {
        zero: channels.zero().into(),
        column_step: outputs.column_step(),
        words_step: row_bytes,
        columns: outputs.columns(),
        plane,
        plane_end: plane.wrapping_add(plane_words),
        first: channels.first_pair().wrapping_mul(row_bytes),
        row_step: outputs.row_step() as usize,
        rows: outputs.rows(),
        out: outputs.first(),
        streams: channels.streams().as_ptr(),
        channels: channels.count(),
    }
}

/// Any kernel, by the table.
// Not inlined, so that the stack does not hold its arguments for the others.
#[inline(never)]
fn any(channels: &Channels<'_>, table: &mut [u32], args: ChannelsArgs) -> Option<()> {
    let window = channels.window();
    let table = table.get_mut(..window.table_words()?)?;
    fill_offsets(window, table)?;
    (channels.first_pair() == 0).then_some(())?;
    let entries = table.as_mut_ptr_range();
    let mut args = AnyArgs {
        channels: args,
        table: entries.start,
        table_end: entries.end,
        column_words: planar::column_words(window.kernel_h),
        kernel_columns: window.kernel_w,
        words_column_step: window.stride_w.wrapping_mul(4),
        turn: 1,
    };
    match window.stride_h {
        1 if args.channels.columns == 1 => return column(args),
        1 => args.turn = 2,
        // Rows that start on different rows of a pair could only be neighbours.
        even if even % 2 == 0 => {
            args.channels.words_step = args.channels.words_step.wrapping_mul(even / 2);
        }
        _ => return None,
    }
    // SAFETY: an output's window starts with the word at its row pair and column; the entries
    // reach `kernel_h / 2` row pairs and `kernel_w − 1` dilations further, which by
    // `Channels::new` lies in the plane for all outputs, since the first row pair is the plane's
    // first one. The table has two entries for each of `kernel_columns · column_words` words of
    // weights, which follow bias and multiplier in each stream; none of these is empty. The outputs
    // lie in `out`, by `Channels::new`, and are cells; neither planes nor streams nor the table,
    // which are slices, overlap them.
    unsafe { fixie_planar_any(&args) };
    Some(())
}

/// A single output column at a stride of 1: its pairs of rows, which follow each other in the plane
/// as columns do, are taken for the columns of a single pair of rows.
fn column(mut args: AnyArgs) -> Option<()> {
    let all = args.channels;
    let pairs = all.rows / 2;
    args.turn = 2;
    if pairs != 0 {
        args.words_column_step = all.words_step;
        args.channels.rows = 2;
        args.channels.columns = pairs;
        args.channels.column_step = all.row_step.wrapping_mul(2);
        // SAFETY: as in `any`; output rows 2·x and 2·x + 1 of column 0 start with the word of row
        // pair x.
        unsafe { fixie_planar_any(&args) };
    }
    if all.rows % 2 == 1 {
        let last = pairs.wrapping_mul(2).wrapping_mul(all.row_step);
        let first = pairs.checked_mul(all.words_step)?;
        args.channels = ChannelsArgs { rows: 1, first, out: all.out.wrapping_add(last), ..all };
        // SAFETY: as in `any`, for the last row alone, which starts with the word of row pair
        // `pairs`.
        unsafe { fixie_planar_any(&args) };
    }
    Some(())
}

/// Writes the offset of every entry.
fn fill_offsets(window: &Window, table: &mut [u32]) -> Option<()> {
    let entries = planar::column_words(window.kernel_h).checked_mul(2)?;
    let needed = window.kernel_h / 2 + 1;
    let mut table = table.chunks_exact_mut(3);
    for j in 0..window.kernel_w {
        for k in 0..entries {
            // Entries without weights read the first word.
            let row_pair = if k < needed { k } else { 0 };
            let word = row_pair
                .wrapping_mul(window.columns)
                .wrapping_add(j.wrapping_mul(window.dilation_w));
            *table.next()?.first_mut()? = word.wrapping_mul(4) as u32;
        }
    }
    Some(())
}

/// The assembly takes the format's number of channels at a time.
const _: () = assert!(planar::CHANNELS == 4);
