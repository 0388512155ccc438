//! What goes where, and whether it fits: all that can be known before the first byte is written.

use std::ops::Range;

use fixie_format::{ALIGNMENT, Image};

use crate::DeviceError;
use crate::board::Board;
use crate::chip::Chip;
use crate::error::Memory;
use crate::firmware::{Firmware, Segment};

/// What samples begin with.
const SAMPLES_MAGIC: [u8; 4] = *b"FXIN";

/// What is to be flashed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Contents<'a> {
    /// The firmware; without one, that on the chip stays as it is.
    pub firmware: Option<&'a Firmware>,
    /// The image.
    pub image: Option<&'a [u8]>,
    /// Inputs for the bench firmware, one sample after the other as raw bytes; they lie behind the
    /// image.
    pub samples: &'a [u8],
    /// Where the image goes; where the firmware or the board says, if not said here.
    pub address: Option<u64>,
    /// The board, if it is one that Fixie knows.
    pub board: Option<&'static Board>,
}

/// What goes where, checked.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Bytes for flash.
    pub(crate) segments: Vec<Segment>,
    /// Address and length of the image in bytes.
    pub image: Option<(u64, u64)>,
    /// Bytes of flash for the firmware.
    pub firmware_bytes: u64,
    /// Bytes of RAM that the image needs.
    pub arena_bytes: u64,
    /// Bytes of RAM that there are for it.
    pub arena_available_bytes: u64,
}

impl Plan {
    /// Checks that everything fits the chip and that nothing lies over anything else.
    ///
    /// # Errors
    ///
    /// [`DeviceError`], of the kinds that say what does not fit or where nothing can lie.
    pub fn new(chip: &Chip, contents: &Contents<'_>) -> Result<Self, DeviceError> {
        let mut plan = Self {
            segments: Vec::new(),
            image: None,
            firmware_bytes: 0,
            arena_bytes: 0,
            arena_available_bytes: 0,
        };
        if let Some(firmware) = contents.firmware {
            check_firmware(chip, firmware)?;
            plan.firmware_bytes = firmware.flash_bytes();
            plan.segments.extend_from_slice(firmware.segments());
        }
        if let Some(bytes) = contents.image {
            let image = Image::parse(bytes)?;
            let place = Place::choose(chip, contents)?;
            let data = with_samples(bytes, contents.samples);
            place.check(chip, contents.firmware, data.len() as u64)?;
            plan.arena_bytes = image.arena_len() as u64;
            plan.arena_available_bytes = check_arena(chip, contents, plan.arena_bytes)?;
            plan.image = Some((place.address, bytes.len() as u64));
            plan.segments.push(Segment { address: place.address, data });
        }
        Ok(plan)
    }
}

impl Plan {
    /// The same for a board whose chip probe-rs does not know: its parts of flash and its RAM are those
    /// of the table of boards, and what is written is left to another program.
    ///
    /// # Errors
    ///
    /// [`DeviceError::DoesNotFit`], [`DeviceError::Image`].
    pub fn of_board(
        board: &'static Board,
        firmware: Option<&Firmware>,
        image: &[u8],
    ) -> Result<Self, DeviceError> {
        let (firmware_bytes, image_bytes) =
            (firmware.map_or(0, Firmware::flash_bytes), image.len() as u64);
        let arena_bytes = Image::parse(image)?.arena_len() as u64;
        fits("the firmware", Memory::Flash, firmware_bytes, board.firmware.len_bytes.into())?;
        fits("the image", Memory::ImageRegion, image_bytes, board.image.len_bytes.into())?;
        let (memory, arena_available_bytes) = match firmware.and_then(Firmware::split) {
            Some(split) => (Memory::Arena, split.arena_bytes),
            None => (Memory::Ram, u64::from(board.ram.len_bytes)),
        };
        fits("the arena of the image", memory, arena_bytes, arena_available_bytes)?;
        let image = Some((board.image.origin.into(), image_bytes));
        let segments = Vec::new();
        Ok(Self { segments, image, firmware_bytes, arena_bytes, arena_available_bytes })
    }
}

/// What `firmware/measure/src/lib.rs` finds in its image region.
fn with_samples(image: &[u8], samples: &[u8]) -> Vec<u8> {
    let mut data = image.to_vec();
    if !samples.is_empty() {
        data.resize(image.len().next_multiple_of(ALIGNMENT), 0);
        data.extend(SAMPLES_MAGIC);
        data.extend((samples.len() as u32).to_le_bytes());
        data.extend(samples);
    }
    data
}

