//! The ESP32-C3-DevKitM-1.
//!
//! | what | how | pins |
//! |---|---|---|
//! | microphone | I²S, left channel, DMA | BCLK GPIO4, WS GPIO5, data GPIO6 |
//! | motion sensor | I²C at 400 kHz | SDA GPIO7, SCL GPIO10 |
//! | serial line | UART1 at 115 200 baud | RX GPIO1 |
//!
//! The DMA's ring is the queue between microphone and application: nothing interrupts for sound.

#![no_std]

pub mod cycles;
mod image;
mod microphone;
mod serial;

use core::cell::RefCell;

use critical_section::Mutex;
use defmt::Debug2Format;
use esp_hal::i2c::master::{self as i2c, I2c};
use esp_hal::peripherals::Peripherals;
use esp_hal::time::{Duration, Instant, Rate};
use esp_hal::timer::PeriodicTimer;
use esp_hal::timer::timg::TimerGroup;
use esp_hal::{Blocking, Config, handler, interrupt};
use esp_println as _;
use fixie_session::{Board, Listening, MAX_SLEEP_MS, Receiver, halt};

use microphone::Microphone;

pub use esp_hal::main as entry;

esp_bootloader_esp_idf::esp_app_desc!();

defmt::timestamp!("{=u64:us}", Instant::now().duration_since_epoch().as_micros());

/// The board.
pub struct DevKit(Peripherals);

/// What wakes the application from time to time.
static TICK: Mutex<RefCell<Option<PeriodicTimer<'static, Blocking>>>> =
    Mutex::new(RefCell::new(None));

/// Starts clocks and time, and maps the image.
pub fn start() -> DevKit {
    let peripherals = esp_hal::init(Config::default());
    image::map();
    // SAFETY: the other one goes away unused: no application takes it out of the board.
    let timers = TimerGroup::new(unsafe { peripherals.TIMG0.clone_unchecked() });
    let mut timer = PeriodicTimer::new(timers.timer0);
    timer.set_interrupt_handler(tick);
    timer.listen();
    if let Err(error) = timer.start(Duration::from_millis(MAX_SLEEP_MS.into())) {
        stop("the timer", &error)
    }
    critical_section::with(|token| TICK.replace(token, Some(timer)));
    DevKit(peripherals)
}

#[handler]
fn tick() {
    critical_section::with(|token| {
        if let Some(timer) = TICK.borrow_ref_mut(token).as_mut() {
            timer.clear_interrupt();
        }
    });
}

/// Stops because something of the board does not start.
fn stop(what: &str, error: &impl core::fmt::Debug) -> ! {
    defmt::error!("{=str} does not start: {}", what, Debug2Format(error));
    halt()
}

impl Board for DevKit {
    type I2c = I2c<'static, Blocking>;
    type Serial = Receiver<u8>;

    fn i2c(self) -> Self::I2c {
        let config = i2c::Config::default().with_frequency(Rate::from_khz(400));
        match I2c::new(self.0.I2C0, config) {
            Ok(bus) => bus.with_sda(self.0.GPIO7).with_scl(self.0.GPIO10),
            Err(error) => stop("the bus", &error),
        }
    }

    fn serial(self) -> Self::Serial {
        serial::start(self.0)
    }

    fn sleep() {
        interrupt::wait_for_interrupt();
    }
}

impl Listening for DevKit {
    type Microphone = Microphone;

    fn microphone(self) -> Self::Microphone {
        Microphone::start(self.0)
    }
}
