//! Runs of bytes: limits and copies, in vectors of 16 with tail predication.

use core::arch::global_asm;

use crate::arch::view::{Dst, Src};

// With link-time optimisation LLVM reads module-level assembly before it knows the core.
global_asm!(".cpu cortex-m55");
global_asm!(include_str!("bytes.s"), options(raw));

/// Arguments of `fixie_helium_copy_rows`.
#[repr(C)]
struct CopyArgs {
    from: *const i8,
    to: *mut i8,
    from_step: usize,
    to_step: usize,
    /// At least 1.
    rows: usize,
    /// At least 1.
    len: usize,
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

/// See [`Isa::copy_rows`](crate::arch::Isa::copy_rows).
pub fn copy_rows(
    from: Src<'_>,
    to: &mut [i8],
    [from_step, to_step]: [usize; 2],
    (rows, len): (usize, usize),
) -> Option<()> {
    let Some(last) = rows.checked_sub(1).filter(|_| len != 0) else {
        return Some(());
    };
    let fits = last.checked_mul(from_step)?.checked_add(len)? <= from.len()
        && last.checked_mul(to_step)?.checked_add(len)? <= to.len();
    fits.then_some(())?;
    let args = CopyArgs { from: from.as_ptr(), to: to.as_mut_ptr(), from_step, to_step, rows, len };
    // SAFETY: it reads and writes `rows` runs of `len` bytes, predicated, the last of which ends
    // inside both as checked above; neither `rows` nor `len` is 0. `to` is exclusive.
    unsafe { fixie_helium_copy_rows(&args) };
    Some(())
}
