//! Helium, the vector extension of Armv8.1-M (Armv8-M Architecture Reference Manual, C2.4).
//!
//! Its encodings grew around those of the older extensions, so one operation is told from the next
//! by bits from all over the word; the names beside the patterns say what each one takes in.

use super::Class;
use super::thumb::bits;

/// The class of a coprocessor encoding which is not scalar floating point.
pub(super) fn class(first: u16, second: u16) -> Class {
    if bits(first, 9, 3) == 0b110 {
        memory_class(first, second)
    } else if is_multiply(first, second) {
        Class::Multiply
    } else {
        Class::Other
    }
}

/// VLDR, VSTR, gathers, scatters, VLD2, VLD4, VST2, VST4; moves between two lanes and two
/// registers, and complex arithmetic, share the space.
fn memory_class(first: u16, second: u16) -> Class {
    let is_vector_transfer = bits(second, 9, 3) == 0b111;
    // Pre-index, up, write-back: without any of them the encoding is a VMOV.
    let has_address = first & 0x01A0 != 0;
    match (is_vector_transfer && has_address, bits(first, 4, 1)) {
        (true, 1) => Class::Load,
        (true, _) => Class::Store,
        (false, _) if is_complex_multiply(first, second) => Class::Multiply,
        (false, _) => Class::Other,
    }
}

/// VCMLA.
fn is_complex_multiply(first: u16, second: u16) -> bool {
    first & 0xFE20 == 0xFC20 && bits(second, 8, 4) == 0b1000
}

fn is_multiply(first: u16, second: u16) -> bool {
    match (bits(first, 8, 4), bits(first, 7, 1)) {
        (0b1110, 0) => is_lane_multiply(first, second),
        (0b1110, _) => is_multiply_across(first, second),
        (_, 0) => is_plain_multiply(first, second),
        _ => false, // immediates and shifts
    }
}

/// Two vectors, or a vector and a register, into a vector: VMULH, VMULL, VMLA, VMLAS, VQDMULH,
/// VQDMLADH, VQDMULL, VCMUL, VFMA …
fn is_lane_multiply(first: u16, second: u16) -> bool {
    if bits(second, 4, 1) == 1 {
        return false;
    }
    let size = bits(first, 4, 2);
    let by_register = bits(second, 6, 1) == 1;
    let odd = bits(first, 0, 1) == 1;
    match bits(second, 8, 4) {
        0b1110 if by_register => {
            // VSHL, VRSHL and VQSHL by a register have no size 11 of their own to lose; VBRSR is
            // the unsigned VMUL.
            let is_shift_or_reversal = bits(second, 12, 1) == 1
                && bits(second, 5, 1) == 1
                && (size == 0b11 || (odd && bits(first, 12, 1) == 1));
            !is_shift_or_reversal
        }
        // Size 11 with both low bits set narrows: VMOVN, VQMOVN, VQMOVUN.
        0b1110 => !(size == 0b11 && odd && bits(second, 0, 1) == 1),
        // VQDMULL, in the place of a size that VADC and VADD do not have.
        0b1111 if size == 0b11 && !odd => {
            if by_register {
                bits(second, 5, 1) == 1
            } else {
                bits(second, 0, 1) == 1
            }
        }
        _ => false,
    }
}

/// Sums of products over the lanes: VMLADAV, VMLALDAV, VRMLALDAVH and their differences.
fn is_multiply_across(first: u16, second: u16) -> bool {
    let even = bits(first, 0, 1) == 0;
    let is_extreme = bits(first, 4, 3) == 0b110; // VMAXV, VMINV: no high register has that number
    let has_pattern = bits(second, 6, 1) == 0 && bits(second, 4, 1) == 0 && !is_extreme;
    match bits(second, 8, 4) {
        0b1110 => has_pattern,
        // Odd ones are VADDV and VADDLV, those with the lowest bit set VABAV.
        0b1111 => has_pattern && even && bits(second, 0, 1) == 0,
        _ => false,
    }
}

