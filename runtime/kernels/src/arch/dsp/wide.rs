//! The loops of `ConvWide`.

use core::arch::global_asm;

use crate::arch::scalar;

global_asm!(include_str!("wide.s"), options(raw));

/// Elements and weights that are multiplied at a time.
const QUAD: usize = 4;

/// Arguments of `fixie_dot_wide`.
#[repr(C)]
struct Args {
    /// Aligned to 4.
    patch: *const i16,
    rows: [*const i8; 4],
    /// A multiple of [`QUAD`] elements, not 0, behind `patch`.
    patch_end: *const i16,
}

unsafe extern "C" {
    fn fixie_dot_wide(args: &Args, sums: &mut [i32; 4]);
    fn fixie_arrange_wide(patch: *mut i16, patch_end: *mut i16);
}

/// How many elements of a patch are multiplied by [`QUAD`]: none if they are not aligned.
fn in_quads(patch: &[i16]) -> usize {
    if patch.as_ptr().addr().is_multiple_of(align_of::<u32>()) {
        patch.len() & !(QUAD - 1)
    } else {
        0
    }
}

/// See [`Isa::arrange_wide`](crate::arch::Isa::arrange_wide).
pub fn arrange(patch: &mut [i16]) {
    let len = in_quads(patch);
    if let Some(quads) = patch.get_mut(..len).filter(|quads| !quads.is_empty()) {
        let range = quads.as_mut_ptr_range();
        // SAFETY: it reads and writes the elements of the range, a multiple of four and not none, at
        // a multiple of four bytes.
        unsafe { fixie_arrange_wide(range.start, range.end) };
    }
}

/// See [`Isa::dot_wide`](crate::arch::Isa::dot_wide).
pub fn dot(patch: &[i16], rows: [&[i8]; 4]) -> [i32; 4] {
    let len = in_quads(patch);
    let shortest = rows.iter().fold(patch.len(), |shortest, row| shortest.min(row.len()));
    let (Some((quads, rest)), true) = (patch.split_at_checked(len), shortest == patch.len()) else {
        return [0; 4];
    };
    let mut sums = [0; 4];
    if !quads.is_empty() {
        let range = quads.as_ptr_range();
        let args =
            Args { patch: range.start, rows: rows.map(<[i8]>::as_ptr), patch_end: range.end };
        // SAFETY: it reads `len` elements, a multiple of four and not none, at a multiple of four
        // bytes, and as many bytes of each row, none of which is shorter.
        unsafe { fixie_dot_wide(&args, &mut sums) };
    }
    if !rest.is_empty() {
        let of_rest = scalar::dot_wide(rest, rows.map(|row| row.get(len..).unwrap_or_default()));
        for (sum, more) in sums.iter_mut().zip(of_rest) {
            *sum = sum.wrapping_add(more);
        }
    }
    sums
}
