//! A microphone on I²S.

use esp_hal::Blocking;
use esp_hal::dma::DmaRxStreamBuf;
use esp_hal::dma_rx_stream_buffer;
use esp_hal::i2s::master::{Channels, DataFormat, I2s, I2sRxDmaTransfer, TdmConfig};
use esp_hal::peripherals::Peripherals;
use esp_hal::time::Rate;
use fixie_sensors::SampleSource;

use crate::stop;

/// Bytes of both channels at one moment.
const FRAME: usize = 8;
/// Frames of the DMA's ring, 128 ms, and of a part of it, which it delivers at once.
const RING: usize = 2048;
const PART: usize = 128;
/// Frames that are copied at once.
const BLOCK: usize = 32;

type Transfer = I2sRxDmaTransfer<'static, Blocking, DmaRxStreamBuf>;

/// The left channel: of its 24 bits the upper 16.
pub struct Microphone(Option<Transfer>);

/// Why there are no samples.
#[derive(Debug)]
pub enum Error {
    /// The ring was full, so samples are lost.
    Overrun,
    /// The DMA does not start.
    Dma,
}

impl Microphone {
    /// Starts sampling.
    pub fn start(peripherals: Peripherals) -> Self {
        let config = TdmConfig::new_tdm_philips()
            .with_sample_rate(Rate::from_hz(16_000))
            .with_data_format(DataFormat::Data32Channel32)
            .with_channels(Channels::STEREO);
        let i2s = match I2s::new(peripherals.I2S0, peripherals.DMA_CH0, config) {
            Ok(i2s) => i2s,
            Err(error) => stop("the microphone", &error),
        };
        let receiver = i2s
            .i2s_rx
            .with_bclk(peripherals.GPIO4)
            .with_ws(peripherals.GPIO5)
            .with_din(peripherals.GPIO6)
            .build();
        match receiver.read(dma_rx_stream_buffer!(RING * FRAME, PART * FRAME)) {
            Ok(transfer) => Self(Some(transfer)),
            Err((error, ..)) => stop("the microphone", &error),
        }
    }
}

impl SampleSource for Microphone {
    type Sample = i16;
    type Error = Error;

    fn take(&mut self, samples: &mut [i16]) -> Result<usize, Error> {
        let transfer = self.0.as_mut().ok_or(Error::Dma)?;
        if transfer.is_done() {
            let (receiver, ring) = self.0.take().ok_or(Error::Dma)?.stop();
            self.0 = receiver.read(ring).ok();
            return Err(Error::Overrun);
        }
        let mut bytes = [0; BLOCK * FRAME];
        let frames = (transfer.available_bytes() / FRAME).min(samples.len()).min(BLOCK);
        let bytes = bytes.get_mut(..frames * FRAME).unwrap_or_default();
        let count = transfer.pop(bytes);
        let (frames, _) = bytes.get(..count).unwrap_or_default().as_chunks::<FRAME>();
        for (sample, &[_, _, low, high, ..]) in samples.iter_mut().zip(frames) {
            *sample = i16::from_le_bytes([low, high]);
        }
        Ok(frames.len())
    }
}
