//! Firmware as a linked file: what of it goes to flash, what it needs of RAM, where its log is.

use std::fmt;
use std::ops::Range;

use fixie_emulator::Stage;
use fixie_emulator::firmware::{Application, build};
use object::elf::{FileHeader32, PT_LOAD};
use object::read::elf::{ElfFile, ProgramHeader};
use object::{Endianness, Object, ObjectSymbol};

use crate::DeviceError;
use crate::board::{Board, Family, Split};

/// A program that boards have, by name, with the image in its own region of flash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Program(&'static str);

/// Measures an image and reports over RTT.
pub const BENCH: Program = Program("bench");

/// Hears words.
pub const KEYWORD: Program = Program("keyword");

impl Program {
    /// What is built for a board.
    ///
    /// # Errors
    ///
    /// [`DeviceError::NoProgram`].
    pub fn on(self, board: &Board) -> Result<Application, DeviceError> {
        if !self.is_on(board) {
            return Err(DeviceError::NoProgram { board: board.name, program: self.0 });
        }
        Ok(Application {
            workspace: board.family.workspace(),
            package: board.family.package(),
            binary: self.0,
            features: Some(board.name),
        })
    }

    /// Whether a board has it: one without a microphone, and with too little memory for its samples,
    /// does not hear.
    pub fn is_on(self, board: &Board) -> bool {
        self != KEYWORD || board.family != Family::Nrf51
    }
}

/// The applications that `--app` offers, by name.
pub const APPLICATIONS: &[(&str, Program)] = &[
    ("bench", BENCH),
    ("camera", Program("camera")),
    ("keyword", KEYWORD),
    ("motion", Program("motion")),
];

/// The symbol of the RTT control block, as every implementation of RTT calls it.
const RTT_SYMBOL: &str = "_SEGGER_RTT";

/// A linked file, read.
#[derive(Clone)]
pub struct Firmware {
    elf: Vec<u8>,
    segments: Vec<Segment>,
    ram: Vec<Range<u64>>,
    split: Option<Split>,
    rtt: Option<u64>,
}

/// Bytes that go to flash.
#[derive(Clone, PartialEq, Eq)]
pub struct Segment {
    /// Address of the first.
    pub address: u64,
    /// The bytes.
    pub data: Vec<u8>,
}

impl fmt::Debug for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes at {:#010x}", self.data.len(), self.address)
    }
}

impl Segment {
    /// First address behind it.
    pub fn end(&self) -> u64 {
        self.address + self.data.len() as u64
    }
}

impl fmt::Debug for Firmware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { segments, ram, split, rtt, .. } = self;
        let mut f = f.debug_struct("Firmware");
        f.field("segments", segments).field("ram", ram).field("split", split).field("rtt", rtt);
        f.finish_non_exhaustive()
    }
}

impl Firmware {
    /// Reads an ELF file for a 32-bit core.
    ///
    /// # Errors
    ///
    /// [`DeviceError::Elf`].
    pub fn parse(elf: Vec<u8>) -> Result<Self, DeviceError> {
        let malformed = |error: object::Error| DeviceError::Elf(error.to_string());
        let file = ElfFile::<FileHeader32<Endianness>>::parse(&*elf).map_err(malformed)?;
        let endian = file.endian();
        let (mut segments, mut ram) = (Vec::new(), Vec::new());
        for header in file.elf_program_headers() {
            if header.p_type(endian) != PT_LOAD || header.p_memsz(endian) == 0 {
                continue;
            }
            let data = header
                .data(endian, &*elf)
                .map_err(|()| DeviceError::Elf("a segment lies outside the file".to_owned()))?;
            let address = u64::from(header.p_paddr(endian));
            if !data.is_empty() {
                segments.push(Segment { address, data: data.to_vec() });
            }
            let start = u64::from(header.p_vaddr(endian));
            if start != address || data.is_empty() {
                ram.push(start..start + u64::from(header.p_memsz(endian)));
            }
        }
        if segments.is_empty() {
            return Err(DeviceError::Elf("nothing in it is loaded".to_owned()));
        }
        let address = |name: &str| {
            let symbol = file.symbols().find(|symbol| symbol.name() == Ok(name))?;
            Some(symbol.address())
        };
        let (rtt, split) = (address(RTT_SYMBOL), Split::of(address));
        Ok(Self { elf, segments, ram, split, rtt })
    }

    /// Builds an application for a board.
    ///
    /// # Errors
    ///
    /// [`DeviceError::NoProgram`] for an application that the board does not have;
    /// [`DeviceError::Build`].
    pub fn build(
        board: &Board,
        program: Program,
        progress: &dyn Fn(Stage),
    ) -> Result<Self, DeviceError> {
        let application = program.on(board)?;
        Self::parse(build(board.platform(), application, None, progress)?)
    }

    /// The file.
    pub fn elf(&self) -> &[u8] {
        &self.elf
    }

    /// What goes to flash, by address.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Bytes that go to flash.
    pub fn flash_bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.data.len() as u64).sum()
    }

    /// RAM for variables, without arena and stack.
    pub fn ram(&self) -> &[Range<u64>] {
        &self.ram
    }

    /// Where it looks for its image; none if it brings its own.
    pub fn split(&self) -> Option<Split> {
        self.split
    }

    /// Address of the RTT control block.
    pub fn rtt(&self) -> Option<u64> {
        self.rtt
    }
}

/// The application of that name.
///
/// # Errors
///
/// [`DeviceError::UnknownApplication`], which lists those that exist.
pub fn application(name: &str) -> Result<Program, DeviceError> {
    let found = APPLICATIONS.iter().find(|(known, _)| *known == name);
    found.map(|(_, application)| *application).ok_or_else(|| DeviceError::UnknownApplication {
        name: name.to_owned(),
        known: APPLICATIONS.iter().map(|(known, _)| (*known).to_owned()).collect(),
    })
}
