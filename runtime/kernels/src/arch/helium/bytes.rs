//! Runs of bytes: limits and copies, in vectors of 16 with tail predication.

use core::arch::global_asm;

use crate::arch::view::Dst;

// With link-time optimisation LLVM reads module-level assembly before it knows the core.
global_asm!(".cpu cortex-m55");
global_asm!(include_str!("bytes.s"), options(raw));

/// Arguments of [`copy_rows`].
#[repr(C)]
pub struct CopyArgs {
    /// The first run.
    pub from: *const i8,
    /// Where it goes.
    pub to: *mut i8,
    /// Bytes from one run to the next.
    pub from_step: usize,
    /// The same where they go.
    pub to_step: usize,
    /// Number of runs, at least 1.
    pub rows: usize,
    /// Bytes of a run, at least 1.
    pub len: usize,
}

unsafe extern "C" {
    fn fixie_helium_clamp(bytes: *mut i8, len: usize, min: i32, max: i32);
    fn fixie_helium_copy_rows(args: &CopyArgs);
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

/// Copies rows of bytes.
///
/// # Safety
///
/// `from` has `rows` runs of `len` readable bytes at its step, `to` as many writable ones; no byte
/// of the one is a byte of the other, and neither `rows` nor `len` is 0.
pub unsafe fn copy_rows(args: &CopyArgs) {
    // SAFETY: it reads and writes just that, predicated; the caller promises the rest.
    unsafe { fixie_helium_copy_rows(args) };
}
