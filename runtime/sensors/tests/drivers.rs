//! The drivers against the transactions that the data sheets ask for, by either door.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use embedded_hal::i2c::ErrorKind;
use embedded_hal_mock::eh1::i2c::{self, Transaction as I2c};
use embedded_hal_mock::eh1::spi::{self, Transaction as Spi};
use fixie_sensors::{Error, Lis3dh, Mpu6050, SampleSource, blocking, lis3dh, mpu6050};

/// Runs a future of a mock bus, which is ready at once.
fn run<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("a mock bus does not wait"),
    }
}

/// Two samples of x, y, z as the LIS3DH stores them, and what they are.
const LITTLE: [u8; 12] = [0x40, 0x01, 0xC0, 0xFE, 0x00, 0x80, 0xF0, 0x7F, 0, 0, 0x10, 0];
const ACCELERATIONS: [[i16; 3]; 2] = [[0x0140, -0x0140, i16::MIN], [0x7FF0, 0, 0x10]];

mod lis3dh_i2c {
    use super::*;

    const ADDRESS: u8 = lis3dh::ADDRESS;
    const SETTINGS: lis3dh::Settings =
        lis3dh::Settings { rate: lis3dh::Rate::Hz50, range: lis3dh::Range::G8 };

    fn identity(value: u8) -> I2c {
        I2c::write_read(ADDRESS, vec![0x0F], vec![value])
    }

    fn start() -> Vec<I2c> {
        let writes = [(0x23, 0xA8), (0x24, 0x40), (0x2E, 0x00), (0x2E, 0x80), (0x20, 0x47)];
        let writes = writes.map(|(register, value)| I2c::write(ADDRESS, vec![register, value]));
        [identity(0x33)].into_iter().chain(writes).collect()
    }

    fn fifo(state: u8) -> I2c {
        I2c::write_read(ADDRESS, vec![0x2F], vec![state])
    }

    fn burst(bytes: &[u8]) -> I2c {
        I2c::write_read(ADDRESS, vec![0x28 | 0x80], bytes.to_vec())
    }

    /// Starts a driver by the blocking door, and gives it to `check` with the expected transactions.
    fn blocking(
        transactions: &[I2c],
        check: impl FnOnce(&mut dyn SampleSource<Sample = [i16; 3], Error = Error<ErrorKind>>),
    ) {
        let mut bus = i2c::Mock::new(start().iter().chain(transactions));
        check(&mut blocking::Lis3dh::with_i2c(&mut bus, ADDRESS, SETTINGS).unwrap());
        bus.done();
    }

    #[test]
    fn reads_what_the_fifo_holds_in_one_burst() {
        blocking(&[fifo(2), burst(&LITTLE), fifo(0x20)], |sensor| {
            let mut samples = [[9; 3]; 4];
            assert_eq!(sensor.take(&mut samples), Ok(2));
            assert_eq!(samples, [ACCELERATIONS[0], ACCELERATIONS[1], [9; 3], [9; 3]]);
            assert_eq!(sensor.take(&mut samples), Ok(0)); // empty
        });
    }

    #[test]
    fn leaves_in_the_fifo_what_does_not_fit() {
        blocking(&[fifo(31), burst(&LITTLE[..6]), fifo(31)], |sensor| {
            let mut samples = [[0; 3]; 1];
            assert_eq!(sensor.take(&mut samples), Ok(1));
            assert_eq!(samples, ACCELERATIONS[..1]);
            assert_eq!(sensor.take(&mut []), Ok(0));
        });
    }

    #[test]
    fn empties_a_full_fifo_and_says_so() {
        let restart = [(0x2E, 0x00), (0x2E, 0x80)];
        let restart = restart.map(|(register, value)| I2c::write(ADDRESS, vec![register, value]));
        let mut transactions = vec![fifo(0xDF)];
        transactions.extend(restart);
        transactions.extend([fifo(1), burst(&LITTLE[..6])]);
        blocking(&transactions, |sensor| {
            let mut samples = [[0; 3]; 32];
            assert_eq!(sensor.take(&mut samples), Err(Error::Overrun));
            assert_eq!(sensor.take(&mut samples), Ok(1));
        });
    }

