//! What can go wrong between the computer and the chip, and what to do about it.

use std::error::Error;
use std::fmt;
use std::io;

use fixie_emulator::EmulatorError;
use fixie_format::ImageError;
use probe_rs::architecture::arm::{ArmError, DapError};
use probe_rs::probe::DebugProbeError;

/// An error of probe-rs, as the reason of one of ours.
pub type Reason = Box<dyn Error + Send + Sync>;

/// A memory that something does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Memory {
    /// The chip's flash.
    Flash,
    /// The part of flash that the board's firmware reads the image from.
    ImageRegion,
    /// The chip's RAM.
    Ram,
    /// The part of RAM that the firmware left to the arena.
    Arena,
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Flash => "flash",
            Self::ImageRegion => "the flash region of the image",
            Self::Ram => "RAM",
            Self::Arena => "the RAM that the firmware leaves to the arena",
        })
    }
}

/// Why something on a board could not be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// No debug probe is connected.
    #[error("no debug probe is connected")]
    NoProbe,
    /// None of the connected probes is the one asked for.
    #[error("no connected probe is '{selector}'; connected: {}", list(.connected))]
    NoSuchProbe {
        /// What was asked for.
        selector: String,
        /// Selectors of those that are connected.
        connected: Vec<String>,
    },
    /// More than one probe is connected.
    #[error("{} debug probes are connected: {}", .0.len(), list(.0))]
    SeveralProbes(Vec<String>),
    /// The system keeps the probe from this user.
    #[error("no permission to use the debug probe {probe}")]
    NoPermission {
        /// The probe's name and selector.
        probe: String,
        /// Its USB vendor.
        vendor_id: u16,
    },
    /// The probe does not answer, or another program uses it.
    #[error("the debug probe {probe} cannot be opened")]
    Open {
        /// The probe's name and selector.
        probe: String,
        /// What probe-rs said.
        source: Reason,
    },
    /// probe-rs knows no such chip.
    #[error("there is no chip '{name}'{}", suggest(.suggestions))]
    UnknownChip {
        /// The name asked for.
        name: String,
        /// Names that are similar.
        suggestions: Vec<String>,
    },
    /// The chip is not reached through a debug probe.
    #[error("{chip} has no debug probe that Fixie knows: its board has only a serial port")]
    OtherProgrammer {
        /// The chip.
        chip: &'static str,
        /// The command that does what was wanted.
        command: String,
    },
    /// The program that writes the chip's flash is not there.
    #[error("espflash, which writes the flash of {chip} over its serial port, is not installed")]
    NoEspflash {
        /// The chip.
        chip: &'static str,
        /// The command that writes the image.
        image: String,
        /// The command that writes firmware.
        firmware: String,
        /// The command that shows its log.
        log: String,
    },
    /// The program that writes the chip's flash failed.
    #[error("`{command}` failed: {problem}")]
    Espflash {
        /// What was run.
        command: String,
        /// How it ended.
        problem: String,
    },
    /// Nothing answers at the probe's wires.
    #[error("no chip answers at the debug probe")]
    NoChip {
        /// What probe-rs said.
        source: Reason,
    },
    /// Another chip than the one asked for answers.
    #[error("the connected chip is not {expected}: {found}")]
    WrongChip {
        /// The chip asked for.
        expected: String,
        /// What tells that it is another.
        found: String,
    },
    /// The chip is protected against being read.
    #[error("{chip} is locked: its flash and RAM cannot be reached")]
    Locked {
        /// The chip.
        chip: String,
    },
    /// The session could not be opened for another reason.
    #[error("cannot attach to {chip}")]
    Attach {
        /// The chip.
        chip: String,
        /// What probe-rs said.
        source: Reason,
    },
    /// The connection broke.
    #[error("the connection to the chip was lost while {doing}")]
    Disconnected {
        /// What was being done.
        doing: &'static str,
        /// What probe-rs said.
        source: Reason,
    },
    /// Something is longer than the memory it goes to.
    #[error("{what} does not fit {memory}: {needed} bytes of {available}")]
    DoesNotFit {
        /// Firmware, image or arena.
        what: &'static str,
        /// The memory.
        memory: Memory,
        /// Bytes needed.
        needed: u64,
        /// Bytes there are.
        available: u64,
    },
    /// Something would lie where the chip has no flash.
    #[error("{what} would lie at {address:#010x}, where {chip} has no flash: it has {}", ranges(.flash))]
    Outside {
        /// Firmware or image.
        what: &'static str,
        /// Its first address outside.
        address: u64,
        /// The chip.
        chip: String,
        /// Where the chip has flash.
        flash: Vec<std::ops::Range<u64>>,
    },
    /// An image would be erased together with what lies before it.
    #[error(
        "{address:#010x} is inside the erase sector from {sector_start:#010x} to {sector_end:#010x}"
    )]
    Unaligned {
        /// The address asked for.
        address: u64,
        /// First address of its sector.
        sector_start: u64,
        /// First address behind its sector.
        sector_end: u64,
    },
    /// Firmware and image would lie over each other.
    #[error("the firmware reaches to {firmware_end:#010x}, but the image lies at {image:#010x}")]
    Overlap {
        /// First address behind the firmware.
        firmware_end: u64,
        /// First address of the image.
        image: u64,
    },
    /// Where the image goes is not known.
    #[error("where the image lies on {chip} is not known")]
    NoAddress {
        /// The chip.
        chip: String,
    },
    /// The flash algorithm failed.
    #[error("flashing failed while {doing}")]
    Flash {
        /// What was being done.
        doing: &'static str,
        /// What probe-rs said.
        source: Reason,
    },
    /// Flash does not hold what was written.
    #[error(
        "flash differs from what was written, first at {address:#010x}: {found:#04x}, not {expected:#04x}"
    )]
    Verify {
        /// The first address that differs.
        address: u64,
        /// What was written.
        expected: u8,
        /// What was read.
        found: u8,
    },
    /// An access to the chip failed.
    #[error("{doing} failed")]
    Access {
        /// What was being done.
        doing: &'static str,
        /// What probe-rs said.
        source: Reason,
    },
    /// The firmware does not open an RTT channel in time.
    #[error("the firmware offers no log over RTT")]
    NoLog {
        /// What probe-rs said.
        source: Reason,
    },
    /// The log cannot be decoded with the table of the ELF file.
    #[error("the log's table cannot be read: {0}")]
    LogTable(String),
    /// The bench firmware reports an error.
    #[error("the bench on the board failed: {0}")]
    Bench(String),
    /// The board computes other bytes than this computer.
    #[error("its output bytes differ from this computer's (CRC-32 {there:08x} and {here:08x})")]
    OutputsDiffer {
        /// CRC-32 of the outputs on this computer.
        here: u32,
        /// CRC-32 of the outputs on the board.
        there: u32,
    },
    /// The bench firmware does not report in time.
    #[error("the bench on the board did not report within {0} s")]
    BenchTimeout(u64),
    /// There is no such application.
    #[error("there is no application '{name}'; known are {}", list(.known))]
    UnknownApplication {
        /// The name asked for.
        name: String,
        /// The names that exist.
        known: Vec<String>,
    },
    /// The application wants more than the board has.
    #[error("there is no '{program}' for {board}, which has no microphone and too little memory")]
    NoProgram {
        /// The board.
        board: &'static str,
        /// The application.
        program: &'static str,
    },
    /// The file to be flashed is no image.
    #[error("the image: {0}")]
    Image(#[from] ImageError),
    /// The file to be flashed is no firmware.
    #[error("the firmware: {0}")]
    Elf(String),
    /// Firmware could not be built, or the emulator not be started.
    #[error(transparent)]
    Build(#[from] EmulatorError),
}

impl DeviceError {
    /// What to do about it, where the message alone does not say it.
    pub fn help(&self) -> Option<String> {
        let text = match self {
            Self::NoProbe => {
                "connect the board with a data cable (many only charge) at the connector of its \
                 debug probe; `fixie probe list` shows what is found"
            }
            Self::NoSuchProbe { .. } | Self::SeveralProbes(_) => {
                "name one with --probe, as `fixie probe list` shows them"
            }
            Self::NoPermission { vendor_id, .. } => return Some(udev_rule(*vendor_id)),
            Self::Open { .. } => {
                "end other programs that use the probe (debuggers, IDEs), then unplug and replug it"
            }
            Self::UnknownChip { .. } => "`fixie chips SEARCH` finds the whole name",
            Self::OtherProgrammer { command, .. } => return Some(format!("use `{command}`")),
            Self::NoEspflash { image, firmware, log, .. } => {
                return Some(format!(
                    "install it by `cargo install espflash --locked` and repeat the command. It then \
                     runs\n  {image}\nwith --app or --firmware also\n  {firmware}\nand with --monitor\n  {log}"
                ));
            }
            Self::Espflash { .. } => {
                "its own messages are above. Is the board connected by a data cable, and may this user \
                 use its serial port (on Linux the group `dialout`)? `espflash list-ports` shows the \
                 ports, --probe names one. The command can be repeated whatever is in flash: the chip's \
                 loader is in its ROM"
            }
            Self::NoChip { .. } => {
                "is the board powered, and are SWDIO, SWCLK and GND connected? A chip that sleeps or \
                 runs firmware which gives up the debug pins answers while its reset button is held"
            }
            Self::Attach { .. } => {
                "is that the chip on the board? --chip names it. An RP2350 that runs a program for its \
                 RISC-V cores answers to this only after it was plugged in with BOOTSEL held"
            }
            Self::WrongChip { .. } => {
                "nothing was written; name the chip that is on the board, or choose another board \
                 with --probe"
            }
            Self::Locked { .. } => {
                "--unlock opens it, which erases all of its flash; if the chip on the board is \
                 another one, name that"
            }
            Self::Disconnected { .. } => {
                "check cable and power, then repeat the command: it erases and writes from the start, \
                 and needs nothing that is on the chip"
            }
            Self::DoesNotFit { memory: Memory::Ram | Memory::Arena, .. } => {
                "nothing was written; `fixie convert --optimize ram` makes a smaller arena, `fixie \
                 inspect` shows what fills it"
            }
            Self::DoesNotFit { .. } => {
                "nothing was written; choose a smaller model or a chip with more flash"
            }
            Self::Unaligned { sector_start, sector_end, .. } => {
                return Some(format!(
                    "nothing was written; the rest of the sector would be lost: choose --address \
                     {sector_start:#x} or {sector_end:#x}"
                ));
            }
            Self::Outside { .. } | Self::Overlap { .. } => {
                "nothing was written; choose another --address"
            }
            Self::NoAddress { .. } => {
                "say with --address where the firmware looks for it; the boards that Fixie knows are \
                 listed by `fixie chips`"
            }
            Self::Flash { .. } | Self::Verify { .. } => {
                "repeat the command; if it fails again, the flash is write-protected or worn out, or \
                 the supply is weak"
            }
            Self::NoLog { .. } => {
                "is it the firmware that was flashed, and does it log over RTT (defmt-rtt)?"
            }
            Self::NoProgram { .. } => {
                "choose another --app, or firmware of your own by --firmware; the board's page in \
                 firmware/boards says which there are"
            }
            Self::OutputsDiffer { .. } => "this is a defect of Fixie: report it",
            Self::BenchTimeout(_) => "flash the bench firmware again: `fixie bench --chip CHIP`",
            _ => return None,
        };
        Some(text.to_owned())
    }

    /// An error of probe-rs in the middle of something: a lost connection is told from the rest.
    pub(crate) fn while_doing<E: Error + Send + Sync + 'static>(
        doing: &'static str,
        otherwise: impl FnOnce(&'static str, Reason) -> Self,
    ) -> impl FnOnce(E) -> Self {
        move |error| {
            if is_disconnection(&error) {
                Self::Disconnected { doing, source: Box::new(error) }
            } else {
                otherwise(doing, Box::new(error))
            }
        }
    }

    /// An error of probe-rs in an access to the chip.
    pub(crate) fn access<E: Error + Send + Sync + 'static>(
        doing: &'static str,
    ) -> impl FnOnce(E) -> Self {
        Self::while_doing(doing, |doing, source| Self::Access { doing, source })
    }
}

