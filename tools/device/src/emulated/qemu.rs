//! QEMU's micro:bit as a machine: a Cortex-M0 with the flash controller of the nRF51.

use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Machine;
use super::gdb::{Gdb, LIMIT, is_halt};
use fixie_emulator::EmulatorError;
use fixie_emulator::board::Emulator;

/// CPUID of a Cortex-M0, revision r0p0.
const CPUID: u32 = 0x410C_C200;
/// Flash, which only the flash controller writes.
const FLASH_BYTES: u32 = 256 * 1024;
/// Registers as the stub numbers them: the first 16 as the core does.
const LR: u8 = 14;
const PC: u8 = 15;
const XPSR: u8 = 25;
/// A program counter that no reset leaves behind.
const NOWHERE: u32 = 0xFFFF_FF00;
/// The program counter of a core that is locked up (ARMv6-M architecture reference manual, B1.5.15),
/// which is also what a reset reads from erased flash.
const LOCKED_UP: u32 = 0xFFFF_FFFE;
/// Where the vector table has the handler of hard faults.
const HARD_FAULT_VECTOR: u32 = 0xC;
/// `BKPT`, less the byte that it carries.
const BKPT: u8 = 0xBE;

/// What the core does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Halted,
    Running,
    /// Without a reset vector, or after a hard fault, it does nothing until it is halted or reset.
    LockedUp,
}

/// A running emulator.
#[derive(Debug)]
pub struct Qemu {
    child: Child,
    gdb: Gdb,
    serial: Arc<TcpStream>,
    state: State,
    /// Where `BKPT` was seen when the core was last started.
    breakpoint: Option<u32>,
    /// Where a hard fault leads to. A fault in its handler would end the emulator, so that the core
    /// locks up before that has begun.
    hard_fault: Option<u32>,
}

