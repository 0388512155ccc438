//! Which registers a Thumb instruction reads and writes, and on which unit of a Cortex-M7
//! (Armv7-M Architecture Reference Manual, A5.2 and A5.3).

use super::thumb::{PC, SP, bits};
use crate::cortex_m7::{Issue, Unit};

/// Cycles of a product, a saturation, or a load that is not of a word.
const SLOW: u8 = 2;
/// Cycles of a division, by its operands: the middle.
const DIVIDE: u8 = 7;

/// The bit of a register.
const fn bit(register: u16) -> u16 {
    1 << register
}

/// The bit of the register whose number starts at bit `lowest`.
const fn low(code: u16, lowest: u32) -> u16 {
    bit(bits(code, lowest, 3))
}

/// The bit of the register whose four-bit number starts at bit `lowest`; the program counter, whose
/// number stands for "none" in most encodings, has none.
const fn wide(code: u16, lowest: u32) -> u16 {
    bit(bits(code, lowest, 4)) & !bit(PC as u16)
}

const fn alu(reads: u16, writes: u16) -> Issue {
    Issue { reads, writes, ..Issue::of(Unit::Alu) }
}

const fn simd(early: u16, reads: u16, writes: u16) -> Issue {
    Issue { early, reads, writes, ..Issue::of(Unit::Simd) }
}

const fn shifter(early: u16, reads: u16, writes: u16) -> Issue {
    Issue { early, reads, writes, ..Issue::of(Unit::Shifter) }
}

const fn load(address: u16, writes: u16, is_word: bool) -> Issue {
    let latency = if is_word { 1 } else { SLOW };
    Issue { early: address, writes, latency, ..Issue::of(Unit::Load) }
}

const fn store(address: u16, data: u16) -> Issue {
    Issue { early: address, late: data, ..Issue::of(Unit::Store) }
}

/// A 16-bit instruction.
pub(super) fn short(code: u16) -> Issue {
    let (rd, rm) = (low(code, 0), low(code, 3));
    match code >> 11 {
        0b0_0000..=0b0_0010 => shifter(0, rm, rd),
        0b0_0011 if bits(code, 10, 1) == 1 => alu(rm, rd),
        0b0_0011 => alu(rm | low(code, 6), rd),
        0b0_0100 | 0b1_0100 => alu(0, low(code, 8)), // MOV, ADR
        0b0_0101 => alu(low(code, 8), 0),            // CMP
        0b0_0110 | 0b0_0111 => alu(low(code, 8), low(code, 8)), // ADD, SUB
        0b0_1000 if bits(code, 10, 1) == 1 => high_register(code),
        0b0_1000 => register_arithmetic(code),
        0b0_1001 => load(0, low(code, 8), true),
        0b0_1010 | 0b0_1011 => match bits(code, 9, 3) {
            0b000..=0b010 => store(rm | low(code, 6), rd),
            operation => load(rm | low(code, 6), rd, operation == 0b100),
        },
        0b0_1100 | 0b0_1110 | 0b1_0000 => store(rm, rd),
        0b0_1101 | 0b0_1111 | 0b1_0001 => load(rm, rd, code >> 11 == 0b0_1101),
        0b1_0010 => store(bit(SP.into()), low(code, 8)),
        0b1_0011 => load(bit(SP.into()), low(code, 8), true),
        0b1_0101 => alu(bit(SP.into()), low(code, 8)),
        0b1_0110 | 0b1_0111 => miscellaneous(code),
        0b1_1000 | 0b1_1001 => several(bits(code, 0, 8), low(code, 8), bits(code, 11, 1) == 1),
        _ => Issue::of(Unit::Branch),
    }
}

/// A5.2.2
fn register_arithmetic(code: u16) -> Issue {
    let (rdn, rm) = (low(code, 0), low(code, 3));
    match bits(code, 6, 4) {
        0b0010 | 0b0011 | 0b0100 | 0b0111 => shifter(0, rdn | rm, rdn), // by a register
        0b1000 | 0b1010 | 0b1011 => alu(rdn | rm, 0),                   // TST, CMP, CMN
        0b1001 | 0b1111 => alu(rm, rdn),                                // RSB, MVN
        0b1101 => product(rdn | rm, 0, rdn),
        _ => alu(rdn | rm, rdn),
    }
}

