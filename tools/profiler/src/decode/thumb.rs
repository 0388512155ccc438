//! Thumb: the 16-bit encodings (Armv7-M Architecture Reference Manual, A5.2), and the way to the
//! 32-bit ones.

use super::{Class, Instruction, operands, thumb32};
use crate::cortex_m4::{NO_REGISTER, Timing};

/// Stack pointer and program counter as register numbers.
pub(super) const SP: u8 = 13;
pub(super) const PC: u8 = 15;

/// Decodes the instruction whose halfwords are `first` and, if it has one, `second`.
pub fn decode(first: u16, second: u16) -> Instruction {
    if is_long(first) { thumb32::decode(first, second) } else { decode_short(first) }
}

/// Whether a second halfword belongs to the instruction that starts with `first`.
pub const fn is_long(first: u16) -> bool {
    matches!(first >> 11, 0b11101..=0b11111)
}

fn decode_short(code: u16) -> Instruction {
    let (class, timing) = match code >> 10 {
        0b01_0000 if bits(code, 6, 4) == 0b1101 => (Class::Multiply, Timing::ONE), // MULS
        0b01_0001 => special_data_or_branch(code),
        0b01_0010 | 0b01_0011 => load(register(code, 8), PC, NO_REGISTER), // LDR (literal)
        0b01_0100..=0b10_0111 => single_transfer(code),
        0b10_1100..=0b10_1111 => miscellaneous(code),
        0b11_0000..=0b11_0011 => multiple(bits(code, 11, 1) == 1, bits(code, 0, 8).into()),
        0b11_0100..=0b11_0111 => conditional_branch_or_call(code),
        0b11_1000 | 0b11_1001 => (Class::Branch, Timing::ONE), // B
        _ => (Class::Other, Timing::ONE),
    };
    Instruction::short(class, timing, operands::short(code))
}

/// A5.2.3: MOV, ADD and CMP of high registers, BX, BLX.
fn special_data_or_branch(code: u16) -> (Class, Timing) {
    let destination = register(code, 0) | (bits(code, 7, 1) as u8) << 3;
    let operation = bits(code, 8, 2);
    let writes_pc = operation != 0b01 && destination == PC;
    let class = if operation == 0b11 || writes_pc { Class::Branch } else { Class::Other };
    (class, Timing::ONE)
}

/// A5.2.4: loads and stores of one register.
fn single_transfer(code: u16) -> (Class, Timing) {
    let (data, base) = (register(code, 0), register(code, 3));
    if code >> 12 == 0b0101 {
        let offset = register(code, 6);
        return match bits(code, 9, 3) {
            0b000..=0b010 => store(base, offset),
            _ => load(data, base, offset),
        };
    }
    let is_load = bits(code, 11, 1) == 1;
    let (data, base) = if code >> 12 == 0b1001 { (register(code, 8), SP) } else { (data, base) };
    if is_load { load(data, base, NO_REGISTER) } else { store(base, NO_REGISTER) }
}

/// A5.2.5: PUSH, POP, compare-and-branch, hints, and what adds to the stack pointer.
fn miscellaneous(code: u16) -> (Class, Timing) {
    let registers = u32::from(bits(code, 0, 9));
    match bits(code, 8, 4) {
        0b0001 | 0b0011 | 0b1001 | 0b1011 => (Class::Branch, Timing::ONE), // CBZ, CBNZ
        0b0100 | 0b0101 => multiple(false, registers),                     // PUSH
        0b1100 | 0b1101 => multiple(true, registers),                      // POP
        _ => (Class::Other, Timing::ONE),
    }
}

/// A5.2.6: B with a condition; UDF and SVC.
fn conditional_branch_or_call(code: u16) -> (Class, Timing) {
    let class = if bits(code, 8, 4) < 0b1110 { Class::Branch } else { Class::Other };
    (class, Timing::ONE)
}

/// A load of `destination` from `base` plus a register or an immediate.
pub(super) fn load(destination: u8, base: u8, offset: u8) -> (Class, Timing) {
    if destination == PC {
        // "At least five cycles": two for the load, three for the refill.
        return (Class::Load, Timing::Cycles(3));
    }
    (Class::Load, Timing::Load { destination, address: [base, offset] })
}

