//! The loops of `Conv`.
//!
//! `VMLADAV` does 16 multiplications, so what counts is how few loads go with them and how little
//! is left to do for each output:
//!
//! | taps | held in vector registers | instructions per output |
//! |---|---|---|
//! | to 16 | the weights and constants of four channels, over all pixels | 4 |
//! | to 64 | the patch, over all channels | 2 per 16 taps, and 3 |
//! | more | nothing: 2×2 sums at a time, or 1×4 of a last pixel | 2.25 or 2.5 per 16 taps, and 4 or more |

use core::arch::global_asm;

use crate::arch::filters::{Filters, Strip};
use crate::arch::helium::bytes::{self, GatherArgs};
use crate::arch::neighbours::{BLOCK, Neighbours};
use crate::arch::scalar;
use crate::arch::view::{Dst, Src};

// With link-time optimisation LLVM reads module-level assembly before it knows the core.
global_asm!(".cpu cortex-m55");
global_asm!(include_str!("conv.s"), options(raw));

/// Channels that are requantised together: the lanes of a vector of 32-bit numbers.
const LANES: usize = 4;

/// Bytes of a vector.
const VECTOR: usize = 16;

/// Arguments of all functions.
#[repr(C)]
struct StripArgs {
    source: *const i8,
    step: usize,
    /// At least 1.
    pixels: usize,
    out: *mut i8,
    out_step: usize,
    weights: *const i8,
    /// At least 1.
    taps: usize,
    bias: *const i32,
    multipliers: *const i32,
    /// At least [`LANES`].
    channels: usize,
    zero: i32,
}

unsafe extern "C" {
    fn fixie_helium_conv_16(args: &StripArgs);
    fn fixie_helium_conv_32(args: &StripArgs);
    fn fixie_helium_conv_48(args: &StripArgs);
    fn fixie_helium_conv_64(args: &StripArgs);
    fn fixie_helium_conv_any(args: &StripArgs);
}

/// See [`Isa::conv_strip`](crate::arch::Isa::conv_strip). A shift, or fewer channels than a vector
/// has lanes, are rare enough for the plain loop.
pub fn strip(filters: &Filters<'_>, strip: &Strip<'_>) -> Option<()> {
    let requantizer = filters.requantizer();
    if requantizer.shift != 0 || filters.channels() < LANES {
        return scalar::conv_strip(filters, strip);
    }
    if filters.taps() > VECTOR {
        many_taps(filters, strip);
    } else {
        few_taps(filters, strip);
    }
    // The loops only saturate: other bounds are as rare.
    let bounds = (requantizer.min, requantizer.max);
    if bounds != (i8::MIN, i8::MAX) {
        let size = (strip.pixels(), filters.channels());
        bytes::clamp_pixels(strip.out(), strip.out_step(), size, bounds)?;
    }
    Some(())
}

/// See [`Isa::conv_neighbours`](crate::arch::Isa::conv_neighbours). Everything is checked before the
/// first pixel, since a patch is gathered in hardly more instructions than a check takes.
pub fn neighbours(
    filters: &Filters<'_>,
    neighbours: &Neighbours<'_>,
    (out, step): (Dst<'_>, usize),
    patches: &mut [i8],
) -> Option<()> {
    let taps = filters.taps();
    let patches = patches.get_mut(..taps.checked_mul(BLOCK)?)?;
    neighbours.fits(taps)?.then_some(())?;
    if let Some(padding) = neighbours.padding {
        // It stays, since all patches are written around it.
        patches.fill(padding);
    }
    let mut pieces = neighbours.pieces.map(|piece| GatherArgs {
        from: neighbours.memory.as_ptr().wrapping_add(piece.from),
        to: patches.as_mut_ptr().wrapping_add(piece.to),
        row_steps: neighbours.steps,
        rows: piece.rows,
        len: neighbours.run,
        pixels: BLOCK,
        pixel_steps: [neighbours.pixel_step, taps],
    });
    let mut first = 0;
    while first < neighbours.pixels {
        let count = neighbours.pixels.wrapping_sub(first).min(BLOCK);
        for piece in &mut pieces {
            piece.pixels = count;
            if piece.rows != 0 && piece.len != 0 {
                // SAFETY: `fits` found the rows of the last pixel, and so those of all, inside the
                // input and inside a patch of `taps` bytes, of which `patches` has `BLOCK`. It is
                // exclusive. No number is 0.
                unsafe { bytes::gather(piece) };
            }
            piece.from = piece.from.wrapping_add(neighbours.pixel_step.wrapping_mul(BLOCK));
        }
        let at = first.checked_mul(step)?;
        let out = (out.slice(at, out.len().checked_sub(at)?)?, step);
        let source = (Src::from(&patches[..]), taps);
        strip(filters, &Strip::new(filters, count, source, out)?)?;
        first = first.wrapping_add(BLOCK);
    }
    Some(())
}

/// Computes a strip of at most [`VECTOR`] taps and at least [`LANES`] channels.
fn few_taps(filters: &Filters<'_>, strip: &Strip<'_>) {
    let readable = match strip.source().len().checked_sub(VECTOR) {
        Some(behind) => behind.checked_div(strip.step()).map_or(usize::MAX, |n| n.wrapping_add(1)),
        None => 0,
    };
    let whole = readable.min(strip.pixels());
    if whole != 0 {
        // SAFETY: as in `many_taps`, and 16 bytes from the start of each of the `whole` first
        // patches on are inside the source, whether they belong to the patch or not.
        unsafe { fixie_helium_conv_16(&StripArgs { pixels: whole, ..args(filters, strip) }) };
    }
    if let Some(rest) = strip.behind(whole) {
        // SAFETY: see `many_taps`.
        unsafe { fixie_helium_conv_any(&args(filters, &rest)) };
    }
}

/// Computes a strip of more than [`VECTOR`] taps and at least [`LANES`] channels.
fn many_taps(filters: &Filters<'_>, strip: &Strip<'_>) {
    let args = args(filters, strip);
    // SAFETY: all read `taps` bytes of `pixels` patches, which `Strip::new` found inside the
    // source: whole vectors of them and a last one that ends where the patch ends, or predicated
    // ones. In the same way they read `channels` rows of `taps` weights, and as many words of bias
    // and multipliers, which `Filters::new` found to be so long; four channels at a time, the last
    // four of which end with the last channel. They write `channels` bytes per pixel, which
    // `Strip::new` found inside the output; those are cells.
    unsafe {
        match args.taps {
            ..=32 => fixie_helium_conv_32(&args),
            ..=48 => fixie_helium_conv_48(&args),
            ..=64 => fixie_helium_conv_64(&args),
            _ => fixie_helium_conv_any(&args),
        }
    }
}

fn args(filters: &Filters<'_>, strip: &Strip<'_>) -> StripArgs {
    StripArgs {
        source: strip.source().as_ptr(),
        step: strip.step(),
        pixels: strip.pixels(),
        out: strip.out().as_mut_ptr(),
        out_step: strip.out_step(),
        weights: filters.weights().as_ptr(),
        taps: filters.taps(),
        bias: filters.bias().as_ptr(),
        multipliers: filters.multipliers().as_ptr(),
        channels: filters.channels(),
        zero: filters.requantizer().zero.into(),
    }
}
