//! The applications on boards with sensors.
//!
//! A board says by the trait [`Board`] what it has; the functions of this crate are the whole
//! program from there on, the same on every board:
//!
//! ```text
//! Listening::microphone ─▶ keyword ┐
//! Board::i2c ─ MPU-6050 ─▶ motion ├─ turn after turn ─▶ decisions, by defmt
//! Board::serial ─ Rows ─▶ camera ┘
//! ```
//!
//! The image lies in a region of flash of its own and the arena in the RAM that is left
//! ([`fixie_board::split`]); the firmware brings all operators, so that it runs whatever image is
//! put there, as long as its ports are those of the application.
//!
//! What goes wrong is logged: an application that cannot start, samples that are lost, a sensor that
//! does not answer, panics and faults.

#![no_std]

mod applications;
mod channel;
mod fault;
mod run;
mod serial;

use core::fmt;

use embedded_hal::i2c::I2c;
use fixie_sensors::SampleSource;

pub use applications::{camera, keyword, motion};
pub use channel::{Channel, Lost, Receiver, Sender};
pub use fault::halt;
pub use serial::Serial;

/// What the applications need of a board. Each takes the board whole, since each uses one sensor.
pub trait Board {
    /// The bus on which the motion sensor is.
    type I2c: I2c;
    /// What arrives on the serial line, at 115 200 baud.
    type Serial: SampleSource<Sample = u8, Error: fmt::Debug>;

    /// Starts the bus, at 100 or 400 kHz.
    fn i2c(self) -> Self::I2c;

    /// Starts the serial line.
    fn serial(self) -> Self::Serial;

    /// Sleeps until an interrupt has been, which is after [`MAX_SLEEP_MS`] at the latest.
    fn sleep();
}

/// A board that hears.
pub trait Listening: Board {
    /// A microphone: 16 000 samples a second (`keyword::SAMPLE_RATE_HZ` of the applications).
    type Microphone: SampleSource<Sample = i16, Error: fmt::Debug>;

    /// Starts the microphone.
    fn microphone(self) -> Self::Microphone;
}

/// The longest that a board sleeps: how often a sensor is asked which cannot interrupt.
pub const MAX_SLEEP_MS: u32 = 10;
