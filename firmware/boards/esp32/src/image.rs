//! Makes the image region of flash readable.
//!
//! The CPU sees flash through a table of pages of 64 KiB. The boot loader has entered those of the
//! program; here are added those of the image, as it would, by the same function of the ROM, whose
//! address comes with esp-rom-sys.

use esp_hal::ram;

/// Where the image lies in flash: `tools/device/src/board.rs`.
const FLASH_OFFSET: u32 = 0x0020_0000;
const PAGE_BYTES: u32 = 64 * 1024;
/// For the ROM: the unit of its page size, and that memory outside is flash.
const KIB: u32 = 1024;
const FLASH: u32 = 0;

unsafe extern "C" {
    static __fixie_image_start: u8;
    static __fixie_image_end: u8;

    /// Stops the cache, and gives what is to be handed back to resume it.
    fn Cache_Suspend_ICache() -> u32;
    fn Cache_Resume_ICache(autoload: u32);
    fn Cache_Invalidate_ICache_All();
    /// Maps `count` pages of `page_kib` from `physical` on to `address`; 0 if it did.
    fn Cache_Dbus_MMU_Set(
        memory: u32,
        address: u32,
        physical: u32,
        page_kib: u32,
        count: u32,
        fixed: u32,
    ) -> i32;
}

/// Maps the region. What is in it is only read.
pub fn map() {
    let (start, end) = (&raw const __fixie_image_start, &raw const __fixie_image_end);
    let count = (end.addr() - start.addr()) as u32 / PAGE_BYTES;
    // The interrupts' code may lie in flash.
    let status = critical_section::with(|_| map_pages(start.addr() as u32, count));
    if status != 0 {
        defmt::error!("the image region cannot be mapped: {=i32}", status);
        fixie_session::halt()
    }
}

/// In RAM, since it cannot be read from flash while the cache is stopped.
#[ram]
fn map_pages(address: u32, count: u32) -> i32 {
    // SAFETY: the pages are behind those of the program, so nothing that is in use is mapped anew;
    // while the cache is stopped, only this function and ROM run, with interrupts off.
    unsafe {
        let autoload = Cache_Suspend_ICache();
        let status = Cache_Dbus_MMU_Set(FLASH, address, FLASH_OFFSET, PAGE_BYTES / KIB, count, 0);
        Cache_Invalidate_ICache_All();
        Cache_Resume_ICache(autoload);
        status
    }
}
