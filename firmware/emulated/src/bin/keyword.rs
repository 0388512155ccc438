//! On an emulated board: keyword spotting on recorded sound.

#![no_std]
#![no_main]

use fixie_applications::keyword::{self, KeywordSpotter};
use fixie_emulated::{Board, Recording, finish, run};
use heapless::spsc::Queue;
use static_cell::ConstStaticCell;

fixie::include_image!(mod net = env!("FIXIE_IMAGE"));

type Sample = i16;

static ARENA: ConstStaticCell<net::Arena> = ConstStaticCell::new(net::Arena::new());
static QUEUE: ConstStaticCell<Queue<Sample, 1024>> = ConstStaticCell::new(Queue::new());
static RECORDING: Recording<Sample> = Recording::new();

#[fixie_board::entry]
fn main() -> ! {
    let application =
        KeywordSpotter::<{ net::OPS }, _>::new(net::BYTES, &mut ARENA.take().0, &keyword::SHIPPED);
    let board = Board {
        recording: &RECORDING,
        queue: QUEUE.take(),
        interrupts_per_s: keyword::SAMPLE_RATE_HZ / 16,
        block: 16,
        interrupt: || RECORDING.deliver(),
    };
    finish(run(application, board))
}
