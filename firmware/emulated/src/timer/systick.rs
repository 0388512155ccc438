//! `SysTick`, which counts down from a reload value of 24 bits.

use core::cell::Cell;

use cortex_m::peripheral::{SCB, SYST, syst::SystClkSource};
use critical_section::Mutex;

/// Ticks of a period, and periods that the interrupt has seen.
static PERIOD: Mutex<Cell<(u32, u32)>> = Mutex::new(Cell::new((0, 0)));

pub fn start(period: u32) {
    let Some(peripherals) = cortex_m::Peripherals::take() else {
        return; // it runs already
    };
    critical_section::with(|token| PERIOD.borrow(token).set((period, 0)));
    let mut systick = peripherals.SYST;
    systick.set_clock_source(SystClkSource::Core);
    systick.set_reload(period - 1);
    systick.clear_current();
    systick.enable_interrupt();
    systick.enable_counter();
}

#[cortex_m_rt::exception]
fn SysTick() {
    critical_section::with(|token| {
        let cell = PERIOD.borrow(token);
        let (period, count) = cell.get();
        cell.set((period, count.wrapping_add(1)));
    });
    super::interrupt();
}

pub fn now_ticks() -> u64 {
    critical_section::with(|token| {
        let (period, count) = PERIOD.borrow(token).get();
        let before = SYST::get_current();
        // A period that ended while interrupts are off is not counted yet.
        let pending = SCB::is_pendst_pending();
        let current = if pending { SYST::get_current() } else { before };
        let elapsed = if current == 0 { 0 } else { period - current };
        (u64::from(count) + u64::from(pending)) * u64::from(period) + u64::from(elapsed)
    })
}

pub fn sleep() {
    cortex_m::asm::wfi();
}
