//! Nucleo boards. The features say which one.
//!
//! | what | how | pins (Nucleo-64) | pins (Nucleo-144) |
//! |---|---|---|---|
//! | microphone | I²S2, left channel, DMA | CK PB13, WS PB12, SD PB15 | CK PB10, WS PB12, SD PB14 |
//! | motion sensor | I²C1 at 400 kHz | SCL PB8, SDA PB9 | the same |
//! | serial line | UART at 115 200 baud, the debugger's virtual port | PA3 of USART2 | PD9 of USART3 |
//!
//! Sampling is a task of an executor that runs in an interrupt, so it preempts the application.

#![no_std]

#[cfg_attr(feature = "nucleo-f411re", path = "f411.rs")]
#[cfg_attr(feature = "nucleo-f446re", path = "f446.rs")]
#[cfg_attr(feature = "nucleo-h743zi", path = "h743.rs")]
mod chip;
#[path = "../../embassy.rs"]
mod embassy;

use defmt_rtt as _;
use embassy_executor::{InterruptExecutor, SendSpawner, task};
use embassy_stm32::i2c::{self, I2c, Master};
use embassy_stm32::i2s::{self, I2S};
use embassy_stm32::interrupt::{InterruptExt, Priority};
use embassy_stm32::mode::Blocking;
use embassy_stm32::time::Hertz;
use embassy_stm32::usart::{self, BufferedUart};
use embassy_stm32::{Config, Peripherals};
use embassy_time::Instant;
use fixie_session::{Board, Channel, Listening, Receiver, Sender, Serial, halt};
use static_cell::ConstStaticCell;

use embassy::{spawn, tick};

pub use cortex_m_rt::entry;
pub use fixie_board::cycles;

defmt::timestamp!("{=u64:us}", Instant::now().as_micros());

/// Samples a second.
const SAMPLE_RATE: Hertz = Hertz(16_000);
/// Words of the microphone's DMA ring: 32 ms of both channels.
const RING: usize = 1024;
/// Words that are taken from it at once.
const BLOCK: usize = RING / 4;

/// The board.
pub struct Nucleo {
    peripherals: Peripherals,
    sampling: SendSpawner,
}

/// Starts clocks, time and sampling.
pub fn start() -> Nucleo {
    let mut config = Config::default();
    chip::set_clocks(&mut config.rcc);
    let peripherals = embassy_stm32::init(config);
    chip::set_up_core();
    let sampling = chip::SAMPLING;
    sampling.set_priority(Priority::P6);
    let sampling = EXECUTOR.start(sampling);
    spawn(sampling, tick());
    Nucleo { peripherals, sampling }
}

static EXECUTOR: InterruptExecutor = InterruptExecutor::new();

/// The body of the interrupt that samples.
fn sample() {
    // SAFETY: only the interrupt calls this that `start` gives to the executor, and it is off until
    // then.
    unsafe { EXECUTOR.on_interrupt() }
}

impl Board for Nucleo {
    type I2c = I2c<'static, Blocking, Master>;
    type Serial = Serial<BufferedUart<'static>>;

    fn i2c(self) -> Self::I2c {
        let mut config = i2c::Config::default();
        config.frequency = Hertz::khz(400);
        let Peripherals { I2C1, PB8, PB9, .. } = self.peripherals;
        I2c::new_blocking(I2C1, PB8, PB9, config)
    }

    fn serial(self) -> Self::Serial {
        static BUFFERS: ConstStaticCell<([u8; 16], [u8; 1024])> =
            ConstStaticCell::new(([0; 16], [0; 1024]));
        let (tx, rx) = BUFFERS.take();
        match chip::serial(self.peripherals, tx, rx, usart::Config::default()) {
            Ok(uart) => Serial::new(uart),
            Err(error) => {
                defmt::error!("the serial line: {}", defmt::Debug2Format(&error));
                halt()
            }
        }
    }

    fn sleep() {
        cortex_m::asm::wfi();
    }
}

impl Listening for Nucleo {
    type Microphone = Receiver<i16>;

    fn microphone(self) -> Self::Microphone {
        static CHANNEL: ConstStaticCell<Channel<i16, 2048>> = ConstStaticCell::new(Channel::new());
        static DMA: ConstStaticCell<[u16; RING]> = ConstStaticCell::new([0; RING]);
        let (sender, receiver) = CHANNEL.take().split();
        let mut config = i2s::Config::default();
        config.frequency = SAMPLE_RATE;
        // Of the microphone's 24 bits the upper 16.
        config.format = i2s::Format::Data16Channel32;
        config.master_clock = false;
        let microphone = chip::microphone(self.peripherals, DMA.take(), config);
        spawn(self.sampling, listen(microphone, sender));
        receiver
    }
}

/// Passes the left channel of the microphone on.
#[task]
async fn listen(mut microphone: I2S<'static, u16>, mut sender: Sender<i16>) {
    let mut block = [0; BLOCK];
    microphone.start();
    loop {
        match microphone.read(&mut block).await {
            Ok(()) => block.iter().step_by(2).for_each(|&sample| sender.send(sample as i16)),
            Err(error) => {
                defmt::warn!("the microphone starts anew: {}", defmt::Debug2Format(&error));
                microphone.clear();
            }
        }
    }
}
