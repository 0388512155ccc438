//! The same inference as the bench with nothing around it: no files, no text, no panic.
//!
//! Its sections are the flash that an image costs beyond itself, and its symbol table shows that
//! neither panicking code nor an allocator is linked. It is built to be looked at, though it runs.

#![no_std]
#![no_main]

use core::hint::black_box;

use fixie::{InputRow, PortError, RunError};
use static_cell::ConstStaticCell;

fixie::include_image!(mod net = env!("FIXIE_IMAGE"));

static ARENA: ConstStaticCell<net::Arena> = ConstStaticCell::new(net::Arena::new());

#[fixie_board::entry]
fn main() -> ! {
    if let Some(arena) = ARENA.try_take()
        && let Ok(mut net) = net::bind(arena)
    {
        while infer(&mut net).is_ok() {}
    }
    loop {
        core::hint::spin_loop();
    }
}

/// One inference on whatever a sensor would have written.
fn infer(net: &mut net::Engine<'_>) -> Result<(), ()> {
    match net.input(0) {
        Ok(mut input) => drop(black_box(input.bytes_mut())),
        Err(PortError::ByRows { .. }) => {}
        Err(_) => return Err(()),
    }
    let fill = |mut row: InputRow<'_>| {
        black_box(row.port.bytes_mut());
        Ok::<_, RunError>(())
    };
    net.run_rows(fill).map_err(drop)?;
    black_box(net.output(0).map_err(drop)?.bytes());
    Ok(())
}
