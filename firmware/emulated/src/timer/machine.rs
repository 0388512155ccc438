//! The RISC-V machine timer, at the addresses of QEMU's `virt` machine.

use core::cell::Cell;
use core::ptr;

use critical_section::Mutex;
use riscv::interrupt::Interrupt;

const MTIMECMP: *mut u32 = ptr::without_provenance_mut(0x0200_4000);
const MTIME: *const u32 = ptr::without_provenance(0x0200_BFF8);

/// Ticks of a period, the time of the next interrupt, and that of the start.
static PERIOD: Mutex<Cell<(u64, u64, u64)>> = Mutex::new(Cell::new((0, 0, 0)));

pub fn start(period: u32) {
    critical_section::with(|token| {
        let (period, now) = (u64::from(period), mtime());
        PERIOD.borrow(token).set((period, now + period, now));
        set_alarm(now + period);
    });
    // SAFETY: the handler is linked, the alarm is set, and no critical section is left open by it.
    unsafe {
        riscv::interrupt::enable_interrupt(Interrupt::MachineTimer);
        riscv::interrupt::enable();
    }
}

#[riscv_rt::core_interrupt(Interrupt::MachineTimer)]
fn machine_timer() {
    critical_section::with(|token| {
        let cell = PERIOD.borrow(token);
        let (period, due, started) = cell.get();
        cell.set((period, due + period, started));
        set_alarm(due + period);
    });
    super::interrupt();
}

pub fn now_ticks() -> u64 {
    let (period, _, started) = critical_section::with(|token| PERIOD.borrow(token).get());
    if period == 0 { 0 } else { mtime() - started }
}

pub fn sleep() {
    riscv::asm::wfi();
}

/// The time, whose halves are read until no carry fell between them.
fn mtime() -> u64 {
    loop {
        // SAFETY: both are aligned registers of the machine's timer; reading changes nothing.
        let (high, low, again) = unsafe {
            let high = MTIME.add(1);
            (high.read_volatile(), MTIME.read_volatile(), high.read_volatile())
        };
        if high == again {
            return u64::from(high) << 32 | u64::from(low);
        }
    }
}

/// Sets the time of the interrupt; no time between is earlier than both the old and the new one.
fn set_alarm(ticks: u64) {
    // SAFETY: both are aligned registers of the machine's timer, which nothing else writes.
    unsafe {
        MTIMECMP.add(1).write_volatile(u32::MAX);
        MTIMECMP.write_volatile(ticks as u32);
        MTIMECMP.add(1).write_volatile((ticks >> 32) as u32);
    }
}