impl Qemu {
    /// Starts a micro:bit with erased flash, halted. One instruction takes 64 ns of its clock, which
    /// makes 16 MHz of one instruction per cycle, and every run the same.
    ///
    /// # Errors
    ///
    /// [`EmulatorError::NoEmulator`] where QEMU is not installed, [`EmulatorError::Start`].
    pub fn start() -> Result<Self, EmulatorError> {
        let program = Emulator::Arm.program();
        let start = |source: io::Error| match source.kind() {
            io::ErrorKind::NotFound => {
                EmulatorError::NoEmulator { program, package: Emulator::Arm.package() }
            }
            _ => EmulatorError::Start { program: program.to_owned(), source },
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(start)?;
        let line = listener.local_addr().map_err(start)?;
        let mut child = Command::new(program)
            .args(["-machine", "microbit", "-display", "none", "-monitor", "none"])
            .args(["-serial", &format!("tcp:{line}")])
            .args(["-icount", "shift=6", "-S", "-gdb", "stdio"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(start)?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(start(io::ErrorKind::BrokenPipe.into()));
        };
        // It has connected the serial line by the time at which it answers.
        let gdb = Gdb::connect(stdin, stdout).map_err(start)?;
        let (serial, _) = listener.accept().map_err(start)?;
        let (serial, state) = (Arc::new(serial), State::Halted);
        let mut qemu = Self { child, gdb, serial, state, breakpoint: None, hard_fault: None };
        qemu.erase_all().and_then(|()| qemu.reset()).map_err(start)?;
        Ok(qemu)
    }

    /// The other end of the board's serial line. What is written to it arrives as fast as the program
    /// receives, and waits until it does.
    pub fn serial(&self) -> Arc<TcpStream> {
        Arc::clone(&self.serial)
    }

    /// Does something that the stub does only while the machine is halted.
    fn paused<R>(&mut self, work: impl FnOnce(&mut Gdb) -> io::Result<R>) -> io::Result<R> {
        if self.is_halted()? || self.state == State::LockedUp {
            return work(&mut self.gdb);
        }
        self.gdb.interrupt()?;
        self.gdb.wait_for_halt()?;
        let result = work(&mut self.gdb);
        self.gdb.send("c")?;
        result
    }

    fn is_locked_up(&mut self) -> io::Result<bool> {
        Ok(self.gdb.register(PC)? == LOCKED_UP)
    }

    /// Takes note of a halt, which is none if a fault led to it.
    fn has_halted(&mut self) -> io::Result<()> {
        let hard_fault = self.hard_fault.take();
        for address in self.breakpoint.take().into_iter().chain(hard_fault) {
            self.gdb.order(&format!("z1,{address:x},2"))?;
        }
        self.state = State::Halted;
        if hard_fault == Some(self.gdb.register(PC)?) {
            self.gdb.set_register(PC, LOCKED_UP)?;
            self.state = State::LockedUp;
        }
        Ok(())
    }
}

/// The stub's number of a register that DCRSR numbers.
fn stub_register(number: u8) -> io::Result<u8> {
    match number {
        0..=15 => Ok(number),
        16 => Ok(XPSR),
        // The main stack pointer, which is the only one in use.
        17 => Ok(13),
        _ => Err(io::Error::other(format!("register {number} is not emulated"))),
    }
}

impl Machine for Qemu {
    fn cpuid(&self) -> u32 {
        CPUID
    }

    fn read(&mut self, address: u32, bytes: &mut [u8]) -> io::Result<()> {
        self.paused(|gdb| gdb.read(address, bytes))
    }

    fn write(&mut self, address: u32, bytes: &[u8]) -> io::Result<()> {
        // The stub would write flash as if it were RAM.
        if address < FLASH_BYTES {
            return Ok(());
        }
        self.paused(|gdb| gdb.write(address, bytes))
    }

    fn register(&mut self, number: u8) -> io::Result<u32> {
        self.gdb.register(stub_register(number)?)
    }

    fn set_register(&mut self, number: u8, value: u32) -> io::Result<()> {
        self.gdb.set_register(stub_register(number)?, value)
    }

    /// Unlike a core with a debugger, the emulated one does not halt at `BKPT`. A flash algorithm
    /// meets one when it returns, so that is where the stub is told to halt it.
    fn run(&mut self) -> io::Result<()> {
        if self.is_locked_up()? {
            self.state = State::LockedUp;
            return Ok(());
        }
        let address = self.gdb.register(LR)? & !1;
        let mut instruction = [0; 2];
        let is_memory = self.gdb.read(address, &mut instruction).is_ok();
        self.breakpoint = (is_memory && instruction[1] == BKPT).then_some(address);
        let mut vector = [0; 4];
        self.gdb.read(HARD_FAULT_VECTOR, &mut vector)?;
        self.hard_fault = Some(u32::from_le_bytes(vector) & !1);
        for address in self.breakpoint.into_iter().chain(self.hard_fault) {
            self.gdb.order(&format!("Z1,{address:x},2"))?;
        }
        self.state = State::Running;
        self.gdb.send("c")
    }

    fn step(&mut self) -> io::Result<()> {
        if self.is_locked_up()? {
            return Ok(());
        }
        self.gdb.send("s")?;
        self.gdb.wait_for_halt()
    }

    fn halt(&mut self) -> io::Result<()> {
        if !self.is_halted()? && self.state == State::Running {
            self.gdb.interrupt()?;
            self.gdb.wait_for_halt()?;
        }
        self.has_halted()?;
        self.state = State::Halted;
        Ok(())
    }

    /// A flash algorithm is waited for: how often one asks, and whether it is done in the time that
    /// a chip takes, does not depend on how busy this computer is.
    fn is_halted(&mut self) -> io::Result<bool> {
        let limit = if self.breakpoint.is_some() { LIMIT } else { Duration::ZERO };
        let is_running = self.state == State::Running;
        if is_running && self.gdb.answer(limit)?.is_some_and(|text| is_halt(&text)) {
            self.has_halted()?;
        }
        Ok(self.state == State::Halted)
    }

    fn reset(&mut self) -> io::Result<()> {
        self.halt()?;
        self.gdb.set_register(PC, NOWHERE)?;
        self.gdb.monitor("system_reset")?;
        let start = Instant::now();
        // The reset happens when the emulator comes to it.
        while self.gdb.register(PC)? == NOWHERE {
            if start.elapsed() > LIMIT {
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
        Ok(())
    }

    fn erase_all(&mut self) -> io::Result<()> {
        self.halt()?;
        self.gdb.write(0, &vec![0xFF; FLASH_BYTES as usize])
    }
}

impl Drop for Qemu {
    fn drop(&mut self) {
        // Failing to end a child that has just ended by itself is no failure.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
