//! The loops of `ConvVectors`.
//!
//! `VMLADAV` does 16 multiplications, so what counts is how few loads go with them and how little
//! is left to do for each output. General registers hold eight sums:
//!
//! | pixels × channels | instructions per 16 taps of a channel and a pixel | and per output |
//! |---|---|---|
//! | 3 × 2 | 5 loads, 6 multiplications: 1.83 | 2.4, over 4 vectors 3.5 |
//! | 1 × 8 | 9 loads, 8 multiplications: 2.13 | 2.9 |
//!
//! The limit for 8 sums is 1.75, of 4 × 2.

use core::arch::global_asm;

use fixie_format::op::vectors::CHANNELS;

use crate::arch::helium::bytes::{self, GatherArgs};
use crate::arch::neighbours::Neighbours;
use crate::arch::vectors::{Filters, Strip, TOGETHER};

// With link-time optimisation LLVM reads module-level assembly before it knows the core.
global_asm!(".cpu cortex-m55");
global_asm!(include_str!("vectors.s"), options(raw));

/// Arguments of all functions.
#[repr(C)]
struct StripArgs {
    source: *const i8,
    out: *mut i8,
    step: usize,
    out_step: usize,
    /// At least 1; [`TOGETHER`] at a time for the functions of triples.
    pixels: usize,
    stream: *const u32,
    /// Whole blocks, at least 1.
    blocks: usize,
    /// Channels by which a further block starts earlier, 0 if there is none.
    back: usize,
    /// At least 1.
    patch_vectors: usize,
    zero: i32,
}

unsafe extern "C" {
    fn fixie_helium_vectors_triples_1(args: &StripArgs);
    fn fixie_helium_vectors_triples_2(args: &StripArgs);
    fn fixie_helium_vectors_triples_3(args: &StripArgs);
    fn fixie_helium_vectors_triples_4(args: &StripArgs);
    fn fixie_helium_vectors_triples_any(args: &StripArgs);
    fn fixie_helium_vectors_pixels(args: &StripArgs);
}

/// See [`Isa::vectors_strip`](crate::arch::Isa::vectors_strip).
pub fn strip(filters: &Filters<'_>, strip: &Strip<'_>) -> Option<()> {
    let channels = filters.channels();
    let (triples, rest) = (strip.pixels() / TOGETHER, strip.pixels() % TOGETHER);
    let mut args = StripArgs {
        source: strip.source().as_ptr(),
        out: strip.out().as_mut_ptr(),
        step: strip.step(),
        out_step: strip.out_step(),
        pixels: triples,
        stream: filters.stream().as_ptr(),
        blocks: channels / CHANNELS,
        back: channels.wrapping_neg() % CHANNELS,
        patch_vectors: filters.patch_vectors(),
        zero: filters.zero().into(),
    };
    // SAFETY: all read `patch_vectors` vectors of `pixels` patches (times `TOGETHER`), which
    // `Strip::new` found inside the source; it gives at least one pixel. They read as many vectors
    // of eight channels in each block, and its constants; there are as many blocks, with the one
    // that starts earlier, as `Filters::new` found in the stream, which is aligned for words. They
    // write `channels` bytes per pixel, of which there are enough for a block, and which
    // `Strip::new` found inside the output; those are cells.
    unsafe {
        if triples != 0 {
            match args.patch_vectors {
                1 => fixie_helium_vectors_triples_1(&args),
                2 => fixie_helium_vectors_triples_2(&args),
                3 => fixie_helium_vectors_triples_3(&args),
                4 => fixie_helium_vectors_triples_4(&args),
                _ => fixie_helium_vectors_triples_any(&args),
            }
        }
        if rest != 0 {
            let done = triples.wrapping_mul(TOGETHER);
            args.source = args.source.wrapping_add(done.wrapping_mul(args.step));
            args.out = args.out.wrapping_add(done.wrapping_mul(args.out_step));
            args.pixels = rest;
            fixie_helium_vectors_pixels(&args);
        }
    }
    Some(())
}

/// See [`Isa::gather`](crate::arch::Isa::gather).
pub fn gather(neighbours: &Neighbours<'_>, patches: &mut [i8], pitch: usize) -> Option<()> {
    let sight = neighbours.sight();
    (neighbours.taps() <= pitch).then_some(())?;
    let patches = patches.get_mut(..sight.pixels.checked_mul(pitch)?)?;
    if let Some(padding) = sight.padding {
        bytes::fill(patches, padding);
    }
    for piece in &sight.pieces {
        if piece.rows != 0 && sight.run != 0 {
            // SAFETY: `Neighbours` found the rows of all pixels inside the input and inside a patch
            // of `pitch` bytes or fewer, of which `patches` has as many as pixels. It is exclusive.
            // No number is 0: there is a pixel.
            unsafe {
                bytes::gather(&GatherArgs {
                    from: sight.memory.as_ptr().wrapping_add(piece.from),
                    to: patches.as_mut_ptr().wrapping_add(piece.to),
                    row_steps: sight.steps,
                    rows: piece.rows,
                    len: sight.run,
                    pixels: sight.pixels,
                    pixel_steps: [sight.pixel_step, pitch],
                });
            }
        }
    }
    Some(())
}
