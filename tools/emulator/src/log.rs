//! What firmware logged with defmt, decoded with the strings of its ELF file. However the bytes came
//! here: semihosting's standard output, RTT, a serial line.

use std::fmt;

use defmt_decoder::{DecodeError, StreamDecoder, Table};
use defmt_parser::Level;

use crate::EmulatorError;

/// The strings of a firmware.
#[derive(Debug)]
pub struct Strings(Table);

/// Decodes a stream of one firmware.
pub struct Decoder<'t> {
    stream: Box<dyn StreamDecoder + Send + Sync + 't>,
}

/// A line of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// When it was logged, as the firmware tells the time; none if it does not.
    pub timestamp: Option<String>,
    /// `trace` to `error`; none for what was printed without a level.
    pub level: Option<&'static str>,
    /// What it says.
    pub message: String,
}

impl Strings {
    /// Reads the strings from an ELF file.
    ///
    /// # Errors
    ///
    /// [`EmulatorError::Malformed`] if the file has none, or of a version that cannot be read.
    pub fn of(elf: &[u8]) -> Result<Self, EmulatorError> {
        Self::find(elf)?.ok_or_else(|| malformed("it does not log with defmt".to_owned()))
    }

    /// Reads the strings from an ELF file, if it has any.
    ///
    /// # Errors
    ///
    /// [`EmulatorError::Malformed`] if they are of a version that cannot be read.
    pub fn find(elf: &[u8]) -> Result<Option<Self>, EmulatorError> {
        let table = Table::parse(elf).map_err(|error| malformed(format!("{error:#}")))?;
        Ok(table.map(Self))
    }

    /// Whether a record can be told from what is left of one that was cut off.
    pub fn can_recover(&self) -> bool {
        self.0.encoding().can_recover()
    }

    /// A decoder at the beginning of a stream.
    pub fn decoder(&self) -> Decoder<'_> {
        Decoder { stream: self.0.new_stream_decoder() }
    }
}

impl Decoder<'_> {
    /// Takes the next bytes of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        self.stream.received(bytes);
    }

    /// The next record that is complete; none until more bytes come.
    ///
    /// # Errors
    ///
    /// [`EmulatorError::Malformed`] for bytes that are no record of this firmware; what follows them
    /// may be readable again.
    pub fn next_record(&mut self) -> Result<Option<Record>, EmulatorError> {
        match self.stream.decode() {
            Ok(frame) => Ok(Some(Record {
                timestamp: frame.display_timestamp().map(|time| time.to_string()),
                level: frame.level().map(Level::as_str),
                message: frame.display_message().to_string(),
            })),
            Err(DecodeError::UnexpectedEof) => Ok(None),
            Err(DecodeError::Malformed) => Err(EmulatorError::Malformed {
                what: "the log",
                problem: "it does not belong to this firmware".to_owned(),
            }),
        }
    }
}

/// Decodes a whole log.
///
/// # Errors
///
/// As [`Strings::of`] and [`Decoder::next_record`].
pub fn decode(elf: &[u8], log: &[u8]) -> Result<Vec<Record>, EmulatorError> {
    let strings = Strings::of(elf)?;
    let mut decoder = strings.decoder();
    decoder.push(log);
    std::iter::from_fn(|| decoder.next_record().transpose()).collect()
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { timestamp, level, message } = self;
        let timestamp = timestamp.as_deref().unwrap_or_default();
        write!(f, "{timestamp:>12} {:<5} {message}", level.unwrap_or_default())
    }
}

fn malformed(problem: String) -> EmulatorError {
    EmulatorError::Malformed { what: "firmware", problem }
}
