//! The boards with a chip: one row each, from which chip, target and linker script follow.
//!
//! Flash is split in two: firmware in the one part, the image in the other, so that either can be
//! replaced without the other. The split lies on a border of erase sectors. RAM holds the firmware's
//! data, then the arena, then the stack (on the ESP32-C3 its HAL's linker script decides that):
//!
//! ```text
//! flash  firmware … │ image …
//! RAM    .data .bss │ arena, as long as there is room │ stack
//! ```

use std::fmt::Write as _;

use fixie_emulator::board::{Platform, Region, STACK_FLOOR, memory_x};

/// RAM that is left to the stack of a board with little: the deepest kernel and a log frame take
/// about half of it.
const STACK_BYTES: u32 = 4096;
/// The same where there is more, for interrupts, and for an application's state while it is made.
const LARGE_STACK_BYTES: u32 = 16 * KIB;
/// RAM that counts as more.
const LARGE_RAM_BYTES: u32 = 64 * KIB;

/// A board that one can buy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Board {
    /// What `--chip` calls it, beside the chip's own name.
    pub name: &'static str,
    /// What its vendor calls it.
    pub title: &'static str,
    /// How it is connected.
    pub cable: &'static str,
    /// The chip as probe-rs names it; of those without a debug probe, as its vendor does.
    pub chip: &'static str,
    /// What probe-rs calls the cores that run the firmware, where others write the flash.
    pub running: Option<&'static str>,
    /// How the chip is told from others that answer as well.
    pub identity: Option<Identity>,
    /// The compiler's target.
    pub target: &'static str,
    /// The compiler's `-C target-cpu`, where the target alone does not say it.
    pub cpu: Option<&'static str>,
    /// The compiler's `opt-level`: as for the emulated core.
    pub opt_level: &'static str,
    /// The linker script: that of the start-up code, or of the board's crate, which includes it.
    pub link_script: &'static str,
    /// Flash for the firmware.
    pub firmware: Region,
    /// Flash for the image.
    pub image: Region,
    /// RAM for data, arena and stack.
    pub ram: Region,
    /// What writes its flash.
    pub programmer: Programmer,
    /// The crate with what is on it.
    pub family: Family,
}

/// The boards that share a crate: those with chips of one HAL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// nRF51 of Nordic, with nrf51-hal.
    Nrf51,
    /// nRF52 of Nordic, with embassy-nrf.
    Nrf52,
    /// STM32, with embassy-stm32.
    Stm32,
    /// RP2040 and RP2350, with rp2040-hal and rp235x-hal.
    Rp,
    /// ESP32 of Espressif, with esp-hal.
    Esp32,
}

impl Family {
    /// The crate's folder below `firmware`.
    pub const fn workspace(self) -> &'static str {
        match self {
            Self::Nrf51 => "boards/nrf51",
            Self::Nrf52 => "boards/nrf52",
            Self::Stm32 => "boards/stm32",
            Self::Rp => "boards/rp",
            Self::Esp32 => "boards/esp32",
        }
    }

    /// The crate.
    pub const fn package(self) -> &'static str {
        match self {
            Self::Nrf51 => "fixie-nrf51",
            Self::Nrf52 => "fixie-nrf52",
            Self::Stm32 => "fixie-stm32",
            Self::Rp => "fixie-rp",
            Self::Esp32 => "fixie-esp32",
        }
    }
}

/// What writes the flash of a board.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Programmer {
    /// A debug probe, through probe-rs.
    Probe,
    /// Espressif's own program over the board's serial port, its one connector: the chip's debug probe is
    /// at other pins, and not known to probe-rs 0.32 itself.
    Espflash,
}

/// A register that holds the chip's kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// Its address.
    pub address: u32,
    /// The bits that count.
    pub mask: u32,
    /// What they are.
    pub value: u32,
}