/// Where an image goes, and what limits its length.
struct Place {
    address: u64,
    available: u64,
    limit: Memory,
}

impl Place {
    fn choose(chip: &Chip, contents: &Contents<'_>) -> Result<Self, DeviceError> {
        let by_firmware = contents.firmware.and_then(Firmware::split);
        let region =
            by_firmware.map(|split| (split.image_address, split.image_bytes)).or_else(|| {
                let region = contents.board?.image;
                Some((u64::from(region.origin), u64::from(region.len_bytes)))
            });
        match (contents.address, region) {
            (Some(address), region) if region.is_none_or(|(start, _)| start != address) => {
                let flash = containing(&chip.flash(), address)
                    .ok_or_else(|| outside(chip, "the image", address))?;
                Ok(Self { address, available: flash.end - address, limit: Memory::Flash })
            }
            (_, Some((address, available))) => {
                Ok(Self { address, available, limit: Memory::ImageRegion })
            }
            (_, None) => Err(DeviceError::NoAddress { chip: chip.name().to_owned() }),
        }
    }

    fn check(
        &self,
        chip: &Chip,
        firmware: Option<&Firmware>,
        needed: u64,
    ) -> Result<(), DeviceError> {
        let sector = chip
            .sector(self.address)
            .filter(|_| containing(&chip.flash(), self.address).is_some())
            .ok_or_else(|| outside(chip, "the image", self.address))?;
        if sector.start != self.address {
            return Err(DeviceError::Unaligned {
                address: self.address,
                sector_start: sector.start,
                sector_end: sector.end,
            });
        }
        fits("the image", self.limit, needed, self.available)?;
        let image = self.address..self.address + needed;
        for segment in firmware.map_or(&[][..], Firmware::segments) {
            // What is erased with the firmware's last byte is the firmware's.
            let end = chip.sector(segment.end() - 1).map_or(segment.end(), |sector| sector.end);
            if segment.address < image.end && image.start < end {
                let firmware_end = segment.end();
                return Err(DeviceError::Overlap { firmware_end, image: self.address });
            }
        }
        Ok(())
    }
}

fn check_firmware(chip: &Chip, firmware: &Firmware) -> Result<(), DeviceError> {
    let flash = chip.flash();
    for segment in firmware.segments() {
        let region = containing(&flash, segment.address)
            .ok_or_else(|| outside(chip, "the firmware", segment.address))?;
        let available = region.end - segment.address;
        fits("the firmware", Memory::Flash, segment.data.len() as u64, available)?;
    }
    for needed in firmware.ram() {
        let available =
            containing(&chip.ram(), needed.start).map_or(0, |region| region.end - needed.start);
        fits("the firmware", Memory::Ram, needed.end - needed.start, available)?;
    }
    Ok(())
}

/// Gives the bytes that there are for an arena.
fn check_arena(chip: &Chip, contents: &Contents<'_>, needed: u64) -> Result<u64, DeviceError> {
    let (memory, available) = match (contents.firmware.and_then(Firmware::split), contents.board) {
        (Some(split), _) => (Memory::Arena, split.arena_bytes),
        (None, Some(board)) => (Memory::Ram, u64::from(board.ram.len_bytes)),
        (None, None) => {
            let lengths = chip.ram().into_iter().map(|region| region.end - region.start);
            (Memory::Ram, lengths.max().unwrap_or(0))
        }
    };
    fits("the arena of the image", memory, needed, available)?;
    Ok(available)
}

fn fits(
    what: &'static str,
    memory: Memory,
    needed: u64,
    available: u64,
) -> Result<(), DeviceError> {
    if needed <= available {
        return Ok(());
    }
    Err(DeviceError::DoesNotFit { what, memory, needed, available })
}

fn containing(regions: &[Range<u64>], address: u64) -> Option<Range<u64>> {
    regions.iter().find(|region| region.contains(&address)).cloned()
}

fn outside(chip: &Chip, what: &'static str, address: u64) -> DeviceError {
    DeviceError::Outside { what, address, chip: chip.name().to_owned(), flash: chip.flash() }
}
