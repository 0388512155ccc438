//! Thumb: the 32-bit encodings (Armv7-M Architecture Reference Manual, A5.3, with the low-overhead
//! loops of Armv8.1-M and the floating-point extension).

use super::thumb::{PC, bits, load, multiple, store};
use super::{Class, Instruction, helium, operands};
use crate::cortex_m4::{DIVIDE_CYCLES, NO_REGISTER, Timing};

/// Decodes a pair of halfwords of which the first announces the second.
pub(super) fn decode(first: u16, second: u16) -> Instruction {
    let (class, timing) = match first >> 9 {
        0b111_0100 => multiple_dual_or_exclusive(first, second),
        0b111_0110 | 0b111_0111 | 0b111_1110 | 0b111_1111 => coprocessor(first, second),
        0b111_1000..=0b111_1011 if bits(second, 15, 1) == 1 => branch_or_control(first, second),
        0b111_1100 => single_transfer(first, second),
        0b111_1101 => multiply_or_data(first),
        _ => (Class::Other, Timing::ONE), // data processing with a shifted register or an immediate
    };
    Instruction::long(class, timing, operands::long(first, second))
}

/// A5.3.5 and A5.3.6: LDM, STM; LDRD, STRD, exclusive accesses, table branches.
fn multiple_dual_or_exclusive(first: u16, second: u16) -> (Class, Timing) {
    let is_load = bits(first, 4, 1) == 1;
    if first == 0xE89F {
        return (Class::Other, Timing::ONE); // CLRM, in the place of an LDM from the program counter
    }
    if bits(first, 6, 1) == 0 {
        return multiple(is_load, second.into());
    }
    let indexed_or_written_back = first & 0x0120 != 0;
    let is_table_branch = first & 0xFFF0 == 0xE8D0 && bits(second, 5, 3) == 0;
    let is_secure_gateway = (first, second) == (0xE97F, 0xE97F);
    if is_secure_gateway {
        (Class::Other, Timing::ONE)
    } else if is_table_branch {
        // "At least six cycles": two for the load, one for the sum, three for the refill.
        (Class::Branch, Timing::Cycles(4))
    } else {
        let class = if is_load { Class::Load } else { Class::Store };
        let dual = indexed_or_written_back;
        (class, Timing::Cycles(if dual { 3 } else { 2 }))
    }
}

/// A5.3.4: branches, and what controls the processor.
fn branch_or_control(first: u16, second: u16) -> (Class, Timing) {
    let is_branch = match (bits(second, 14, 1), bits(second, 12, 1)) {
        (0, 0) => bits(first, 7, 3) != 0b111, // with a condition; without one: MSR, hints, barriers
        (0 | 1, 1) => true,                   // B, BL
        // LE, LETP, WLS and WLSTP branch; DLS, VCTP and the like only set up.
        _ => bits(second, 13, 1) == 0,
    };
    (if is_branch { Class::Branch } else { Class::Other }, Timing::ONE)
}

/// A5.3.7 to A5.3.10: loads and stores of one register, preload hints.
fn single_transfer(first: u16, second: u16) -> (Class, Timing) {
    let base = bits(first, 0, 4) as u8;
    let data = bits(second, 12, 4) as u8;
    let has_register_offset = bits(first, 7, 1) == 0 && bits(second, 11, 1) == 0 && base != PC;
    let offset = if has_register_offset { bits(second, 0, 4) as u8 } else { NO_REGISTER };
    let is_word = bits(first, 5, 2) == 0b10;
    match bits(first, 4, 1) {
        0 => store(base, offset),
        _ if data == PC && !is_word => (Class::Other, Timing::ONE), // PLD, PLI
        _ => load(data, base, offset),
    }
}

/// A5.3.12, A5.3.16 and A5.3.17: register arithmetic, multiplication, division.
fn multiply_or_data(first: u16) -> (Class, Timing) {
    match bits(first, 4, 5) {
        0b1_0111 => (Class::Other, Timing::ONE), // USAD8, USADA8
        0b1_1001 | 0b1_1011 => (Class::Other, Timing::Cycles(DIVIDE_CYCLES)),
        0b1_0000..=0b1_1111 => (Class::Multiply, Timing::ONE),
        _ => (Class::Other, Timing::ONE),
    }
}

/// A5.3.18: the floating-point and vector extensions, by the number of their coprocessor.
fn coprocessor(first: u16, second: u16) -> (Class, Timing) {
    // Coprocessors 8 to 15 are all taken by the two extensions: 9, 10 and 11 by scalar numbers of
    // 16, 32 and 64 bits, except in the space of two-vector operations (0xEF.., 0xFF..).
    let is_float = matches!(bits(second, 8, 4), 0b1001..=0b1011);
    if !is_float || matches!(first >> 8, 0xEF | 0xFF) {
        return (helium::class(first, second), Timing::ONE);
    }
    match first >> 8 {
        0xEC | 0xED => float_transfer(first, second),
        0xEE if bits(second, 4, 1) == 0 => float_arithmetic(first, second),
        _ => (Class::Other, Timing::ONE),
    }
}

