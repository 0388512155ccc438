//! The pictures of the digits' evaluation data, as a camera shows them.

use std::fs::File;

use crc::{CRC_8_SMBUS, Crc};
use ndarray::{Array1, ArrayD};
use ndarray_npy::NpzReader;

use crate::shipped;

/// Pixels of a row, and rows of a picture.
pub const SIDE: usize = 8;
/// Each digit is held before the camera for so many pictures.
pub const HELD: usize = 3;

static CRC: Crc<u8> = Crc::<u8>::new(&CRC_8_SMBUS);

/// Digits before a camera, one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clip {
    /// Rows of pixels.
    pub rows: Vec<u8>,
    /// What is seen, each only where it is another than before.
    pub news: Vec<usize>,
}

/// So many pictures of the evaluation data, from `first` on.
pub fn clip(first: usize, count: usize) -> Clip {
    let mut file = NpzReader::new(File::open(shipped("digits/eval.npz")).unwrap()).unwrap();
    let x: ArrayD<u8> = file.by_name("x.npy").unwrap();
    let y: Array1<i64> = file.by_name("y.npy").unwrap();
    let pixels = x.into_raw_vec_and_offset().0;
    let pictures = pixels.chunks_exact(SIDE * SIDE).skip(first).take(count);
    // The data's 0 to 16 are the camera's 0 to 255.
    let bright = |&pixel: &u8| (u16::from(pixel) * 255 / 16) as u8;
    let shown = pictures.flat_map(|picture| std::iter::repeat_n(picture, HELD)).flatten();
    let mut news: Vec<_> = y.iter().skip(first).take(count).map(|&digit| digit as usize).collect();
    news.dedup();
    Clip { rows: shown.map(bright).collect(), news }
}

impl Clip {
    /// The rows on a serial line: `0xF1 0x3E index pixel{8} crc`, of `runtime/sensors/src/rows.rs`.
    pub fn on_serial_line(&self) -> Vec<u8> {
        let rows = self.rows.chunks(SIDE).enumerate();
        rows.flat_map(|(index, pixels)| {
            let checked = [&[(index % SIDE) as u8], pixels].concat();
            [&[0xF1, 0x3E], &checked[..], &[CRC.checksum(&checked)]].concat()
        })
        .collect()
    }
}
