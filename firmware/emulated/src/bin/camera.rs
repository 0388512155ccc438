//! On an emulated board: image classification on recorded pictures, row by row.

#![no_std]
#![no_main]

use fixie_applications::camera::{self, ImageClassifier};
use fixie_emulated::{Board, Recording, finish, run};
use heapless::spsc::Queue;
use static_cell::ConstStaticCell;

fixie::include_image!(mod net = env!("FIXIE_IMAGE"));

type Sample = [u8; camera::WIDTH];

/// A picture every 100 ms.
const ROWS_PER_S: u32 = 10 * camera::HEIGHT as u32;

static ARENA: ConstStaticCell<net::Arena> = ConstStaticCell::new(net::Arena::new());
static QUEUE: ConstStaticCell<Queue<Sample, 16>> = ConstStaticCell::new(Queue::new());
static RECORDING: Recording<Sample> = Recording::new();

#[fixie_board::entry]
fn main() -> ! {
    let application = ImageClassifier::<{ net::OPS }, _, { camera::HEIGHT }, _>::new(
        net::BYTES,
        &mut ARENA.take().0,
        &camera::SHIPPED,
        camera::BRIGHTNESS,
    );
    let board = Board {
        recording: &RECORDING,
        queue: QUEUE.take(),
        interrupts_per_s: ROWS_PER_S,
        block: 1,
        interrupt: || RECORDING.deliver(),
    };
    finish(run(application, board))
}