/// A5.2.3
fn high_register(code: u16) -> Issue {
    let (rdn, rm) = (bit(bits(code, 0, 3) | bits(code, 7, 1) << 3), wide(code, 3));
    match bits(code, 8, 2) {
        0b00 => alu(rdn | rm, rdn),
        0b01 => alu(rdn | rm, 0),
        0b10 => alu(rm, rdn),
        _ => Issue { reads: rm, ..Issue::of(Unit::Branch) },
    }
}

/// A5.2.5
fn miscellaneous(code: u16) -> Issue {
    let (rd, rm) = (low(code, 0), low(code, 3));
    match bits(code, 8, 4) {
        0b0000 => alu(bit(SP.into()), bit(SP.into())),
        0b0001 | 0b0011 | 0b1001 | 0b1011 => Issue { reads: rd, ..Issue::of(Unit::Branch) },
        0b0010 => simd(0, rm, rd),
        0b1010 => simd(rm, 0, rd),
        0b0100 | 0b0101 | 0b1100 | 0b1101 => {
            several(bits(code, 0, 9), bit(SP.into()), bits(code, 11, 1) == 1)
        }
        _ => alu(0, 0), // IT and hints
    }
}

/// Loads or stores of the registers in a list, two each cycle.
fn several(registers: u16, base: u16, is_load: bool) -> Issue {
    let cycles = registers.count_ones().div_ceil(2).max(1) as u8;
    let (late, writes) = if is_load { (0, registers) } else { (registers, 0) };
    Issue { early: base, late, writes: writes | base, ..Issue::of(Unit::Alone(cycles)) }
}

fn product(reads: u16, accumulators: u16, writes: u16) -> Issue {
    Issue { reads, late: accumulators, writes, latency: SLOW, ..Issue::of(Unit::Multiplier) }
}

/// A 32-bit instruction.
pub(super) fn long(first: u16, second: u16) -> Issue {
    let (rn, rd, rm) = (wide(first, 0), wide(second, 8), wide(second, 0));
    match first >> 9 {
        0b111_0100 => several_or_two(first, second),
        0b111_0101 => shifted(first, second),
        0b111_1000..=0b111_1011 if bits(second, 15, 1) == 1 => branch_or_control(first, second),
        0b111_1000 | 0b111_1010 => {
            let writes = if compares(first, second) { 0 } else { rd };
            alu(rn, writes)
        }
        0b111_1001 | 0b111_1011 => plain_immediate(first, rn, rd),
        0b111_1100 => single_transfer(first, second),
        0b111_1101 if bits(first, 8, 1) == 1 => multiply(first, second),
        0b111_1101 => match (bits(first, 7, 1), bits(second, 7, 1)) {
            (0, 0) => shifter(0, rn | rm, rd),
            (0, _) if rn == 0 => simd(0, rm, rd), // SXTB, SXTB16 …
            (0, _) => simd(rm, rn, rd),           // SXTAB …
            _ => simd(0, rn | rm, rd),            // parallel, saturating, reversing
        },
        _ => Issue::of(Unit::Alone(1)),
    }
}

/// TST, TEQ, CMN and CMP: no destination, but flags.
fn compares(first: u16, second: u16) -> bool {
    bits(first, 4, 1) == 1 && bits(second, 8, 4) == u16::from(PC)
}

/// A5.3.5, A5.3.6
fn several_or_two(first: u16, second: u16) -> Issue {
    let (base, is_load) = (wide(first, 0), bits(first, 4, 1) == 1);
    if bits(first, 6, 1) == 0 {
        return several(second & !bit(PC.into()), base, is_load);
    }
    let pair = wide(second, 12) | wide(second, 8);
    let (late, writes) = if is_load { (0, pair) } else { (pair, 0) };
    let updates = if bits(first, 5, 1) == 1 { base } else { 0 };
    Issue { early: base, late, writes: writes | updates, ..Issue::of(Unit::Alone(1)) }
}

