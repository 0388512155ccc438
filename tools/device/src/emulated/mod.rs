//! A board without a board: a debug probe as probe-rs sees one, and a chip behind it in software.
//!
//! Everything above the wire is the real thing: probe-rs attaches by the debug port's registers,
//! loads its flash algorithm into RAM, halts and resumes the core by its debug registers and reads
//! RTT from memory. What is emulated is below:
//!
//! ```text
//! probe-rs ─ RawDapAccess ─▶ Port (DP, MEM-AP, CTRL-AP) ─▶ DebugRegisters (Cortex-M) ─▶ dyn Machine
//! ```
//!
//! [`Qemu`] is a machine that runs code: QEMU's micro:bit, reached through its debugger stub. There
//! the flash algorithm itself executes, on QEMU's model of the nRF51's flash controller. Wires can be
//! unplugged and chips locked by [`Wire`].

mod debug;
mod gdb;
mod port;
mod qemu;

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use probe_rs::probe::list::{Lister, ProbeListItem, ProbeLister};
use probe_rs::probe::{
    DebugProbe, DebugProbeError, DebugProbeInfo, DebugProbeSelector, Probe, ProbeFactory,
};

use debug::DebugRegisters;
use port::Port;
pub use qemu::Qemu;

/// A Cortex-M and its memory, as its debug hardware reaches them.
pub trait Machine: Send + fmt::Debug {
    /// What the CPU identification register holds.
    fn cpuid(&self) -> u32;
    /// Reads memory, of a running core too.
    ///
    /// # Errors
    ///
    /// The machine does not answer.
    fn read(&mut self, address: u32, bytes: &mut [u8]) -> io::Result<()>;
    /// Writes memory, of a running core too. Flash is not written this way.
    ///
    /// # Errors
    ///
    /// The machine does not answer.
    fn write(&mut self, address: u32, bytes: &[u8]) -> io::Result<()>;
    /// A register of the halted core, numbered as in DCRSR.
    ///
    /// # Errors
    ///
    /// The machine does not answer.
    fn register(&mut self, number: u8) -> io::Result<u32>;
    /// Sets a register of the halted core, numbered as in DCRSR.
    ///
    /// # Errors
    ///
    /// The machine does not answer.
    fn set_register(&mut self, number: u8, value: u32) -> io::Result<()>;
    /// Lets the core run until it is halted or meets a `BKPT`.
    ///
    /// # Errors
    ///
    /// The machine does not answer.
    fn run(&mut self) -> io::Result<()>;
    /// Executes one instruction of the halted core.
    ///
    /// # Errors
    ///
    /// The machine does not answer.
    fn step(&mut self) -> io::Result<()>;
    /// Halts the core.
    ///
    /// # Errors
    ///
    /// The machine does not answer.
    fn halt(&mut self) -> io::Result<()>;
    /// Whether the core is halted.
    ///
    /// # Errors
    ///
    /// The machine does not answer.
    fn is_halted(&mut self) -> io::Result<bool>;
    /// Resets the system and leaves the core halted before its first instruction.
    ///
    /// # Errors
    ///
    /// The machine does not answer.
    fn reset(&mut self) -> io::Result<()>;
    /// Erases all flash, as a chip does when it is unlocked.
    ///
    /// # Errors
    ///
    /// The machine does not answer.
    fn erase_all(&mut self) -> io::Result<()>;
}

/// The state of the wires and of what guards them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wire {
    /// After so many more accesses the cable is unplugged.
    pub unplug_after: Option<u64>,
    /// Nothing is connected to the probe's pins.
    pub is_open: bool,
    /// The chip has Nordic's control access port, which says whether it is locked.
    pub has_ctrl_ap: bool,
    /// The chip is locked.
    pub is_locked: bool,
}

/// A chip with its state, which outlives the probe's connection to it.
#[derive(Debug)]
struct Target {
    machine: Box<dyn Machine>,
    debug: DebugRegisters,
    wire: Wire,
}

/// A board, to be shared between probe and test.
#[derive(Debug, Clone)]
pub struct EmulatedBoard(Arc<Mutex<Target>>);

impl EmulatedBoard {
    /// A board with a machine, plugged in.
    pub fn new(machine: impl Machine + 'static, wire: Wire) -> Self {
        let target = Target { machine: Box::new(machine), debug: DebugRegisters::default(), wire };
        Self(Arc::new(Mutex::new(target)))
    }

    /// Changes the wires.
    pub fn set_wire(&self, change: impl FnOnce(&mut Wire)) {
        change(&mut self.target().wire);
    }

    /// The wires.
    pub fn wire(&self) -> Wire {
        self.target().wire
    }

    /// Reads memory past the probe.
    ///
    /// # Errors
    ///
    /// The machine does not answer.
    pub fn peek(&self, address: u32, bytes: &mut [u8]) -> io::Result<()> {
        self.target().machine.read(address, bytes)
    }

    /// A lister that finds one probe, with this board behind it.
    pub fn lister(&self) -> Lister {
        Lister::with_lister(Box::new(EmulatedProbe(self.clone())))
    }

    fn target(&self) -> MutexGuard<'_, Target> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What finds and opens the probe of a board.
#[derive(Debug)]
struct EmulatedProbe(EmulatedBoard);

impl ProbeLister for EmulatedProbe {
    fn open(&self, _: &DebugProbeSelector) -> Result<Probe, DebugProbeError> {
        Ok(Probe::from_specific_probe(Box::new(Port::new(self.0.clone()))))
    }

    fn list_with_access(&self, selector: Option<&DebugProbeSelector>) -> Vec<ProbeListItem> {
        let info = probe_info(None);
        let is_wanted = selector.is_none_or(|selector| selector.matches_probe(&info));
        is_wanted.then(|| ProbeListItem::accessible(info)).into_iter().collect()
    }
}

/// An entry in a list of probes. Vendor and product are the pair that is free for tests of prototypes
/// (pid.codes, 0x1209:0x0001).
pub fn probe_info(serial: Option<&str>) -> DebugProbeInfo {
    let serial = serial.map(str::to_owned);
    DebugProbeInfo::new("Emulated probe", 0x1209, 0x0001, serial, &Kind, None, false)
}

/// What kind of probe it is.
#[derive(Debug)]
struct Kind;

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("emulated")
    }
}

impl ProbeFactory for Kind {
    fn open(&self, _: &DebugProbeSelector) -> Result<Box<dyn DebugProbe>, DebugProbeError> {
        Err(DebugProbeError::Other("an emulated probe is opened by its lister".to_owned()))
    }

    fn list_probes(&self) -> Vec<ProbeListItem> {
        Vec::new()
    }
}
