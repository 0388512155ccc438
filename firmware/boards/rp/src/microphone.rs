//! An analog microphone on the ADC, whose FIFO interrupts.

use core::cell::RefCell;

use critical_section::Mutex;
use defmt::Debug2Format;
use fixie_session::{Channel, Receiver, Sender, halt};
use static_cell::{ConstStaticCell, StaticCell};

use crate::chip::hal::adc::{Adc, AdcFifo, AdcPin};
use crate::chip::hal::gpio::bank0::Gpio26;
use crate::chip::hal::gpio::{FunctionNull, Pin, PullDown};
#[cfg(target_arch = "arm")]
use crate::chip::hal::pac::interrupt;
use crate::chip::{self, hal::pac};

/// The ADC takes a sample every 3000 cycles of its 48 MHz: 16 000 in a second.
const DIVIDER: u16 = 3000 - 1;
/// Samples in the FIFO at which it interrupts; it holds four on one chip and eight on the other.
const THRESHOLD: u8 = 2;

struct Microphone {
    fifo: AdcFifo<'static, u16>,
    level: Level,
    sender: Sender<i16>,
}

static MICROPHONE: Mutex<RefCell<Option<Microphone>>> = Mutex::new(RefCell::new(None));

/// Starts sampling.
pub fn start(
    adc: pac::ADC,
    pin: Pin<Gpio26, FunctionNull, PullDown>,
    resets: &mut pac::RESETS,
) -> Receiver<i16> {
    static CHANNEL: ConstStaticCell<Channel<i16, 2048>> = ConstStaticCell::new(Channel::new());
    static ADC: StaticCell<Adc> = StaticCell::new();
    let (sender, receiver) = CHANNEL.take().split();
    let adc = ADC.init(Adc::new(adc, resets));
    let mut pin = match AdcPin::new(pin.into_floating_input()) {
        Ok(pin) => pin,
        Err(error) => {
            defmt::error!("the microphone's pin: {}", Debug2Format(&error));
            halt()
        }
    };
    let fifo = adc
        .build_fifo()
        .clock_divider(DIVIDER, 0)
        .set_channel(&mut pin)
        .enable_interrupt(THRESHOLD)
        .start();
    let microphone = Microphone { fifo, level: Level::default(), sender };
    critical_section::with(|token| MICROPHONE.replace(token, Some(microphone)));
    chip::unmask(pac::Interrupt::ADC_IRQ_FIFO);
    receiver
}

#[cfg_attr(target_arch = "arm", interrupt)]
// SAFETY: no other item has the name, by which the HAL's dispatcher calls it.
#[cfg_attr(target_arch = "riscv32", unsafe(no_mangle))]
#[cfg_attr(target_arch = "riscv32", expect(non_snake_case, clippy::no_mangle_with_rust_abi))]
fn ADC_IRQ_FIFO() {
    critical_section::with(|token| {
        if let Some(Microphone { fifo, level, sender }) = MICROPHONE.borrow_ref_mut(token).as_mut()
        {
            while fifo.len() > 0 {
                // A conversion that failed is silence, so that time goes on.
                sender.send(fifo.read().map_or(0, |reading| level.remove(reading)));
            }
        }
    });
}

/// The level around which the microphone's signal swings: half its supply, more or less.
#[derive(Default)]
struct Level {
    /// In 2⁻¹⁶ of the ADC's steps; it follows the signal with a time constant of 4096 samples.
    average: i32,
}

impl Level {
    /// The deviation of a reading of 12 bits, in 16 bits.
    fn remove(&mut self, reading: u16) -> i16 {
        let reading = i32::from(reading & 0xFFF);
        self.average += ((reading << 16) - self.average) >> 12;
        let deviation = (reading - (self.average >> 16)) << 4;
        deviation.clamp(i16::MIN.into(), i16::MAX.into()) as i16
    }
}
