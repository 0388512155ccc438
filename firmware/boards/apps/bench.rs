//! Cycles of the image in the image region, for `fixie bench --chip`.

#![no_std]
#![no_main]

/// Never ends.
#[board::entry]
fn main() -> ! {
    board::start();
    board::cycles::start();
    fixie_measure::measure(board::cycles::now)
}