/// All boards, by name.
///
/// The registers of [`Identity`] are `FICR.INFO.PART` (nRF52840 product specification),
/// `DBGMCU_IDCODE` (STM32 reference manuals RM0383, RM0390 and RM0433) and `SYSINFO.CHIP_ID` (RP2040
/// and RP2350 datasheets).
pub const BOARDS: &[Board] = &[
    Board {
        // Flash is addressed as it is on the board's chip; the image is mapped by the loader.
        name: "esp32-c3",
        title: "ESP32-C3-DevKitM-1",
        cable: "micro-USB: a serial port, for espflash",
        chip: "esp32c3",
        running: None,
        identity: None,
        target: "riscv32imc-unknown-none-elf",
        cpu: None,
        opt_level: "3",
        link_script: "esp32-c3.x",
        firmware: region(0x0001_0000, 2 * MIB - 64 * KIB),
        image: region(0x0020_0000, 2 * MIB),
        ram: region(0x3FC8_0000, 320 * KIB),
        programmer: Programmer::Espflash,
        family: Family::Esp32,
    },
    Board {
        name: "microbit",
        title: "BBC micro:bit v1",
        cable: "micro-USB: CMSIS-DAP on the board",
        chip: "nRF51822_xxAA",
        running: None,
        identity: None,
        target: "thumbv6m-none-eabi",
        cpu: Some("cortex-m0"),
        opt_level: "s",
        link_script: "link.x",
        firmware: region(0, 192 * KIB),
        image: region(0x0003_0000, 64 * KIB),
        ram: region(0x2000_0000, 16 * KIB),
        programmer: Programmer::Probe,
        family: Family::Nrf51,
    },
    Board {
        name: "nrf52840-dk",
        title: "nRF52840 DK",
        cable: "micro-USB at J2: J-Link on the board",
        chip: "nRF52840_xxAA",
        running: None,
        identity: Some(Identity { address: 0x1000_0100, mask: u32::MAX, value: 0x0005_2840 }),
        target: "thumbv7em-none-eabihf",
        cpu: Some("cortex-m4"),
        opt_level: "2",
        link_script: "link.x",
        firmware: region(0, 512 * KIB),
        image: region(0x0008_0000, 512 * KIB),
        ram: region(0x2000_0000, 256 * KIB),
        programmer: Programmer::Probe,
        family: Family::Nrf52,
    },
    NUCLEO_F411RE,
    Board {
        name: "nucleo-f446re",
        title: "Nucleo-F446RE",
        chip: "STM32F446RETx",
        identity: Some(Identity { address: 0xE004_2000, mask: 0xFFF, value: 0x421 }),
        ..NUCLEO_F411RE
    },
    Board {
        // One bank of flash each; of the RAM the one large piece that code and DMA both reach.
        name: "nucleo-h743zi",
        title: "Nucleo-H743ZI",
        cable: "micro-USB at CN1: ST-LINK on the board",
        chip: "STM32H743ZITx",
        running: None,
        identity: Some(Identity { address: 0x5C00_1000, mask: 0xFFF, value: 0x450 }),
        target: "thumbv7em-none-eabihf",
        cpu: Some("cortex-m7"),
        opt_level: "2",
        link_script: "link.x",
        firmware: region(0x0800_0000, MIB),
        image: region(0x0810_0000, MIB),
        ram: region(0x2400_0000, 512 * KIB),
        programmer: Programmer::Probe,
        family: Family::Stm32,
    },
    Board {
        name: "pico",
        title: "Raspberry Pi Pico",
        cable: "a debug probe at the three pins SWCLK, GND, SWDIO; power by USB",
        chip: "RP2040",
        running: None,
        identity: Some(Identity { address: 0x4000_0000, mask: 0x0FFF_FFFF, value: 0x0000_2927 }),
        target: "thumbv6m-none-eabi",
        cpu: Some("cortex-m0plus"),
        opt_level: "3",
        link_script: "pico.x",
        firmware: region(0x1000_0000, MIB),
        image: region(0x1010_0000, MIB),
        ram: region(0x2000_0000, 264 * KIB),
        programmer: Programmer::Probe,
        family: Family::Rp,
    },
    PICO_2,
    Board {
        // The flash is written through the Arm cores: probe-rs has no algorithm for the others.
        name: "pico2-riscv",
        title: "Raspberry Pi Pico 2, RISC-V cores",
        running: Some("RP235x_riscv"),
        target: "riscv32imac-unknown-none-elf",
        cpu: None,
        opt_level: "3",
        link_script: "pico2-riscv.x",
        ..PICO_2
    },
];