/// A store to `base` plus a register or an immediate.
pub(super) fn store(base: u8, offset: u8) -> (Class, Timing) {
    (Class::Store, Timing::Store { address: [base, offset] })
}

/// A load or store of all registers in the list: one cycle, and one for each.
pub(super) fn multiple(is_load: bool, registers: u32) -> (Class, Timing) {
    let class = if is_load { Class::Load } else { Class::Store };
    (class, Timing::Cycles(1 + registers.count_ones() as u8))
}

/// `len` bits of `code` from bit `lowest` up.
pub(super) const fn bits(code: u16, lowest: u32, len: u32) -> u16 {
    code >> lowest & ((1 << len) - 1)
}

/// The three-bit register number at bit `lowest`.
fn register(code: u16, lowest: u32) -> u8 {
    bits(code, lowest, 3) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Encodings by LLVM's assembler.
    #[rustfmt::skip]
    const CASES: &[(u16, &str, Class, u64)] = &[
        (0x2001, "movs r0, #1", Class::Other, 1),
        (0x1888, "adds r0, r1, r2", Class::Other, 1),
        (0x00d1, "lsls r1, r2, #3", Class::Other, 1),
        (0x4348, "muls r0, r1, r0", Class::Multiply, 1),
        (0x4802, "ldr r0, [pc, #8]", Class::Load, 2),
        (0x5888, "ldr r0, [r1, r2]", Class::Load, 2),
        (0x5688, "ldrsb r0, [r1, r2]", Class::Load, 2),
        (0x5288, "strh r0, [r1, r2]", Class::Store, 2),
        (0x6048, "str r0, [r1, #4]", Class::Store, 1),
        (0x6848, "ldr r0, [r1, #4]", Class::Load, 2),
        (0x7108, "strb r0, [r1, #4]", Class::Store, 1),
        (0x7908, "ldrb r0, [r1, #4]", Class::Load, 2),
        (0x8863, "ldrh r3, [r4, #2]", Class::Load, 2),
        (0x9001, "str r0, [sp, #4]", Class::Store, 1),
        (0x9801, "ldr r0, [sp, #4]", Class::Load, 2),
        (0xb530, "push {r4, r5, lr}", Class::Store, 4),
        (0xbc30, "pop {r4, r5}", Class::Load, 3),
        (0xbd10, "pop {r4, pc}", Class::Load, 3),
        (0xc00e, "stm r0!, {r1, r2, r3}", Class::Store, 4),
        (0xc806, "ldm r0!, {r1, r2}", Class::Load, 3),
        (0x4770, "bx lr", Class::Branch, 1),
        (0x4798, "blx r3", Class::Branch, 1),
        (0x468f, "mov pc, r1", Class::Branch, 1),
        (0x448f, "add pc, r1", Class::Branch, 1),
        (0x4688, "mov r8, r1", Class::Other, 1),
        (0x4588, "cmp r8, r1", Class::Other, 1),
        (0xb120, "cbz r0, #8", Class::Branch, 1),
        (0xb921, "cbnz r1, #8", Class::Branch, 1),
        (0xd0fc, "beq #-8", Class::Branch, 1),
        (0xe7fc, "b #-8", Class::Branch, 1),
        (0xbf08, "it eq", Class::Other, 1),
        (0xbeab, "bkpt #171", Class::Other, 1),
        (0xdf00, "svc #0", Class::Other, 1),
        (0xb248, "sxtb r0, r1", Class::Other, 1),
    ];

    #[test]
    fn short_encodings() {
        for &(code, text, class, cycles) in CASES {
            let instruction = decode(code, 0);
            assert_eq!(instruction.len_bytes, 2, "{text}");
            assert_eq!(instruction.class, class, "{text}");
            assert_eq!(
                crate::cortex_m4::straight_line_cycles([instruction.timing]),
                cycles,
                "{text}"
            );
        }
    }
}
