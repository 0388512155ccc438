//! RISC-V: RV32 with the extensions M, A, F, D and C (The RISC-V Instruction Set Manual, volume I,
//! chapters 26 "C" and 34 "Instruction Set Listings").

use super::{Class, Instruction};
use crate::cortex_m4::Timing;
use crate::cortex_m7::Issue;

/// Decodes the instruction that starts with the halfword `first`; `second` matters if it is long.
pub fn decode(first: u16, second: u16) -> Instruction {
    let nothing = Timing::Cycles(0);
    if is_long(first) {
        Instruction::long(
            long_class(u32::from(second) << 16 | u32::from(first)),
            nothing,
            Issue::NONE,
        )
    } else {
        Instruction::short(short_class(first), nothing, Issue::NONE)
    }
}

/// Whether a second halfword belongs to the instruction that starts with `first`.
pub const fn is_long(first: u16) -> bool {
    first & 0b11 == 0b11
}

fn long_class(code: u32) -> Class {
    let funct3 = code >> 12 & 0b111;
    let funct7 = code >> 25;
    match code & 0x7F {
        0x03 | 0x07 => Class::Load,                               // LOAD, LOAD-FP
        0x2F if funct7 >> 2 == 0b00010 => Class::Load,            // LR
        0x23 | 0x27 | 0x2F => Class::Store,                       // STORE, STORE-FP, SC, AMO
        0x33 if funct7 == 1 && funct3 < 0b100 => Class::Multiply, // MUL, MULH, MULHSU, MULHU
        0x43 | 0x47 | 0x4B | 0x4F => Class::Multiply,             // FMADD and its kin
        0x53 if matches!(funct7, 0x08 | 0x09) => Class::Multiply, // FMUL.S, FMUL.D
        0x63 | 0x67 | 0x6F => Class::Branch,                      // BRANCH, JALR, JAL
        _ => Class::Other,
    }
}

fn short_class(code: u16) -> Class {
    let quadrant = code & 0b11;
    match (quadrant, code >> 13) {
        (0b00 | 0b10, 0b001..=0b011) => Class::Load, // C.FLD, C.LW, C.FLW and the same from SP
        (0b00 | 0b10, 0b101..=0b111) => Class::Store, // C.FSD, C.SW, C.FSW and the same to SP
        (0b01, 0b001 | 0b101..=0b111) => Class::Branch, // C.JAL, C.J, C.BEQZ, C.BNEZ
        (0b10, 0b100) => {
            // With a second register C.MV and C.ADD, without a first one C.EBREAK.
            let (first, second) = (code >> 7 & 0x1F, code >> 2 & 0x1F);
            let is_jump = first != 0 && second == 0;
            if is_jump { Class::Branch } else { Class::Other }
        }
        _ => Class::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Encodings by LLVM's assembler.
    #[rustfmt::skip]
    const LONG: &[(u32, &str, Class)] = &[
        (0x0085_a503, "lw a0, 8(a1)", Class::Load),
        (0x0085_8503, "lb a0, 8(a1)", Class::Load),
        (0x0085_d503, "lhu a0, 8(a1)", Class::Load),
        (0x00a5_a423, "sw a0, 8(a1)", Class::Store),
        (0x00a5_8423, "sb a0, 8(a1)", Class::Store),
        (0x00b5_0463, "beq a0, a1, 8", Class::Branch),
        (0x00b5_6463, "bltu a0, a1, 8", Class::Branch),
        (0x0100_00ef, "jal ra, 16", Class::Branch),
        (0x0005_00e7, "jalr ra, 0(a0)", Class::Branch),
        (0x02c5_8533, "mul a0, a1, a2", Class::Multiply),
        (0x02c5_9533, "mulh a0, a1, a2", Class::Multiply),
        (0x02c5_b533, "mulhu a0, a1, a2", Class::Multiply),
        (0x02c5_c533, "div a0, a1, a2", Class::Other),
        (0x02c5_f533, "remu a0, a1, a2", Class::Other),
        (0x00c5_8533, "add a0, a1, a2", Class::Other),
        (0x0645_8513, "addi a0, a1, 100", Class::Other),
        (0x0000_5517, "auipc a0, 5", Class::Other),
        (0x1005_a52f, "lr.w a0, (a1)", Class::Load),
        (0x18c5_a52f, "sc.w a0, a2, (a1)", Class::Store),
        (0x00c5_a52f, "amoadd.w a0, a2, (a1)", Class::Store),
        (0x0ff0_000f, "fence", Class::Other),
        (0x3420_2573, "csrr a0, mcause", Class::Other),
        (0x0000_0073, "ecall", Class::Other),
    ];

    /// Encodings by LLVM's assembler.
    #[rustfmt::skip]
    const SHORT: &[(u16, &str, Class)] = &[
        (0x0028, "c.addi4spn a0, sp, 8", Class::Other),
        (0x41c8, "c.lw a0, 4(a1)", Class::Load),
        (0xc1c8, "c.sw a0, 4(a1)", Class::Store),
        (0x0001, "c.nop", Class::Other),
        (0x0505, "c.addi a0, 1", Class::Other),
        (0x2801, "c.jal 16", Class::Branch),
        (0x4505, "c.li a0, 1", Class::Other),
        (0x6515, "c.lui a0, 5", Class::Other),
        (0x8509, "c.srai a0, 2", Class::Other),
        (0x8d6d, "c.and a0, a1", Class::Other),
        (0xa801, "c.j 16", Class::Branch),
        (0xc901, "c.beqz a0, 16", Class::Branch),
        (0xe901, "c.bnez a0, 16", Class::Branch),
        (0x050a, "c.slli a0, 2", Class::Other),
        (0x4512, "c.lwsp a0, 4(sp)", Class::Load),
        (0x8502, "c.jr a0", Class::Branch),
        (0x852e, "c.mv a0, a1", Class::Other),
        (0x9002, "c.ebreak", Class::Other),
        (0x9502, "c.jalr a0", Class::Branch),
        (0x952e, "c.add a0, a1", Class::Other),
        (0xc22a, "c.swsp a0, 4(sp)", Class::Store),
        (0x6108, "c.flw fa0, 0(a0)", Class::Load),
        (0xe108, "c.fsw fa0, 0(a0)", Class::Store),
        (0x2108, "c.fld fa0, 0(a0)", Class::Load),
        (0xa02a, "c.fsdsp fa0, 0(sp)", Class::Store),
    ];

    #[test]
    fn long_encodings() {
        for &(code, text, class) in LONG {
            let instruction = decode(code as u16, (code >> 16) as u16);
            assert_eq!((instruction.len_bytes, instruction.class), (4, class), "{text}");
        }
    }

    #[test]
    fn short_encodings() {
        for &(code, text, class) in SHORT {
            let instruction = decode(code, 0);
            assert_eq!((instruction.len_bytes, instruction.class), (2, class), "{text}");
        }
    }
}