/// A6.6: VLDM, VSTM, VLDR, VSTR, and moves of register pairs.
fn float_transfer(first: u16, second: u16) -> (Class, Timing) {
    if first & 0xFFE0 == 0xEC40 {
        return (Class::Other, Timing::Cycles(2)); // VMOV of two registers
    }
    let class = if bits(first, 4, 1) == 1 { Class::Load } else { Class::Store };
    let is_single = first & 0x0120 == 0x0100; // offset without write-back: VLDR, VSTR
    let is_double = bits(second, 8, 4) == 0b1011;
    let words = if is_single { 1 + u8::from(is_double) } else { bits(second, 0, 8) as u8 };
    (class, Timing::Cycles(words.saturating_add(1)))
}

/// A6.4: floating-point arithmetic.
fn float_arithmetic(first: u16, second: u16) -> (Class, Timing) {
    // Bit 6 extends a register number, so the operation is in the bits around it.
    let operation = bits(first, 7, 1) << 2 | bits(first, 4, 2);
    match operation {
        0b010 => (Class::Multiply, Timing::ONE), // VMUL, VNMUL
        0b000 | 0b001 | 0b101 | 0b110 => (Class::Multiply, Timing::Cycles(3)), // VMLA, VFMA, …
        0b100 => (Class::Other, Timing::Cycles(14)), // VDIV
        0b111 if bits(first, 0, 4) == 0b0001 && bits(second, 6, 2) == 0b11 => {
            (Class::Other, Timing::Cycles(14)) // VSQRT
        }
        _ => (Class::Other, Timing::ONE),
    }
}

#[cfg(test)]
mod tests {
    use super::super::thumb;
    use super::*;