/// Two vectors of equal width into a third: VMUL, VQDMULH, VQRDMULH, VFMA, VFMS.
fn is_plain_multiply(first: u16, second: u16) -> bool {
    let is_float_product = bits(first, 12, 1) == 1;
    match (bits(second, 8, 4), bits(second, 4, 1)) {
        (0b1001 | 0b1100, 1) => !is_float_product,
        (0b1101, 1) => is_float_product,
        (0b1011, 0) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::thumb;
    use super::*;

    /// Encodings by LLVM's assembler.
    #[rustfmt::skip]
    const CASES: &[(u16, u16, &str, Class)] = &[
        (0xecb0, 0x1e10, "vldrb.u8 q0, [r0], #16", Class::Load),
        (0xed90, 0x0e80, "vldrb.s16 q0, [r0]", Class::Load),
        (0xed90, 0x1f04, "vldrw.u32 q0, [r0, #16]", Class::Load),
        (0xfc90, 0x0e02, "vldrb.u8 q0, [r0, q1]", Class::Load),
        (0xfd92, 0x1e01, "vldrw.u32 q0, [q1, #4]", Class::Load),
        (0xfc90, 0x1e00, "vld20.8 {q0, q1}, [r0]", Class::Load),
        (0xfcb0, 0x1f61, "vld43.32 {q0, q1, q2, q3}, [r0]!", Class::Load),
        (0xeca0, 0x1e10, "vstrb.8 q0, [r0], #16", Class::Store),
        (0xed80, 0x0e80, "vstrb.16 q0, [r0]", Class::Store),
        (0xec80, 0x0f42, "vstrw.32 q0, [r0, q1]", Class::Store),
        (0xfc80, 0x1e00, "vst20.8 {q0, q1}, [r0]", Class::Store),
        (0xeef0, 0x0f22, "vmlava.s8 r0, q0, q1", Class::Multiply),
        (0xeef0, 0x0e22, "vmlava.s16 r0, q0, q1", Class::Multiply),
        (0xeef0, 0x1f22, "vmladavax.s8 r0, q0, q1", Class::Multiply),
        (0xeef0, 0x0e23, "vmlsdava.s16 r0, q0, q1", Class::Multiply),
        (0xee80, 0x0e22, "vmlalva.s16 r0, r1, q0, q1", Class::Multiply),
        (0xee80, 0x0f22, "vrmlalvha.s32 r0, r1, q0, q1", Class::Multiply),
        (0xfe81, 0x0e22, "vmlalva.u32 r0, r1, q0, q1", Class::Multiply),
        (0xeef1, 0x0f00, "vaddv.s8 r0, q0", Class::Other),
        (0xeef9, 0x0f20, "vaddva.s32 r0, q0", Class::Other),
        (0xee89, 0x0f20, "vaddlva.s32 r0, r1, q0", Class::Other),
        (0xeee2, 0x0f00, "vmaxv.s8 r0, q0", Class::Other),
        (0xee80, 0x0f03, "vabav.s8 r0, q0, q1", Class::Other),
        (0xef02, 0x0954, "vmul.i8 q0, q1, q2", Class::Multiply),
        (0xee23, 0x0e05, "vmulh.s32 q0, q1, q2", Class::Multiply),
        (0xee23, 0x1e05, "vrmulh.s32 q0, q1, q2", Class::Multiply),
        (0xee03, 0x0e04, "vmullb.s8 q0, q1, q2", Class::Multiply),
        (0xfe13, 0x1e04, "vmullt.u16 q0, q1, q2", Class::Multiply),
        (0xef22, 0x0b44, "vqdmulh.s32 q0, q1, q2", Class::Multiply),
        (0xff22, 0x0b44, "vqrdmulh.s32 q0, q1, q2", Class::Multiply),
        (0xee12, 0x0e04, "vqdmladh.s16 q0, q1, q2", Class::Multiply),
        (0xfe12, 0x1e05, "vqrdmlsdhx.s16 q0, q1, q2", Class::Multiply),
        (0xee32, 0x0f05, "vqdmullb.s16 q0, q1, q2", Class::Multiply),
        (0xfe32, 0x1f05, "vqdmullt.s32 q0, q1, q2", Class::Multiply),
        (0xee32, 0x0f60, "vqdmullb.s16 q0, q1, r0", Class::Multiply),
        (0xee23, 0x1e60, "vmul.i32 q0, q1, r0", Class::Multiply),
        (0xee13, 0x0e40, "vmla.s16 q0, q1, r0", Class::Multiply),
        (0xee23, 0x1e40, "vmlas.s32 q0, q1, r0", Class::Multiply),
        (0xee22, 0x0e60, "vqdmlah.s32 q0, q1, r0", Class::Multiply),
        (0xee22, 0x0e40, "vqrdmlah.s32 q0, q1, r0", Class::Multiply),
        (0xee12, 0x1e60, "vqdmlash.s16 q0, q1, r0", Class::Multiply),
        (0xee23, 0x0e60, "vqdmulh.s32 q0, q1, r0", Class::Multiply),
        (0xfe23, 0x0e60, "vqrdmulh.s32 q0, q1, r0", Class::Multiply),
        (0xfe03, 0x1e60, "vbrsr.8 q0, q1, r0", Class::Other),
        (0xee31, 0x1e60, "vshl.s8 q0, r0", Class::Other),
        (0xee3b, 0x1e60, "vrshl.s32 q0, r0", Class::Other),
        (0xee35, 0x1ee0, "vqshl.s16 q0, r0", Class::Other),
        (0xef22, 0x0844, "vadd.i32 q0, q1, q2", Class::Other),
        (0xee13, 0x0f40, "vadd.i16 q0, q1, r0", Class::Other),
        (0xee02, 0x0f40, "vhadd.s8 q0, q1, r0", Class::Other),
        (0xef02, 0x0644, "vmax.s8 q0, q1, q2", Class::Other),
        (0xee33, 0x0e03, "vqmovnb.s16 q0, q1", Class::Other),
        (0xee8c, 0x0fc3, "vshrnb.i16 q0, q1, #4", Class::Other),
        (0xeea8, 0x0f42, "vmovlb.s8 q0, q1", Class::Other),
        (0xeee0, 0x0b10, "vdup.8 q0, r0", Class::Other),
        (0xec11, 0x0f00, "vmov q0[2], q0[0], r0, r1", Class::Other),
        (0xec01, 0x0f00, "vmov r0, r1, q0[2], q0[0]", Class::Other),
        (0xee01, 0x0f6e, "vidup.u8 q0, r0, #1", Class::Other),
        (0xfe71, 0x0f4d, "vpst", Class::Other),
        (0xfe01, 0x0f02, "vcmp.i8 eq, q0, q1", Class::Other),
        (0xef02, 0x0c54, "vfma.f32 q0, q1, q2", Class::Multiply),
        (0xff02, 0x0d54, "vmul.f32 q0, q1, q2", Class::Multiply),
        (0xee33, 0x0e40, "vfma.f32 q0, q1, r0", Class::Multiply),
        (0xee33, 0x0e60, "vmul.f32 q0, q1, r0", Class::Multiply),
        (0xef02, 0x0d44, "vadd.f32 q0, q1, q2", Class::Other),
    ];

    #[test]
    fn vector_encodings() {
        for &(first, second, text, class) in CASES {
            let instruction = thumb::decode(first, second);
            assert_eq!((instruction.len_bytes, instruction.class), (4, class), "{text}");
        }
    }
}
