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

use crate::arch::planar::{Channels, Lines, Planes, Window};
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
fn has_quads(window: &Window) -> bool {
    let columns = match (window.stride_h, window.stride_w) {
        (1, 1) => 4,
        (2, 2) => 5,
        _ => usize::MAX,
    };
    (window.kernel_h, window.kernel_w, window.dilation_w) == (3, 3, 1)
        && window.columns >= columns
        && window.plane_words().is_some_and(|words| words < (1 << 12))
}

/// See [`Isa::planar_fill`](crate::arch::Isa::planar_fill).
pub fn fill(planes: &mut Planes<'_>, value: i8) {
    if has_quads(planes.window()) {
        planes.words_mut().fill(u32::from_ne_bytes([value as u8; 4]));
    } else {
        scalar::planar_fill(planes, value);
    }
}

/// See [`Isa::planar_expand`](crate::arch::Isa::planar_expand).
pub fn expand(
    lines: &Lines<'_>,
    planes: &mut Planes<'_>,
    row_pair: usize,
    column: usize,
) -> Option<()> {
    let window = *planes.window();
    if !has_quads(&window) {
        return scalar::planar_expand(lines, planes, row_pair, column);
    }
    planes.place(lines, row_pair, column)?;
    let (columns, row_pairs, count) = (window.columns, window.row_pairs, lines.count());
    let last_pair = row_pair.checked_sub(1).unwrap_or(row_pairs.wrapping_sub(1));
    let words = planes.words_mut().as_mut_ptr();
    let at = |pair: usize, column: usize| {
        words.wrapping_add(pair.wrapping_mul(columns).wrapping_add(column))
    };
    let [upper, lower] = lines.rows();
    let steps = lines.steps();
    let together = if steps.iter().all(|&step| step <= MAX_STEP) { count } else { 1 };
    for first in (0..count).step_by(together.max(1)) {
        let args = ExpandArgs {
            upper: upper.as_ptr().wrapping_add(first.wrapping_mul(steps[0])),
            lower: lower.as_ptr().wrapping_add(first.wrapping_mul(steps[1])),
            steps,
            count: together,
            words: at(row_pair, column.wrapping_add(first)),
            last_words: at(last_pair, column.wrapping_add(first)),
            pairs: lines.pair_count(),
            pair_step: lines.pair_step(),
            row_len: columns.wrapping_mul(4),
            plane_len: columns.wrapping_mul(row_pairs).wrapping_mul(4),
        };
        // SAFETY: it reads four bytes at each of `count` steps of both rows of every pair, which
        // `Lines` found inside; it writes halves of `count` words of each of `pairs` row pairs, and
        // of the one before, in each of the four planes: `place` found them inside the plane, and
        // `Planes::new` all planes inside its words. The counts are not 0. The planes are
        // exclusive, so no row overlaps them. Offsets of lanes are below 2^16, by `has_quads` and
        // `MAX_STEP`.
        unsafe { fixie_helium_planar_expand(&args) };
    }
    Some(())
}

/// See [`Isa::planar_channels`](crate::arch::Isa::planar_channels).
pub fn channels(channels: &Channels<'_>, table: &mut [u32]) -> Option<()> {
    let (window, outputs) = (channels.window(), channels.outputs());
    if !has_quads(window) {
        return scalar::planar_channels(channels, table);
    }
    (outputs.columns() >= 2).then_some(())?;
    let row_len = window.columns.wrapping_mul(4);
    let plane_words = window.row_pairs.wrapping_mul(window.columns);
    let skipped = channels.skipped().wrapping_mul(plane_words);
    let mut args = ChannelsArgs {
        zero: channels.zero().into(),
        column_step: outputs.column_step(),
        row_step: outputs.row_step() as usize,
        columns: outputs.columns(),
        rows: outputs.rows(),
        plane: channels.planes().as_ptr().wrapping_add(skipped),
        out: outputs.first(),
        streams: channels.streams().as_ptr(),
        channels: channels.count(),
        row_len,
        plane_len: plane_words.wrapping_mul(4),
        first: channels.first_pair().wrapping_mul(row_len),
        left: 0,
        word_step: row_len,
    };
    // SAFETY: by `Channels::new` each plane has the rows and columns that the windows of all outputs
    // see, in whole row pairs, the last of which is followed by the first. At a stride of 1 a vector
    // is the columns of two outputs, of which there are at least two; at one of 2 the words behind
    // the window of every second one are not read. Exchanged, an odd last column reads one word
    // behind its window, in the last row the first word of pair `first_pair + pairs`: that there is
    // one, by `goes_on`, is needed for this as well. The outputs lie in `out`, by `Channels::new`,
    // and are cells; neither planes nor streams, which are slices, overlap them. Each stream has
    // five words: bias, multiplier, three columns.
    unsafe {
        if window.stride_h == 2 {
            fixie_helium_planar_3x3_s2(&mut args);
            return Some(());
        }
        let pairs = args.rows / 2;
        let goes_on = channels.first_pair().wrapping_add(pairs) < window.row_pairs;
        if args.rows > args.columns && goes_on {
            // Rows and columns are exchanged: the inner loop goes down.
            let mut down = ChannelsArgs {
                column_step: args.row_step,
                row_step: args.column_step,
                columns: pairs.wrapping_mul(2),
                rows: args.columns,
                // A step to the side are two words.
                row_len: 8,
                ..args
            };
            fixie_helium_planar_3x3_down(&mut down);
            if args.rows % 2 == 0 {
                return Some(());
            }
            args.first = args.first.wrapping_add(pairs.wrapping_mul(row_len));
            args.out = args.out.wrapping_add(args.row_step.wrapping_mul(pairs.wrapping_mul(2)));
            args.rows = 1;
        }
        fixie_helium_planar_3x3(&mut args);
    }
    Some(())
}
