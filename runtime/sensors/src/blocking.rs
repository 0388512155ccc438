//! The drivers for blocking buses.
//!
//! A blocking bus is an asynchronous one whose futures are ready when they are first polled. So the
//! drivers are the same, and here is only what makes them look so.

use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll, Waker};

use embedded_hal::{i2c, spi};

use crate::registers::{I2cRegisters, Registers, SpiRegisters};
use crate::{Error, SampleSource, lis3dh, mpu6050};

/// A blocking bus or device, as an asynchronous one that is always ready.
#[derive(Debug)]
pub struct Ready<B>(B);

/// A LIS3DH that samples into its FIFO.
#[derive(Debug)]
pub struct Lis3dh<R>(crate::Lis3dh<R>);

/// An MPU-6050 that samples into its FIFO.
#[derive(Debug)]
pub struct Mpu6050<R>(crate::Mpu6050<R>);

impl<B: i2c::I2c> Lis3dh<I2cRegisters<Ready<B>>> {
    /// As [`Lis3dh::with_i2c`](crate::Lis3dh::with_i2c).
    ///
    /// # Errors
    ///
    /// [`Error::Bus`], [`Error::WrongDevice`].
    pub fn with_i2c(
        bus: B,
        address: u8,
        settings: lis3dh::Settings,
    ) -> Result<Self, Error<B::Error>> {
        now(crate::Lis3dh::with_i2c(Ready(bus), address, settings)).map(Self)
    }
}

impl<D: spi::SpiDevice> Lis3dh<SpiRegisters<Ready<D>>> {
    /// As [`Lis3dh::with_spi`](crate::Lis3dh::with_spi).
    ///
    /// # Errors
    ///
    /// [`Error::Bus`], [`Error::WrongDevice`].
    pub fn with_spi(device: D, settings: lis3dh::Settings) -> Result<Self, Error<D::Error>> {
        now(crate::Lis3dh::with_spi(Ready(device), settings)).map(Self)
    }
}

impl<B: i2c::I2c> Mpu6050<I2cRegisters<Ready<B>>> {
    /// As [`Mpu6050::new`](crate::Mpu6050::new).
    ///
    /// # Errors
    ///
    /// [`Error::Bus`], [`Error::WrongDevice`].
    pub fn new(bus: B, address: u8, settings: mpu6050::Settings) -> Result<Self, Error<B::Error>> {
        now(crate::Mpu6050::new(Ready(bus), address, settings)).map(Self)
    }
}

impl<R: Registers> SampleSource for Lis3dh<R> {
    type Sample = [i16; 3];
    type Error = Error<R::Error>;

    fn take(&mut self, samples: &mut [[i16; 3]]) -> Result<usize, Self::Error> {
        now(self.0.read(samples))
    }
}

impl<R: Registers> SampleSource for Mpu6050<R> {
    type Sample = [i16; 6];
    type Error = Error<R::Error>;

    fn take(&mut self, samples: &mut [[i16; 6]]) -> Result<usize, Self::Error> {
        now(self.0.read(samples))
    }
}

impl<B: i2c::ErrorType> i2c::ErrorType for Ready<B> {
    type Error = B::Error;
}

impl<B: i2c::I2c> embedded_hal_async::i2c::I2c for Ready<B> {
    async fn transaction(
        &mut self,
        address: u8,
        operations: &mut [i2c::Operation<'_>],
    ) -> Result<(), B::Error> {
        self.0.transaction(address, operations)
    }

    // Buses do these more directly than as transactions.

    async fn read(&mut self, address: u8, bytes: &mut [u8]) -> Result<(), B::Error> {
        self.0.read(address, bytes)
    }

    async fn write(&mut self, address: u8, bytes: &[u8]) -> Result<(), B::Error> {
        self.0.write(address, bytes)
    }

    async fn write_read(
        &mut self,
        address: u8,
        written: &[u8],
        read: &mut [u8],
    ) -> Result<(), B::Error> {
        self.0.write_read(address, written, read)
    }
}

impl<D: spi::ErrorType> spi::ErrorType for Ready<D> {
    type Error = D::Error;
}

impl<D: spi::SpiDevice> embedded_hal_async::spi::SpiDevice for Ready<D> {
    async fn transaction(
        &mut self,
        operations: &mut [spi::Operation<'_, u8>],
    ) -> Result<(), D::Error> {
        self.0.transaction(operations)
    }
}

/// The output of a future that waits for nothing but [`Ready`] buses: the first poll has it.
fn now<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
}
