//! A timer that interrupts periodically and tells the time: `SysTick` or the machine timer.
//!
//! The emulator lets each instruction take the same time (`-icount`), so the time between two
//! readings says how many instructions were executed between them.

#[cfg(target_arch = "arm")]
mod systick;
#[cfg(target_arch = "arm")]
use systick as hardware;

#[cfg(target_arch = "riscv32")]
mod machine;
#[cfg(target_arch = "riscv32")]
use machine as hardware;

use core::cell::Cell;

use critical_section::Mutex;

/// Ticks of the board's timer in a second.
const TICKS_PER_S: u32 = match u32::from_str_radix(env!("FIXIE_TIMER_HZ"), 10) {
    Ok(hz) => hz,
    Err(_) => panic!("FIXIE_TIMER_HZ is not a number"),
};

/// What the interrupt calls.
static HANDLER: Mutex<Cell<fn()>> = Mutex::new(Cell::new(|| {}));

/// Lets the interrupt call `handler`, `per_s` times a second, first after one period.
///
/// The period is a whole number of ticks: it is exact if `per_s` divides the timer's rate.
pub fn start(per_s: u32, handler: fn()) {
    critical_section::with(|token| HANDLER.borrow(token).set(handler));
    hardware::start(TICKS_PER_S / per_s);
}

/// The body of the interrupt.
fn interrupt() {
    critical_section::with(|token| HANDLER.borrow(token).get())();
}

/// Nanoseconds since the timer was started; 0 before.
pub fn now_ns() -> u64 {
    hardware::now_ticks() * 1_000_000_000 / u64::from(TICKS_PER_S)
}

/// Sleeps until an interrupt has been.
pub fn sleep() {
    hardware::sleep();
}
