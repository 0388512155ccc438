//! The debugger's end of GDB's remote serial protocol, as far as QEMU's stub needs it.
//!
//! `packet := '$' data '#' checksum`, with checksum the sum of the bytes of data in two hexadecimal
//! digits. While the machine runs the stub is silent; byte 3 halts it.

use std::fmt::Write as _;
use std::io::{self, BufReader, Read, Write};
use std::process::{ChildStdin, ChildStdout};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

/// The longest that the stub takes to answer, beside other work.
pub(super) const LIMIT: Duration = Duration::from_secs(30);
/// Half of the longest packet that the stub takes, less its head: bytes travel as two digits each.
const CHUNK: usize = 1024;

/// A connection to a stub.
#[derive(Debug)]
pub(super) struct Gdb {
    stdin: ChildStdin,
    packets: Receiver<String>,
}

impl Gdb {
    /// Takes over the streams of an emulator started with `-gdb stdio`.
    pub fn connect(stdin: ChildStdin, stdout: ChildStdout) -> io::Result<Self> {
        let (sender, packets) = channel();
        thread::spawn(move || {
            let mut stdout = BufReader::new(stdout);
            // Ends with the emulator, or with whoever wants its packets.
            while let Ok(packet) = read_packet(&mut stdout) {
                if sender.send(packet).is_err() {
                    break;
                }
            }
        });
        let mut gdb = Self { stdin, packets };
        // Registers are served one by one to those who know the machine's description.
        gdb.ask("qXfer:features:read:target.xml:0,ffb")?;
        Ok(gdb)
    }

    /// Sends a command and gives the answer.
    pub fn ask(&mut self, command: &str) -> io::Result<String> {
        self.send(command)?;
        self.answer(LIMIT)?.ok_or_else(|| io::Error::from(io::ErrorKind::TimedOut))
    }

    /// Sends a command that changes something.
    pub fn order(&mut self, command: &str) -> io::Result<()> {
        match self.ask(command)?.as_str() {
            "OK" => Ok(()),
            other => Err(io::Error::other(format!("`{command}` is answered with '{other}'"))),
        }
    }

    /// Sends a command without waiting for an answer.
    pub fn send(&mut self, command: &str) -> io::Result<()> {
        let sum = command.bytes().fold(0_u8, u8::wrapping_add);
        write!(self.stdin, "${command}#{sum:02x}")?;
        self.stdin.flush()
    }

    /// Asks the running machine to halt.
    pub fn interrupt(&mut self) -> io::Result<()> {
        self.stdin.write_all(&[3])?;
        self.stdin.flush()
    }

    /// The next packet; none if there is none in time.
    pub fn answer(&mut self, limit: Duration) -> io::Result<Option<String>> {
        match self.packets.recv_timeout(limit) {
            Ok(packet) => {
                // Until this is acknowledged, the stub takes nothing but a new command.
                self.stdin.write_all(b"+")?;
                self.stdin.flush()?;
                Ok(Some(packet))
            }
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => {
                Err(io::Error::new(io::ErrorKind::BrokenPipe, "the emulator has ended"))
            }
        }
    }

    /// Waits until the machine has halted.
    pub fn wait_for_halt(&mut self) -> io::Result<()> {
        while !is_halt(&self.answer(LIMIT)?.ok_or(io::ErrorKind::TimedOut)?) {}
        Ok(())
    }

    pub fn read(&mut self, address: u32, bytes: &mut [u8]) -> io::Result<()> {
        for (chunk, start) in bytes.chunks_mut(CHUNK).zip((address..).step_by(CHUNK)) {
            let answer = self.ask(&format!("m{start:x},{:x}", chunk.len()))?;
            let digits = answer.as_bytes().as_chunks::<2>().0;
            if digits.len() != chunk.len() {
                return Err(io::Error::other(format!("no memory at {start:#x}: '{answer}'")));
            }
            for (byte, digits) in chunk.iter_mut().zip(digits) {
                *byte = hex(digits)? as u8;
            }
        }
        Ok(())
    }

    pub fn write(&mut self, address: u32, bytes: &[u8]) -> io::Result<()> {
        for (chunk, start) in bytes.chunks(CHUNK).zip((address..).step_by(CHUNK)) {
            self.order(&format!("M{start:x},{:x}:{}", chunk.len(), digits(chunk)))?;
        }
        Ok(())
    }

    pub fn register(&mut self, number: u8) -> io::Result<u32> {
        let answer = self.ask(&format!("p{number:x}"))?;
        Ok((hex(answer.as_bytes())? as u32).swap_bytes())
    }

    pub fn set_register(&mut self, number: u8, value: u32) -> io::Result<()> {
        self.order(&format!("P{number:x}={:08x}", value.swap_bytes()))
    }

    /// Gives a command to the emulator's own monitor.
    pub fn monitor(&mut self, command: &str) -> io::Result<()> {
        self.order(&format!("qRcmd,{}", digits(command.as_bytes())))
    }
}

/// Whether a packet says that the machine has halted.
pub(super) fn is_halt(packet: &str) -> bool {
    packet.starts_with(['T', 'S'])
}

fn read_packet(stream: &mut impl Read) -> io::Result<String> {
    let mut byte = || -> io::Result<u8> {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        Ok(byte[0])
    };
    // Whatever lies between packets are acknowledgements.
    while byte()? != b'$' {}
    let mut data = Vec::new();
    loop {
        match byte()? {
            b'#' => break,
            other => data.push(other),
        }
    }
    // Pipes lose nothing: the checksum is not looked at.
    let _checksum = (byte()?, byte()?);
    Ok(String::from_utf8_lossy(&data).into_owned())
}

/// Two hexadecimal digits for each byte.
fn digits(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut digits, byte| {
        write!(digits, "{byte:02x}").expect("a string takes any text");
        digits
    })
}

fn hex(digits: &[u8]) -> io::Result<u64> {
    let text = str::from_utf8(digits).map_err(io::Error::other)?;
    u64::from_str_radix(text, 16)
        .map_err(|_| io::Error::other(format!("'{text}' is no hexadecimal number")))
}