/// A5.3.11: arithmetic with a shifted register.
fn shifted(first: u16, second: u16) -> Issue {
    let (rn, rd, rm) = (wide(first, 0), wide(second, 8), wide(second, 0));
    let writes = if compares(first, second) { 0 } else { rd };
    let by = bits(second, 12, 3) << 2 | bits(second, 6, 2);
    match bits(first, 5, 4) {
        0b0110 => simd(rm, rn, rd),                  // PKHBT, PKHTB
        0b0010 if rn == 0 => shifter(0, rm, writes), // LSL, LSR, ASR, ROR
        _ if by == 0 && bits(second, 4, 2) == 0 => alu(rn | rm, writes),
        _ => shifter(rm, rn, writes),
    }
}

/// A5.3.3
fn plain_immediate(first: u16, rn: u16, rd: u16) -> Issue {
    match bits(first, 4, 5) {
        0b0_0100 => alu(0, rd),  // MOVW
        0b0_1100 => alu(rd, rd), // MOVT
        0b1_0000..=0b1_0010 | 0b1_1000..=0b1_1010 => {
            Issue { latency: SLOW, ..simd(rn, 0, rd) } // SSAT, USAT
        }
        0b1_0100 | 0b1_1100 => simd(rn, 0, rd), // SBFX, UBFX
        0b1_0110 => shifter(0, rn | rd, rd),    // BFI, BFC
        _ => alu(rn, rd),                       // ADDW, SUBW
    }
}

/// A5.3.4
fn branch_or_control(first: u16, second: u16) -> Issue {
    let is_control = bits(second, 12, 3) & 0b101 == 0 && bits(first, 7, 3) == 0b111;
    if is_control { Issue::of(Unit::Alone(1)) } else { Issue::of(Unit::Branch) }
}

/// A5.3.7 to A5.3.10
fn single_transfer(first: u16, second: u16) -> Issue {
    let (base, data) = (wide(first, 0), wide(second, 12));
    let long_offset = bits(first, 7, 1) == 1 || base == 0;
    let by_register = !long_offset && bits(second, 11, 1) == 0;
    let updates = if !long_offset && !by_register && bits(second, 8, 1) == 1 { base } else { 0 };
    let address = base | if by_register { wide(second, 0) } else { 0 };
    let mut issue = if bits(first, 4, 1) == 1 {
        load(address, data, bits(first, 5, 2) == 0b10)
    } else {
        store(address, data)
    };
    issue.writes |= updates;
    issue
}

/// A5.3.16, A5.3.17
fn multiply(first: u16, second: u16) -> Issue {
    let (factors, high, low) =
        (wide(first, 0) | wide(second, 0), wide(second, 8), wide(second, 12));
    if bits(first, 7, 1) == 0 {
        return product(factors, low, high); // here the third operand, which may be none
    }
    match bits(first, 4, 3) {
        0b001 | 0b011 => Issue { reads: factors, writes: high, ..Issue::of(Unit::Alone(DIVIDE)) },
        0b100..=0b110 => product(factors, low | high, low | high),
        _ => product(factors, 0, low | high),
    }
}

#[cfg(test)]
mod tests {
    use super::super::thumb;
    use super::*;

    /// Registers by number.
    fn set<const N: usize>(registers: [u16; N]) -> u16 {
        registers.iter().fold(0, |set, &register| set | bit(register))
    }

