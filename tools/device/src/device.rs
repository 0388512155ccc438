//! A chip on a probe: attaching to it, flashing it, restarting it.

use std::cell::Cell;
use std::error::Error;
use std::time::Duration;

use probe_rs::architecture::arm::{ArmError, DapError};
use probe_rs::config::CoreType;
use probe_rs::flashing::{
    DownloadOptions, FlashError, FlashProgress, ProgressEvent, ProgressOperation,
};
use probe_rs::probe::DebugProbeError;
use probe_rs::rtt::{Rtt, ScanRegion};
use probe_rs::{Core, MemoryInterface, Permissions, Session};

use crate::DeviceError;
use crate::board::Identity;
use crate::chip::Chip;
use crate::error::reasons;
use crate::firmware::{Firmware, Segment};
use crate::plan::Plan;
use crate::probe::Probes;

/// The longest that a core takes to halt.
const HALT_LIMIT: Duration = Duration::from_millis(500);

/// Which chip to attach to, and how.
#[derive(Debug, Clone, Copy)]
pub struct Attach<'a> {
    /// Where probes are found.
    pub probes: &'a Probes,
    /// Selector or serial number of the probe; the only one there is, if not said.
    pub probe: Option<&'a str>,
    /// The chip that is expected.
    pub chip: &'a Chip,
    /// How it is told from others.
    pub identity: Option<Identity>,
    /// Whether a locked chip may be opened, which erases it.
    pub unlock: bool,
}

/// A chip on a probe.
#[derive(Debug)]
pub struct Device {
    session: Session,
}

/// A part of flashing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Sectors are erased.
    Erase,
    /// Pages are written.
    Program,
    /// What was written is read back.
    Verify,
}

/// What flashing has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlashEvent {
    /// An operation begins.
    Started {
        /// The operation.
        operation: Operation,
        /// Bytes in all.
        total_bytes: u64,
    },
    /// An operation has dealt with some more bytes.
    Advanced {
        /// How many.
        bytes: u64,
    },
}

impl Device {
    /// Attaches to a chip, without stopping it, and makes sure that it is the expected one.
    ///
    /// # Errors
    ///
    /// [`DeviceError`]: no probe, no permission, no chip, another chip, a locked chip.
    pub fn attach(how: &Attach<'_>) -> Result<Self, DeviceError> {
        let probe = how.probes.open(how.probe)?;
        let permissions =
            if how.unlock { Permissions::new().allow_erase_all() } else { Permissions::new() };
        let session = probe
            .attach(how.chip.target().clone(), permissions)
            .map_err(|error| attach_error(how, error))?;
        let mut device = Self { session };
        device.check_core(how)?;
        device.check_identity(how)?;
        Ok(device)
    }

    /// Writes what is planned and reads it back. The chip is stopped and stays so until it is
    /// [restarted](Self::restart), reset or powered up again.
    ///
    /// # Errors
    ///
    /// [`DeviceError::Disconnected`], after which the same call starts anew; [`DeviceError::Flash`];
    /// [`DeviceError::Verify`].
    pub fn flash(
        &mut self,
        plan: &Plan,
        progress: &mut dyn FnMut(FlashEvent),
    ) -> Result<(), DeviceError> {
        let doing = Cell::new("preparing the flash");
        let failed = |error: FlashError| {
            DeviceError::while_doing(doing.get(), |doing, source| DeviceError::Flash {
                doing,
                source,
            })(error)
        };
        let mut loader = self.session.target().flash_loader();
        for segment in &plan.segments {
            loader.add_data(segment.address, &segment.data).map_err(failed)?;
        }
        let mut options = DownloadOptions::default();
        options.verify = true;
        let mut totals = Totals::default();
        options.progress = FlashProgress::new(|event| {
            if let Some(event) = totals.follow(&event, &doing) {
                progress(event);
            }
        });
        match loader.commit(&mut self.session, options) {
            Err(FlashError::Verify) => Err(self.first_difference(&plan.segments)?),
            result => result.map_err(failed),
        }
    }

