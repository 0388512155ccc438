//! The loop of matrix products: a patch with four rows of weights.

/// Arguments of `fixie_dot_1x4`.
#[repr(C)]
struct Args {
    patch: *const i8,
    rows: [*const i8; 4],
    /// At least one tap behind `patch`.
    patch_end: *const i8,
}

unsafe extern "C" {
    fn fixie_dot_1x4(args: &Args, sums: &mut [i32; 4]);
}

/// See [`Isa::dot_1x4`](crate::arch::Isa::dot_1x4).
pub fn dot_1x4(patch: &[i8], rows: [&[i8]; 4]) -> [i32; 4] {
    let mut sums = [0; 4];
    let [a, b, c, d] = rows.map(<[i8]>::len);
    let len = patch.len().min(a).min(b).min(c).min(d);
    if let Some(patch) = patch.get(..len).filter(|patch| !patch.is_empty()) {
        let patch = patch.as_ptr_range();
        let args =
            Args { patch: patch.start, rows: rows.map(<[i8]>::as_ptr), patch_end: patch.end };
        // SAFETY: it reads `len` bytes, which is not 0, of the patch and of each row, none of which
        // is shorter.
        unsafe { fixie_dot_1x4(&args, &mut sums) };
    }
    sums
}
