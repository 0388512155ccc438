//! What happens when a program goes wrong. With the feature `semihosting` the emulator is told and
//! the run ends; without it the core stops in a loop, which is all a bare image can do.
//!
//! The panic handler is only linked if something can panic, so a symbol table without
//! `core::panicking` proves that nothing can.

use core::panic::PanicInfo;

/// Exit code of a run that panicked, as for a Rust program on a host.
#[cfg(feature = "semihosting")]
const EXIT_PANIC: i32 = 101;
/// Exit code of a run that ended in a processor fault: 128 + SIGSEGV, by the shell's custom.
#[cfg(feature = "semihosting")]
const EXIT_FAULT: i32 = 139;

#[cfg(feature = "semihosting")]
#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    semihosting::eprintln!("{info}");
    semihosting::process::exit(EXIT_PANIC)
}

#[cfg(not(feature = "semihosting"))]
#[panic_handler]
fn panic(_info: &PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}

/// Any fault escalates to this one, as no other handler is enabled.
// SAFETY: of the handler's duties, none: it reads no state and does not return.
#[cfg(all(feature = "semihosting", target_arch = "arm"))]
#[cortex_m_rt::exception(trampoline = false)]
unsafe fn HardFault() -> ! {
    semihosting::process::exit(EXIT_FAULT)
}

/// All exceptions end here, as no other handler is declared.
// SAFETY: the name and signature are those riscv-rt documents for overriding its default.
#[cfg(all(feature = "semihosting", target_arch = "riscv32"))]
#[unsafe(export_name = "ExceptionHandler")]
extern "C" fn exception(_frame: &riscv_rt::TrapFrame) -> ! {
    semihosting::process::exit(EXIT_FAULT)
}
