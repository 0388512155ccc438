//! Measures the image in the board's image region, on chips that start without a HAL: see
//! `fixie_measure`.

#![no_std]
#![no_main]

use defmt_rtt as _;
use fixie_board::cycles;

defmt::timestamp!("{=u32}", cycles::now());

#[fixie_board::entry]
fn main() -> ! {
    cycles::start();
    fixie_measure::measure(cycles::now)
}
