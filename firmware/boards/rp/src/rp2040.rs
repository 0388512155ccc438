//! The RP2040.

pub use rp2040_hal as hal;

use hal::clocks::ClocksManager;
use hal::pac::{NVIC, RESETS, TIMER, interrupt};

pub use hal::pac::Interrupt::TIMER_IRQ_0 as ALARM_INTERRUPT;
pub type Timer = hal::Timer;
pub type Alarm = hal::timer::Alarm0;

/// The second stage of the boot, for the flash chip of the Pico.
#[unsafe(link_section = ".boot2")]
#[used]
static BOOT2: [u8; 256] = rp2040_boot2::BOOT_LOADER_W25Q080;

pub fn timer(timer: TIMER, resets: &mut RESETS, clocks: &ClocksManager) -> Timer {
    Timer::new(timer, resets, clocks)
}

/// Lets an interrupt through.
pub fn unmask(interrupt: hal::pac::Interrupt) {
    // SAFETY: no critical section is made of masks.
    unsafe { NVIC::unmask(interrupt) }
}

#[interrupt]
fn TIMER_IRQ_0() {
    crate::wake();
}
