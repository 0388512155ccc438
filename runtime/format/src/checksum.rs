//! The checksum of an image: CRC-32 as in zlib and PNG.

use crate::CHECKSUM_OFFSET;

/// The polynomial of ISO 3309 (CRC-32/ISO-HDLC), its bits reversed.
const POLYNOMIAL: u32 = 0xedb8_8320;

/// What four bits change in the remainder: 64 bytes of flash, where a table for whole bytes would
/// take a kilobyte. An image is read once, at start-up.
const TABLE: [u32; 16] = table();

const fn table() -> [u32; 16] {
    let mut table = [0; 16];
    let mut nibble = 0;
    while nibble < table.len() {
        let mut rest = nibble as u32;
        let mut bit = 0;
        while bit < 4 {
            rest = rest >> 1 ^ if rest & 1 == 0 { 0 } else { POLYNOMIAL };
            bit += 1;
        }
        table[nibble] = rest;
        nibble += 1;
    }
    table
}

/// CRC-32 (ISO-HDLC) of an image, its checksum field taken as zero.
pub fn checksum(image: &[u8]) -> u32 {
    let (head, rest) = image.split_at_checked(CHECKSUM_OFFSET).unwrap_or((image, &[]));
    let behind = rest.get(4..).unwrap_or(&[]);
    !update(update(update(!0, head), &[0; 4]), behind)
}

/// Divides further bytes into a remainder.
fn update(remainder: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(remainder, |remainder, &byte| {
        let shift = |rest: u32| rest >> 4 ^ TABLE[(rest & 0xf) as usize];
        shift(shift(remainder ^ u32::from(byte)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_published_function() {
        // The check value of CRC-32/ISO-HDLC in the catalogue of parametrised CRC algorithms.
        assert_eq!(!update(!0, b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn its_own_field_counts_as_zero() {
        let mut image: [u8; 40] = core::array::from_fn(|index| index as u8);
        let sum = checksum(&image);
        image[CHECKSUM_OFFSET..][..4].copy_from_slice(&sum.to_le_bytes());
        assert_eq!(checksum(&image), sum);
        image[CHECKSUM_OFFSET + 4] ^= 1;
        assert_ne!(checksum(&image), sum);
    }
}
