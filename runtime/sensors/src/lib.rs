//! Where samples come from: drivers of accelerometers with a FIFO, and the trait by which an
//! application takes samples, whatever the sensor.
//!
//! | sensor | measures | bus |
//! |---|---|---|
//! | [`Lis3dh`] | acceleration, 3 × 12 bits | I²C, SPI |
//! | [`Mpu6050`] | acceleration and rate of turn, 6 × 16 bits | I²C |
//!
//! A driver is written once, over the traits of embedded-hal-async. For a blocking bus there is
//! [`blocking`], where the same drivers have the same methods without `async`. Both let the sensor
//! sample by its own clock into its FIFO, and read all that is in there in one burst.
//!
//! ```
//! # use embedded_hal_mock::eh1::i2c::{Mock, Transaction};
//! use fixie_sensors::{SampleSource, blocking, mpu6050};
//!
//! # fn application(_: &[[i16; 6]]) {}
//! # let mut i2c = Mock::new(&mpu6050_transactions());
//! # fn mpu6050_transactions() -> Vec<Transaction> {
//! #     let write = |register, value| Transaction::write(0x68, vec![register, value]);
//! #     vec![
//! #         Transaction::write_read(0x68, vec![0x75], vec![0x68]), write(0x6B, 1), write(0x1A, 5),
//! #         write(0x19, 99), write(0x1B, 0x18), write(0x1C, 0x10), write(0x23, 0x78),
//! #         write(0x6A, 0x44),
//! #         Transaction::write_read(0x68, vec![0x3A], vec![0]),
//! #         Transaction::write_read(0x68, vec![0x72], vec![0, 0]),
//! #     ]
//! # }
//! // Ten samples a second, up to ±8 g and ±2000 °/s.
//! let mut sensor = blocking::Mpu6050::new(&mut i2c, mpu6050::ADDRESS, mpu6050::Settings::default())?;
//! let mut samples = [[0; 6]; 16];
//! let count = sensor.take(&mut samples)?;
//! application(&samples[..count]);
//! # i2c.done();
//! # Ok::<(), fixie_sensors::Error<embedded_hal::i2c::ErrorKind>>(())
//! ```
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

pub mod blocking;
mod error;
pub mod lis3dh;
pub mod mpu6050;
mod registers;
pub mod rows;
mod source;

pub use error::Error;
pub use lis3dh::Lis3dh;
pub use mpu6050::Mpu6050;
pub use registers::{I2cRegisters, Registers, SpiRegisters};
pub use rows::Rows;
pub use source::SampleSource;
