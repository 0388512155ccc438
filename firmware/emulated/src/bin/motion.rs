//! On an emulated board: activity recognition on recorded motion.

#![no_std]
#![no_main]

use fixie_applications::motion::{self, ActivityRecognizer};
use fixie_emulated::{Board, Recording, finish, run};
use heapless::spsc::Queue;
use static_cell::ConstStaticCell;

fixie::include_image!(mod net = env!("FIXIE_IMAGE"));

type Sample = [i16; motion::AXES];

/// The recording's unit on every axis, in m/s² and rad/s.
const STEPS: [f32; motion::AXES] = [1.0 / 512.0; motion::AXES];

static ARENA: ConstStaticCell<net::Arena> = ConstStaticCell::new(net::Arena::new());
static QUEUE: ConstStaticCell<Queue<Sample, 16>> = ConstStaticCell::new(Queue::new());
static RECORDING: Recording<Sample> = Recording::new();

#[fixie_board::entry]
fn main() -> ! {
    let application = ActivityRecognizer::<{ net::OPS }, _, _>::new(
        net::BYTES,
        &mut ARENA.take().0,
        &motion::SHIPPED,
        STEPS,
    );
    let board = Board {
        recording: &RECORDING,
        queue: QUEUE.take(),
        interrupts_per_s: motion::SAMPLE_RATE_HZ,
        block: 1,
        interrupt: || RECORDING.deliver(),
    };
    finish(run(application, board))
}
