//! A board on an emulated probe, and what one does with it.

use fixie_device::emulated::{EmulatedBoard, Machine, Wire};
use fixie_device::{Attach, Board, Chip, Contents, Device, DeviceError, Firmware, Plan, Probes};

use crate::nor::NorChip;

/// CPUIDs, from the cores' technical reference manuals.
pub const CORTEX_M0: u32 = 0x410C_C200;
pub const CORTEX_M4: u32 = 0x410F_C241;

/// `FICR.INFO.PART` of the nRF52 family.
pub const NRF52_PART: u32 = 0x1000_0100;

pub struct Stand {
    pub board: EmulatedBoard,
    pub known: &'static Board,
    pub chip: Chip,
}

impl Stand {
    /// An nRF52840 DK, as it should be.
    pub fn nrf52840() -> Self {
        Self::with(nrf52840())
    }

    /// An nRF52840 DK with something else on it.
    pub fn with(machine: impl Machine + 'static) -> Self {
        Self::on("nrf52840-dk", machine, Wire { has_ctrl_ap: true, ..Wire::default() })
    }

    pub fn on(name: &str, machine: impl Machine + 'static, wire: Wire) -> Self {
        let known = Board::find(name).unwrap();
        let chip = Chip::find(known.chip).unwrap();
        Self { board: EmulatedBoard::new(machine, wire), known, chip }
    }

    pub fn attach(&self) -> Result<Device, DeviceError> {
        self.attach_with(false)
    }

    pub fn attach_with(&self, unlock: bool) -> Result<Device, DeviceError> {
        Device::attach(&Attach {
            probes: &Probes::of(self.board.lister()),
            probe: None,
            chip: &self.chip,
            identity: self.known.identity,
            unlock,
        })
    }

    pub fn plan(
        &self,
        firmware: Option<&Firmware>,
        image: Option<&[u8]>,
        address: Option<u64>,
    ) -> Result<Plan, DeviceError> {
        let board = Some(self.known);
        Plan::new(&self.chip, &Contents { firmware, image, samples: &[], address, board })
    }

    /// Checks, attaches and flashes.
    pub fn flash(
        &self,
        firmware: Option<&Firmware>,
        image: Option<&[u8]>,
        address: Option<u64>,
    ) -> Result<(), DeviceError> {
        let plan = self.plan(firmware, image, address)?;
        self.attach()?.flash(&plan, &mut |_| {})
    }

    /// What lies in memory.
    pub fn memory(&self, address: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.board.peek(address as u32, &mut bytes).unwrap();
        bytes
    }

    /// All that the board's two parts of flash hold.
    pub fn flash_content(&self) -> Vec<u8> {
        [self.known.firmware, self.known.image]
            .iter()
            .flat_map(|part| self.memory(part.origin.into(), part.len_bytes as usize))
            .collect()
    }
}

pub fn nrf52840() -> NorChip {
    NorChip::new("nRF52840_xxAA", CORTEX_M4, &[(NRF52_PART, 0x0005_2840)])
}
