//! How deep the stack grows: the free part is painted, the work runs, what is no longer paint was
//! used.

use core::ptr;

/// Not a likely address, length, pixel or opcode.
const PAINT: u32 = 0xA55A_C33C;
/// Bytes below a local of [`paint`] that are left alone, so that it cannot paint its own frame.
const MARGIN_BYTES: usize = 128;

unsafe extern "C" {
    /// First word above all static data and the arena, from `memory.x`: the stack may grow down to
    /// here.
    static mut __fixie_stack_floor: u32;
}

/// Runs `work` and gives its result and the bytes of stack it used, its callees' included.
///
/// The figure is at most the caller's own frame too high, and at least 128 bytes. Interrupts
/// count as the work's if they strike while it runs.
pub fn high_water<R>(work: impl FnOnce() -> R) -> (R, usize) {
    let top = 0_u32;
    let top_address = (&raw const top).addr();
    paint();
    let result = call(work);
    (result, top_address.saturating_sub(lowest_used_address()))
}

/// Keeps `work` in a frame of its own, below that of [`high_water`].
#[inline(never)]
fn call<R>(work: impl FnOnce() -> R) -> R {
    work()
}

/// Fills the free stack with [`PAINT`], from its floor up to a margin below this frame.
#[inline(never)]
fn paint() {
    let local = 0_u32;
    let end = (&raw const local).addr().saturating_sub(MARGIN_BYTES);
    let mut word = &raw mut __fixie_stack_floor;
    while word.addr() < end {
        // SAFETY: from `__fixie_stack_floor` to `end` lies memory that no static and no arena
        // occupies (the linker script puts the symbol behind them) and no live frame reaches (they
        // are above `local`, less what this frame holds below it, which is under the margin); it is
        // word aligned.
        unsafe {
            ptr::write_volatile(word, PAINT);
            word = word.add(1);
        }
    }
}

/// Address of the lowest word that has changed since [`paint`].
#[inline(never)]
fn lowest_used_address() -> usize {
    let local = 0_u32;
    let end = (&raw const local).addr();
    let mut word = &raw const __fixie_stack_floor;
    // SAFETY: the words up to this frame are RAM which `paint` has written or the stack has used.
    while word.addr() < end && unsafe { ptr::read_volatile(word) } == PAINT {
        // SAFETY: `word` was below `end`, so the next word is still inside the stack's RAM.
        word = unsafe { word.add(1) };
    }
    word.addr()
}
