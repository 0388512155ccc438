//! Every length of vectors against the scalar loops: what the operators' tests do not reach on one
//! processor.

use core::cell::Cell;
use std::vec;
use std::vec::Vec;

use proptest::collection::vec as vec_of;
use proptest::prelude::*;

use super::*;
use crate::arch::paired::Pairs;

/// Bytes between the outputs of pixels, beside those of the channels.
const GAP: usize = 3;

/// What a loop writes for a block, or a pixel, of so many channels.
fn written(channels: usize, run: impl FnOnce(Dst<'_>) -> Option<()>) -> Vec<u8> {
    let mut bytes = vec![0x55; BLOCK * (channels + GAP)];
    let cells = Cell::from_mut(&mut bytes[..]).as_slice_of_cells();
    run(Dst::from(cells)).expect("the lengths fit");
    bytes
}

proptest! {
    #[test]
    fn blocks_are_the_scalar_ones(
        channels in 1usize..70,
        quads in 1usize..40,
        zero: i8,
        words in vec_of(any::<u32>(), 35 * (2 * 40 + 4)),
        bytes in vec_of(any::<i8>(), BLOCK * 4 * 40),
    ) {
        let stream = &words[..channels.div_ceil(2) * (2 * quads + 4)];
        let pairs = Pairs::new(stream, quads, channels, zero).unwrap();
        let mut patch = vec![0; pairs.patch_words()];
        let lanes: &mut [i16] = bytemuck::cast_slice_mut(&mut patch);
        for (lane, byte) in lanes.iter_mut().zip(bytes) {
            *lane = byte.into();
        }
        let step = channels + GAP;
        let expected =
            written(channels, |out| scalar::paired_block(&pairs, &mut patch, out, step));
        if has_avx2() {
            // SAFETY: the processor has AVX2.
            let halves = written(channels, |out| unsafe {
                paired::by_halves(&pairs.into(), &patch, out, step)
            });
            prop_assert_eq!(&halves, &expected);
        }
        if has_avx512() {
            // SAFETY: the processor has what it is compiled for.
            let rows = written(channels, |out| unsafe {
                paired::by_rows(&pairs.into(), &patch, out, step)
            });
            prop_assert_eq!(&rows, &expected);
        }
    }

    #[test]
    fn pixels_are_the_scalar_ones(
        channels in 1usize..30,
        quads in 1usize..40,
        zero: i8,
        words in vec_of(any::<u32>(), 15 * (2 * 40 + 4)),
        bytes in vec_of(any::<i8>(), 4 * 40),
    ) {
        let stream = &words[..channels.div_ceil(2) * (2 * quads + 4)];
        let pairs = Pairs::new(stream, quads, channels, zero).unwrap();
        let patch = Src::from(&bytes[..4 * quads]);
        let expected = written(channels, |out| {
            scalar::paired_pixel(&pairs, patch, out.slice(0, channels)?)
        });
        if has_avx2() {
            // SAFETY: the processor has AVX2.
            let halves = written(channels, |out| unsafe {
                single::avx2::paired_pixel(&pairs, patch, out.slice(0, channels)?)
            });
            prop_assert_eq!(&halves, &expected);
        }
        if has_avx512() {
            // SAFETY: the processor has what it is compiled for.
            let rows = written(channels, |out| unsafe {
                single::avx512::paired_pixel(&pairs, patch, out.slice(0, channels)?)
            });
            prop_assert_eq!(&rows, &expected);
        }
    }
}