    /// Resets the chip, so that its firmware starts anew. An old log is forgotten first.
    ///
    /// # Errors
    ///
    /// [`DeviceError::Access`], [`DeviceError::Disconnected`].
    pub fn restart(&mut self, firmware: Option<&Firmware>) -> Result<(), DeviceError> {
        let mut core = self.core()?;
        if let Some(address) = firmware.and_then(Firmware::rtt) {
            core.halt(HALT_LIMIT).map_err(DeviceError::access("halting the core"))?;
            Rtt::clear_control_block(&mut core, &ScanRegion::Exact(address))
                .map_err(DeviceError::access("clearing the old log"))?;
        }
        core.reset().map_err(DeviceError::access("resetting the chip"))
    }

    /// The chip's name.
    pub fn chip(&self) -> &str {
        &self.session.target().name
    }

    /// Reads memory.
    ///
    /// # Errors
    ///
    /// [`DeviceError::Access`], [`DeviceError::Disconnected`].
    pub fn read(&mut self, address: u64, bytes: &mut [u8]) -> Result<(), DeviceError> {
        self.core()?.read(address, bytes).map_err(DeviceError::access("reading memory"))
    }

    /// The core that runs the firmware.
    pub(crate) fn core(&mut self) -> Result<Core<'_>, DeviceError> {
        self.session.core(0).map_err(DeviceError::access("attaching to the core"))
    }

    /// That the core is of the expected kind. Cores other than Cortex-M have no such register.
    fn check_core(&mut self, how: &Attach<'_>) -> Result<(), DeviceError> {
        let mut expected = parts(how.chip.core_type()).peekable();
        if expected.peek().is_none() {
            return Ok(());
        }
        let part = part(self.word(CPUID)?);
        if expected.any(|expected| expected == part) {
            return Ok(());
        }
        Err(wrong_chip(how, format!("it has a {}", core_name(part))))
    }

    fn check_identity(&mut self, how: &Attach<'_>) -> Result<(), DeviceError> {
        let Some(Identity { address, mask, value }) = how.identity else {
            return Ok(());
        };
        let found = self.word(u64::from(address))? & mask;
        if found == value {
            return Ok(());
        }
        Err(wrong_chip(how, format!("its part number is {found:#x}, not {value:#x}")))
    }

    fn word(&mut self, address: u64) -> Result<u32, DeviceError> {
        self.core()?.read_word_32(address).map_err(DeviceError::access("identifying the chip"))
    }

    /// The error which says where flash differs from what was written.
    fn first_difference(&mut self, segments: &[Segment]) -> Result<DeviceError, DeviceError> {
        for segment in segments {
            let mut found = vec![0; segment.data.len()];
            self.read(segment.address, &mut found)?;
            let differs = |(_, (expected, found)): &(_, (&u8, &u8))| expected != found;
            let pairs = segment.data.iter().zip(&found);
            if let Some((offset, (&expected, &found))) = pairs.enumerate().find(differs) {
                let address = segment.address + offset as u64;
                return Ok(DeviceError::Verify { address, expected, found });
            }
        }
        let source = Box::new(FlashError::Verify);
        Ok(DeviceError::Flash { doing: "reading flash back", source })
    }
}

/// How much each operation has to do, which probe-rs says before the first begins.
#[derive(Default)]
struct Totals([u64; 3]);

impl Totals {
    fn follow(&mut self, event: &ProgressEvent, doing: &Cell<&'static str>) -> Option<FlashEvent> {
        match event {
            ProgressEvent::AddProgressBar { operation, total: Some(total) } => {
                self.0[own(*operation)? as usize] += total;
                None
            }
            ProgressEvent::Started(operation) => {
                let operation = own(*operation)?;
                doing.set(match operation {
                    Operation::Erase => "erasing flash",
                    Operation::Program => "writing flash",
                    Operation::Verify => "reading flash back",
                });
                let total_bytes = self.0[operation as usize];
                Some(FlashEvent::Started { operation, total_bytes })
            }
            ProgressEvent::Progress { size, .. } => Some(FlashEvent::Advanced { bytes: *size }),
            _ => None,
        }
    }
}

