//! A chip that executes nothing but its flash algorithm, and of that only what it is for.
//!
//! probe-rs loads the algorithm into RAM, sets program counter and arguments, and lets the core run
//! until it halts. Here the entry points are recognised and what they would do is done at once, on
//! NOR flash: erasing sets the bits of a sector, programming can only clear bits.

use std::io;
use std::ops::Range;

use fixie_device::emulated::Machine;
use probe_rs::config::Registry;
use probe_rs::flashing::FlashAlgorithm;

const ERASED: u8 = 0xFF;
const LR: usize = 14;
const PC: usize = 15;

/// How the flash behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    Sound,
    /// One bit of the second kilobyte behind this address cannot be cleared.
    StuckBit(u32),
    /// Erasing fails, as where flash is write-protected.
    Protected,
}

#[derive(Debug)]
pub struct NorChip {
    cpuid: u32,
    flash: (Range<u64>, Vec<u8>),
    ram: (Range<u64>, Vec<u8>),
    words: Vec<(u32, u32)>,
    algorithm: FlashAlgorithm,
    registers: [u32; 32],
    /// What the algorithm will return, once its first instruction is executed.
    result: Option<u32>,
    is_running: bool,
    health: Health,
}

impl NorChip {
    /// The chip of that name, its flash erased. `words` are registers that identify it.
    pub fn new(chip: &str, cpuid: u32, words: &[(u32, u32)]) -> Self {
        let target = Registry::from_builtin_families().get_target_by_name(chip).unwrap();
        let regions = target.memory_map.iter();
        let flash = regions.clone().find_map(|region| region.as_nvm_region()).unwrap();
        let flash = flash.range.clone();
        let ram = regions.filter_map(|region| region.as_ram_region());
        let ram = ram.map(|region| region.range.clone()).find(|ram| ram.contains(&0x2000_0000));
        let ram = ram.unwrap();
        let raw = target.flash_algorithms.iter();
        let raw = raw.filter(|raw| raw.flash_properties.address_range.contains(&flash.start));
        let raw = raw.max_by_key(|raw| raw.default).unwrap();
        let core = &target.cores[0].name;
        let algorithm = FlashAlgorithm::assemble_from_raw_with_core(raw, core, &target).unwrap();
        let memory = |range: Range<u64>, fill| {
            (range.clone(), vec![fill; (range.end - range.start) as usize])
        };
        Self {
            cpuid,
            // The algorithm may run from another RAM than the data's: it needs no bytes there.
            flash: memory(flash, ERASED),
            ram: memory(ram, 0),
            words: words.to_vec(),
            algorithm,
            registers: [0; 32],
            result: None,
            is_running: false,
            health: Health::Sound,
        }
    }

    pub fn with_health(mut self, health: Health) -> Self {
        self.health = health;
        self
    }

    /// What the algorithm gives back; none where no entry point is.
    fn call(&mut self) -> Option<u32> {
        let pc = u64::from(self.registers[PC]);
        let [r0, r1, r2, ..] = self.registers;
        let algorithm = &self.algorithm;
        if [algorithm.pc_init, algorithm.pc_uninit].contains(&Some(pc)) {
            return Some(0);
        }
        if pc == algorithm.pc_erase_sector {
            return Some(self.erase_sector(u64::from(r0)));
        }
        (pc == algorithm.pc_program_page).then(|| self.program(r0, r1, r2))
    }

    fn erase_sector(&mut self, address: u64) -> u32 {
        if self.health == Health::Protected {
            return 1;
        }
        let sector = self.algorithm.sector_info(address).unwrap();
        let base = self.flash.0.start;
        let start = (sector.base_address - base) as usize;
        self.flash.1[start..start + sector.size as usize].fill(ERASED);
        0
    }

    fn program(&mut self, address: u32, len: u32, source: u32) -> u32 {
        let mut page = vec![0; len as usize];
        self.read(source, &mut page).unwrap();
        let start = (u64::from(address) - self.flash.0.start) as usize;
        for (cell, byte) in self.flash.1[start..].iter_mut().zip(page) {
            *cell &= byte;
        }
        if let Health::StuckBit(stuck) = self.health {
            let offset = (u64::from(stuck) - self.flash.0.start) as usize;
            self.flash.1[offset] |= 1;
        }
        0
    }
}

impl Machine for NorChip {
    fn cpuid(&self) -> u32 {
        self.cpuid
    }

    fn read(&mut self, address: u32, bytes: &mut [u8]) -> io::Result<()> {
        bytes.fill(0);
        if let Some((_, word)) = self.words.iter().find(|(at, _)| *at == address & !3) {
            bytes.copy_from_slice(&word.to_le_bytes()[..bytes.len()]);
        }
        for (range, memory) in [&self.flash, &self.ram] {
            if range.contains(&u64::from(address)) {
                let start = (u64::from(address) - range.start) as usize;
                bytes.copy_from_slice(&memory[start..start + bytes.len()]);
            }
        }
        Ok(())
    }

    fn write(&mut self, address: u32, bytes: &[u8]) -> io::Result<()> {
        let (range, memory) = &mut self.ram;
        if range.contains(&u64::from(address)) {
            let start = (u64::from(address) - range.start) as usize;
            memory[start..start + bytes.len()].copy_from_slice(bytes);
        }
        Ok(())
    }

    fn register(&mut self, number: u8) -> io::Result<u32> {
        Ok(self.registers[usize::from(number)])
    }

    fn set_register(&mut self, number: u8, value: u32) -> io::Result<()> {
        self.registers[usize::from(number)] = value;
        Ok(())
    }

    fn run(&mut self) -> io::Result<()> {
        match self.result.take() {
            Some(result) => {
                self.registers[0] = result;
                // To the `BKPT` at the algorithm's head.
                self.registers[PC] = self.registers[LR] & !1;
            }
            None => self.is_running = true,
        }
        Ok(())
    }

    /// probe-rs steps before it lets a core run, so as to leave a breakpoint behind.
    fn step(&mut self) -> io::Result<()> {
        self.result = self.call();
        self.registers[PC] += 2;
        Ok(())
    }

    fn halt(&mut self) -> io::Result<()> {
        self.is_running = false;
        Ok(())
    }

    fn is_halted(&mut self) -> io::Result<bool> {
        Ok(!self.is_running)
    }

    fn reset(&mut self) -> io::Result<()> {
        self.registers = [0; 32];
        self.is_running = false;
        Ok(())
    }

    fn erase_all(&mut self) -> io::Result<()> {
        self.flash.1.fill(ERASED);
        Ok(())
    }
}
