//! The counter of the core's cycles, which on this chip is not `mcycle` but a register of
//! Espressif's (ESP32-C3 technical reference manual, custom control and status registers).

use core::arch::asm;

/// Lets it count cycles.
pub fn start() {
    // SAFETY: MPCER (0x7E0) selects what is counted, bit 0 being cycles, and MPCMR (0x7E1) lets it
    // count; nothing else uses this counter.
    unsafe {
        asm!("csrw 0x7E0, {one}", "csrw 0x7E1, {one}", one = in(reg) 1, options(nomem, nostack));
    }
}

/// Cycles since [`start`]; wraps after 2³².
pub fn now() -> u32 {
    let cycles;
    // SAFETY: reads MPCCR.
    unsafe { asm!("csrr {}, 0x7E2", out(reg) cycles, options(nomem, nostack)) };
    cycles
}