/// Nothing is filled: sectors are written whole.
fn own(operation: ProgressOperation) -> Option<Operation> {
    match operation {
        ProgressOperation::Fill => None,
        ProgressOperation::Erase => Some(Operation::Erase),
        ProgressOperation::Program => Some(Operation::Program),
        ProgressOperation::Verify => Some(Operation::Verify),
    }
}

/// What a failure to attach means.
fn attach_error(how: &Attach<'_>, error: probe_rs::Error) -> DeviceError {
    let chip = how.chip.name().to_owned();
    let any = |is: fn(&(dyn Error + 'static)) -> bool| reasons(&error).any(is);
    if any(is_missing_permission) {
        // A chip of another make may lack what this one says by whether it is locked. A locked chip
        // does not let itself be read at all.
        return match core_behind(how) {
            Some(core) => wrong_chip(how, format!("it has a {core} and is not locked")),
            None => DeviceError::Locked { chip },
        };
    }
    if any(is_wrong_port) {
        return wrong_chip(how, "its debug port is built differently".to_owned());
    }
    let source = Box::new(error);
    if reasons(&*source).any(is_silence) {
        return DeviceError::NoChip { source };
    }
    DeviceError::Attach { chip, source }
}

fn wrong_chip(how: &Attach<'_>, found: String) -> DeviceError {
    DeviceError::WrongChip { expected: how.chip.name().to_owned(), found }
}

fn is_missing_permission(reason: &(dyn Error + 'static)) -> bool {
    matches!(reason.downcast_ref(), Some(ArmError::MissingPermissions(_)))
        || matches!(reason.downcast_ref(), Some(probe_rs::Error::MissingPermissions(_)))
}

fn is_wrong_port(reason: &(dyn Error + 'static)) -> bool {
    matches!(
        reason.downcast_ref(),
        Some(ArmError::ApDoesNotExist(_) | ArmError::WrongApType | ArmError::WrongApVersion)
    )
}

fn is_silence(reason: &(dyn Error + 'static)) -> bool {
    matches!(reason.downcast_ref(), Some(ArmError::NoTargetResponse { .. }))
        || matches!(reason.downcast_ref(), Some(DapError::NoAcknowledge))
        || matches!(reason.downcast_ref(), Some(DebugProbeError::TargetNotFound))
}

/// The core behind the first access port, read as of any Cortex-M; none if it cannot be read.
fn core_behind(how: &Attach<'_>) -> Option<&'static str> {
    let probe = how.probes.open(how.probe).ok()?;
    let mut session = probe.attach("Cortex-M0", Permissions::new()).ok()?;
    let cpuid = session.core(0).ok()?.read_word_32(CPUID).ok()?;
    Some(core_name(part(cpuid)))
}

/// Address of the CPU identification register of every Cortex-M.
const CPUID: u64 = 0xE000_ED00;

/// Part numbers of Arm's cores, their architectures and names, from their technical reference manuals.
const CORES: [(u32, CoreType, &str); 10] = [
    (0xC20, CoreType::Armv6m, "Cortex-M0"),
    (0xC60, CoreType::Armv6m, "Cortex-M0+"),
    (0xC21, CoreType::Armv6m, "Cortex-M1"),
    (0xC23, CoreType::Armv7m, "Cortex-M3"),
    (0xC24, CoreType::Armv7em, "Cortex-M4"),
    (0xC27, CoreType::Armv7em, "Cortex-M7"),
    (0xD20, CoreType::Armv8m, "Cortex-M23"),
    (0xD21, CoreType::Armv8m, "Cortex-M33"),
    (0xD22, CoreType::Armv8m, "Cortex-M55"),
    (0xD23, CoreType::Armv8m, "Cortex-M85"),
];

/// `PARTNO` of a CPUID.
const fn part(cpuid: u32) -> u32 {
    cpuid >> 4 & 0xFFF
}

fn core_name(part: u32) -> &'static str {
    CORES.iter().find(|core| core.0 == part).map_or("core of another kind", |core| core.2)
}

/// The part numbers of an architecture; none where it has no CPUID.
fn parts(architecture: CoreType) -> impl Iterator<Item = u32> {
    CORES.iter().filter(move |core| core.1 == architecture).map(|core| core.0)
}
