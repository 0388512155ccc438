//! What happens when a program goes wrong: it says so and stops, so that the log can be read.

use core::panic::PanicInfo;

/// Stops for ever.
pub fn halt() -> ! {
    loop {
        core::hint::spin_loop();
    }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    defmt::error!("{}", defmt::Display2Format(info));
    halt()
}

/// Any fault escalates to this one, as no other handler is enabled.
// SAFETY: it reads the frame that the hardware has stacked, and does not return.
#[cfg(target_arch = "arm")]
#[cortex_m_rt::exception]
unsafe fn HardFault(frame: &cortex_m_rt::ExceptionFrame) -> ! {
    defmt::error!("fault at {=u32:#010x}, called from {=u32:#010x}", frame.pc(), frame.lr());
    halt()
}
