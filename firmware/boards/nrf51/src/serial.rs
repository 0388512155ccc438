//! The serial line, whose receiver interrupts for each byte.

use core::cell::RefCell;

use critical_section::Mutex;
use fixie_sensors::SampleSource;
use fixie_session::{Channel, Lost, Receiver, Sender};
use nrf51_hal::pac::{Interrupt, NVIC, UART0, interrupt};
use nrf51_hal::uart::{Baudrate, Parity, Pins, Uart};
use static_cell::ConstStaticCell;

static LINE: Mutex<RefCell<Option<Sender<u8>>>> = Mutex::new(RefCell::new(None));

/// What arrives on the line.
///
/// Bytes that the queue has no room for wait in the receiver, which holds six; those that find it
/// full are lost.
pub struct Line(Receiver<u8>);

/// Starts receiving, at 115 200 baud.
pub fn start(uart: UART0, pins: Pins) -> Line {
    static CHANNEL: ConstStaticCell<Channel<u8, 256>> = ConstStaticCell::new(Channel::new());
    let (sender, receiver) = CHANNEL.take().split();
    critical_section::with(|token| LINE.replace(token, Some(sender)));
    // Sets the receiver up and starts it; from here on it is the interrupt's.
    let _ = Uart::new(uart, pins, Parity::EXCLUDED, Baudrate::BAUD115200);
    // SAFETY: no critical section is made of masks.
    unsafe { NVIC::unmask(Interrupt::UART0) }
    Line(receiver)
}

impl SampleSource for Line {
    type Sample = u8;
    type Error = Lost;

    fn take(&mut self, bytes: &mut [u8]) -> Result<usize, Lost> {
        let taken = self.0.take(bytes);
        // There is room again.
        uart().intenset.write(|w| w.rxdrdy().set().error().set());
        taken
    }
}

/// Its registers.
fn uart() -> &'static nrf51_hal::pac::uart0::RegisterBlock {
    // SAFETY: it is always there. After `start` the interrupt alone reads from it, and enabling the
    // interrupt is one access.
    unsafe { &*UART0::ptr() }
}

#[interrupt]
fn UART0() {
    critical_section::with(|token| {
        let mut line = LINE.borrow_ref_mut(token);
        let (Some(sender), uart) = (line.as_mut(), uart()) else { return };
        while uart.events_rxdrdy.read().bits() != 0 {
            if !sender.has_room() {
                uart.intenclr.write(|w| w.rxdrdy().clear());
                break;
            }
            // In this order: reading brings the next byte, and its event.
            uart.events_rxdrdy.reset();
            sender.send(uart.rxd.read().rxd().bits());
        }
        if uart.events_error.read().bits() != 0 {
            uart.events_error.reset();
            let errors = uart.errorsrc.read();
            if errors.overrun().is_present() {
                sender.lose();
            }
            // Written back, what was read is cleared. Damaged bytes are for whoever checks the rows.
            // SAFETY: it was read from there.
            uart.errorsrc.write(|w| unsafe { w.bits(errors.bits()) });
        }
    });
}