    #[test]
    fn a_wrong_device_is_named() {
        let mut bus = i2c::Mock::new(&[identity(0x44)]);
        let error = blocking::Lis3dh::with_i2c(&mut bus, ADDRESS, SETTINGS).unwrap_err();
        assert_eq!(error, Error::WrongDevice { expected: 0x33, found: 0x44 });
        assert!(error.to_string().contains("0x44"), "{error}");
        bus.done();
    }

    #[test]
    fn a_bus_that_fails_is_reported() {
        let nack = ErrorKind::NoAcknowledge(embedded_hal::i2c::NoAcknowledgeSource::Address);
        let mut bus = i2c::Mock::new(&[identity(0).with_error(nack)]);
        let error = blocking::Lis3dh::with_i2c(&mut bus, ADDRESS, SETTINGS).unwrap_err();
        assert_eq!(error, Error::Bus(nack));
        bus.done();
        let fails = vec![fifo(1), burst(&LITTLE[..6]).with_error(ErrorKind::Bus)];
        blocking(&fails, |sensor| {
            assert_eq!(sensor.take(&mut [[0; 3]; 1]), Err(Error::Bus(ErrorKind::Bus)));
        });
    }

    #[test]
    fn the_asynchronous_door_does_the_same() {
        let transactions = [start(), vec![fifo(2), burst(&LITTLE)]].concat();
        let mut bus = i2c::Mock::new(&transactions);
        let mut sensor = run(Lis3dh::with_i2c(&mut bus, ADDRESS, SETTINGS)).unwrap();
        let mut samples = [[0; 3]; 2];
        assert_eq!(run(sensor.read(&mut samples)), Ok(2));
        assert_eq!(samples, ACCELERATIONS);
        bus.done();
    }
}

mod lis3dh_spi {
    use super::*;

    fn transaction(operations: impl IntoIterator<Item = Spi<u8>>) -> Vec<Spi<u8>> {
        let inside = operations.into_iter();
        [Spi::transaction_start()]
            .into_iter()
            .chain(inside)
            .chain([Spi::transaction_end()])
            .collect()
    }

    fn read(command: u8, values: &[u8]) -> Vec<Spi<u8>> {
        transaction([Spi::write_vec(vec![command]), Spi::read_vec(values.to_vec())])
    }

    fn expectations() -> Vec<Spi<u8>> {
        let writes = [(0x23, 0x98), (0x24, 0x40), (0x2E, 0x00), (0x2E, 0x80), (0x20, 0x57)];
        let writes =
            writes.map(|(register, value)| transaction([Spi::write_vec(vec![register, value])]));
        // Bit 7 says read, bit 6 several.
        let fifo = [read(0xAF, &[2]), read(0xE8, &LITTLE)];
        [read(0x8F, &[0x33])].into_iter().chain(writes).chain(fifo).flatten().collect()
    }

    #[test]
    fn both_doors_do_the_same() {
        let mut samples = [[0; 3]; 2];
        let mut device = spi::Mock::new(&expectations());
        let mut sensor =
            blocking::Lis3dh::with_spi(&mut device, lis3dh::Settings::default()).unwrap();
        assert_eq!(sensor.take(&mut samples), Ok(2));
        assert_eq!(samples, ACCELERATIONS);
        device.done();

        let mut samples = [[0; 3]; 2];
        let mut device = spi::Mock::new(&expectations());
        let settings = lis3dh::Settings::default();
        let mut sensor = run(Lis3dh::with_spi(&mut device, settings)).unwrap();
        assert_eq!(run(sensor.read(&mut samples)), Ok(2));
        assert_eq!(samples, ACCELERATIONS);
        device.done();
    }
}

mod mpu6050_i2c {
    use super::*;

    const ADDRESS: u8 = mpu6050::ADDRESS_AD0_HIGH;
    const BIG: [u8; 12] = [0x01, 0x40, 0xFE, 0xC0, 0x80, 0x00, 0x7F, 0xFF, 0, 0, 0xFF, 0xFF];
    const SAMPLE: [i16; 6] = [0x0140, -0x0140, i16::MIN, i16::MAX, 0, -1];

