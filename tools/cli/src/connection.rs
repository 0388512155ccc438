//! The way to a chip: which one, on which probe.

use std::io::Write;
use std::thread;

use clap::Args;
use fixie_device::board::Programmer;
use fixie_device::emulated::{EmulatedBoard, Qemu, Wire};
use fixie_device::{
    Attach, Board, Chip, Device, DeviceError, Firmware, FlashEvent, Operation, Plan, Probes,
};
use fixie_emulator::Stage;

use crate::cmd::bench::describe;
use crate::progress::Progress;

/// What `--probe` calls the micro:bit in QEMU.
const EMULATED: &str = "emulated";

/// How a chip is reached.
#[derive(Debug, Args)]
pub struct ProbeArguments {
    /// The debug probe, as `fixie probe list` shows it, or its serial number; not needed where only
    /// one is connected. For the ESP32-C3 the serial port. `emulated` is a micro:bit in QEMU, with
    /// nothing to connect.
    #[arg(long, value_name = "SELECTOR")]
    probe: Option<String>,
    /// Open a locked chip, which erases all of its flash.
    #[arg(long)]
    unlock: bool,
}

impl ProbeArguments {
    /// What was said, for boards that are reached in another way.
    pub fn selector(&self) -> Option<&str> {
        self.probe.as_deref()
    }

    /// Whether it is the micro:bit in QEMU.
    pub fn is_emulated(&self) -> bool {
        self.probe.as_deref() == Some(EMULATED)
    }
}

/// A kind of chip, and the board it is on if Fixie knows that.
#[derive(Debug)]
pub struct Part {
    pub board: Option<&'static Board>,
    pub chip: Chip,
}

impl Part {
    /// The board of that name, else the chip. `image` is what one would write to it.
    pub fn find(name: &str, image: &str) -> Result<Self, DeviceError> {
        let board = Board::find(name);
        if let Some(board) = board.filter(|board| board.programmer == Programmer::Espflash) {
            let name = board.name;
            let command = format!("fixie flash {image} --chip {name} --app bench --monitor");
            return Err(DeviceError::OtherProgrammer { chip: board.chip, command });
        }
        let chip = Chip::find(board.map_or(name, |board| board.chip))?;
        // What was typed may be the unmistakable beginning of a name.
        let board = board.or_else(|| Board::find(chip.name()));
        Ok(Self { board, chip })
    }

    /// Attaches and flashes, with a bar for each of the operations. `serial` arrives on the serial
    /// line of an emulated board.
    pub fn flash(
        &self,
        how: &ProbeArguments,
        plan: &Plan,
        serial: Vec<u8>,
    ) -> Result<Device, DeviceError> {
        let is_emulated = how.is_emulated();
        let probes = if is_emulated { emulated(serial)? } else { Probes::connected() };
        let mut device = Device::attach(&Attach {
            probes: &probes,
            probe: how.probe.as_deref().filter(|_| !is_emulated),
            chip: &self.chip,
            identity: self.board.and_then(|board| board.identity),
            unlock: how.unlock,
        })?;
        let mut bar = None;
        device.flash(plan, &mut |event| match event {
            FlashEvent::Started { operation, total_bytes } => {
                bar = Some(Progress::bar(name(operation), total_bytes as usize));
            }
            FlashEvent::Advanced { bytes } => {
                bar.iter().for_each(|bar| bar.advance(bytes as usize));
            }
        })?;
        Ok(device)
    }

    /// Starts the firmware, and gives the cores that run it, for its log.
    pub fn start(
        &self,
        how: &ProbeArguments,
        mut device: Device,
        firmware: Option<&Firmware>,
    ) -> Result<Device, DeviceError> {
        let started = device.restart(firmware);
        let Some(name) = self.board.and_then(|board| board.running) else {
            return started.map(|()| device);
        };
        // The cores that were reset have given way to others, perhaps before they could answer: if
        // something is wrong, the others are not there.
        drop(device);
        Device::attach(&Attach {
            probes: &Probes::connected(),
            probe: how.probe.as_deref(),
            chip: &Chip::find(name)?,
            identity: None,
            unlock: false,
        })
    }
}

/// The probe of a micro:bit in QEMU, on whose serial line these bytes arrive.
fn emulated(serial: Vec<u8>) -> Result<Probes, DeviceError> {
    let qemu = Qemu::start()?;
    let line = qemu.serial();
    // As fast as the program takes them. What it does not take ends with the emulator.
    thread::spawn(move || (&*line).write_all(&serial));
    Ok(Probes::of(EmulatedBoard::new(qemu, Wire::default()).lister()))
}

fn name(operation: Operation) -> &'static str {
    match operation {
        Operation::Erase => "erasing",
        Operation::Program => "writing",
        Operation::Verify => "reading back",
    }
}

/// Does something that builds firmware, and says what is being built.
pub fn building<R>(work: impl FnOnce(&dyn Fn(Stage)) -> R) -> R {
    let progress = Progress::spinner("building the firmware");
    work(&|stage| progress.now(describe(stage)))
}
