//! What the STM32F4s of Nucleo-64 boards have in common.

use embassy_stm32::i2s::{self, I2S};
use embassy_stm32::pac::FLASH;
use embassy_stm32::rcc::{
    APBPrescaler, Config, Hse, HseMode, Pll, PllMul, PllPDiv, PllPreDiv, PllRDiv, PllSource, Sysclk,
};
use embassy_stm32::time::Hertz;
use embassy_stm32::usart::{self, BufferedUart, ConfigError};
use embassy_stm32::{Peripherals, bind_interrupts, dma, peripherals};

bind_interrupts!(struct Interrupts {
    DMA1_STREAM3 => dma::InterruptHandler<peripherals::DMA1_CH3>;
    USART2 => usart::BufferedInterruptHandler<peripherals::USART2>;
});

/// Switches on the caches that this chip has before its flash, and reading ahead, which the HAL leaves
/// off.
pub fn set_up_core() {
    FLASH.acr().modify(|acr| {
        acr.set_icen(true);
        acr.set_dcen(true);
        acr.set_prften(true);
    });
}

/// `mul` MHz from the 8 MHz of the debugger, and 76.8 MHz, which is 75 · 64 · 16 kHz, for I²S.
pub fn set_clocks(rcc: &mut Config, mul: PllMul, [apb1, apb2]: [APBPrescaler; 2]) {
    rcc.hsi = false;
    rcc.hse = Some(Hse { freq: Hertz::mhz(8), mode: HseMode::Bypass });
    rcc.pll_src = PllSource::HSE;
    rcc.pll = Some(Pll {
        prediv: PllPreDiv::DIV4,
        mul,
        divp: Some(PllPDiv::DIV2),
        divq: None,
        divr: None,
    });
    rcc.plli2s = Some(Pll {
        prediv: PllPreDiv::DIV4,
        mul: PllMul::MUL192,
        divp: None,
        divq: None,
        divr: Some(PllRDiv::DIV5),
    });
    rcc.sys = Sysclk::PLL1_P;
    rcc.apb1_pre = apb1;
    rcc.apb2_pre = apb2;
}

/// I²S2 by DMA.
pub fn microphone(
    peripherals: Peripherals,
    ring: &'static mut [u16],
    config: i2s::Config,
) -> I2S<'static, u16> {
    let Peripherals { SPI2, PB12, PB13, PB15, DMA1_CH3, .. } = peripherals;
    I2S::new_rxonly_nomck(SPI2, PB15, PB12, PB13, DMA1_CH3, ring, Interrupts, config)
}

/// USART2.
pub fn serial(
    peripherals: Peripherals,
    tx: &'static mut [u8],
    rx: &'static mut [u8],
    config: usart::Config,
) -> Result<BufferedUart<'static>, ConfigError> {
    let Peripherals { USART2, PA2, PA3, .. } = peripherals;
    BufferedUart::new(USART2, PA3, PA2, tx, rx, Interrupts, config)
}
