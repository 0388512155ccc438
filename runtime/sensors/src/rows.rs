//! Pictures over a serial line, row by row: from a camera module with a controller of its own, or
//! from a computer that plays the camera.
//!
//! ```text
//! row := 0xF1 0x3E index:u8 pixel:u8{WIDTH} crc:u8
//! ```
//!
//! `index` counts the rows of a picture from 0. `crc` is the CRC-8 of index and pixels, with the
//! polynomial x⁸ + x² + x + 1 and nothing inverted (CRC-8/SMBUS).

use crate::SampleSource;

/// What a row begins with.
pub const START: [u8; 2] = [0xF1, 0x3E];

/// Bytes that are taken from the line at once.
const CHUNK: usize = 16;

/// Rows of `WIDTH` bytes from a source of bytes, in pictures of `HEIGHT` rows.
///
/// The rows that come out are whole pictures, whatever comes in: a row that is lost or damaged is
/// given as the one before it once more. What is between rows is skipped.
#[derive(Debug)]
pub struct Rows<S, const WIDTH: usize, const HEIGHT: usize> {
    bytes: S,
    chunk: [u8; CHUNK],
    /// The part of the chunk that is not looked at yet.
    unread: core::ops::Range<usize>,
    state: State,
    crc: u8,
    /// The row that is being received.
    index: u8,
    row: [u8; WIDTH],
    /// The last one that was given.
    last: [u8; WIDTH],
    /// Index of the next one.
    next: usize,
}

/// What is expected next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// A byte of [`START`].
    Start(usize),
    Index,
    /// A pixel.
    Pixel(usize),
    Crc,
    /// Nothing: `row` is complete and waits until those that are missing before it are given.
    Complete,
}

impl<S, const WIDTH: usize, const HEIGHT: usize> Rows<S, WIDTH, HEIGHT> {
    /// The rows in these bytes.
    pub const fn new(bytes: S) -> Self {
        Self {
            bytes,
            chunk: [0; CHUNK],
            unread: 0..0,
            state: State::Start(0),
            crc: 0,
            index: 0,
            row: [0; WIDTH],
            last: [0; WIDTH],
            next: 0,
        }
    }

    fn receive(&mut self, byte: u8) {
        self.state = match self.state {
            State::Start(at) if START.get(at) == Some(&byte) => {
                if at + 1 < START.len() {
                    State::Start(at + 1)
                } else {
                    State::Index
                }
            }
            // It may be the first byte that comes twice.
            State::Start(_) => State::Start(usize::from(byte == START[0])),
            State::Index => {
                self.index = byte;
                self.crc = crc8(0, byte);
                State::Pixel(0)
            }
            State::Pixel(at) => {
                if let Some(pixel) = self.row.get_mut(at) {
                    *pixel = byte;
                }
                self.crc = crc8(self.crc, byte);
                if at + 1 < WIDTH { State::Pixel(at + 1) } else { State::Crc }
            }
            State::Crc if byte == self.crc && usize::from(self.index) < HEIGHT => State::Complete,
            State::Crc | State::Complete => State::Start(0),
        };
    }

    /// The next row, if a complete one says which it is.
    fn give(&mut self) -> Option<[u8; WIDTH]> {
        if self.state != State::Complete {
            return None;
        }
        if usize::from(self.index) == self.next {
            self.last = self.row;
            self.state = State::Start(0);
        }
        self.next = (self.next + 1) % HEIGHT;
        Some(self.last)
    }
}

impl<S: SampleSource<Sample = u8>, const WIDTH: usize, const HEIGHT: usize> SampleSource
    for Rows<S, WIDTH, HEIGHT>
{
    type Sample = [u8; WIDTH];
    type Error = S::Error;

    fn take(&mut self, rows: &mut [[u8; WIDTH]]) -> Result<usize, S::Error> {
        let mut taken = 0;
        while let Some(place) = rows.get_mut(taken) {
            if let Some(row) = self.give() {
                *place = row;
                taken += 1;
                continue;
            }
            let Some(byte) = self.unread.next().and_then(|at| self.chunk.get(at)) else {
                self.unread = 0..self.bytes.take(&mut self.chunk)?;
                if self.unread.is_empty() {
                    break;
                }
                continue;
            };
            self.receive(*byte);
        }
        Ok(taken)
    }
}

