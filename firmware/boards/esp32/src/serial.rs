//! The serial line, whose FIFO interrupts.

use core::cell::RefCell;

use critical_section::Mutex;
use esp_hal::peripherals::Peripherals;
use esp_hal::uart::{Config, RxConfig, Uart, UartInterrupt};
use esp_hal::{Blocking, handler};
use fixie_session::{Channel, Receiver, Sender};
use static_cell::ConstStaticCell;

use crate::stop;

/// Bytes in the FIFO at which it interrupts; it holds 128.
const THRESHOLD: u16 = 32;

type Line = (Uart<'static, Blocking>, Sender<u8>);

static LINE: Mutex<RefCell<Option<Line>>> = Mutex::new(RefCell::new(None));

/// Starts receiving, at 115 200 baud.
pub fn start(peripherals: Peripherals) -> Receiver<u8> {
    static CHANNEL: ConstStaticCell<Channel<u8, 1024>> = ConstStaticCell::new(Channel::new());
    let (sender, receiver) = CHANNEL.take().split();
    let rx = RxConfig::default().with_fifo_full_threshold(THRESHOLD);
    let config = Config::default().with_baudrate(115_200).with_rx(rx);
    let mut uart = match Uart::new(peripherals.UART1, config) {
        Ok(uart) => uart.with_rx(peripherals.GPIO1),
        Err(error) => stop("the serial line", &error),
    };
    uart.set_interrupt_handler(receive);
    uart.listen(UartInterrupt::RxFifoFull | UartInterrupt::RxTimeout);
    critical_section::with(|token| LINE.replace(token, Some((uart, sender))));
    receiver
}

#[handler]
fn receive() {
    critical_section::with(|token| {
        if let Some((uart, sender)) = LINE.borrow_ref_mut(token).as_mut() {
            let mut bytes = [0; 32];
            // Damaged bytes are the receiver's affair: rows have a checksum.
            while let Ok(count @ 1..) = uart.read_buffered(&mut bytes) {
                bytes.iter().take(count).for_each(|&byte| sender.send(byte));
            }
            uart.clear_interrupts(UartInterrupt::RxFifoFull | UartInterrupt::RxTimeout);
        }
    });
}
