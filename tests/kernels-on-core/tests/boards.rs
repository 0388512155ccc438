//! Every application builds for every board that one can buy, and what it takes is written down.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use fixie_device::board::{BOARDS, Board};
use fixie_device::firmware::APPLICATIONS;
use fixie_emulator::elf::Elf;
use fixie_emulator::firmware::{build_all, lint_package};
use fixie_emulator::toolchain::Toolchain;
use fixie_tests::figures;

/// A board of each family, for what is the same on all of them.
const OF_EACH_FAMILY: [&str; 5] = ["esp32-c3", "microbit", "nrf52840-dk", "nucleo-h743zi", "pico2"];

/// Writes the table with `FIXIE_BLESS=1`.
#[test]
fn every_application_builds_for_every_board() {
    let compiler = compiler();
    let mut fresh = format!(
        "Bytes of flash / of RAM for variables, by {compiler}:\n\n| board |{}\n|---|{}\n",
        APPLICATIONS.iter().fold(String::new(), |row, (name, _)| row + &format!(" {name} |")),
        "--:|".repeat(APPLICATIONS.len()),
    );
    for board in BOARDS {
        writeln!(fresh, "| `{}` |{}", board.name, row(board)).unwrap();
    }
    figures::check(&page(), "sizes", &compiler, |_| fresh, differ_little);
}

#[test]
fn the_crates_of_the_boards_have_no_lints() {
    for name in OF_EACH_FAMILY {
        let board = Board::find(name).unwrap();
        let package = APPLICATIONS[0].1.on(board).unwrap();
        lint_package(board.platform(), package, &|_| {}).unwrap_or_else(|error| panic!("{error}"));
    }
}

/// The page of the boards leads to a page for each, which says what to type.
#[test]
fn every_board_has_a_page() {
    let table = fs::read_to_string(page()).unwrap();
    for board in BOARDS {
        let start = format!("| `{}` |", board.name);
        let row = table.lines().find(|line| line.starts_with(&start)).unwrap();
        let (link, _) = row.rsplit_once(')').unwrap();
        let (_, link) = link.rsplit_once('(').unwrap();
        let text = fs::read_to_string(page().with_file_name(link)).unwrap();
        assert!(text.contains(&format!("--chip {}", board.name)), "{link}");
        assert!(text.contains("**Cable:**"), "{link}");
    }
}

/// Whether two sizes differ by a thousandth or less, or by a word: the order of functions, and with
/// it the bytes between them, depends a little on the folder of the sources.
fn differ_little(fresh: u64, written: u64) -> bool {
    fresh.abs_diff(written) <= (written / 1000).max(4)
}

/// What each application takes, where the board has it.
fn row(board: &Board) -> String {
    let package = APPLICATIONS[0].1.on(board).unwrap();
    let programs = build_all(board.platform(), package, &|_| {})
        .unwrap_or_else(|error| panic!("{}: {error}", board.name));
    let expected = APPLICATIONS.iter().filter(|(_, program)| program.is_on(board));
    let names = programs.iter().map(|(name, _)| name.as_str());
    assert!(names.eq(expected.map(|(name, _)| *name)), "{}", board.name);
    APPLICATIONS.iter().fold(String::new(), |row, (name, _)| {
        let Some((_, bytes)) = programs.iter().find(|(built, _)| built == name) else {
            return row + " – |";
        };
        let elf = Elf::parse(bytes).unwrap();
        let (flash, ram) = (elf.flash_bytes(), elf.ram_bytes());
        let space = u64::from(board.firmware.len_bytes);
        assert!(flash <= space, "{name} takes {flash} of {space} bytes on {}", board.name);
        row + &format!(" {flash} / {ram} |")
    })
}

fn compiler() -> String {
    Toolchain::find(BOARDS[0].target).unwrap().release().to_owned()
}

fn page() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "../../firmware/boards/README.md"].iter().collect()
}
