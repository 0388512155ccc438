//! The boards: one row each, from which everything else follows.

use std::fmt::Write as _;

use crate::EmulatorError;

/// The least RAM that must be left for the stack, or the firmware does not link. The deepest
/// kernel uses about half of it.
pub const MIN_STACK_BYTES: u32 = 1024;

/// A machine of the emulator with the core, target and memory that firmware for it is built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Board {
    /// What `--target` calls it.
    pub name: &'static str,
    /// The core, as its vendor writes it.
    pub core: &'static str,
    /// The emulator's program.
    pub emulator: Emulator,
    /// The emulator's `-machine`.
    pub machine: &'static str,
    /// The compiler's target.
    pub target: &'static str,
    /// The compiler's `-C target-cpu`, where the target alone does not say it.
    pub cpu: Option<&'static str>,
    /// The compiler's `opt-level`: lower where all inner loops are assembly, so that less is unrolled.
    pub opt_level: &'static str,
    /// Code and constants.
    pub flash: Region,
    /// Static data, below the stack.
    pub ram: Region,
    /// Ticks a second of the timer that firmware uses: `SysTick` or the machine timer.
    pub timer_hz: u32,
}

/// A program of the QEMU family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Emulator {
    /// `qemu-system-arm`.
    Arm,
    /// `qemu-system-riscv32`.
    Riscv32,
}

/// A stretch of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region {
    /// First address.
    pub origin: u32,
    /// Length in bytes.
    pub len_bytes: u32,
}

impl Region {
    /// Its addresses.
    pub fn range(self) -> std::ops::Range<u64> {
        let start = u64::from(self.origin);
        start..start + u64::from(self.len_bytes)
    }
}

/// All boards, smallest core first.
///
/// The memories of the MPS2 and MPS3 machines are the emulator's, much larger than a product's:
/// that a model runs there does not say that it fits one. The micro:bit's are the real ones.
pub const BOARDS: &[Board] = &[
    Board {
        name: "cortex-m0",
        core: "Cortex-M0",
        emulator: Emulator::Arm,
        machine: "microbit",
        target: "thumbv6m-none-eabi",
        cpu: Some("cortex-m0"),
        opt_level: "3",
        flash: region(0, 256 * KIB),
        ram: region(0x2000_0000, 16 * KIB),
        timer_hz: 16_000_000,
    },
    Board {
        // The machine has a Cortex-M3, which executes all of this core's instructions: it stands
        // in for an M0+ with room for every model.
        name: "cortex-m0plus",
        core: "Cortex-M0+",
        emulator: Emulator::Arm,
        machine: "mps2-an385",
        target: "thumbv6m-none-eabi",
        cpu: Some("cortex-m0plus"),
        opt_level: "3",
        flash: region(0, 4 * MIB),
        ram: region(0x2000_0000, 4 * MIB),
        timer_hz: 25_000_000,
    },
    Board {
        name: "cortex-m3",
        core: "Cortex-M3",
        emulator: Emulator::Arm,
        machine: "mps2-an385",
        target: "thumbv7m-none-eabi",
        cpu: Some("cortex-m3"),
        opt_level: "3",
        flash: region(0, 4 * MIB),
        ram: region(0x2000_0000, 4 * MIB),
        timer_hz: 25_000_000,
    },
    Board {
        name: "cortex-m4",
        core: "Cortex-M4F",
        emulator: Emulator::Arm,
        machine: "mps2-an386",
        target: "thumbv7em-none-eabihf",
        cpu: Some("cortex-m4"),
        opt_level: "2",
        flash: region(0, 4 * MIB),
        ram: region(0x2000_0000, 4 * MIB),
        timer_hz: 25_000_000,
    },
    Board {
        name: "cortex-m7",
        core: "Cortex-M7",
        emulator: Emulator::Arm,
        machine: "mps2-an500",
        target: "thumbv7em-none-eabihf",
        cpu: Some("cortex-m7"),
        opt_level: "2",
        flash: region(0, 4 * MIB),
        ram: region(0x2000_0000, 4 * MIB),
        timer_hz: 25_000_000,
    },
    Board {
        // Firmware runs in the secure state, so both memories are at their secure aliases.
        name: "cortex-m33",
        core: "Cortex-M33",
        emulator: Emulator::Arm,
        machine: "mps2-an505",
        target: "thumbv8m.main-none-eabihf",
        cpu: Some("cortex-m33"),
        opt_level: "2",
        flash: region(0x1000_0000, 4 * MIB),
        ram: region(0x3800_0000, 2 * MIB),
        timer_hz: 20_000_000,
    },
    Board {
        // Tightly coupled memories, at their secure aliases.
        name: "cortex-m55",
        core: "Cortex-M55 with Helium",
        emulator: Emulator::Arm,
        machine: "mps3-an547",
        target: "thumbv8m.main-none-eabihf",
        cpu: Some("cortex-m55"),
        opt_level: "3",
        flash: region(0x1000_0000, 512 * KIB),
        ram: region(0x3000_0000, 512 * KIB),
        timer_hz: 32_000_000,
    },
    Board {
        // The machine has no flash at its reset address: the first half of its RAM plays that part.
        name: "rv32",
        core: "RV32IMAC",
        emulator: Emulator::Riscv32,
        machine: "virt",
        target: "riscv32imac-unknown-none-elf",
        cpu: None,
        opt_level: "3",
        flash: region(0x8000_0000, 8 * MIB),
        ram: region(0x8080_0000, 8 * MIB),
        timer_hz: 10_000_000,
    },
];

