//! The loops of `Depthwise`.
//!
//! Lanes are channels, 16 at a time: what a tap sees and its weights are each one load. Channels
//! that do not fill a vector are repeated, so that it holds several pixels, where those lie one
//! behind the other.

use core::arch::global_asm;

use crate::arch::helium::bytes;
use crate::arch::scalar;
use crate::arch::taps::{TapFilters, TapStrip};

// With link-time optimisation LLVM reads module-level assembly before it knows the core.
global_asm!(".cpu cortex-m55");
global_asm!(include_str!("depthwise.s"), options(raw));

/// The most taps whose weights are repeated: those of a 3×3 kernel.
const REPEATED_TAPS: usize = 9;

/// Bytes of a vector.
const VECTOR: usize = 16;

/// Arguments of both functions.
#[repr(C)]
struct TapsArgs {
    base: *const i8,
    step: usize,
    /// At least 1.
    pixels: usize,
    /// One per tap: from `base` to what the tap of the first pixel sees.
    offsets: *const usize,
    /// At least 1.
    taps: usize,
    weights: *const i8,
    pitch: usize,
    /// At least 1; [`VECTOR`] or more for `fixie_helium_depthwise`, fewer for the other.
    channels: usize,
    /// One per channel, at least [`VECTOR`].
    bias: *const i32,
    multipliers: *const i32,
    out: *mut i8,
    out_step: usize,
    zero: i32,
}

unsafe extern "C" {
    fn fixie_helium_depthwise(args: &TapsArgs);
    fn fixie_helium_depthwise_part(args: &TapsArgs);
}

/// See [`Isa::depthwise_strip`](crate::arch::Isa::depthwise_strip).
pub fn strip(filters: &TapFilters<'_>, strip: &TapStrip<'_>) -> Option<()> {
    let requantizer = filters.requantizer();
    if requantizer.shift != 0 || !filters.is_symmetric() {
        return scalar::depthwise_strip(filters, strip);
    }
    if filters.channels() < VECTOR {
        few_channels(filters, strip)?;
    } else {
        // SAFETY: see `args`; channels are a vector or more.
        unsafe { fixie_helium_depthwise(&args(filters, strip)) };
    }
    let bounds = (requantizer.min, requantizer.max);
    if bounds != (i8::MIN, i8::MAX) {
        let size = (strip.pixels(), filters.channels());
        bytes::clamp_pixels(strip.out(), strip.out_step(), size, bounds)?;
    }
    Some(())
}

/// Computes a strip of fewer channels than a vector has lanes.
fn few_channels(filters: &TapFilters<'_>, strip: &TapStrip<'_>) -> Option<()> {
    let channels = filters.channels();
    let (mut bias, mut multipliers) = ([0; VECTOR], [0; VECTOR]);
    for (to, from) in [(&mut bias, filters.bias()), (&mut multipliers, filters.multipliers())] {
        for (to, from) in to.iter_mut().zip(from.iter().cycle()) {
            *to = *from;
        }
    }
    let args =
        TapsArgs { bias: bias.as_ptr(), multipliers: multipliers.as_ptr(), ..args(filters, strip) };
    let repeats = VECTOR.checked_div(channels)?;
    let together = if VECTOR.is_multiple_of(channels)
        && filters.taps() <= REPEATED_TAPS
        && (strip.step(), strip.out_step()) == (channels, channels)
    {
        strip.pixels().checked_div(repeats)?
    } else {
        0
    };
    let done = together.checked_mul(repeats)?;
    if together != 0 {
        let mut weights = [[0; VECTOR]; REPEATED_TAPS];
        for (tap, to) in weights.iter_mut().take(filters.taps()).enumerate() {
            let from = filters.weights().get(tap.checked_mul(filters.pitch())?..)?;
            for (to, from) in to.iter_mut().zip(from.get(..channels)?.iter().cycle()) {
                *to = *from;
            }
        }
        // SAFETY: `repeats` pixels look like one with `VECTOR` channels, since they lie one behind
        // the other in both memories. They are not more than the strip has, and their weights are
        // repeated in `REPEATED_TAPS` or fewer vectors.
        unsafe {
            fixie_helium_depthwise(&TapsArgs {
                pixels: together,
                step: VECTOR,
                weights: weights.as_ptr().cast(),
                pitch: VECTOR,
                channels: VECTOR,
                out_step: VECTOR,
                ..args
            });
        }
    }
    if done < strip.pixels() {
        // SAFETY: see `args`; channels are fewer than a vector's, and so the loop is predicated.
        // It starts with the first pixel that is not done.
        unsafe {
            fixie_helium_depthwise_part(&TapsArgs {
                pixels: strip.pixels().wrapping_sub(done),
                base: args.base.wrapping_add(done.wrapping_mul(strip.step())),
                out: args.out.wrapping_add(done.wrapping_mul(strip.out_step())),
                ..args
            });
        }
    }
    Some(())
}

/// The arguments for a strip, all its pixels.
///
/// The loops read `channels` bytes of what each of the `taps` taps of every pixel sees: inside the
/// source, or, if there is one pixel only, the padding, as `TapStrip::new` checked. They read as
/// many weights of each tap, `pitch` bytes apart, and as many words of bias and multipliers, as
/// `TapFilters::new` checked: 16 channels at a time, the last 16 of which end with the last
/// channel, or predicated where they are fewer; then bias and multipliers must have 16 words.
/// They write `channels` bytes per pixel, inside the output, which are cells.
fn args(filters: &TapFilters<'_>, strip: &TapStrip<'_>) -> TapsArgs {
    TapsArgs {
        base: strip.scene().source.as_ptr(),
        step: strip.step(),
        pixels: strip.pixels(),
        offsets: strip.positions().as_ptr(),
        taps: filters.taps(),
        weights: filters.weights().as_ptr(),
        pitch: filters.pitch(),
        channels: filters.channels(),
        bias: filters.bias().as_ptr(),
        multipliers: filters.multipliers().as_ptr(),
        out: strip.out().as_mut_ptr(),
        out_step: strip.out_step(),
        zero: filters.requantizer().zero.into(),
    }
}
