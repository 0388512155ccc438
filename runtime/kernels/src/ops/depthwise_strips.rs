//! `Depthwise` for instruction sets that compute many pixels in one loop.

use core::ops::Range;

use fixie_format::op;

use crate::arch::Isa;
use crate::arch::depthwise::Channels;
use crate::arch::taps::{MAX_CHANNELS, MAX_TAPS, Scene, TapFilters, TapStrip};
use crate::arch::view::Dst;
use crate::memory::DstRows;
use crate::ops::patch::Patches;
use crate::requantize::Requantizer;

/// Some output rows, in strips: pixels of a row that see no padding, or one that does. Every input
/// channel is an output channel, and there are at most [`MAX_TAPS`] taps.
pub fn strips<I: Isa>(
    params: &op::Conv,
    patches: &Patches<'_>,
    channels: &Channels<'_>,
    rows: Range<usize>,
    output: &DstRows<'_>,
) -> Option<()> {
    let bounds = (params.act_min, params.act_max);
    let padding = [patches.pad_value; MAX_CHANNELS];
    let scene = Scene { source: patches.memory, padding: &padding };
    let mut table = [0; MAX_TAPS];
    let table = table.get_mut(..channels.taps())?;
    for first in (0..channels.count()).step_by(MAX_CHANNELS) {
        let some = first..channels.count().min(first.saturating_add(MAX_CHANNELS));
        let filters = filters(channels, some, bounds)?;
        let mut strips = Strips { patches, filters, scene, first, table: &mut *table };
        for y in rows.clone() {
            strips.row::<I>(y, output.row(y)?)?;
        }
    }
    Some(())
}

/// The constants of some channels, whose outputs are limited to `bounds`.
fn filters<'a>(
    channels: &Channels<'a>,
    some: Range<usize>,
    (min, max): (i8, i8),
) -> Option<TapFilters<'a>> {
    TapFilters::new(
        channels.weights().get(some.start..)?,
        (channels.taps(), channels.count()),
        [channels.bias().get(some.clone())?, channels.multipliers().get(some)?],
        Requantizer { min, max, ..*channels.requantizer() },
    )
}

/// Some channels of a depthwise convolution.
struct Strips<'k, 'a, 't> {
    patches: &'k Patches<'a>,
    filters: TapFilters<'k>,
    scene: Scene<'k>,
    /// The first channel.
    first: usize,
    /// Where the taps of a pixel lie.
    table: &'t mut [usize],
}

impl Strips<'_, '_, '_> {
    /// The channels of output row `y`.
    fn row<I: Isa>(&mut self, y: usize, row: Dst<'_>) -> Option<()> {
        let Self { patches, filters, scene, first, .. } = *self;
        let window = &patches.window;
        let out_c = usize::from(window.out_c);
        let step = usize::from(window.stride_w).checked_mul(out_c)?;
        let mut x = 0;
        while x < usize::from(window.out_w) {
            let position = (first, scene.padding_position());
            let sees_padding = positions(patches, (y, x), position, self.table)?;
            let pixels = if sees_padding {
                1
            } else {
                patches.pixels_inside(x, patches.left(x) as usize)?
            };
            let at = x.checked_mul(out_c)?.checked_add(first)?;
            let out = row.slice(at, row.len().checked_sub(at)?)?;
            let strip = TapStrip::new(&filters, (scene, self.table), (out, out_c), (pixels, step))?;
            I::depthwise_strip(&filters, &strip)?;
            x = x.checked_add(pixels)?;
        }
        Some(())
    }
}

/// Where the taps of the output pixel at `(y, x)` see channel `first`: `padding` for padding.
/// Gives whether one does.
fn positions(
    patches: &Patches<'_>,
    (y, x): (usize, usize),
    (first, padding): (usize, usize),
    positions: &mut [usize],
) -> Option<bool> {
    let window = patches.window;
    let channels = patches.channels;
    let (down, right) = (i32::from(window.dilation_h), i32::from(window.dilation_w));
    let step = (right as usize).wrapping_mul(channels);
    let left = patches.left(x);
    // A column left of the input is a large one without its sign.
    let is_inside = |position: i32, extent: u16| (position as u32) < u32::from(extent);
    let mut paddings = 0u32;
    let mut row = patches.top(y);
    for positions in positions.chunks_exact_mut(usize::from(window.kernel_w).max(1)) {
        let in_w = if is_inside(row, window.in_h) { window.in_w } else { 0 };
        let start = patches.slot(row as usize).wrapping_mul(patches.row_bytes);
        let mut at = start.wrapping_add((left as usize).wrapping_mul(channels));
        at = at.wrapping_add(first);
        let mut column = left;
        for position in positions {
            // A strip checks that they are inside the memory.
            let sees = is_inside(column, in_w);
            *position = if sees { at } else { padding };
            // Checked, since a vectorised loop would take longer for so few taps.
            paddings = paddings.checked_add((!sees).into())?;
            at = at.wrapping_add(step);
            column = column.wrapping_add(right);
        }
        row = row.wrapping_add(down);
    }
    Some(paddings != 0)
}
