//! The STM32F446 of the Nucleo-F446RE.

#[path = "f4.rs"]
mod f4;

use embassy_stm32::interrupt;
use embassy_stm32::rcc::{APBPrescaler, Config, PllMul};

pub use f4::{microphone, serial, set_up_core};

/// An interrupt of a peripheral that is not used.
pub use interrupt::SPI4 as SAMPLING;

#[interrupt]
fn SPI4() {
    crate::sample();
}

/// 180 MHz.
pub fn set_clocks(rcc: &mut Config) {
    f4::set_clocks(rcc, PllMul::MUL180, [APBPrescaler::DIV4, APBPrescaler::DIV2]);
}
