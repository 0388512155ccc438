//! The registers that a probe reaches through its two wires: the debug port and its access ports
//! (Arm Debug Interface v5.2, B2 and C2). Port 0 leads to memory; port 1, if the chip has it, is
//! Nordic's control port (nRF52840 product specification, CTRL-AP).

use std::io;

use probe_rs::CoreStatus;
use probe_rs::architecture::arm::sequences::ArmDebugSequence;
use probe_rs::architecture::arm::{
    ArmCommunicationInterface, ArmDebugInterface, ArmError, DapError, DapProbe, RawDapAccess,
    RegisterAddress,
};
use probe_rs::probe::{DebugProbe, DebugProbeError, WireProtocol};

use super::debug::DebugRegisters;
use super::{EmulatedBoard, Target};

use std::sync::Arc;

/// SW-DP version 1, by Arm.
const DPIDR: u32 = 0x2BA0_1477;
/// AHB access port of a Cortex-M, by Arm.
const AHB_AP_IDR: u32 = 0x2477_0011;
/// Control access port of an nRF52.
const CTRL_AP_IDR: u32 = 0x0288_0000;

mod dp {
    pub const DPIDR_ABORT: u8 = 0x0;
    pub const CTRL: u8 = 0x4;
    pub const SELECT: u8 = 0x8;
    pub const POWER_REQUESTS: u32 = 1 << 30 | 1 << 28;
}

mod ap {
    pub const CSW: u8 = 0x00;
    pub const TAR: u8 = 0x04;
    pub const DRW: u8 = 0x0C;
    pub const IDR: u8 = 0xFC;
    pub const CSW_DEVICE_EN: u32 = 1 << 6;
    pub const CSW_SIZE: u32 = 0x7;
    pub const CSW_INCREMENT: u32 = 1 << 4;
}

mod ctrl_ap {
    pub const RESET: u8 = 0x00;
    pub const ERASE_ALL: u8 = 0x04;
    pub const APPROTECT_STATUS: u8 = 0x0C;
}

/// The debug port of a board, for as long as a probe is attached.
#[derive(Debug)]
pub(super) struct Port {
    board: EmulatedBoard,
    ctrl: u32,
    select: u32,
    csw: u32,
    tar: u32,
}

impl Port {
    pub fn new(board: EmulatedBoard) -> Self {
        Self { board, ctrl: 0, select: 0, csw: 0, tar: 0 }
    }

    /// Number of the selected access port, and the address of one of its registers.
    fn access_port(&self, address: RegisterAddress) -> (u32, u8) {
        (self.select >> 24, (self.select as u8 & 0xF0) | (address.lsb() & 0xC))
    }

    fn access<R>(
        &mut self,
        work: impl FnOnce(&mut Self, &mut Target) -> Result<R, ArmError>,
    ) -> Result<R, ArmError> {
        let board = self.board.clone();
        let mut target = board.target();
        if target.wire.is_open {
            return Err(DapError::NoAcknowledge.into());
        }
        match &mut target.wire.unplug_after {
            Some(0) => return Err(usb(io::Error::new(io::ErrorKind::NotConnected, "unplugged"))),
            Some(count) => *count -= 1,
            None => {}
        }
        work(self, &mut target)
    }

    fn read_ap(&mut self, target: &mut Target, ap: u32, register: u8) -> Result<u32, ArmError> {
        match (ap, register) {
            (0, ap::IDR) => Ok(AHB_AP_IDR),
            (0, ap::CSW) => {
                Ok(self.csw | if target.wire.is_locked { 0 } else { ap::CSW_DEVICE_EN })
            }
            (0, ap::TAR) => Ok(self.tar),
            (0, ap::DRW) => self.read_memory(target),
            (1, ap::IDR) if target.wire.has_ctrl_ap => Ok(CTRL_AP_IDR),
            (1, ctrl_ap::APPROTECT_STATUS) if target.wire.has_ctrl_ap => {
                Ok(u32::from(!target.wire.is_locked))
            }
            // Among them Nordic's ERASEALLSTATUS: erasing is done at once.
            _ => Ok(0),
        }
    }