const KIB: u32 = 1024;
const MIB: u32 = 1024 * KIB;

const fn region(origin: u32, len_bytes: u32) -> Region {
    Region { origin, len_bytes }
}

impl Board {
    /// The board of that name.
    ///
    /// # Errors
    ///
    /// [`EmulatorError::UnknownBoard`], which lists those that exist.
    pub fn find(name: &str) -> Result<&'static Self, EmulatorError> {
        BOARDS.iter().find(|board| board.name == name).ok_or_else(|| EmulatorError::UnknownBoard {
            name: name.to_owned(),
            known: BOARDS.iter().map(|board| board.name).collect::<Vec<_>>().join(", "),
        })
    }

    /// The linker's description of the memory, as cortex-m-rt and riscv-rt include it.
    pub fn memory_x(&self) -> String {
        let regions = [("FLASH", self.flash), ("RAM", self.ram)];
        memory_x(self.target, &regions, &format!("{STACK_FLOOR} = __sheap;\n"))
    }

    /// What a build for the board depends on.
    pub fn platform(&self) -> Platform {
        Platform {
            name: self.name,
            builds: self.name,
            target: self.target,
            cpu: self.cpu,
            opt_level: self.opt_level,
            timer_hz: self.timer_hz,
            link_script: "link.x",
            memory_x: self.memory_x(),
        }
    }
}

/// What a build needs to know of a board, emulated or real.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Platform {
    /// The board's name, unique among all.
    pub name: &'static str,
    /// The directory of its builds. Boards that share one also share what is compiled for the host,
    /// and wait for each other.
    pub builds: &'static str,
    /// The compiler's target.
    pub target: &'static str,
    /// The compiler's `-C target-cpu`, where the target alone does not say it.
    pub cpu: Option<&'static str>,
    /// The compiler's `opt-level`.
    pub opt_level: &'static str,
    /// Ticks a second of an emulated board's timer; 0 if firmware need not know.
    pub timer_hz: u32,
    /// The linker script that the start-up code comes with.
    pub link_script: &'static str,
    /// The linker's description of the memory, which that script includes.
    pub memory_x: String,
}

/// The symbol down to which the stack may grow.
pub const STACK_FLOOR: &str = "__fixie_stack_floor";

/// A linker script with these regions of memory, `FLASH` and `RAM` among them, and these `symbols`,
/// of which [`STACK_FLOOR`] must be one. It refuses to link what leaves no room for the stack.
pub fn memory_x(target: &str, regions: &[(&str, Region)], symbols: &str) -> String {
    let mut script = String::from("MEMORY\n{\n");
    for (name, Region { origin, len_bytes }) in regions {
        let _ = writeln!(script, "  {name} : ORIGIN = {origin:#010x}, LENGTH = {len_bytes}");
    }
    script.push_str("}\n");
    if target.starts_with("riscv") {
        for (alias, region) in RISCV_REGIONS {
            let _ = writeln!(script, "REGION_ALIAS(\"REGION_{alias}\", {region});");
        }
    }
    script.push_str(symbols);
    let _ = writeln!(
        script,
        "ASSERT({STACK_FLOOR} >= __sheap && _stack_start - {STACK_FLOOR} >= {MIN_STACK_BYTES}, \"{STACK_MESSAGE}\");"
    );
    script
}

/// What the linker says when RAM has room for the data but not for the stack.
pub(crate) const STACK_MESSAGE: &str = "fixie: no room for the stack";

/// The places that riscv-rt wants named.
const RISCV_REGIONS: [(&str, &str); 6] = [
    ("TEXT", "FLASH"),
    ("RODATA", "FLASH"),
    ("DATA", "RAM"),
    ("BSS", "RAM"),
    ("HEAP", "RAM"),
    ("STACK", "RAM"),
];

impl Emulator {
    /// The program's name.
    pub const fn program(self) -> &'static str {
        match self {
            Self::Arm => "qemu-system-arm",
            Self::Riscv32 => "qemu-system-riscv32",
        }
    }

    /// The Debian package that contains it.
    pub const fn package(self) -> &'static str {
        match self {
            Self::Arm => "qemu-system-arm",
            Self::Riscv32 => "qemu-system-misc",
        }
    }

    /// Arguments which the machines of this program need besides the usual ones.
    pub(crate) const fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Arm => &[],
            // No firmware of QEMU's own before ours.
            Self::Riscv32 => &["-bios", "none"],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_found() {
        for board in BOARDS {
            assert_eq!(Board::find(board.name).unwrap(), board);
        }
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_known_ones() {
        let message = Board::find("cortex-m9").unwrap_err().to_string();
        assert!(message.contains("cortex-m9") && message.contains("cortex-m55"), "{message}");
    }

    #[test]
    fn memory_x_of_the_microbit() {
        assert_eq!(
            Board::find("cortex-m0").unwrap().memory_x(),
            "MEMORY\n{\n  FLASH : ORIGIN = 0x00000000, LENGTH = 262144\n  \
             RAM : ORIGIN = 0x20000000, LENGTH = 16384\n}\n\
             __fixie_stack_floor = __sheap;\n\
             ASSERT(__fixie_stack_floor >= __sheap && _stack_start - __fixie_stack_floor >= 1024, \
             \"fixie: no room for the stack\");\n"
        );
    }
}
