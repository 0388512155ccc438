//! Runs of bytes: limits, copies, fills and sums, in vectors with tail predication.

use core::arch::global_asm;

use crate::arch::scalar;
use crate::arch::sum::Sum;
use crate::arch::view::{Dst, Src};

// With link-time optimisation LLVM reads module-level assembly before it knows the core.
global_asm!(".cpu cortex-m55");
global_asm!(include_str!("bytes.s"), options(raw));

/// Arguments of [`gather`].
#[repr(C)]
pub struct GatherArgs {
    /// The first pixel's first row.
    pub from: *const i8,
    /// Where it goes.
    pub to: *mut i8,
    /// Bytes from one row to the next, there and where they go.
    pub row_steps: [usize; 2],
    /// Rows of a pixel, at least 1.
    pub rows: usize,
    /// Bytes of a row, at least 1.
    pub len: usize,
    /// Number of pixels, at least 1.
    pub pixels: usize,
    /// Bytes from one pixel to the next, there and where they go.
    pub pixel_steps: [usize; 2],
}

/// What `fixie_helium_sums` computes.
#[repr(C)]
struct SumArgs {
    multipliers: [i32; 2],
    bias: i32,
    shift: u32,
}

unsafe extern "C" {
    fn fixie_helium_clamp(bytes: *mut i8, len: usize, min: i32, max: i32);
    fn fixie_helium_fill(bytes: *mut i8, len: usize, value: i32);
    fn fixie_helium_gather(args: &GatherArgs);
    fn fixie_helium_pixel_sums(pixels: *const i8, step: usize, count: usize, sums: *mut i32);
    fn fixie_helium_sums(sum: &SumArgs, a: *const i8, b: *const i8, out: *mut i8, len: usize);
}

/// See [`Isa::clamp`](crate::arch::Isa::clamp).
pub fn clamp(bytes: Dst<'_>, (min, max): (i8, i8)) {
    if !bytes.is_empty() {
        // SAFETY: it reads and writes `len` bytes, predicated, which are cells.
        unsafe { fixie_helium_clamp(bytes.as_mut_ptr(), bytes.len(), min.into(), max.into()) };
    }
}

/// Limits `pixels` runs of `channels` bytes, `step` bytes apart, to `bounds`.
pub fn clamp_pixels(
    out: Dst<'_>,
    step: usize,
    (pixels, channels): (usize, usize),
    bounds: (i8, i8),
) -> Option<()> {
    if step == channels {
        clamp(out.slice(0, pixels.checked_mul(channels)?)?, bounds);
        return Some(());
    }
    for pixel in 0..pixels {
        clamp(out.slice(pixel.checked_mul(step)?, channels)?, bounds);
    }
    Some(())
}

/// Writes `value` to every byte.
pub fn fill(bytes: &mut [i8], value: i8) {
    if !bytes.is_empty() {
        // SAFETY: it writes `len` bytes, predicated.
        unsafe { fixie_helium_fill(bytes.as_mut_ptr(), bytes.len(), value.into()) };
    }
}

/// Copies the rows of some pixels.
///
/// # Safety
///
/// From `from` on, `rows` rows of `len` bytes of `pixels` pixels can be read, and written from `to`
/// on; no byte of the ones is a byte of the others, and none of these numbers is 0.
pub unsafe fn gather(args: &GatherArgs) {
    // SAFETY: it reads and writes just that, predicated; the caller promises the rest.
    unsafe { fixie_helium_gather(args) };
}

/// See [`Isa::pixel_sums`](crate::arch::Isa::pixel_sums).
pub fn pixel_sums(pixels: Src<'_>, (count, step): (usize, usize), sums: &mut [i32]) -> Option<()> {
    let Ok(sums) = <&mut [i32; 16]>::try_from(&mut *sums) else {
        return scalar::pixel_sums(pixels, (count, step), sums);
    };
    let last = count.checked_sub(1)?.checked_mul(step)?;
    (last.checked_add(sums.len())? <= pixels.len()).then_some(())?;
    // SAFETY: it reads 16 bytes at each of `count` steps, the last ones of which are inside, and
    // reads and writes 16 sums. There is a pixel.
    unsafe { fixie_helium_pixel_sums(pixels.as_ptr(), step, count, sums.as_mut_ptr()) };
    Some(())
}

/// See [`Isa::sums`](crate::arch::Isa::sums).
pub fn sums(sum: &Sum, a: Src<'_>, b: Src<'_>, out: Dst<'_>) -> Option<()> {
    let args =
        SumArgs { multipliers: sum.multipliers, bias: sum.bias, shift: (sum.shift % 32).into() };
    (a.len() == out.len() && b.len() == out.len()).then_some(())?;
    if !out.is_empty() {
        // SAFETY: it reads and writes `len` bytes, predicated, of all three; the output is cells.
        unsafe {
            fixie_helium_sums(&args, a.as_ptr(), b.as_ptr(), out.as_mut_ptr(), out.len());
        }
    }
    Some(())
}
