//! The LIS3DH by ST: an accelerometer of three axes with a FIFO of 32 samples.
//!
//! Registers by the data sheet 17530, high-resolution mode.

use embedded_hal_async::i2c::I2c;
use embedded_hal_async::spi::SpiDevice;

use crate::Error;
use crate::registers::{I2cRegisters, Registers, SpiRegisters, read_samples, set_up};

/// The I²C address with the pin SA0 low.
pub const ADDRESS: u8 = 0x18;
/// The I²C address with the pin SA0 high, or open.
pub const ADDRESS_SA0_HIGH: u8 = 0x19;

/// What `WHO_AM_I` holds.
const IDENTITY: u8 = 0x33;
/// Set in the register's number for reading several over I²C.
const I2C_BURST: u8 = 0x80;

mod register {
    pub const WHO_AM_I: u8 = 0x0F;
    /// Rate in bits 7 to 4; the axes in bits 2 to 0.
    pub const CTRL1: u8 = 0x20;
    /// Block data update in bit 7, range in bits 5 and 4, high resolution in bit 3.
    pub const CTRL4: u8 = 0x23;
    /// FIFO on in bit 6.
    pub const CTRL5: u8 = 0x24;
    /// First of the six bytes of a sample; with the FIFO on, the next sample follows the sixth.
    pub const OUT_X_L: u8 = 0x28;
    /// Mode in bits 7 and 6.
    pub const FIFO_CTRL: u8 = 0x2E;
    /// Full in bit 6, unread samples in bits 4 to 0.
    pub const FIFO_SRC: u8 = 0x2F;
}

const ALL_AXES: u8 = 0b111;
const BLOCK_UPDATE_HIGH_RESOLUTION: u8 = 0x88;
const FIFO_ON: u8 = 0x40;
const FIFO_BYPASS: u8 = 0x00;
/// Overwrites the oldest sample when it is full.
const FIFO_STREAM: u8 = 0x80;
const FIFO_FULL: u8 = 0x40;
const FIFO_UNREAD: u8 = 0x1F;

/// Samples a second, by the sensor's own clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it all")]
pub enum Rate {
    Hz1 = 1,
    Hz10 = 2,
    Hz25 = 3,
    Hz50 = 4,
    Hz100 = 5,
    Hz200 = 6,
    Hz400 = 7,
}

/// The largest acceleration that can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it all")]
pub enum Range {
    G2 = 0,
    G4 = 1,
    G8 = 2,
    G16 = 3,
}

impl Range {
    /// What a step of a sample is in m/s².
    ///
    /// The sensor measures in 12 bits, which lie at the upper end of a sample's 16.
    pub const fn step(self) -> f32 {
        let milli_g = match self {
            Self::G2 => 1.0,
            Self::G4 => 2.0,
            Self::G8 => 4.0,
            Self::G16 => 12.0,
        };
        milli_g * 9.806_65e-3 / 16.0
    }
}

/// How the sensor measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Samples a second.
    pub rate: Rate,
    /// The largest acceleration.
    pub range: Range,
}

/// 100 samples a second of up to ±4 g.
impl Default for Settings {
    fn default() -> Self {
        Self { rate: Rate::Hz100, range: Range::G4 }
    }
}

/// A LIS3DH that samples into its FIFO.
#[derive(Debug)]
pub struct Lis3dh<R> {
    registers: R,
}

impl<B: I2c> Lis3dh<I2cRegisters<B>> {
    /// Starts a sensor on an I²C bus.
    ///
    /// # Errors
    ///
    /// [`Error::Bus`], [`Error::WrongDevice`].
    pub async fn with_i2c(
        bus: B,
        address: u8,
        settings: Settings,
    ) -> Result<Self, Error<B::Error>> {
        Self::start(I2cRegisters::new(bus, address, I2C_BURST), settings).await
    }
}

impl<D: SpiDevice> Lis3dh<SpiRegisters<D>> {
    /// Starts a sensor on an SPI bus, of mode 0 or 3 and at most 10 MHz.
    ///
    /// # Errors
    ///
    /// [`Error::Bus`], [`Error::WrongDevice`].
    pub async fn with_spi(device: D, settings: Settings) -> Result<Self, Error<D::Error>> {
        Self::start(SpiRegisters::new(device), settings).await
    }
}

impl<R: Registers> Lis3dh<R> {
    async fn start(mut registers: R, settings: Settings) -> Result<Self, Error<R::Error>> {
        let Settings { rate, range } = settings;
        let settings = [
            (register::CTRL4, BLOCK_UPDATE_HIGH_RESOLUTION | (range as u8) << 4),
            (register::CTRL5, FIFO_ON),
            (register::FIFO_CTRL, FIFO_BYPASS), // empties it
            (register::FIFO_CTRL, FIFO_STREAM),
            (register::CTRL1, (rate as u8) << 4 | ALL_AXES),
        ];
        set_up(&mut registers, (register::WHO_AM_I, IDENTITY), &settings).await?;
        Ok(Self { registers })
    }

    /// Reads samples of x, y and z from the FIFO, oldest first: as many as are there and fit. A step
    /// is [`Range::step`]. Gives their number.
    ///
    /// # Errors
    ///
    /// [`Error::Bus`], and [`Error::Overrun`] as soon as the FIFO is full.
    pub async fn read(&mut self, samples: &mut [[i16; 3]]) -> Result<usize, Error<R::Error>> {
        let mut state = [0];
        self.registers.read(register::FIFO_SRC, &mut state).await?;
        let [state] = state;
        if state & FIFO_FULL != 0 {
            self.registers.write(register::FIFO_CTRL, FIFO_BYPASS).await?;
            self.registers.write(register::FIFO_CTRL, FIFO_STREAM).await?;
            return Err(Error::Overrun);
        }
        let unread = usize::from(state & FIFO_UNREAD);
        read_samples(&mut self.registers, register::OUT_X_L, unread, samples, i16::from_le).await
    }
}