    /// Encodings by LLVM's assembler, with the registers needed early, in time, late; written.
    #[test]
    fn registers_and_units() {
        let none = set([]);
        #[rustfmt::skip]
        let cases = [
            (0x1888, 0, "adds r0, r1, r2", Unit::Alu, none, set([1, 2]), none, set([0])),
            (0x00d1, 0, "lsls r1, r2, #3", Unit::Shifter, none, set([2]), none, set([1])),
            (0x4348, 0, "muls r0, r1, r0", Unit::Multiplier, none, set([0, 1]), none, set([0])),
            (0x4588, 0, "cmp r8, r1", Unit::Alu, none, set([8, 1]), none, none),
            (0x4688, 0, "mov r8, r1", Unit::Alu, none, set([1]), none, set([8])),
            (0x5688, 0, "ldrsb r0, [r1, r2]", Unit::Load, set([1, 2]), none, none, set([0])),
            (0x6048, 0, "str r0, [r1, #4]", Unit::Store, set([1]), none, set([0]), none),
            (0x9801, 0, "ldr r0, [sp, #4]", Unit::Load, set([13]), none, none, set([0])),
            (0xb248, 0, "sxtb r0, r1", Unit::Simd, none, set([1]), none, set([0])),
            (0xb121, 0, "cbz r1, #8", Unit::Branch, none, set([1]), none, none),
            (0xc806, 0, "ldm r0!, {r1, r2}", Unit::Alone(1), set([0]), none, none, set([0, 1, 2])),
            (0xe8f2, 0x0102, "ldrd r0, r1, [r2], #8", Unit::Alone(1), set([2]), none, none,
                set([0, 1, 2])),
            (0xe9c2, 0x0102, "strd r0, r1, [r2, #8]", Unit::Alone(1), set([2]), none, set([0, 1]),
                none),
            (0xf851, 0x0b04, "ldr r0, [r1], #4", Unit::Load, set([1]), none, none, set([0, 1])),
            (0xf841, 0x0022, "str.w r0, [r1, r2, lsl #2]", Unit::Store, set([1, 2]), none, set([0]),
                none),
            (0xfb21, 0x3002, "smlad r0, r1, r2, r3", Unit::Multiplier, none, set([1, 2]), set([3]),
                set([0])),
            (0xfb51, 0xf012, "smmulr r0, r1, r2", Unit::Multiplier, none, set([1, 2]), none,
                set([0])),
            (0xfbc2, 0x0103, "smlal r0, r1, r2, r3", Unit::Multiplier, none, set([2, 3]),
                set([0, 1]), set([0, 1])),
            (0xfb82, 0x0103, "smull r0, r1, r2, r3", Unit::Multiplier, none, set([2, 3]), none,
                set([0, 1])),
            (0xfb91, 0xf0f2, "sdiv r0, r1, r2", Unit::Alone(7), none, set([1, 2]), none, set([0])),
            (0xfa2f, 0xf091, "sxtb16 r0, r1, ror #8", Unit::Simd, none, set([1]), none, set([0])),
            (0xeac1, 0x4002, "pkhbt r0, r1, r2, lsl #16", Unit::Simd, set([2]), set([1]), none,
                set([0])),
            (0xeb01, 0x0802, "add.w r8, r1, r2", Unit::Alu, none, set([1, 2]), none, set([8])),
            (0xeb01, 0x1802, "add.w r8, r1, r2, lsl #4", Unit::Shifter, set([2]), set([1]), none,
                set([8])),
            (0xf301, 0x0007, "ssat r0, #8, r1", Unit::Simd, set([1]), none, none, set([0])),
            (0xf240, 0x40d2, "movw r0, #1234", Unit::Alu, none, none, none, set([0])),
            (0xf2c0, 0x40d2, "movt r0, #1234", Unit::Alu, none, set([0]), none, set([0])),
            (0xf000, 0xf832, "bl #100", Unit::Branch, none, none, none, none),
            (0xf3bf, 0x8f4f, "dsb sy", Unit::Alone(1), none, none, none, none),
            (0xee10, 0x0a90, "vmov r0, s1", Unit::Alone(1), none, none, none, none),
        ];
        for (first, second, text, unit, early, reads, late, writes) in cases {
            let issue = thumb::decode(first, second).issue;
            let found = (issue.unit, issue.early, issue.reads, issue.late, issue.writes);
            assert_eq!(found, (unit, early, reads, late, writes), "{text}");
        }
    }
}
