//! The split of a board's memory: the image in a region of flash of its own, the arena in all RAM
//! that data and stack leave. `memory.x` of the board says where both are.

use core::ptr::slice_from_raw_parts_mut;
use core::slice;

use static_cell::ConstStaticCell;

unsafe extern "C" {
    static __fixie_image_start: u8;
    static __fixie_image_end: u8;
    static mut __fixie_arena_start: u8;
    static mut __fixie_arena_end: u8;
}

/// Given to whoever asks first for the arena.
static ARENA: ConstStaticCell<()> = ConstStaticCell::new(());

/// The region of flash that the host puts an image into; erased flash, if it did not.
pub fn image_region() -> &'static [u8] {
    let start = &raw const __fixie_image_start;
    let len = (&raw const __fixie_image_end).addr() - start.addr();
    // SAFETY: the two symbols are the bounds of a region of flash, which `memory.x` keeps apart from
    // everything that is linked. It is mapped, and nothing writes it while the program runs.
    unsafe { slice::from_raw_parts(start, len) }
}

/// RAM for an arena, at a multiple of 16 bytes; none at the second call.
pub fn arena() -> Option<&'static mut [u8]> {
    ARENA.try_take()?;
    let start = &raw mut __fixie_arena_start;
    let len = (&raw mut __fixie_arena_end).addr().checked_sub(start.addr())?;
    // SAFETY: between the two symbols lies RAM in which no static is placed and which the stack does
    // not reach (`memory.x` puts them between both). The cell gives it out once. Any byte is a `u8`.
    Some(unsafe { &mut *slice_from_raw_parts_mut(start, len) })
}
