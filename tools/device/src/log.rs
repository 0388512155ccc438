//! The log of running firmware: RTT channels, decoded from defmt frames or taken as text.

use std::time::Duration;

use fixie_emulator::log::{Decoder as Frames, Record, Strings};
use probe_rs::rtt::{Rtt, ScanRegion, try_attach_to_rtt};
use serde::Serialize;

use crate::DeviceError;
use crate::device::Device;
use crate::firmware::Firmware;

/// How long firmware may take from reset to its first log: an emulated core beside other work is slow.
const START_LIMIT: Duration = Duration::from_secs(10);

/// What is read at once, which is more than a channel usually holds.
const READ_BYTES: usize = 4096;

/// The name of the channel with defmt frames.
const DEFMT_CHANNEL: &str = "defmt";

/// The strings of which firmware's log consists: its frames carry only their numbers.
#[derive(Debug)]
pub struct LogTable(Option<Strings>);

impl LogTable {
    /// The table of an ELF file; without one, or without a file, logs are text.
    ///
    /// # Errors
    ///
    /// [`DeviceError::LogTable`], if it was made by another version of defmt, or with an encoding of
    /// frames in which a lost byte cannot be got over.
    pub fn of(firmware: Option<&Firmware>) -> Result<Self, DeviceError> {
        let find = |firmware: &Firmware| Strings::find(firmware.elf());
        let table = firmware.map(find).transpose();
        let table = table.map_err(|error| DeviceError::LogTable(error.to_string()))?.flatten();
        if table.as_ref().is_some_and(|table| !table.can_recover()) {
            let problem = "build the firmware without defmt's feature `encoding-raw`";
            return Err(DeviceError::LogTable(problem.to_owned()));
        }
        Ok(Self(table))
    }
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogLine {
    /// The channel's number.
    pub channel: usize,
    /// `info`, `warn` …; none for text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<&'static str>,
    /// The firmware's clock, as it shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<String>,
    /// The message.
    pub message: String,
}

/// The channels of running firmware.
pub struct Log<'t> {
    rtt: Rtt,
    decoders: Vec<Decoder<'t>>,
}

/// Makes lines of what a channel brings.
enum Decoder<'t> {
    Defmt(Frames<'t>),
    /// Bytes of a line that has no end yet.
    Text(Vec<u8>),
}

impl<'t> Log<'t> {
    /// Attaches to the channels of firmware that was just started.
    ///
    /// # Errors
    ///
    /// [`DeviceError::NoLog`], [`DeviceError::Disconnected`].
    pub fn attach(
        device: &mut Device,
        firmware: Option<&Firmware>,
        table: &'t LogTable,
    ) -> Result<Self, DeviceError> {
        let region = firmware.and_then(Firmware::rtt).map_or(ScanRegion::Ram, ScanRegion::Exact);
        let rtt = try_attach_to_rtt(&mut device.core()?, START_LIMIT, &region).map_err(
            DeviceError::while_doing("looking for the log", |_, source| DeviceError::NoLog {
                source,
            }),
        )?;
        let decoders = rtt.up_channels.iter().map(|channel| match &table.0 {
            Some(table) if channel.name() == Some(DEFMT_CHANNEL) => Decoder::Defmt(table.decoder()),
            _ => Decoder::Text(Vec::new()),
        });
        Ok(Self { decoders: decoders.collect(), rtt })
    }

    /// The messages since the last call. Does not wait for any.
    ///
    /// # Errors
    ///
    /// [`DeviceError::Access`], [`DeviceError::Disconnected`].
    pub fn read(&mut self, device: &mut Device) -> Result<Vec<LogLine>, DeviceError> {
        let mut core = device.core()?;
        let (mut lines, mut bytes) = (Vec::new(), [0; READ_BYTES]);
        for (channel, decoder) in self.rtt.up_channels.iter_mut().zip(&mut self.decoders) {
            let count = channel
                .read(&mut core, &mut bytes)
                .map_err(DeviceError::access("reading the log"))?;
            decoder.push(&bytes[..count], channel.number(), &mut lines);
        }
        Ok(lines)
    }
}

impl Decoder<'_> {
    fn push(&mut self, bytes: &[u8], channel: usize, lines: &mut Vec<LogLine>) {
        match self {
            Self::Defmt(decoder) => {
                decoder.push(bytes);
                frames(decoder, channel, lines);
            }
            Self::Text(line) => {
                for &byte in bytes {
                    if byte != b'\n' {
                        line.push(byte);
                        continue;
                    }
                    let message = String::from_utf8_lossy(line).trim_end().to_owned();
                    lines.push(LogLine { channel, level: None, timestamp: None, message });
                    line.clear();
                }
            }
        }
    }
}

/// The complete frames. One that was cut off, as when the firmware was faster than the probe, is
/// passed over: the encoding says where the next begins.
fn frames(decoder: &mut Frames<'_>, channel: usize, lines: &mut Vec<LogLine>) {
    loop {
        match decoder.next_record() {
            Ok(Some(Record { timestamp, level, message })) => {
                lines.push(LogLine { channel, level, timestamp, message });
            }
            Ok(None) => return,
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_comes_line_by_line() {
        let (mut decoder, mut lines) = (Decoder::Text(Vec::new()), Vec::new());
        for bytes in [&b"first\r\nsec"[..], b"", b"ond\n", b"thi"] {
            decoder.push(bytes, 2, &mut lines);
        }
        let messages: Vec<_> = lines.iter().map(|line| line.message.as_str()).collect();
        assert_eq!(messages, ["first", "second"]);
        assert!(lines.iter().all(|line| line.channel == 2));
    }
}