/// The Nucleo-F446RE differs in its chip alone.
const NUCLEO_F411RE: Board = Board {
    name: "nucleo-f411re",
    title: "Nucleo-F411RE",
    cable: "mini-USB at CN1: ST-LINK on the board",
    chip: "STM32F411RETx",
    running: None,
    identity: Some(Identity { address: 0xE004_2000, mask: 0xFFF, value: 0x431 }),
    target: "thumbv7em-none-eabihf",
    cpu: Some("cortex-m4"),
    opt_level: "2",
    link_script: "link.x",
    firmware: region(0x0800_0000, 128 * KIB),
    image: region(0x0802_0000, 384 * KIB),
    ram: region(0x2000_0000, 128 * KIB),
    programmer: Programmer::Probe,
    family: Family::Stm32,
};

/// With the Arm cores in use.
const PICO_2: Board = Board {
    name: "pico2",
    title: "Raspberry Pi Pico 2, Arm cores",
    cable: "a debug probe at the JST connector; power by USB",
    chip: "RP235x",
    running: None,
    identity: Some(Identity { address: 0x4000_0000, mask: 0x0FFF_FFFF, value: 0x0000_4927 }),
    target: "thumbv8m.main-none-eabihf",
    cpu: Some("cortex-m33"),
    opt_level: "2",
    link_script: "pico2.x",
    firmware: region(0x1000_0000, 2 * MIB),
    image: region(0x1020_0000, 2 * MIB),
    ram: region(0x2000_0000, 520 * KIB),
    programmer: Programmer::Probe,
    family: Family::Rp,
};

const KIB: u32 = 1024;
const MIB: u32 = 1024 * KIB;

/// The second-stage boot loader of the RP2040, which its ROM reads from the start of flash.
const BOOT2_BYTES: u32 = 256;

/// Symbols of [`Board::memory_x`] that firmware and this crate read.
mod symbols {
    pub const IMAGE_START: &str = "__fixie_image_start";
    pub const IMAGE_END: &str = "__fixie_image_end";
    pub const ARENA_START: &str = "__fixie_arena_start";
    pub const ARENA_END: &str = "__fixie_arena_end";
}

const fn region(origin: u32, len_bytes: u32) -> Region {
    Region { origin, len_bytes }
}

impl Board {
    /// The board of that name, or the first one with that chip; letters of either case.
    pub fn find(name: &str) -> Option<&'static Self> {
        let named = BOARDS.iter().find(|board| board.name.eq_ignore_ascii_case(name));
        named.or_else(|| BOARDS.iter().find(|board| board.chip.eq_ignore_ascii_case(name)))
    }

    /// What a build for the board depends on.
    pub fn platform(&self) -> Platform {
        Platform {
            name: self.name,
            builds: "boards",
            target: self.target,
            cpu: self.cpu,
            opt_level: self.opt_level,
            timer_hz: 0,
            link_script: self.link_script,
            memory_x: self.memory_x(),
        }
    }

    /// RAM that is left to the stack.
    pub const fn stack_bytes(&self) -> u32 {
        if self.ram.len_bytes < LARGE_RAM_BYTES { STACK_BYTES } else { LARGE_STACK_BYTES }
    }

    /// The linker's description of the memory: `FLASH`, `IMAGE`, `RAM` and, on an RP2040, `BOOT2`;
    /// symbols for the bounds of image and arena.
    pub fn memory_x(&self) -> String {
        let (mut flash, mut regions) = (self.firmware, Vec::new());
        if self.chip == "RP2040" {
            regions.push(("BOOT2", region(flash.origin, BOOT2_BYTES)));
            flash = region(flash.origin + BOOT2_BYTES, flash.len_bytes - BOOT2_BYTES);
        }
        regions.extend([("FLASH", flash), ("IMAGE", self.image), ("RAM", self.ram)]);
        let mut script = String::new();
        for (symbol, value) in [
            (symbols::IMAGE_START, "ORIGIN(IMAGE)".to_owned()),
            (symbols::IMAGE_END, "ORIGIN(IMAGE) + LENGTH(IMAGE)".to_owned()),
            (symbols::ARENA_START, "(__sheap + 15) & ~15".to_owned()),
            (symbols::ARENA_END, format!("(_stack_start - {}) & ~15", self.stack_bytes())),
            (STACK_FLOOR, symbols::ARENA_END.to_owned()),
        ] {
            let _ = writeln!(script, "{symbol} = {value};");
        }
        memory_x(self.target, &regions, &script)
    }
}

