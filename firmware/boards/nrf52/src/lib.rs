//! The nRF52840 DK.
//!
//! | what | how | pins |
//! |---|---|---|
//! | microphone | PDM, mono, DMA | clock P0.30, data P0.31 |
//! | motion sensor | I²C at 400 kHz | SDA P0.26, SCL P0.27 |
//! | serial line | UART at 115 200 baud, the debugger's virtual port | RX P0.08, TX P0.06 |
//!
//! Sampling is a task of an executor that runs in an interrupt, so it preempts the application.

#![no_std]

#[path = "../../embassy.rs"]
mod embassy;

use defmt_rtt as _;
use embassy_executor::{InterruptExecutor, SendSpawner, task};
use embassy_nrf::buffered_uarte::{self, BufferedUarteRx};
use embassy_nrf::config::{Config, HfclkSource};
use embassy_nrf::interrupt::{InterruptExt, Priority};
use embassy_nrf::pdm::{self, Frequency, Pdm, Ratio, SamplerState};
use embassy_nrf::twim::{self, Twim};
use embassy_nrf::{Peripherals, bind_interrupts, interrupt, peripherals, uarte};
use embassy_time::Instant;
use fixie_session::{Board, Channel, Listening, Receiver, Sender, Serial};
use static_cell::ConstStaticCell;

use embassy::{spawn, tick};

pub use cortex_m_rt::entry;
pub use fixie_board::cycles;

defmt::timestamp!("{=u64:us}", Instant::now().as_micros());

bind_interrupts!(struct Interrupts {
    PDM => pdm::InterruptHandler<peripherals::PDM>;
    TWISPI0 => twim::InterruptHandler<peripherals::TWISPI0>;
    UARTE0 => buffered_uarte::InterruptHandler<peripherals::UARTE0>;
});

/// Samples that the DMA delivers at once: 10 ms.
const BLOCK: usize = 160;

/// The board.
pub struct Dk {
    peripherals: Peripherals,
    sampling: SendSpawner,
}

static SAMPLING: InterruptExecutor = InterruptExecutor::new();

#[interrupt]
unsafe fn EGU0_SWI0() {
    // SAFETY: this is the interrupt that `start` gives to the executor, and it is off until then.
    unsafe { SAMPLING.on_interrupt() }
}

/// Starts clocks, time and sampling.
pub fn start() -> Dk {
    let mut config = Config::default();
    // The internal oscillator is not accurate enough for sound.
    config.hfclk_source = HfclkSource::ExternalXtal;
    let peripherals = embassy_nrf::init(config);
    interrupt::EGU0_SWI0.set_priority(Priority::P6);
    let sampling = SAMPLING.start(interrupt::EGU0_SWI0);
    spawn(sampling, tick());
    Dk { peripherals, sampling }
}

impl Board for Dk {
    type I2c = Twim<'static>;
    type Serial = Serial<BufferedUarteRx<'static>>;

    fn i2c(self) -> Self::I2c {
        /// Writes are copied here: DMA does not read flash.
        static BUFFER: ConstStaticCell<[u8; 16]> = ConstStaticCell::new([0; 16]);
        let mut config = twim::Config::default();
        config.frequency = twim::Frequency::K400;
        let Peripherals { TWISPI0, P0_26, P0_27, .. } = self.peripherals;
        Twim::new(TWISPI0, Interrupts, P0_26, P0_27, config, BUFFER.take())
    }

    fn serial(self) -> Self::Serial {
        static BUFFER: ConstStaticCell<[u8; 1024]> = ConstStaticCell::new([0; 1024]);
        let Peripherals { UARTE0, TIMER1, PPI_CH0, PPI_CH1, PPI_GROUP0, P0_08, .. } =
            self.peripherals;
        Serial::new(BufferedUarteRx::new(
            UARTE0,
            TIMER1,
            PPI_CH0,
            PPI_CH1,
            PPI_GROUP0,
            Interrupts,
            P0_08,
            uarte::Config::default(), // 115 200 baud
            BUFFER.take(),
        ))
    }

    fn sleep() {
        cortex_m::asm::wfi();
    }
}

impl Listening for Dk {
    type Microphone = Receiver<i16>;

    fn microphone(self) -> Self::Microphone {
        static CHANNEL: ConstStaticCell<Channel<i16, 2048>> = ConstStaticCell::new(Channel::new());
        let (sender, receiver) = CHANNEL.take().split();
        // 1 280 000 / 80 = 16 000 samples a second.
        let (frequency, ratio) = (Frequency::_1280k, Ratio::Ratio80);
        let config = pdm::Config { frequency, ratio, ..pdm::Config::default() };
        let Peripherals { PDM, P0_30, P0_31, .. } = self.peripherals;
        let microphone = Pdm::new(PDM, Interrupts, P0_30, P0_31, config);
        spawn(self.sampling, listen(microphone, sender));
        receiver
    }
}

/// Passes the microphone's samples on.
#[task]
async fn listen(mut microphone: Pdm<'static>, mut sender: Sender<i16>) {
    let mut blocks = [[0; BLOCK]; 2];
    let pass_on = |block: &[i16; BLOCK]| {
        block.iter().for_each(|&sample| sender.send(sample));
        SamplerState::Sampled
    };
    if let Err(error) = microphone.run_task_sampler(&mut blocks, pass_on).await {
        defmt::error!("the microphone stops: {}", defmt::Debug2Format(&error));
    }
}
