//! The STM32F411 of the Nucleo-F411RE.

#[path = "f4.rs"]
mod f4;

use embassy_stm32::interrupt;
use embassy_stm32::rcc::{APBPrescaler, Config, PllMul};

pub use f4::{microphone, serial, set_up_core};

/// An interrupt of a peripheral that is not used.
pub use interrupt::SPI5 as SAMPLING;

#[interrupt]
fn SPI5() {
    crate::sample();
}

/// 100 MHz.
pub fn set_clocks(rcc: &mut Config) {
    f4::set_clocks(rcc, PllMul::MUL100, [APBPrescaler::DIV2, APBPrescaler::DIV1]);
}
