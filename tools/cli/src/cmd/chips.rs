use std::ops::Range;

use clap::Args;
use fixie_device::firmware::APPLICATIONS;
use fixie_device::{BOARDS, Board, Chip, chip};
use serde::Serialize;

use crate::diagnostics::{Context, Failure};
use crate::{output, table};

/// List the boards that Fixie knows, with their cables and applications, or search the chips that a debug probe can flash.
///
/// `--chip` of `flash` and `bench` takes any of the names. On a board the flash is split: the image
/// has its own region, and is replaced without the firmware. On another chip `flash` wants to be told
/// an address.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  fixie chips            the boards\n  fixie chips nrf52      \
    every chip with nrf52 in its name")]
pub struct Cmd {
    /// Part of a chip's name, letters of either case.
    #[arg(value_name = "SEARCH")]
    search: Option<String>,
    /// Print a JSON array.
    #[arg(long)]
    json: bool,
}

/// A chip and its memory.
#[derive(Debug, Serialize)]
struct ChipInfo {
    chip: String,
    /// Of each stretch, first address and length in bytes.
    flash: Vec<(u64, u64)>,
    ram: Vec<(u64, u64)>,
}

/// A board and how its flash is split.
#[derive(Debug, Serialize)]
struct BoardInfo {
    board: &'static str,
    title: &'static str,
    chip: &'static str,
    cable: &'static str,
    applications: Vec<&'static str>,
    firmware_bytes: u32,
    image_address: u32,
    image_bytes: u32,
    ram_bytes: u32,
}

impl Cmd {
    pub fn run(self) -> Result<(), Failure> {
        match &self.search {
            None => self.boards(),
            Some(search) => self.chips(search),
        }
    }

    fn boards(&self) -> Result<(), Failure> {
        let boards: Vec<_> = BOARDS.iter().map(BoardInfo::of).collect();
        if self.json {
            return output::print_json(&boards);
        }
        let kib = |bytes: u32| format!("{} K", bytes / 1024);
        let rows = boards.iter().map(|board| {
            [
                board.board.to_owned(),
                board.title.to_owned(),
                board.chip.to_owned(),
                kib(board.firmware_bytes),
                kib(board.image_bytes),
                format!("{:#010x}", board.image_address),
                kib(board.ram_bytes),
            ]
        });
        let header = ["board", "name", "chip", "#firmware", "#image", "image at", "#RAM"];
        let cables = boards.iter().map(|board| {
            [board.board.to_owned(), board.applications.join(", "), board.cable.to_owned()]
        });
        let cables = table::table(["board", "--app", "cable"], cables.collect());
        output::print(format!("{}\n\n{cables}\n", table::table(header, rows.collect())))
    }

    fn chips(&self, search: &str) -> Result<(), Failure> {
        let chips = chip::search(search).into_iter().map(|name| ChipInfo::of(&name));
        let chips: Vec<_> = chips.collect::<Result<_, _>>()?;
        if self.json {
            return output::print_json(&chips);
        }
        if chips.is_empty() {
            let what = format!("no chip has '{search}' in its name");
            return Err(Failure::new(what, "probe-rs does not know it").help("try a shorter part"));
        }
        let sizes = |regions: &[(u64, u64)]| {
            let texts =
                regions.iter().map(|(start, len)| format!("{} K at {start:#x}", len / 1024));
            texts.collect::<Vec<_>>().join(", ")
        };
        let rows =
            chips.iter().map(|chip| [chip.chip.clone(), sizes(&chip.flash), sizes(&chip.ram)]);
        output::print(table::table(["chip", "flash", "RAM"], rows.collect()) + "\n")
    }
}

impl ChipInfo {
    fn of(name: &str) -> Result<Self, Failure> {
        let chip = Chip::find(name).context(|| format!("cannot describe {name}"))?;
        let lengths = |ranges: Vec<Range<u64>>| {
            ranges.into_iter().map(|range| (range.start, range.end - range.start)).collect()
        };
        Ok(Self { chip: name.to_owned(), flash: lengths(chip.flash()), ram: lengths(chip.ram()) })
    }
}

impl BoardInfo {
    fn of(board: &Board) -> Self {
        Self {
            board: board.name,
            title: board.title,
            chip: board.chip,
            cable: board.cable,
            applications: APPLICATIONS
                .iter()
                .filter(|(_, program)| program.is_on(board))
                .map(|(name, _)| *name)
                .collect(),
            firmware_bytes: board.firmware.len_bytes,
            image_address: board.image.origin,
            image_bytes: board.image.len_bytes,
            ram_bytes: board.ram.len_bytes,
        }
    }
}
