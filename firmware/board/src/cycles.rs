//! A counter of the core's cycles, for what is measured on a board.

/// Starts the counter.
pub fn start() {
    counter::start();
}

/// Cycles since [`start`]; wraps after 2³².
pub fn now() -> u32 {
    counter::now()
}

/// The counter of the debug hardware (DWT).
#[cfg(all(target_arch = "arm", target_has_atomic = "32"))]
mod counter {
    use cortex_m::Peripherals;
    use cortex_m::peripheral::DWT;

    pub fn start() {
        if let Some(mut peripherals) = Peripherals::take() {
            peripherals.DCB.enable_trace();
            peripherals.DWT.enable_cycle_counter();
        }
    }

    pub fn now() -> u32 {
        DWT::cycle_count()
    }
}

/// ARMv6-M, which has no such counter (nor atomic read-modify-write, by which it is told): the
/// system timer counts 24 bits down, and its interrupt counts how often it began anew.
#[cfg(all(target_arch = "arm", not(target_has_atomic = "32")))]
mod counter {
    use core::sync::atomic::{AtomicU32, Ordering};

    use cortex_m::Peripherals;
    use cortex_m::peripheral::SYST;
    use cortex_m::peripheral::syst::SystClkSource;
    use cortex_m_rt::exception;

    const RELOAD: u32 = 0x00FF_FFFF;

    static ROUNDS: AtomicU32 = AtomicU32::new(0);

    #[exception]
    fn SysTick() {
        // Nothing else writes it.
        ROUNDS.store(ROUNDS.load(Ordering::Relaxed).wrapping_add(1), Ordering::Release);
    }

    pub fn start() {
        if let Some(mut peripherals) = Peripherals::take() {
            peripherals.SYST.set_clock_source(SystClkSource::Core);
            peripherals.SYST.set_reload(RELOAD);
            peripherals.SYST.clear_current();
            peripherals.SYST.enable_interrupt();
            peripherals.SYST.enable_counter();
        }
    }

    pub fn now() -> u32 {
        loop {
            let rounds = ROUNDS.load(Ordering::Acquire);
            let ticks = RELOAD - SYST::get_current();
            if ROUNDS.load(Ordering::Acquire) == rounds {
                return rounds.wrapping_mul(RELOAD + 1).wrapping_add(ticks);
            }
        }
    }
}

/// `mcycle`, which some cores hold still from reset on.
#[cfg(target_arch = "riscv32")]
mod counter {
    pub fn start() {
        // SAFETY: lets a counter count, nothing else.
        unsafe { riscv::register::mcountinhibit::clear_cy() }
    }

    pub fn now() -> u32 {
        riscv::register::mcycle::read() as u32
    }
}
