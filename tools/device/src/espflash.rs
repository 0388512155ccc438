//! Boards whose flash Espressif's own program `espflash` writes, over the serial port that is their
//! only connector. It verifies by checksums that the chip computes.
//!
//! What is written where, and whether it fits, is decided here as for all other boards.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use wait_timeout::ChildExt;

use crate::DeviceError;
use crate::board::Board;

/// The program.
const PROGRAM: &str = "espflash";

/// A board at a serial port.
#[derive(Debug, Clone, Copy)]
pub struct Espflash<'a> {
    board: &'static Board,
    port: Option<&'a str>,
}

impl<'a> Espflash<'a> {
    /// A board, at the serial port of that name; where espflash finds it, if none is named.
    pub const fn new(board: &'static Board, port: Option<&'a str>) -> Self {
        Self { board, port }
    }

    /// Makes sure that the program is there, before work is done for it. `image` is what one would
    /// write.
    ///
    /// # Errors
    ///
    /// [`DeviceError::NoEspflash`].
    pub fn check_installed(&self, image: &Path) -> Result<(), DeviceError> {
        let mut probe = Command::new(PROGRAM);
        probe.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        match probe.status() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let elf = Path::new("FIRMWARE.elf");
                let commands = [self.image(image), self.firmware(elf), self.log(Some(elf))];
                let [image, firmware, log] = commands.map(|arguments| line(&arguments));
                Err(DeviceError::NoEspflash { chip: self.board.chip, image, firmware, log })
            }
            _ => Ok(()),
        }
    }

    /// Writes the image to its part of flash, and starts the program that is there.
    ///
    /// # Errors
    ///
    /// [`DeviceError::Espflash`].
    pub fn write_image(&self, image: &Path) -> Result<(), DeviceError> {
        run(&self.image(image), Duration::MAX)
    }

    /// Writes firmware, and starts it.
    ///
    /// # Errors
    ///
    /// [`DeviceError::Espflash`].
    pub fn write_firmware(&self, elf: &Path) -> Result<(), DeviceError> {
        run(&self.firmware(elf), Duration::MAX)
    }

    /// Starts the program anew and shows its log, until interrupted or for so long. Without the
    /// firmware's file messages of defmt are not understood.
    ///
    /// # Errors
    ///
    /// [`DeviceError::Espflash`].
    pub fn monitor(&self, elf: Option<&Path>, limit: Duration) -> Result<(), DeviceError> {
        run(&self.log(elf), limit)
    }

    fn image(&self, image: &Path) -> Vec<String> {
        let address = format!("{:#x}", self.board.image.origin);
        self.command(&["write-bin"], &[&address, &image.display().to_string()])
    }

    fn firmware(&self, elf: &Path) -> Vec<String> {
        self.command(&["flash"], &[&elf.display().to_string()])
    }

    fn log(&self, elf: Option<&Path>) -> Vec<String> {
        let elf = elf.map(|elf| elf.display().to_string());
        match &elf {
            Some(elf) => self.command(&["monitor", "--log-format", "defmt"], &["--elf", elf]),
            None => self.command(&["monitor"], &[]),
        }
    }

    fn command(&self, verb: &[&str], files: &[&str]) -> Vec<String> {
        let port = self.port.into_iter().flat_map(|port| ["--port", port]);
        let board = ["--chip", self.board.chip].into_iter().chain(port);
        let words = verb.iter().copied().chain(board).chain(files.iter().copied());
        words.map(str::to_owned).collect()
    }
}

/// The command as one types it.
fn line(arguments: &[String]) -> String {
    format!("{PROGRAM} {}", arguments.join(" "))
}

/// Lets it show what it does. It is ended after `limit`.
fn run(arguments: &[String], limit: Duration) -> Result<(), DeviceError> {
    let failed = |problem: String| DeviceError::Espflash { command: line(arguments), problem };
    let mut command = Command::new(PROGRAM);
    let mut child = command.args(arguments).spawn().map_err(|error| failed(error.to_string()))?;
    match child.wait_timeout(limit) {
        Ok(Some(status)) if status.success() => Ok(()),
        Ok(Some(status)) => Err(failed(status.to_string())),
        Ok(None) => {
            // Failing to end a child that has just ended by itself is no failure.
            let _ = child.kill();
            let _ = child.wait();
            Ok(())
        }
        Err(error) => Err(failed(error.to_string())),
    }
}