/// Whether an error, or what it goes back to, says that nobody answers any more.
pub(crate) fn is_disconnection(error: &(dyn Error + 'static)) -> bool {
    reasons(error).any(|reason| {
        reason.is::<io::Error>()
            || matches!(reason.downcast_ref(), Some(DebugProbeError::Usb(_)))
            || matches!(reason.downcast_ref(), Some(DapError::NoAcknowledge))
            || matches!(reason.downcast_ref(), Some(ArmError::NoTargetResponse { .. }))
    })
}

/// An error and what it goes back to.
pub(crate) fn reasons<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |reason| (*reason).source())
}

/// The rule by which udev gives the probe to whoever sits at the computer. probe-rs ships the same
/// for all probes that it knows.
fn udev_rule(vendor_id: u16) -> String {
    format!(
        "on Linux a udev rule grants it: write\n  SUBSYSTEM==\"usb\", ATTR{{idVendor}}==\"{vendor_id:04x}\", \
         MODE=\"0660\", TAG+=\"uaccess\"\nto /etc/udev/rules.d/69-probe-rs.rules, run `sudo udevadm \
         control --reload` and replug the probe"
    )
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

fn suggest(names: &[String]) -> String {
    match names {
        [] => "; `fixie chips SEARCH` finds names".to_owned(),
        names => format!("; similar are {}", names.join(", ")),
    }
}

fn ranges(ranges: &[std::ops::Range<u64>]) -> String {
    let texts = ranges.iter().map(|range| format!("{:#010x} to {:#010x}", range.start, range.end));
    texts.collect::<Vec<_>>().join(", ")
}
