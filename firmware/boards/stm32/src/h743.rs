//! The STM32H743 of the Nucleo-H743ZI.

use embassy_stm32::i2s::{self, I2S};
use embassy_stm32::rcc::mux::Saisel;
use embassy_stm32::rcc::{
    AHBPrescaler, APBPrescaler, Config, Hse, HseMode, Pll, PllDiv, PllMul, PllPreDiv, PllSource,
    Sysclk, VoltageScale,
};
use embassy_stm32::time::Hertz;
use embassy_stm32::usart::{self, BufferedUart, ConfigError};
use embassy_stm32::{Peripherals, bind_interrupts, dma, interrupt, peripherals};

bind_interrupts!(struct Interrupts {
    DMA1_STREAM0 => dma::InterruptHandler<peripherals::DMA1_CH0>;
    USART3 => usart::BufferedInterruptHandler<peripherals::USART3>;
});

/// An interrupt of a peripheral that is not used.
pub use interrupt::SPI5 as SAMPLING;

#[interrupt]
fn SPI5() {
    crate::sample();
}

/// Reads code and weights through the cache. That for data stays off: DMA goes past it.
pub fn set_up_core() {
    // SAFETY: nothing else configures the caches.
    let mut peripherals = unsafe { cortex_m::Peripherals::steal() };
    peripherals.SCB.enable_icache();
}

/// 400 MHz from the 8 MHz of the debugger, and 76.8 MHz, which is 75 · 64 · 16 kHz, for I²S.
pub fn set_clocks(rcc: &mut Config) {
    rcc.hse = Some(Hse { freq: Hertz::mhz(8), mode: HseMode::Bypass });
    rcc.pll1 = Some(pll(PllMul::MUL200, PllDiv::DIV2));
    rcc.pll2 = Some(pll(PllMul::MUL96, PllDiv::DIV5));
    rcc.sys = Sysclk::PLL1_P;
    rcc.ahb_pre = AHBPrescaler::DIV2;
    rcc.apb1_pre = APBPrescaler::DIV2;
    rcc.apb2_pre = APBPrescaler::DIV2;
    rcc.apb3_pre = APBPrescaler::DIV2;
    rcc.apb4_pre = APBPrescaler::DIV2;
    rcc.voltage_scale = VoltageScale::Scale1;
    rcc.mux.spi123sel = Saisel::PLL2_P;
}

/// 4 MHz · `mul` / `divp`.
fn pll(mul: PllMul, divp: PllDiv) -> Pll {
    Pll {
        source: PllSource::HSE,
        prediv: PllPreDiv::DIV2,
        mul,
        fracn: None,
        divp: Some(divp),
        divq: None,
        divr: None,
    }
}

/// I²S2 by DMA.
pub fn microphone(
    peripherals: Peripherals,
    ring: &'static mut [u16],
    config: i2s::Config,
) -> I2S<'static, u16> {
    let Peripherals { SPI2, PB12, PB10, PB14, DMA1_CH0, .. } = peripherals;
    I2S::new_rxonly_nomck(SPI2, PB14, PB12, PB10, DMA1_CH0, ring, Interrupts, config)
}

/// USART3.
pub fn serial(
    peripherals: Peripherals,
    tx: &'static mut [u8],
    rx: &'static mut [u8],
    config: usart::Config,
) -> Result<BufferedUart<'static>, ConfigError> {
    let Peripherals { USART3, PD8, PD9, .. } = peripherals;
    BufferedUart::new(USART3, PD9, PD8, tx, rx, Interrupts, config)
}
