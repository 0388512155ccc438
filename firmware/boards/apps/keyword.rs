//! Keyword spotting on the board that the package is for.

#![no_std]
#![no_main]

/// Never ends.
#[board::entry]
fn main() -> ! {
    fixie_session::keyword(board::start())
}
