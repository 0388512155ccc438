//! What a schedule costs, roughly: enough to tell which of two is faster, and whether memory that is
//! saved is worth it.

use fixie_format::op::{paired, planar};
use fixie_format::{Opcode, op};
use fixie_kernels::layout;

use super::schedule::{Choice, Step, schedule};
use crate::lower::program::{Params, Program};

/// Instructions around each step.
const CALL: f64 = 400.0;
/// Pixels that a convolution computes at a time.
const PIXELS_PER_BLOCK: f64 = 3.0;
/// Instructions to expand a byte of a depthwise layer's input.
const EXPANSION: f64 = 2.0;
/// Instructions around each tile of four channels with a 3×3 kernel.
const TILE: f64 = 800.0;
/// Those with any other kernel, whose weights are unpacked for every tile.
const TILE_OF_ANY: f64 = 2400.0;

/// Instructions to expand a byte that a convolution sees, once for all channels that are decoded at a
/// time.
const PATCH: f64 = 1.5;

/// Instructions for four taps of two channels by `ConvPaired`: for a block of pixels, and for one alone,
/// where two pairs of channels share what it takes to load it. These are measured on a Cortex-M4.
const PAIRED_QUAD: [f64; 2] = [17.25, 8.25];
/// The same by `ConvSparse`, whose loops also look where the taps belong.
const SPARSE_QUAD: [f64; 2] = [21.5, 12.5];
/// What `ConvSparse` takes more for each pair of channels.
const SPARSE_PAIR: [f64; 2] = [12.0, 20.0];
/// What it takes more for each kernel row of a block.
const SPARSE_ROW: f64 = 120.0;
/// To find out, before blocks are computed, whether four taps lie inside of the patch.
const SPARSE_PLACE: f64 = 2.5;

/// Whether `ConvSparse`, for which `quads` times four taps of two channels are left, takes fewer
/// instructions than `ConvPaired`. Steps of some rows each are not known yet.
pub fn is_sparse_faster(params: &op::Conv, quads: usize) -> bool {
    let window = &params.window;
    let row_taps = usize::from(window.kernel_w) * usize::from(window.in_c / params.groups.max(1));
    let kernel_rows = f64::from(window.kernel_h);
    let pairs = pairs(params) as f64;
    let all = pairs * paired::row_quads(row_taps) as f64 * kernel_rows;
    let quads = quads as f64;
    let pixels = f64::from(window.out_h) * f64::from(window.out_w);
    let alone = usize::from(pixels < PIXELS_PER_BLOCK);
    let around = match alone {
        0 => SPARSE_ROW * kernel_rows + SPARSE_PLACE * quads / (pixels / PIXELS_PER_BLOCK).ceil(),
        _ => 0.0,
    };
    SPARSE_QUAD[alone] * quads + SPARSE_PAIR[alone] * pairs + around < PAIRED_QUAD[alone] * all
}

/// Pairs of output channels.
pub fn pairs(params: &op::Conv) -> usize {
    let groups = usize::from(params.groups.max(1));
    groups * (usize::from(params.window.out_c) / groups).div_ceil(2)
}

/// Instructions that a program takes if it is executed as chosen.
pub fn instructions(program: &Program, choice: &Choice) -> f64 {
    let schedule = schedule(program, choice);
    let of_step = |step: &Step| {
        let op = &program.ops[step.op];
        let macs_per_row = op.macs as f64 / f64::from(op.rows.max(1));
        let Params::Conv(conv) = &op.params else {
            return CALL + macs_per_row * step.rows.len() as f64;
        };
        let scratch_len = op.scratch.and_then(|id| schedule.scratch_len.get(&id)).copied();
        let tiling = match op.opcode {
            Opcode::DepthwisePlanar => layout::tiling(conv, scratch_len.unwrap_or(0)),
            _ => None,
        };
        let rows = step.rows.len();
        if let Some(tiling) = tiling {
            let computed = macs_per_row * rows.next_multiple_of(tiling.unit) as f64;
            return CALL + computed + expansion(conv, rows, tiling) + op.decoding;
        }
        let of_span = |rows: usize| {
            let pixels = f64::from(conv.window.out_w) * rows as f64;
            let computed = (pixels / PIXELS_PER_BLOCK).ceil() * PIXELS_PER_BLOCK;
            macs_per_row * rows as f64 * (computed / pixels)
        };
        let spans = spans(step, schedule.rings.get(&op.writes).copied());
        let channels = schedule.channels.get(&step.op).copied();
        let again = channels.map_or(0.0, |channels| expanded_again(conv, rows, channels));
        CALL + spans.into_iter().map(of_span).sum::<f64>() + op.decoding + again
    };
    schedule.steps.iter().map(of_step).sum()
}

/// Instructions to expand what some output rows of a depthwise layer see, and around its tiles.
fn expansion(conv: &op::Conv, rows: usize, tiling: layout::Tiling) -> f64 {
    let window = &conv.window;
    let tiles = rows.div_ceil(tiling.rows);
    let halo = usize::from(window.kernel_h.saturating_sub(window.stride_h));
    let again = (tiles - 1) * tiling.rows_again + halo;
    let read = rows * usize::from(window.stride_h) + again;
    let channels = usize::from(window.in_c);
    let expanded = (read * usize::from(window.in_w) * channels) as f64;
    let is_3x3 = (window.kernel_h, window.kernel_w) == (3, 3);
    let around = if is_3x3 { TILE } else { TILE_OF_ANY };
    EXPANSION * expanded + around * (tiles * channels.div_ceil(planar::CHANNELS)) as f64
}

/// Instructions to expand again what some output rows see, for every few `channels` that are decoded.
fn expanded_again(conv: &op::Conv, rows: usize, channels: usize) -> f64 {
    let window = &conv.window;
    let inputs = f64::from(window.in_c) / f64::from(conv.groups.max(1));
    let taps = f64::from(window.kernel_h) * f64::from(window.kernel_w) * inputs;
    let again = usize::from(window.out_c).div_ceil(channels.max(1)).saturating_sub(1);
    PATCH * f64::from(window.out_w) * rows as f64 * taps * again as f64
}

/// The rows of a step that lie one behind the other in memory.
fn spans(step: &Step, ring: Option<usize>) -> Vec<usize> {
    let slots = ring.unwrap_or(step.rows.end).max(1);
    let mut spans = Vec::new();
    let mut y = step.rows.start;
    while y < step.rows.end {
        let count = (step.rows.end - y).min(slots - y % slots);
        spans.push(count);
        y += count;
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lower::program::BufferId;
    use crate::plan::testing;

    /// The most of 1000 groups of four taps with which skipping the others is faster.
    fn most_quads(pixels: u16) -> usize {
        let window = testing::pointwise(pixels, 400, 20);
        let params = testing::conv(window, BufferId(0), BufferId(1));
        assert_eq!(pairs(&params), 10);
        (0..=1000).filter(|&quads| is_sparse_faster(&params, quads)).max().unwrap()
    }

    #[test]
    fn some_weights_must_be_zero() {
        assert_eq!([1, 3, 1000].map(most_quads), [643, 708, 790]);
    }
}