    fn write(register: u8, value: u8) -> I2c {
        I2c::write(ADDRESS, vec![register, value])
    }

    fn read(register: u8, values: &[u8]) -> I2c {
        I2c::write_read(ADDRESS, vec![register], values.to_vec())
    }

    fn start(divider: u8) -> Vec<I2c> {
        let settings = [
            (0x6B, 0x01),
            (0x1A, 5),
            (0x19, divider),
            (0x1B, 0x18),
            (0x1C, 0x10),
            (0x23, 0x78),
            (0x6A, 0x44),
        ];
        let settings = settings.map(|(register, value)| write(register, value));
        [read(0x75, &[0x68])].into_iter().chain(settings).collect()
    }

    #[test]
    fn both_doors_read_whole_samples() {
        // A sample and a half are there.
        let fifo = vec![read(0x3A, &[0x01]), read(0x72, &[0, 18]), read(0x74, &BIG)];
        let transactions = [start(99), fifo].concat();
        let settings = mpu6050::Settings::default();

        let mut bus = i2c::Mock::new(&transactions);
        let mut sensor = blocking::Mpu6050::new(&mut bus, ADDRESS, settings).unwrap();
        let mut samples = [[0; 6]; 3];
        assert_eq!(sensor.take(&mut samples), Ok(1));
        assert_eq!(samples, [SAMPLE, [0; 6], [0; 6]]);
        bus.done();

        let mut bus = i2c::Mock::new(&transactions);
        let mut sensor = run(Mpu6050::new(&mut bus, ADDRESS, settings)).unwrap();
        let mut samples = [[0; 6]; 3];
        assert_eq!(run(sensor.read(&mut samples)), Ok(1));
        assert_eq!(samples[0], SAMPLE);
        bus.done();
    }

    #[test]
    fn an_overrun_empties_the_fifo() {
        let fifo =
            vec![read(0x3A, &[0x10]), write(0x6A, 0x44), read(0x3A, &[0]), read(0x72, &[0, 0])];
        let mut bus = i2c::Mock::new(&[start(99), fifo].concat());
        let settings = mpu6050::Settings::default();
        let mut sensor = blocking::Mpu6050::new(&mut bus, ADDRESS, settings).unwrap();
        assert_eq!(sensor.take(&mut [[0; 6]; 3]), Err(Error::Overrun));
        assert_eq!(sensor.take(&mut [[0; 6]; 3]), Ok(0));
        bus.done();
    }

    #[test]
    fn the_rate_is_divided_from_1000_hz() {
        for (rate_hz, divider) in [(1000, 0), (500, 1), (4, 249), (0, 255), (u16::MAX, 0)] {
            let settings = mpu6050::Settings { rate_hz, ..Default::default() };
            let mut bus = i2c::Mock::new(&start(divider));
            blocking::Mpu6050::new(&mut bus, ADDRESS, settings).unwrap();
            bus.done();
        }
    }

    #[test]
    fn a_wrong_device_is_named() {
        let mut bus = i2c::Mock::new(&[read(0x75, &[0x71])]);
        let error =
            blocking::Mpu6050::new(&mut bus, ADDRESS, mpu6050::Settings::default()).unwrap_err();
        assert_eq!(error, Error::WrongDevice { expected: 0x68, found: 0x71 });
        bus.done();
    }
}

#[test]
fn steps_are_those_of_the_data_sheets() {
    // At rest 1 g is 1000 steps of 1 mg, 16 raw steps each.
    let gravity = f32::from(16_000_i16) * lis3dh::Range::G2.step();
    assert!((gravity - 9.806_65).abs() < 1e-4, "{gravity}");
    // The data sheet has 2048 steps of 1 g at ±16 g, and 16.4 (16.375, rounded) of 1 °/s at ±2000.
    let settings = mpu6050::Settings {
        acceleration: mpu6050::AccelerationRange::G16,
        ..mpu6050::Settings::default()
    };
    let [x, _, _, turn, ..] = settings.steps();
    assert!((x * 2048.0 - 9.806_65).abs() < 1e-4, "{x}");
    assert!((turn.to_degrees() * 16.375 - 1.0).abs() < 1e-4, "{turn}");
}