    fn write_ap(
        &mut self,
        target: &mut Target,
        ap: u32,
        register: u8,
        value: u32,
    ) -> Result<(), ArmError> {
        match (ap, register) {
            (0, ap::CSW) => self.csw = value & !ap::CSW_DEVICE_EN,
            (0, ap::TAR) => self.tar = value,
            (0, ap::DRW) => self.write_memory(target, value)?,
            (1, ctrl_ap::ERASE_ALL) if target.wire.has_ctrl_ap && value == 1 => {
                target.machine.erase_all().map_err(usb)?;
                target.wire.is_locked = false;
            }
            (1, ctrl_ap::RESET) if target.wire.has_ctrl_ap && value == 1 => {
                target.machine.reset().map_err(usb)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Bytes that one access to DRW transfers.
    fn width(&self) -> u32 {
        1 << (self.csw & ap::CSW_SIZE)
    }

    fn advance(&mut self, bytes: u32) {
        if self.csw & ap::CSW_INCREMENT != 0 {
            self.tar = self.tar.wrapping_add(bytes);
        }
    }

    fn read_memory(&mut self, target: &mut Target) -> Result<u32, ArmError> {
        refuse_if_locked(target)?;
        let (address, width) = (self.tar, self.width());
        self.advance(width);
        if DebugRegisters::contain(address) {
            let Target { machine, debug, .. } = target;
            return debug.read(&mut **machine, address & !3).map_err(usb);
        }
        // Each byte comes in the lane that its address chooses.
        let (mut word, lane) = ([0; 4], address as usize % 4);
        let bytes = &mut word[lane..(lane + width as usize).min(4)];
        target.machine.read(address, bytes).map_err(usb)?;
        Ok(u32::from_le_bytes(word))
    }

    fn write_memory(&mut self, target: &mut Target, value: u32) -> Result<(), ArmError> {
        refuse_if_locked(target)?;
        let (address, width) = (self.tar, self.width());
        self.advance(width);
        if DebugRegisters::contain(address) {
            let Target { machine, debug, .. } = target;
            return debug.write(&mut **machine, address & !3, value).map_err(usb);
        }
        let (word, lane) = (value.to_le_bytes(), address as usize % 4);
        let bytes = &word[lane..(lane + width as usize).min(4)];
        target.machine.write(address, bytes).map_err(usb)
    }

    /// Whether repeated accesses to a register are one to a block of memory.
    fn is_block(&self, address: RegisterAddress) -> bool {
        let is_data = address.is_ap() && self.access_port(address) == (0, ap::DRW);
        let is_memory = !DebugRegisters::contain(self.tar);
        is_data && is_memory && self.width() == 4 && self.csw & ap::CSW_INCREMENT != 0
    }
}

fn refuse_if_locked(target: &Target) -> Result<(), ArmError> {
    if target.wire.is_locked { Err(DapError::FaultResponse.into()) } else { Ok(()) }
}

fn usb(error: io::Error) -> ArmError {
    DebugProbeError::Usb(error).into()
}

impl RawDapAccess for Port {
    fn raw_read_register(&mut self, address: RegisterAddress) -> Result<u32, ArmError> {
        self.access(|port, target| {
            if address.is_ap() {
                let (ap, register) = port.access_port(address);
                return port.read_ap(target, ap, register);
            }
            Ok(match address.lsb() & 0xC {
                dp::DPIDR_ABORT => DPIDR,
                // Each power request is acknowledged in the bit above it.
                dp::CTRL => port.ctrl | (port.ctrl & dp::POWER_REQUESTS) << 1,
                _ => 0,
            })
        })
    }

    fn raw_write_register(&mut self, address: RegisterAddress, value: u32) -> Result<(), ArmError> {
        self.access(|port, target| {
            if address.is_ap() {
                let (ap, register) = port.access_port(address);
                port.write_ap(target, ap, register, value)?;
            } else {
                match address.lsb() & 0xC {
                    dp::CTRL => port.ctrl = value,
                    dp::SELECT => port.select = value,
                    _ => {}
                }
            }
            Ok(())
        })
    }

    fn raw_read_block(
        &mut self,
        address: RegisterAddress,
        values: &mut [u32],
    ) -> Result<(), ArmError> {
        if !self.is_block(address) {
            for value in values {
                *value = self.raw_read_register(address)?;
            }
            return Ok(());
        }
        let mut bytes = vec![0; values.len() * 4];
        self.access(|port, target| {
            refuse_if_locked(target)?;
            target.machine.read(port.tar, &mut bytes).map_err(usb)?;
            port.advance(bytes.len() as u32);
            Ok(())
        })?;
        for (value, bytes) in values.iter_mut().zip(bytes.as_chunks::<4>().0) {
            *value = u32::from_le_bytes(*bytes);
        }
        Ok(())
    }

    fn raw_write_block(
        &mut self,
        address: RegisterAddress,
        values: &[u32],
    ) -> Result<(), ArmError> {
        if !self.is_block(address) {
            return values.iter().try_for_each(|value| self.raw_write_register(address, *value));
        }
        let bytes: Vec<_> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.access(|port, target| {
            refuse_if_locked(target)?;
            target.machine.write(port.tar, &bytes).map_err(usb)?;
            port.advance(bytes.len() as u32);
            Ok(())
        })
    }

    fn jtag_sequence(&mut self, _: u8, _: bool, _: u64) -> Result<(), DebugProbeError> {
        Err(DebugProbeError::UnsupportedProtocol(WireProtocol::Jtag))
    }

    fn swj_sequence(&mut self, _: u8, _: u64) -> Result<(), DebugProbeError> {
        Ok(())
    }

    fn swj_pins(&mut self, _: u32, _: u32, _: u32) -> Result<u32, DebugProbeError> {
        Err(DebugProbeError::CommandNotSupportedByProbe { command_name: "swj_pins" })
    }

    fn into_probe(self: Box<Self>) -> Box<dyn DebugProbe> {
        self
    }

    fn core_status_notification(&mut self, _: CoreStatus) -> Result<(), DebugProbeError> {
        Ok(())
    }
}

impl DapProbe for Port {}

impl DebugProbe for Port {
    fn get_name(&self) -> &'static str {
        "Emulated probe"
    }

    fn speed_khz(&self) -> u32 {
        1000
    }

    fn set_speed(&mut self, speed_khz: u32) -> Result<u32, DebugProbeError> {
        Ok(speed_khz)
    }

    fn attach(&mut self) -> Result<(), DebugProbeError> {
        Ok(())
    }

    fn detach(&mut self) -> Result<(), probe_rs::Error> {
        Ok(())
    }

    fn target_reset(&mut self) -> Result<(), DebugProbeError> {
        Err(DebugProbeError::CommandNotSupportedByProbe { command_name: "target_reset" })
    }

    fn target_reset_assert(&mut self) -> Result<(), DebugProbeError> {
        self.target_reset()
    }

    fn target_reset_deassert(&mut self) -> Result<(), DebugProbeError> {
        self.target_reset()
    }

    fn select_protocol(&mut self, protocol: WireProtocol) -> Result<(), DebugProbeError> {
        match protocol {
            WireProtocol::Swd => Ok(()),
            WireProtocol::Jtag => Err(DebugProbeError::UnsupportedProtocol(protocol)),
        }
    }

    fn active_protocol(&self) -> Option<WireProtocol> {
        Some(WireProtocol::Swd)
    }

    fn has_arm_interface(&self) -> bool {
        true
    }

    fn try_get_arm_debug_interface<'probe>(
        self: Box<Self>,
        sequence: Arc<dyn ArmDebugSequence>,
    ) -> Result<Box<dyn ArmDebugInterface + 'probe>, (Box<dyn DebugProbe>, ArmError)> {
        Ok(ArmCommunicationInterface::create(self, sequence, false))
    }

    fn into_probe(self: Box<Self>) -> Box<dyn DebugProbe> {
        self
    }

    fn try_as_dap_probe(&mut self) -> Option<&mut dyn DapProbe> {
        Some(self)
    }
}
