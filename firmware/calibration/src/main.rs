//! Code of known length, by which the instruction counter is tested.
//!
//! Between marks 0 and 1 a function runs that only returns, between 1 and 2 one that does the same
//! after a loop of 100 turns, each with one store, load, multiplication, subtraction and branch,
//! and three instructions around it. Both are assembly, so that no compiler has a say in it.

#![no_std]
#![no_main]

use core::arch::global_asm;

use semihosting::process;

#[cfg(target_arch = "arm")]
global_asm!(
    ".section .text.calibration, \"ax\"",
    ".thumb_func",
    "calibration_empty:",
    "    bx lr",
    ".thumb_func",
    "calibration_loop:",
    "    movs r0, #100",
    "    sub sp, #8",
    "2:  str r0, [sp]",
    "    ldr r1, [sp]",
    "    muls r1, r0, r1",
    "    subs r0, #1",
    "    bne 2b",
    "    add sp, #8",
    "    bx lr",
);

#[cfg(target_arch = "riscv32")]
global_asm!(
    ".section .text.calibration, \"ax\"",
    "calibration_empty:",
    "    ret",
    "calibration_loop:",
    "    li a0, 100",
    "    addi sp, sp, -16",
    "2:  sw a0, 0(sp)",
    "    lw a1, 0(sp)",
    "    mul a1, a0, a1",
    "    addi a0, a0, -1",
    "    bnez a0, 2b",
    "    addi sp, sp, 16",
    "    ret",
);

// SAFETY: both are defined above; they follow the C calling convention, change only registers that
// it leaves to the callee, and give back the stack they take.
unsafe extern "C" {
    safe fn calibration_empty();
    safe fn calibration_loop();
}

#[fixie_board::entry]
fn main() -> ! {
    fixie_board::mark();
    calibration_empty();
    fixie_board::mark();
    calibration_loop();
    fixie_board::mark();
    process::exit(0)
}
