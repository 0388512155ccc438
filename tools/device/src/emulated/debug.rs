//! The debug registers of a Cortex-M (ARMv7-M architecture reference manual, C1.6; those of ARMv6-M
//! are a part of them), on a machine that can be halted, stepped and reset.

use std::io;

use super::Machine;

const CPUID: u32 = 0xE000_ED00;
const AIRCR: u32 = 0xE000_ED0C;
const DFSR: u32 = 0xE000_ED30;
const DHCSR: u32 = 0xE000_EDF0;
const DCRSR: u32 = 0xE000_EDF4;
const DCRDR: u32 = 0xE000_EDF8;
const DEMCR: u32 = 0xE000_EDFC;

const AIRCR_SYSRESETREQ: u32 = 1 << 2;
const DFSR_HALTED: u32 = 1 << 0;
const DFSR_BKPT: u32 = 1 << 1;
const DFSR_VCATCH: u32 = 1 << 3;
const DHCSR_KEY: u32 = 0xA05F << 16;
const DHCSR_C_DEBUGEN: u32 = 1 << 0;
const DHCSR_C_HALT: u32 = 1 << 1;
const DHCSR_C_STEP: u32 = 1 << 2;
const DHCSR_CONTROLS: u32 = 0xF;
const DHCSR_S_REGRDY: u32 = 1 << 16;
const DHCSR_S_HALT: u32 = 1 << 17;
const DHCSR_S_RESET_ST: u32 = 1 << 25;
const DCRSR_WRITE: u32 = 1 << 16;
const DEMCR_VC_CORERESET: u32 = 1 << 0;

/// What the debug hardware remembers.
#[derive(Debug, Default)]
pub(super) struct DebugRegisters {
    controls: u32,
    transfer: u32,
    traps: u32,
    reasons: u32,
    was_reset: bool,
    /// Whether the core ran when last seen: a halt since then is a breakpoint's.
    ran: bool,
}

impl DebugRegisters {
    /// Whether an address belongs to the private peripheral bus.
    pub fn contain(address: u32) -> bool {
        address >> 20 == 0xE00
    }

    pub fn read(&mut self, machine: &mut dyn Machine, address: u32) -> io::Result<u32> {
        Ok(match address {
            CPUID => machine.cpuid(),
            DFSR => self.reasons,
            DHCSR => self.status(machine)?,
            DCRDR => self.transfer,
            DEMCR => self.traps,
            _ => 0,
        })
    }

    pub fn write(&mut self, machine: &mut dyn Machine, address: u32, value: u32) -> io::Result<()> {
        match address {
            AIRCR if value & AIRCR_SYSRESETREQ != 0 => self.reset(machine)?,
            DFSR => self.reasons &= !value,
            DHCSR if value & 0xFFFF_0000 == DHCSR_KEY => self.control(machine, value)?,
            DCRSR if value & DCRSR_WRITE != 0 => {
                machine.set_register(value as u8 & 0x7F, self.transfer)?;
            }
            DCRSR => self.transfer = machine.register(value as u8 & 0x7F)?,
            DCRDR => self.transfer = value,
            DEMCR => self.traps = value,
            _ => {}
        }
        Ok(())
    }

    fn status(&mut self, machine: &mut dyn Machine) -> io::Result<u32> {
        let mut status = DHCSR_S_REGRDY;
        if machine.is_halted()? {
            status |= DHCSR_S_HALT;
            if self.ran {
                self.halted_by(DFSR_BKPT);
            }
        }
        status |= self.controls;
        if std::mem::take(&mut self.was_reset) {
            status |= DHCSR_S_RESET_ST;
        }
        Ok(status)
    }

    fn control(&mut self, machine: &mut dyn Machine, value: u32) -> io::Result<()> {
        self.controls = value & DHCSR_CONTROLS;
        let is_debugged = value & DHCSR_C_DEBUGEN != 0;
        if is_debugged && value & DHCSR_C_HALT != 0 {
            if !machine.is_halted()? {
                machine.halt()?;
                self.halted_by(DFSR_HALTED);
            }
        } else if is_debugged && value & DHCSR_C_STEP != 0 {
            machine.step()?;
            self.halted_by(DFSR_HALTED);
        } else if machine.is_halted()? {
            machine.run()?;
            self.ran = true;
        }
        Ok(())
    }

    fn reset(&mut self, machine: &mut dyn Machine) -> io::Result<()> {
        machine.reset()?;
        self.was_reset = true;
        if self.traps & DEMCR_VC_CORERESET != 0 && self.controls & DHCSR_C_DEBUGEN != 0 {
            self.halted_by(DFSR_VCATCH);
            return Ok(());
        }
        self.ran = true;
        machine.run()
    }

    /// Notes that the core has halted, which sets `C_HALT` whatever the reason.
    fn halted_by(&mut self, reason: u32) {
        self.controls |= DHCSR_C_HALT;
        self.reasons |= reason;
        self.ran = false;
    }
}
