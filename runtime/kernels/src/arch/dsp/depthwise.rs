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
//! `even` are its weights for an output whose window starts with the upper of a pair of rows,
//! `odd` for the one that starts a row below: the same weights one tap later. So two outputs, one
//! above the other, share every word.

use core::arch::global_asm;

use fixie_format::op::planar;

use crate::arch::planar::{Channel, Lines, Planes, Window};

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
}

/// Arguments of `fixie_planar_3x3` and `fixie_planar_3x3_s2`.
#[repr(C)]
struct SquareArgs {
    plane: *const u32,
    /// Bytes of a row pair.
    row_bytes: usize,
    out: *mut i8,
    row_step: usize,
    column_step: usize,
    /// Output columns and rows, both at least 1.
    columns: usize,
    rows: usize,
    zero: i32,
    /// Bias, multiplier, three words of weights.
    stream: *const u32,
}

/// Arguments of `fixie_planar_rows`.
#[repr(C)]
struct RowsArgs {
    table: *const u32,
    table_end: *const u32,
    /// Bias, multiplier.
    stream: *const u32,
    /// Bytes between output columns.
    column_step: usize,
    /// Bytes between the two output rows of a turn; 0 if there is but the first.
    row_step: usize,
    /// Bytes between the words of neighbouring output columns.
    words_step: usize,
    /// The words of the first output.
    words: *const u32,
    out: *mut i8,
    /// Bytes between the words of one turn and the next.
    words_turn: usize,
    /// Bytes between the outputs of one turn and the next.
    out_turn: usize,
    /// Bytes of the words of all columns.
    words_len: usize,
    /// Turns, at least 1.
    turns: usize,
    zero: i32,
}

unsafe extern "C" {
    fn fixie_planar_expand(args: &ExpandArgs);
    fn fixie_planar_3x3(args: &SquareArgs);
    fn fixie_planar_3x3_s2(args: &SquareArgs);
    fn fixie_planar_unpack(weights: *const u32, table: *mut u32, words: usize, columns: usize);
    fn fixie_planar_rows(args: &RowsArgs);
}

/// See [`Isa::planar_expand`](crate::arch::Isa::planar_expand). In the order
/// `[row pair][column][row]`.
pub fn expand(
    lines: &Lines<'_>,
    planes: &mut Planes<'_>,
    row_pair: usize,
    column: usize,
) -> Option<()> {
    let at = planes.place(row_pair, column, lines.count())?;
    let plane_bytes = planes.plane_words().checked_mul(4)?;
    let ([upper, lower], [upper_step, lower_step]) = (lines.rows(), lines.steps());
    let args = ExpandArgs {
        words: planes.words().get_mut(at..)?.as_mut_ptr(),
        upper: upper.as_ptr(),
        upper_step,
        lower: lower.as_ptr(),
        lower_step,
        plane_bytes,
        count: lines.count(),
    };
    // SAFETY: it reads four bytes at each of `count` steps of both rows, which `Lines::new` found
    // inside; it writes `count` words at `at` of each of the four planes, which `place` found
    // inside the plane, and `Planes::new` all planes inside its words. `count` is not 0. The
    // planes are exclusive, so no row overlaps them.
    unsafe { fixie_planar_expand(&args) };
    Some(())
}

/// See [`Isa::planar_channel`](crate::arch::Isa::planar_channel).
pub fn channel(channel: &Channel<'_>, table: &mut [u32], fresh: bool) -> Option<()> {
    let window = channel.window();
    if (window.kernel_h, window.kernel_w, window.dilation_w) == (3, 3, 1) {
        if (window.stride_h, window.stride_w) == (1, 1) {
            let args = square_args(channel);
            // SAFETY: by `Channel::new` the plane has the rows and columns that the windows of all
            // outputs see, in whole row pairs; the last of an odd number of rows sees a whole
            // pair too. The outputs lie in `out`, by `Outputs::new`, and are cells; neither plane
            // nor stream, as shared slices, overlap them. The stream has five words.
            unsafe { fixie_planar_3x3(&args) };
            return Some(());
        }
        if (window.stride_h, window.stride_w) == (2, 2) {
            let args = square_args(channel);
            // SAFETY: as above.
            unsafe { fixie_planar_3x3_s2(&args) };
            return Some(());
        }
    }
    any(channel, table, fresh)
}

