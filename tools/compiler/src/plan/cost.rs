//! What a schedule costs, roughly: enough to tell which of two is faster, and whether memory that is
//! saved is worth it.

use fixie_format::op::planar;
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
