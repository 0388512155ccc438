//! The MPU-6050 by TDK: accelerometer and gyroscope of three axes each, with a FIFO of 85
//! samples.
//!
//! Registers by the register map RM-MPU-6000A, revision 4.2.

use embedded_hal_async::i2c::I2c;

use crate::Error;
use crate::registers::{I2cRegisters, Registers, read_samples, set_up};

/// The I²C address with the pin AD0 low.
pub const ADDRESS: u8 = 0x68;
/// The I²C address with the pin AD0 high.
pub const ADDRESS_AD0_HIGH: u8 = 0x69;

/// Values of a sample.
const AXES: usize = 6;
const SAMPLE_BYTES: usize = 2 * AXES;
/// What `WHO_AM_I` holds, whatever the address.
const IDENTITY: u8 = 0x68;
/// Samples a second before division, with the low-pass filter on.
const BASE_RATE_HZ: u16 = 1000;

mod register {
    /// Divides the sampling rate by one more than this.
    pub const SMPLRT_DIV: u8 = 0x19;
    /// Low-pass filter in bits 2 to 0.
    pub const CONFIG: u8 = 0x1A;
    /// Range in bits 4 and 3.
    pub const GYRO_CONFIG: u8 = 0x1B;
    /// Range in bits 4 and 3.
    pub const ACCEL_CONFIG: u8 = 0x1C;
    /// What goes to the FIFO.
    pub const FIFO_EN: u8 = 0x23;
    /// FIFO overflow in bit 4; reading clears it.
    pub const INT_STATUS: u8 = 0x3A;
    /// FIFO on in bit 6, emptied by bit 2.
    pub const USER_CTRL: u8 = 0x6A;
    /// Sleep in bit 6, clock in bits 2 to 0.
    pub const PWR_MGMT_1: u8 = 0x6B;
    /// Bytes in the FIFO, big-endian in two registers.
    pub const FIFO_COUNT_H: u8 = 0x72;
    /// The FIFO; does not count up while it is read.
    pub const FIFO_R_W: u8 = 0x74;
    pub const WHO_AM_I: u8 = 0x75;
}

/// Awake, clocked by the gyroscope of the x axis, as the register map recommends.
const AWAKE: u8 = 0x01;
/// Cuts off at 10 Hz.
const LOW_PASS: u8 = 5;
const ACCELERATION_AND_TURN: u8 = 0x78;
const FIFO_ON_AND_EMPTIED: u8 = 0x44;
const FIFO_OVERFLOW: u8 = 0x10;

/// The largest acceleration that can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it all")]
pub enum AccelerationRange {
    G2 = 0,
    G4 = 1,
    G8 = 2,
    G16 = 3,
}

/// The largest rate of turn that can be measured, in degrees a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it all")]
pub enum TurnRange {
    Degrees250 = 0,
    Degrees500 = 1,
    Degrees1000 = 2,
    Degrees2000 = 3,
}

/// How the sensor measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Samples a second, 4 to 1000; the nearest that divides 1000 Hz from above is taken.
    pub rate_hz: u16,
    /// The largest acceleration.
    pub acceleration: AccelerationRange,
    /// The largest rate of turn.
    pub turn: TurnRange,
}

/// 10 samples a second of up to ±8 g and ±2000 °/s.
impl Default for Settings {
    fn default() -> Self {
        Self { rate_hz: 10, acceleration: AccelerationRange::G8, turn: TurnRange::Degrees2000 }
    }
}

impl Settings {
    /// What a step of a sample is on each axis, in m/s² and rad/s.
    pub const fn steps(self) -> [f32; AXES] {
        let acceleration = 9.806_65 / 16384.0 * (1 << self.acceleration as u8) as f32;
        let turn = core::f32::consts::PI / 180.0 / 131.0 * (1 << self.turn as u8) as f32;
        [acceleration, acceleration, acceleration, turn, turn, turn]
    }

    const fn divider(self) -> u8 {
        let rate = if self.rate_hz == 0 { 1 } else { self.rate_hz };
        let divider = BASE_RATE_HZ / rate;
        if divider > 256 { 255 } else { divider.saturating_sub(1) as u8 }
    }
}

/// An MPU-6050 that samples into its FIFO.
#[derive(Debug)]
pub struct Mpu6050<R> {
    registers: R,
}

impl<B: I2c> Mpu6050<I2cRegisters<B>> {
    /// Wakes a sensor on an I²C bus. It answers 30 ms after it got power.
    ///
    /// # Errors
    ///
    /// [`Error::Bus`], [`Error::WrongDevice`].
    pub async fn new(bus: B, address: u8, settings: Settings) -> Result<Self, Error<B::Error>> {
        Self::start(I2cRegisters::new(bus, address, 0), settings).await
    }
}

impl<R: Registers> Mpu6050<R> {
    async fn start(mut registers: R, settings: Settings) -> Result<Self, Error<R::Error>> {
        let settings = [
            (register::PWR_MGMT_1, AWAKE),
            (register::CONFIG, LOW_PASS),
            (register::SMPLRT_DIV, settings.divider()),
            (register::GYRO_CONFIG, (settings.turn as u8) << 3),
            (register::ACCEL_CONFIG, (settings.acceleration as u8) << 3),
            (register::FIFO_EN, ACCELERATION_AND_TURN),
            (register::USER_CTRL, FIFO_ON_AND_EMPTIED),
        ];
        set_up(&mut registers, (register::WHO_AM_I, IDENTITY), &settings).await?;
        Ok(Self { registers })
    }

    /// Reads samples from the FIFO, oldest first: as many as are there and fit. A sample is the
    /// acceleration along x, y, z, then the rate of turn around them, in [`Settings::steps`]. Gives
    /// their number.
    ///
    /// # Errors
    ///
    /// [`Error::Bus`], [`Error::Overrun`].
    pub async fn read(&mut self, samples: &mut [[i16; AXES]]) -> Result<usize, Error<R::Error>> {
        let mut status = [0];
        self.registers.read(register::INT_STATUS, &mut status).await?;
        if status[0] & FIFO_OVERFLOW != 0 {
            // A sample may have been cut in two, so nothing in there can be trusted.
            self.registers.write(register::USER_CTRL, FIFO_ON_AND_EMPTIED).await?;
            return Err(Error::Overrun);
        }
        let mut len_bytes = [0; 2];
        self.registers.read(register::FIFO_COUNT_H, &mut len_bytes).await?;
        let unread = usize::from(u16::from_be_bytes(len_bytes)) / SAMPLE_BYTES;
        read_samples(&mut self.registers, register::FIFO_R_W, unread, samples, i16::from_be).await
    }
}
