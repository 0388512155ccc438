//! The RP2350, by either of its pairs of cores.

pub use rp235x_hal as hal;

use hal::block::ImageDef;
use hal::clocks::ClocksManager;
#[cfg(target_arch = "arm")]
use hal::pac::interrupt;
use hal::pac::{RESETS, TIMER0};
use hal::timer::CopyableTimer0;

pub use hal::pac::Interrupt::TIMER0_IRQ_0 as ALARM_INTERRUPT;
pub type Timer = hal::Timer<CopyableTimer0>;
pub type Alarm = hal::timer::Alarm0<CopyableTimer0>;

/// By this the ROM knows that a program is there and for which cores. It lies in the first 4 KiB of
/// flash: on RISC-V behind the first instruction, in the section that riscv-rt keeps there.
#[cfg_attr(target_arch = "arm", unsafe(link_section = ".start_block"))]
#[cfg_attr(target_arch = "riscv32", unsafe(link_section = ".init.rust"))]
#[used]
static IMAGE_DEF: ImageDef = ImageDef::secure_exe();

pub fn timer(timer: TIMER0, resets: &mut RESETS, clocks: &ClocksManager) -> Timer {
    Timer::new_timer0(timer, resets, clocks)
}

/// Lets an interrupt through.
pub fn unmask(interrupt: hal::pac::Interrupt) {
    // SAFETY: no critical section is made of masks, and this is not called in any.
    unsafe {
        hal::arch::interrupt_unmask(interrupt);
        hal::arch::interrupt_enable();
    }
}

#[cfg_attr(target_arch = "arm", interrupt)]
// SAFETY: no other item has the name, by which the HAL's dispatcher calls it.
#[cfg_attr(target_arch = "riscv32", unsafe(no_mangle))]
#[cfg_attr(target_arch = "riscv32", expect(non_snake_case, clippy::no_mangle_with_rust_abi))]
fn TIMER0_IRQ_0() {
    crate::wake();
}

/// Exceptions end here.
// SAFETY: the name and signature are those that riscv-rt documents for overriding its default.
#[cfg(target_arch = "riscv32")]
#[unsafe(export_name = "ExceptionHandler")]
extern "C" fn exception(_frame: &riscv_rt::TrapFrame) -> ! {
    let cause = riscv::register::mcause::read().bits();
    let pc = riscv::register::mepc::read();
    defmt::error!("fault {=usize} at {=usize:#010x}", cause, pc);
    fixie_session::halt()
}
