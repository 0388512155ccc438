//! The BBC micro:bit v1.
//!
//! | what | how | pins |
//! |---|---|---|
//! | motion sensor | I²C at 100 kHz | SDA P0.30, SCL P0.00 |
//! | serial line | UART at 115 200 baud, the interface chip's virtual port | RX P0.25, TX P0.24 |
//!
//! It has no microphone, nor the memory for one: 16 KB of RAM, of which the keyword application's
//! samples, window and network want more than there is.

#![no_std]

mod clock;
mod serial;

use defmt_rtt as _;
use fixie_session::{Board, halt};
use hal::gpio::Level;
use hal::gpio::p0::Parts;
use hal::pac::{Peripherals, TWI0, UART0};
use hal::twi::{self, Twi};
use hal::uart;
use nrf51_hal as hal;

use serial::Line;

pub use cortex_m_rt::entry;
pub use fixie_board::cycles;

defmt::timestamp!("{=u64:us}", clock::now_us());

/// The board.
pub struct Microbit {
    pins: Parts,
    bus: TWI0,
    uart: UART0,
}

/// Starts clocks and time.
pub fn start() -> Microbit {
    let Some(peripherals) = Peripherals::take() else { halt() };
    // The internal oscillator is not accurate enough for a serial line.
    hal::Clocks::new(peripherals.CLOCK).enable_ext_hfosc();
    clock::start(peripherals.TIMER0);
    Microbit { pins: Parts::new(peripherals.GPIO), bus: peripherals.TWI0, uart: peripherals.UART0 }
}

impl Board for Microbit {
    type I2c = Twi<TWI0>;
    type Serial = Line;

    fn i2c(self) -> Self::I2c {
        clock::tick();
        let (scl, sda) = (self.pins.p0_00, self.pins.p0_30);
        let pins = twi::Pins {
            scl: scl.into_floating_input().degrade(),
            sda: sda.into_floating_input().degrade(),
        };
        Twi::new(self.bus, pins, twi::Frequency::K100)
    }

    fn serial(self) -> Self::Serial {
        clock::tick();
        let (rxd, txd) = (self.pins.p0_25, self.pins.p0_24);
        let pins = uart::Pins {
            rxd: rxd.into_floating_input().degrade(),
            txd: txd.into_push_pull_output(Level::High).degrade(),
            cts: None,
            rts: None,
        };
        serial::start(self.uart, pins)
    }

    fn sleep() {
        cortex_m::asm::wfi();
    }
}