fn square_args(channel: &Channel<'_>) -> SquareArgs {
    let outputs = channel.outputs();
    SquareArgs {
        plane: channel.plane().as_ptr(),
        row_bytes: channel.window().columns.wrapping_mul(4),
        out: outputs.out().as_mut_ptr(),
        row_step: outputs.row_step(),
        column_step: outputs.column_step(),
        columns: outputs.columns(),
        rows: outputs.rows(),
        zero: channel.zero().into(),
        stream: channel.stream().as_ptr(),
    }
}

/// Any kernel, by the table.
fn any(channel: &Channel<'_>, table: &mut [u32], fresh: bool) -> Option<()> {
    let window = channel.window();
    let table = table.get_mut(..window.table_words()?)?;
    if fresh {
        fill_offsets(window, table)?;
    }
    let weights = channel.stream().get(planar::CONSTANT_WORDS..)?;
    let words = planar::column_words(window.kernel_h);
    // SAFETY: by `Channel::new` there are `kernel_w` columns of `words` words of weights, both not
    // 0; the table has two entries for each word.
    unsafe {
        fixie_planar_unpack(weights.as_ptr(), table.as_mut_ptr(), words, window.kernel_w);
    }
    let rows = channel.outputs().rows();
    if window.stride_h == 1 {
        turns(channel, table, 0, rows / 2, 2)?;
        if rows % 2 == 1 {
            turns(channel, table, rows.wrapping_sub(1), 1, 1)?;
        }
        return Some(());
    }
    // Outputs are two rows or more apart: each is computed by itself.
    for y in 0..rows {
        let odd = y.wrapping_mul(window.stride_h) % 2 == 1;
        if odd {
            swap_weights(table);
        }
        turns(channel, table, y, 1, 1)?;
        if odd {
            swap_weights(table);
        }
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

/// Exchanges the weights for even and odd outputs.
fn swap_weights(table: &mut [u32]) {
    for entry in table.chunks_exact_mut(3) {
        if let [_, even, odd] = entry {
            core::mem::swap(even, odd);
        }
    }
}

/// Computes `count` times one or two output rows (`rows`), from row `first` on.
fn turns(
    channel: &Channel<'_>,
    table: &[u32],
    first: usize,
    count: usize,
    rows: usize,
) -> Option<()> {
    if count == 0 {
        return Some(());
    }
    let (window, outputs) = (channel.window(), channel.outputs());
    let row_pair = first.checked_mul(window.stride_h)? / 2;
    let words = channel.plane().get(row_pair.checked_mul(window.columns)?..)?;
    let out = outputs.out();
    let out = out.slice(first.checked_mul(outputs.row_step())?, 1)?;
    let words_step = window.stride_w.wrapping_mul(4);
    let table = table.as_ptr_range();
    let args = RowsArgs {
        table: table.start,
        table_end: table.end,
        stream: channel.stream().as_ptr(),
        column_step: outputs.column_step(),
        row_step: if rows == 2 { outputs.row_step() } else { 0 },
        words_step,
        words: words.as_ptr(),
        out: out.as_mut_ptr(),
        words_turn: window.columns.wrapping_mul(4),
        out_turn: outputs.row_step().wrapping_mul(2),
        words_len: outputs.columns().wrapping_mul(words_step),
        turns: count,
        zero: channel.zero().into(),
    };
    // SAFETY: an output's window starts with the word at its row pair and column; the entries
    // reach `kernel_h / 2` row pairs and `kernel_w − 1` dilations further, which by `Channel::new`
    // lies in the plane for all outputs. The table, two entries per word of weights, is even and
    // not empty. The outputs of all columns in rows `first` to `first + count · rows` lie in `out`,
    // as the callers do not pass the last row, and are cells; neither plane nor table overlap them.
    unsafe { fixie_planar_rows(&args) };
    Some(())
}

/// The format's unit of channels is that of the assembly.
const _: () = assert!(planar::CHANNELS == 4);