/// Where the firmware of a board looks for its image, and how long an arena it has: what
/// [`Board::memory_x`] told its linker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Split {
    /// Address of the image.
    pub image_address: u64,
    /// The longest image.
    pub image_bytes: u64,
    /// The longest arena.
    pub arena_bytes: u64,
}

impl Split {
    /// What the symbols of firmware say; none if it was not linked by our script or does not use them.
    pub(crate) fn of(address: impl Fn(&str) -> Option<u64>) -> Option<Self> {
        let image_address = address(symbols::IMAGE_START)?;
        Some(Self {
            image_address,
            image_bytes: address(symbols::IMAGE_END)?.checked_sub(image_address)?,
            arena_bytes: address(symbols::ARENA_END)?
                .checked_sub(address(symbols::ARENA_START)?)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chip::Chip;

    #[test]
    fn names_are_unique_and_sorted() {
        assert!(BOARDS.windows(2).all(|pair| pair[0].name < pair[1].name));
        for board in BOARDS {
            assert_eq!(Board::find(&board.name.to_uppercase()).unwrap(), board);
            let emulated = fixie_emulator::BOARDS.iter().map(|board| board.name);
            assert!(!emulated.into_iter().any(|name| name == board.name), "{}", board.name);
        }
    }

    /// The two parts of flash lie in flash and apart, and begin with an erase sector each.
    #[test]
    fn every_board_agrees_with_what_probe_rs_knows_of_its_chip() {
        for board in BOARDS.iter().filter(|board| board.programmer == Programmer::Probe) {
            let chip = Chip::find(board.chip).unwrap();
            for part in [board.firmware.range(), board.image.range()] {
                assert!(chip.flash().iter().any(|flash| contains(flash, &part)), "{}", board.name);
                assert_eq!(chip.sector(part.start).unwrap().start, part.start, "{}", board.name);
                assert_eq!(chip.sector(part.end - 1).unwrap().end, part.end, "{}", board.name);
            }
            assert!(board.firmware.range().end <= board.image.range().start, "{}", board.name);
            let ram = board.ram.range();
            for name in [board.chip].into_iter().chain(board.running) {
                let regions = Chip::find(name).unwrap().ram();
                assert!(regions.iter().any(|region| contains(region, &ram)), "{}", board.name);
            }
        }
    }

    fn contains(outer: &std::ops::Range<u64>, inner: &std::ops::Range<u64>) -> bool {
        outer.start <= inner.start && inner.end <= outer.end
    }

    #[test]
    fn memory_x_of_the_pico() {
        assert_eq!(
            Board::find("rp2040").unwrap().memory_x(),
            "MEMORY\n{\n  BOOT2 : ORIGIN = 0x10000000, LENGTH = 256\n  \
             FLASH : ORIGIN = 0x10000100, LENGTH = 1048320\n  \
             IMAGE : ORIGIN = 0x10100000, LENGTH = 1048576\n  \
             RAM : ORIGIN = 0x20000000, LENGTH = 270336\n}\n\
             __fixie_image_start = ORIGIN(IMAGE);\n\
             __fixie_image_end = ORIGIN(IMAGE) + LENGTH(IMAGE);\n\
             __fixie_arena_start = (__sheap + 15) & ~15;\n\
             __fixie_arena_end = (_stack_start - 16384) & ~15;\n\
             __fixie_stack_floor = __fixie_arena_end;\n\
             ASSERT(__fixie_stack_floor >= __sheap && _stack_start - __fixie_stack_floor >= 1024, \
             \"fixie: no room for the stack\");\n"
        );
    }
}