    /// Encodings by LLVM's assembler.
    #[rustfmt::skip]
    const CASES: &[(u16, u16, &str, Class, u64)] = &[
        (0xf8d1, 0x0064, "ldr.w r0, [r1, #100]", Class::Load, 2),
        (0xf851, 0x0b04, "ldr r0, [r1], #4", Class::Load, 2),
        (0xf851, 0x0022, "ldr.w r0, [r1, r2, lsl #2]", Class::Load, 2),
        (0xf991, 0x0001, "ldrsb.w r0, [r1, #1]", Class::Load, 2),
        (0xf8bf, 0x000c, "ldrh.w r0, [pc, #12]", Class::Load, 2),
        (0xf8c1, 0x0064, "str.w r0, [r1, #100]", Class::Store, 1),
        (0xf841, 0x0b04, "str r0, [r1], #4", Class::Store, 1),
        (0xf841, 0x0022, "str.w r0, [r1, r2, lsl #2]", Class::Store, 2),
        (0xf821, 0x0002, "strh.w r0, [r1, r2]", Class::Store, 2),
        (0xf8d1, 0xf004, "ldr.w pc, [r1, #4]", Class::Load, 3),
        (0xf891, 0xf004, "pld [r1, #4]", Class::Other, 1),
        (0xe8f2, 0x0102, "ldrd r0, r1, [r2], #8", Class::Load, 3),
        (0xe9c2, 0x0102, "strd r0, r1, [r2, #8]", Class::Store, 3),
        (0xe8b0, 0x0106, "ldm.w r0!, {r1, r2, r8}", Class::Load, 4),
        (0xe920, 0x0106, "stmdb r0!, {r1, r2, r8}", Class::Store, 4),
        (0xe92d, 0x4130, "push.w {r4, r5, r8, lr}", Class::Store, 5),
        (0xe851, 0x0f00, "ldrex r0, [r1]", Class::Load, 2),
        (0xe841, 0x2000, "strex r0, r2, [r1]", Class::Store, 2),
        (0xe8df, 0xf000, "tbb [pc, r0]", Class::Branch, 4),
        (0xe8d1, 0xf010, "tbh [r1, r0, lsl #1]", Class::Branch, 4),
        (0xfb01, 0xf802, "mul r8, r1, r2", Class::Multiply, 1),
        (0xfb01, 0x3002, "mla r0, r1, r2, r3", Class::Multiply, 1),
        (0xfb01, 0x3012, "mls r0, r1, r2, r3", Class::Multiply, 1),
        (0xfb11, 0xf002, "smulbb r0, r1, r2", Class::Multiply, 1),
        (0xfb11, 0x3002, "smlabb r0, r1, r2, r3", Class::Multiply, 1),
        (0xfb21, 0x3002, "smlad r0, r1, r2, r3", Class::Multiply, 1),
        (0xfb21, 0xf002, "smuad r0, r1, r2", Class::Multiply, 1),
        (0xfb51, 0xf012, "smmulr r0, r1, r2", Class::Multiply, 1),
        (0xfb51, 0x3002, "smmla r0, r1, r2, r3", Class::Multiply, 1),
        (0xfb82, 0x0103, "smull r0, r1, r2, r3", Class::Multiply, 1),
        (0xfbc2, 0x0103, "smlal r0, r1, r2, r3", Class::Multiply, 1),
        (0xfbc2, 0x01c3, "smlald r0, r1, r2, r3", Class::Multiply, 1),
        (0xfbe2, 0x0163, "umaal r0, r1, r2, r3", Class::Multiply, 1),
        (0xfb91, 0xf0f2, "sdiv r0, r1, r2", Class::Other, 7),
        (0xfbb1, 0xf0f2, "udiv r0, r1, r2", Class::Other, 7),
        (0xfb71, 0xf002, "usad8 r0, r1, r2", Class::Other, 1),
        (0xfa2f, 0xf091, "sxtb16 r0, r1, ror #8", Class::Other, 1),
        (0xeac1, 0x4002, "pkhbt r0, r1, r2, lsl #16", Class::Other, 1),
        (0xf301, 0x0007, "ssat r0, #8, r1", Class::Other, 1),
        (0xfa82, 0xf081, "qadd r0, r1, r2", Class::Other, 1),
        (0xeb01, 0x0802, "add.w r8, r1, r2", Class::Other, 1),
        (0xf240, 0x40d2, "movw r0, #1234", Class::Other, 1),
        (0xf2c0, 0x40d2, "movt r0, #1234", Class::Other, 1),
        (0xf3c1, 0x00c3, "ubfx r0, r1, #3, #4", Class::Other, 1),
        (0xf000, 0xf832, "bl #100", Class::Branch, 1),
        (0xf000, 0xb9f4, "b.w #1000", Class::Branch, 1),
        (0xf040, 0x81f4, "bne.w #1000", Class::Branch, 1),
        (0xf3ef, 0x8010, "mrs r0, primask", Class::Other, 1),
        (0xf3bf, 0x8f4f, "dsb sy", Class::Other, 1),
        (0xe89f, 0x5b85, "clrm {r0, r2, r7, r8, r9, r11, r12, lr}", Class::Other, 1),
        (0xe97f, 0xe97f, "sg", Class::Other, 1),
        (0xf00f, 0xc005, "le lr, #-8", Class::Branch, 1),
        (0xf01f, 0xc005, "letp lr, #-8", Class::Branch, 1),
        (0xf040, 0xc005, "wls lr, r0, #8", Class::Branch, 1),
        (0xf040, 0xe001, "dls lr, r0", Class::Other, 1),
        (0xf000, 0xe001, "dlstp.8 lr, r0", Class::Other, 1),
        (0xf000, 0xe801, "vctp.8 r0", Class::Other, 1),
        (0xea51, 0x8002, "csel r0, r1, r2, eq", Class::Other, 1),
        (0xea50, 0x112f, "asrl r0, r1, #4", Class::Other, 1),
        (0xed90, 0x0a00, "vldr s0, [r0]", Class::Load, 2),
        (0xed90, 0x0b02, "vldr d0, [r0, #8]", Class::Load, 3),
        (0xed80, 0x0a00, "vstr s0, [r0]", Class::Store, 2),
        (0xecb0, 0x0a04, "vldmia r0!, {s0, s1, s2, s3}", Class::Load, 5),
        (0xed2d, 0x8b04, "vpush {d8, d9}", Class::Store, 5),
        (0xee30, 0x0a81, "vadd.f32 s0, s1, s2", Class::Other, 1),
        (0xee20, 0x0a81, "vmul.f32 s0, s1, s2", Class::Multiply, 1),
        (0xee00, 0x0a81, "vmla.f32 s0, s1, s2", Class::Multiply, 3),
        (0xeea0, 0x0a81, "vfma.f32 s0, s1, s2", Class::Multiply, 3),
        (0xee80, 0x0a81, "vdiv.f32 s0, s1, s2", Class::Other, 14),
        (0xeeb1, 0x0ae0, "vsqrt.f32 s0, s1", Class::Other, 14),
        (0xee10, 0x0a90, "vmov r0, s1", Class::Other, 1),
        (0xec51, 0x0b10, "vmov r0, r1, d0", Class::Other, 2),
        (0xeeb8, 0x0ac0, "vcvt.f32.s32 s0, s0", Class::Other, 1),
        (0xeef1, 0xfa10, "vmrs APSR_nzcv, fpscr", Class::Other, 1),
    ];

    #[test]
    fn long_encodings() {
        for &(first, second, text, class, cycles) in CASES {
            let instruction = thumb::decode(first, second);
            assert_eq!(instruction.len_bytes, 4, "{text}");
            assert_eq!(instruction.class, class, "{text}");
            assert_eq!(
                crate::cortex_m4::straight_line_cycles([instruction.timing]),
                cycles,
                "{text}"
            );
        }
    }
}
