//! Boards whose flash espflash writes.

use std::fs;

use fixie_device::board::Programmer;
use fixie_device::{Board, Espflash, Plan};

use super::{Cmd, Summary};
use crate::diagnostics::{Context, Failure};

impl Cmd {
    /// The board that was named, if it is one of these.
    pub(super) fn board_of_espflash(&self) -> Option<&'static Board> {
        Board::find(&self.chip).filter(|board| board.programmer == Programmer::Espflash)
    }

    /// Checks that all fits, then lets espflash write the image, and after that the firmware.
    pub(super) fn flash_over_serial(
        &self,
        board: &'static Board,
        image: &[u8],
    ) -> Result<(), Failure> {
        let what = || format!("cannot flash {}", self.image.display());
        if self.address.is_some() {
            let place = format!("its firmware reads the image from {:#x}", board.image.origin);
            return Err(Failure::new(what(), place).help("leave --address away"));
        }
        let espflash = Espflash::new(board, self.probe.selector());
        // Without it there is no need to build anything; but what never fits is said first.
        Plan::of_board(board, None, image).context(what)?;
        espflash.check_installed(&self.image).context(what)?;
        let firmware = self.firmware(Some(board))?;
        let plan = Plan::of_board(board, firmware.as_ref(), image).context(what)?;
        espflash.write_image(&self.image).context(what)?;
        let folder = tempfile::tempdir().context(|| "cannot write the firmware to a file")?;
        let elf = firmware.as_ref().map(|_| folder.path().join("firmware.elf"));
        if let (Some(firmware), Some(elf)) = (&firmware, &elf) {
            fs::write(elf, firmware.elf()).context(|| "cannot write the firmware to a file")?;
            espflash.write_firmware(elf).context(what)?;
        }
        self.report(&Summary::of(board.chip, Some(board), &plan, true))?;
        match self.monitor {
            Some(limit) => {
                espflash.monitor(elf.as_deref(), limit).context(|| "cannot show the log")
            }
            None => Ok(()),
        }
    }
}
