//! Raspberry Pi Pico and Pico 2, the latter with its Arm or its RISC-V cores, by the target.
//!
//! | what | how | pins |
//! |---|---|---|
//! | microphone | analog, on the ADC | GP26 (ADC0) |
//! | motion sensor | I²C0 at 400 kHz | SDA GP4, SCL GP5 |
//! | serial line | UART0 at 115 200 baud | RX GP1, TX GP0 |
//!
//! Only the first core runs. What samples is an interrupt each, which preempts the application.

#![no_std]

#[cfg_attr(rp2040, path = "rp2040.rs")]
#[cfg_attr(not(rp2040), path = "rp2350.rs")]
mod chip;
mod microphone;
mod serial;

use core::cell::RefCell;

use critical_section::Mutex;
use defmt_rtt as _;
use fixie_session::{Board, Listening, MAX_SLEEP_MS, Receiver, halt};
use hal::clocks::{ClocksManager, init_clocks_and_plls};
use hal::fugit::{MicrosDurationU32, RateExtU32};
use hal::gpio::{FunctionI2C, Pin, Pins, PullUp, bank0};
use hal::timer::Alarm as _;
use hal::{Clock, I2C, Sio, Watchdog, pac};

use chip::hal;

pub use fixie_board::cycles;
pub use hal::entry;

/// Cycles of the crystal on the boards in a second.
const CRYSTAL_HZ: u32 = 12_000_000;
/// The longest sleep.
const SLEEP: MicrosDurationU32 = MicrosDurationU32::millis(MAX_SLEEP_MS);

/// What tells the time, and what wakes the application; none before [`start`].
static TIME: Mutex<RefCell<Option<(chip::Timer, chip::Alarm)>>> = Mutex::new(RefCell::new(None));

defmt::timestamp!("{=u64:us}", now_us());

fn now_us() -> u64 {
    critical_section::with(|token| {
        TIME.borrow_ref(token).as_ref().map_or(0, |(timer, _)| timer.get_counter().ticks())
    })
}

/// The board.
pub struct Pico {
    pins: Pins,
    clocks: ClocksManager,
    resets: pac::RESETS,
    adc: pac::ADC,
    i2c: pac::I2C0,
    uart: pac::UART0,
}

/// Starts clocks and time.
pub fn start() -> Pico {
    let Some(peripherals) = pac::Peripherals::take() else { halt() };
    let mut resets = peripherals.RESETS;
    let clocks = init_clocks_and_plls(
        CRYSTAL_HZ,
        peripherals.XOSC,
        peripherals.CLOCKS,
        peripherals.PLL_SYS,
        peripherals.PLL_USB,
        &mut resets,
        &mut Watchdog::new(peripherals.WATCHDOG),
    );
    let Ok(clocks) = clocks else {
        defmt::error!("the clocks do not start");
        halt()
    };
    #[cfg(rp2040)]
    let timer = peripherals.TIMER;
    #[cfg(not(rp2040))]
    let timer = peripherals.TIMER0;
    let mut timer = chip::timer(timer, &mut resets, &clocks);
    if let Some(mut alarm) = timer.alarm_0() {
        alarm.enable_interrupt();
        critical_section::with(|token| TIME.replace(token, Some((timer, alarm))));
        wake();
        chip::unmask(chip::ALARM_INTERRUPT);
    }
    let sio = Sio::new(peripherals.SIO);
    let pins = Pins::new(peripherals.IO_BANK0, peripherals.PADS_BANK0, sio.gpio_bank0, &mut resets);
    Pico {
        pins,
        clocks,
        resets,
        adc: peripherals.ADC,
        i2c: peripherals.I2C0,
        uart: peripherals.UART0,
    }
}

/// The body of the timer's interrupt: its being there is what wakes the application.
fn wake() {
    critical_section::with(|token| {
        if let Some((_, alarm)) = TIME.borrow_ref_mut(token).as_mut() {
            alarm.clear_interrupt();
            // It fails only for times that are past or more than an hour ahead.
            let _ = alarm.schedule(SLEEP);
        }
    });
}

type I2cPin<I> = Pin<I, FunctionI2C, PullUp>;

impl Board for Pico {
    type I2c = I2C<pac::I2C0, (I2cPin<bank0::Gpio4>, I2cPin<bank0::Gpio5>)>;
    type Serial = Receiver<u8>;

    fn i2c(mut self) -> Self::I2c {
        let (sda, scl) = (self.pins.gpio4.reconfigure(), self.pins.gpio5.reconfigure());
        let frequency = self.clocks.system_clock.freq();
        I2C::i2c0(self.i2c, sda, scl, 400.kHz(), &mut self.resets, frequency)
    }

    fn serial(mut self) -> Self::Serial {
        let pins = (self.pins.gpio0.into_function(), self.pins.gpio1.into_function());
        let frequency = self.clocks.peripheral_clock.freq();
        serial::start(self.uart, pins, frequency, &mut self.resets)
    }

    fn sleep() {
        hal::arch::wfi();
    }
}

impl Listening for Pico {
    type Microphone = Receiver<i16>;

    fn microphone(mut self) -> Self::Microphone {
        microphone::start(self.adc, self.pins.gpio26, &mut self.resets)
    }
}
