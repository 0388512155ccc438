//! The serial line, whose FIFO interrupts.

use core::cell::RefCell;

use critical_section::Mutex;
use fixie_session::{Channel, Receiver, Sender, halt};
use static_cell::ConstStaticCell;

use crate::chip::hal::fugit::HertzU32;
use crate::chip::hal::gpio::bank0::{Gpio0, Gpio1};
use crate::chip::hal::gpio::{FunctionUart, Pin, PullDown};
#[cfg(target_arch = "arm")]
use crate::chip::hal::pac::interrupt;
use crate::chip::hal::uart::{Enabled, UartConfig, UartPeripheral};
use crate::chip::{self, hal::pac};

type UartPins = (Pin<Gpio0, FunctionUart, PullDown>, Pin<Gpio1, FunctionUart, PullDown>);
type Uart = UartPeripheral<Enabled, pac::UART0, UartPins>;

type Line = (Uart, Sender<u8>);

static LINE: Mutex<RefCell<Option<Line>>> = Mutex::new(RefCell::new(None));

/// Starts receiving, at 115 200 baud.
pub fn start(
    uart: pac::UART0,
    pins: UartPins,
    frequency: HertzU32,
    resets: &mut pac::RESETS,
) -> Receiver<u8> {
    static CHANNEL: ConstStaticCell<Channel<u8, 1024>> = ConstStaticCell::new(Channel::new());
    let (sender, receiver) = CHANNEL.take().split();
    let uart = UartPeripheral::new(uart, pins, resets);
    let Ok(mut uart) = uart.enable(UartConfig::default(), frequency) else {
        defmt::error!("the serial line does not start");
        halt()
    };
    uart.enable_rx_interrupt();
    critical_section::with(|token| LINE.replace(token, Some((uart, sender))));
    chip::unmask(pac::Interrupt::UART0_IRQ);
    receiver
}

#[cfg_attr(target_arch = "arm", interrupt)]
// SAFETY: no other item has the name, by which the HAL's dispatcher calls it.
#[cfg_attr(target_arch = "riscv32", unsafe(no_mangle))]
#[cfg_attr(target_arch = "riscv32", expect(non_snake_case, clippy::no_mangle_with_rust_abi))]
fn UART0_IRQ() {
    critical_section::with(|token| {
        if let Some((uart, sender)) = LINE.borrow_ref_mut(token).as_mut() {
            let mut bytes = [0; 32];
            // Damaged bytes are the receiver's affair: rows have a checksum.
            while let Ok(count) = uart.read_raw(&mut bytes) {
                bytes.iter().take(count).for_each(|&byte| sender.send(byte));
            }
        }
    });
}