/// Continues a CRC-8 of polynomial 0x07 with a byte.
const fn crc8(mut crc: u8, byte: u8) -> u8 {
    crc ^= byte;
    let mut bit = 0;
    while bit < 8 {
        crc = crc << 1 ^ if crc & 0x80 == 0 { 0 } else { 0x07 };
        bit += 1;
    }
    crc
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::convert::Infallible;
    use std::vec;
    use std::vec::Vec;

    /// Bytes that arrive some at a time.
    struct Line<'a>(&'a [u8], usize);

    impl SampleSource for Line<'_> {
        type Sample = u8;
        type Error = Infallible;

        fn take(&mut self, bytes: &mut [u8]) -> Result<usize, Infallible> {
            let count = self.1.min(bytes.len()).min(self.0.len());
            let (now, later) = self.0.split_at(count);
            bytes[..count].copy_from_slice(now);
            self.0 = later;
            Ok(count)
        }
    }

    fn row(index: u8, pixels: [u8; 3]) -> Vec<u8> {
        let checked = [index, pixels[0], pixels[1], pixels[2]];
        let crc = checked.iter().fold(0, |crc, &byte| crc8(crc, byte));
        [&START[..], &checked, &[crc]].concat()
    }

    fn received(bytes: &[u8]) -> Vec<[u8; 3]> {
        let given = |at_once| {
            let mut rows = Rows::<_, 3, 4>::new(Line(bytes, at_once));
            let (mut all, mut some) = (Vec::new(), [[0; 3]; 2]);
            loop {
                let count = rows.take(&mut some).unwrap();
                all.extend(&some[..count]);
                if count < some.len() {
                    return all;
                }
            }
        };
        let rows = given(1);
        assert_eq!(given(5), rows, "whatever arrives at once");
        rows
    }

    /// The check value of CRC-8/SMBUS in the catalogue of parametrised CRC algorithms.
    #[test]
    fn the_crc_is_that_of_the_catalogue() {
        assert_eq!(b"123456789".iter().fold(0, |crc, &byte| crc8(crc, byte)), 0xF4);
    }

    #[test]
    fn rows_come_out_as_they_went_in_whatever_is_between_them() {
        let bytes = [
            b"noise \xF1".to_vec(),
            row(0, [1, 2, 3]),
            row(1, [0xF1, 0x3E, 0]),
            vec![0x3E, 0xF1, 0],
            row(2, [7, 8, 9]),
            row(3, [4, 4, 4]),
            row(0, [5, 5, 5]),
        ];
        let expected = [[1, 2, 3], [0xF1, 0x3E, 0], [7, 8, 9], [4, 4, 4], [5, 5, 5]];
        assert_eq!(received(&bytes.concat()), expected);
    }

    #[test]
    fn a_damaged_row_is_given_as_the_one_before() {
        let mut damaged = row(1, [2, 2, 2]);
        damaged[4] ^= 1;
        let bytes = [row(0, [1, 1, 1]), damaged, row(2, [3, 3, 3])].concat();
        assert_eq!(received(&bytes), [[1, 1, 1], [1, 1, 1], [3, 3, 3]]);
    }

    #[test]
    fn a_picture_that_begins_anew_completes_the_one_before() {
        let bytes = [row(0, [1, 1, 1]), row(1, [2, 2, 2]), row(0, [3, 3, 3])].concat();
        assert_eq!(received(&bytes), [[1; 3], [2; 3], [2; 3], [2; 3], [3; 3]]);
    }

    #[test]
    fn a_row_that_no_picture_has_is_skipped() {
        assert_eq!(received(&[row(4, [9; 3]), row(0, [1; 3])].concat()), [[1; 3]]);
    }
}
