//! The registers of a device, behind whichever bus.

use core::future::Future;

use embedded_hal_async::i2c::I2c;
use embedded_hal_async::spi::{Operation, SpiDevice};

use crate::Error;

/// The registers of a device, 8 bits each, which count up while they are read.
pub trait Registers {
    /// The bus's error.
    type Error;

    /// Reads registers from `first` on.
    ///
    /// # Errors
    ///
    /// The bus's.
    fn read(
        &mut self,
        first: u8,
        values: &mut [u8],
    ) -> impl Future<Output = Result<(), Self::Error>>;

    /// Writes one register.
    ///
    /// # Errors
    ///
    /// The bus's.
    fn write(&mut self, register: u8, value: u8) -> impl Future<Output = Result<(), Self::Error>>;
}

/// Makes sure that the register of a device's identity holds what it should, then writes the rest.
pub(crate) async fn set_up<R: Registers>(
    registers: &mut R,
    (register, expected): (u8, u8),
    settings: &[(u8, u8)],
) -> Result<(), Error<R::Error>> {
    let mut found = [0];
    registers.read(register, &mut found).await?;
    let [found] = found;
    if found != expected {
        return Err(Error::WrongDevice { expected, found });
    }
    for &(register, value) in settings {
        registers.write(register, value).await?;
    }
    Ok(())
}

/// Reads up to `unread` samples of `AXES` values from a FIFO; `native` undoes its byte order. Gives
/// their number.
pub(crate) async fn read_samples<R: Registers, const AXES: usize>(
    registers: &mut R,
    fifo: u8,
    unread: usize,
    samples: &mut [[i16; AXES]],
    native: fn(i16) -> i16,
) -> Result<usize, Error<R::Error>> {
    let count = unread.min(samples.len());
    let Some(samples) = samples.get_mut(..count).filter(|samples| !samples.is_empty()) else {
        return Ok(0);
    };
    let values = samples.as_flattened_mut();
    registers.read(fifo, bytemuck::cast_slice_mut(values)).await?;
    values.iter_mut().for_each(|value| *value = native(*value));
    Ok(count)
}

/// Registers behind I²C: the register's number is written, then values are read or written.
#[derive(Debug)]
pub struct I2cRegisters<B> {
    bus: B,
    address: u8,
    /// Set in the register's number when several are read.
    burst: u8,
}

impl<B> I2cRegisters<B> {
    /// For a device at a 7-bit address; `burst` is set in the number when several are read.
    pub(crate) const fn new(bus: B, address: u8, burst: u8) -> Self {
        Self { bus, address, burst }
    }
}

impl<B: I2c> Registers for I2cRegisters<B> {
    type Error = B::Error;

    async fn read(&mut self, first: u8, values: &mut [u8]) -> Result<(), B::Error> {
        let burst = if values.len() > 1 { self.burst } else { 0 };
        self.bus.write_read(self.address, &[first | burst], values).await
    }

    async fn write(&mut self, register: u8, value: u8) -> Result<(), B::Error> {
        self.bus.write(self.address, &[register, value]).await
    }
}

/// Registers behind SPI, in the way of ST's sensors: bit 7 of the number says that it is read, bit 6
/// that several are.
#[derive(Debug)]
pub struct SpiRegisters<D> {
    device: D,
}

impl<D> SpiRegisters<D> {
    const READ: u8 = 0x80;
    const BURST: u8 = 0x40;

    pub(crate) const fn new(device: D) -> Self {
        Self { device }
    }
}

impl<D: SpiDevice> Registers for SpiRegisters<D> {
    type Error = D::Error;

    async fn read(&mut self, first: u8, values: &mut [u8]) -> Result<(), D::Error> {
        let burst = if values.len() > 1 { Self::BURST } else { 0 };
        let command = [first | Self::READ | burst];
        self.device.transaction(&mut [Operation::Write(&command), Operation::Read(values)]).await
    }

    async fn write(&mut self, register: u8, value: u8) -> Result<(), D::Error> {
        self.device.write(&[register, value]).await
    }
}
