//! Runs many small images, one after the other, so that a host can compare what the kernels of a
//! core compute with what its own do.
//!
//! Files in the emulator's working directory, by semihosting:
//!
//! ```text
//! input.bin    case*, case := image_len:u32, the image, the raw bytes of its input 0
//! output.bin   result*, result := the raw bytes of output 0
//! report.txt   "isa " and the instruction set's name, "cases " and their number;
//!              or "error " and what went wrong with which case
//! ```

#![no_std]
#![no_main]

use core::fmt::Display;

use fixie::{Aligned, Engine, Image, OpSet};
use fixie_kernels::arch::{Isa, Native};
use semihosting::fs::File;
use semihosting::io::{Read, Write};
use semihosting::process;
use static_cell::ConstStaticCell;

/// Longest image and largest arena of a case.
const CAPACITY: usize = 128 * 1024;

static IMAGE: ConstStaticCell<Aligned<[u8; CAPACITY]>> =
    ConstStaticCell::new(Aligned([0; CAPACITY]));
static ARENA: ConstStaticCell<Aligned<[u8; CAPACITY]>> =
    ConstStaticCell::new(Aligned([0; CAPACITY]));

#[fixie_board::entry]
fn main() -> ! {
    process::exit(i32::from(run_cases().is_err()))
}

/// Runs all cases and writes the report. An error has been reported, if that was possible.
fn run_cases() -> Result<(), ()> {
    let (image, arena) = (IMAGE.take(), ARENA.take());
    let mut input = File::open(c"input.bin").map_err(drop)?;
    let mut output = File::create(c"output.bin").map_err(drop)?;
    let mut cases = 0;
    while let Some(case) = next_case(&mut input, &mut image.0) {
        run_case(case, &mut arena.0, &mut input, &mut output)
            .map_err(|problem| report(format_args!("error case {cases}: {problem}\n")))?;
        cases += 1;
    }
    report(format_args!("isa {}\ncases {cases}\n", Native::NAME));
    Ok(())
}

/// The bytes of the next image; `None` at the end of the file.
fn next_case<'m>(input: &mut File, buffer: &'m mut [u8]) -> Option<&'m [u8]> {
    let mut len = [0; 4];
    input.read_exact(&mut len).ok()?;
    let image = buffer.get_mut(..u32::from_le_bytes(len) as usize)?;
    input.read_exact(image).ok()?;
    Some(image)
}

/// Runs one image on the input that follows it.
fn run_case(
    image: &[u8],
    arena: &mut [u8],
    input: &mut File,
    output: &mut File,
) -> Result<(), &'static str> {
    let image = Image::parse(image).map_err(|_| "the image is damaged")?;
    let mut engine = Engine::<{ OpSet::ALL.bits() }>::new(image, arena)
        .map_err(|_| "the image does not bind")?;
    let mut port = engine.input(0).map_err(|_| "there is no input")?;
    input.read_exact(port.bytes_mut()).map_err(|_| "input.bin ends inside a case")?;
    engine.run().map_err(|_| "the run stopped")?;
    let port = engine.output(0).map_err(|_| "there is no output")?;
    output.write_all(port.bytes()).map_err(|_| "output.bin cannot be written")
}

/// Writes `report.txt`; whoever waits for it notices if that fails.
fn report(text: impl Display) {
    if let Ok(mut file) = File::create(c"report.txt") {
        let _ = write!(file, "{text}");
    }
}
