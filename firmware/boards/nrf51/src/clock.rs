//! Time, by a timer that counts microseconds in 32 bits, and the interrupt by which it wakes the
//! application.

use core::cell::{Cell, RefCell};

use critical_section::{CriticalSection, Mutex};
use fixie_session::MAX_SLEEP_MS;
use nrf51_hal::pac::{Interrupt, NVIC, TIMER0, interrupt};

/// From 16 MHz down to 1 MHz, as a power of two.
const PRESCALER: u32 = 4;
/// From one interrupt to the next.
const PERIOD_US: u32 = MAX_SLEEP_MS * 1000;

static TIMER: Mutex<RefCell<Option<TIMER0>>> = Mutex::new(RefCell::new(None));

/// How often the counter was seen to have wrapped, and what it was then.
static SEEN: Mutex<Cell<(u32, u32)>> = Mutex::new(Cell::new((0, 0)));

/// Starts the time.
pub fn start(timer: TIMER0) {
    timer.bitmode.write(|w| w.bitmode()._32bit());
    // SAFETY: the field takes any number up to 9; a task is started by writing 1.
    unsafe {
        timer.prescaler.write(|w| w.bits(PRESCALER));
        timer.tasks_start.write(|w| w.bits(1));
    }
    critical_section::with(|token| TIMER.replace(token, Some(timer)));
}

/// Lets the interrupt come from now on.
pub fn tick() {
    critical_section::with(|token| {
        if let Some(timer) = TIMER.borrow_ref(token).as_ref() {
            timer.intenset.write(|w| w.compare0().set());
            alarm(timer, count(timer).wrapping_add(PERIOD_US));
        }
    });
    // SAFETY: no critical section is made of masks.
    unsafe { NVIC::unmask(Interrupt::TIMER0) }
}

/// Microseconds since the start; 0 before. Wants to be asked once an hour.
pub fn now_us() -> u64 {
    critical_section::with(|token| {
        let timer = TIMER.borrow_ref(token);
        timer.as_ref().map_or(0, |timer| extend(token, count(timer)))
    })
}

/// The counter with the bits that it lacks.
fn extend(token: CriticalSection<'_>, count: u32) -> u64 {
    let seen = SEEN.borrow(token);
    let (wraps, last) = seen.get();
    let wraps = wraps.wrapping_add(u32::from(count < last));
    seen.set((wraps, count));
    u64::from(wraps) << 32 | u64::from(count)
}

/// What the timer has counted.
fn count(timer: &TIMER0) -> u32 {
    // SAFETY: a task is started by writing 1.
    timer.tasks_capture[1].write(|w| unsafe { w.bits(1) });
    timer.cc[1].read().bits()
}

/// Sets the time of the next interrupt.
fn alarm(timer: &TIMER0, count: u32) {
    // SAFETY: the register takes any count.
    timer.cc[0].write(|w| unsafe { w.bits(count) });
}

#[interrupt]
fn TIMER0() {
    critical_section::with(|token| {
        if let Some(timer) = TIMER.borrow_ref(token).as_ref() {
            timer.events_compare[0].reset();
            let now = count(timer);
            alarm(timer, now.wrapping_add(PERIOD_US));
            extend(token, now);
        }
    });
}
