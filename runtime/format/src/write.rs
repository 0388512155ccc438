//! Writing an image.

use std::collections::HashMap;
use std::vec;
use std::vec::Vec;

use crate::checksum::checksum;
use crate::field::Record;
use crate::image::{
    ALIGNMENT, CHECKSUM_OFFSET, Header, MAGIC, Section, SectionRange, VERSION_MAJOR, VERSION_MINOR,
};
use crate::op::coded::CODED;
use crate::op::packed::PACKED;
use crate::op::{DataOffset, OpSet, Opcode};
use crate::table::{Input, OpEntry, Output, State, Step, Tensor, TensorId};

/// Collects the parts of an image and lays them out.
///
/// The builder knows the frame only: it does not judge what the records say. Bind what it built
/// with an engine before you trust it.
#[derive(Clone, Debug, Default)]
pub struct ImageBuilder {
    sections: [Vec<u8>; 9],
    op_set: u64,
    arena_len: u32,
    /// Constant blobs already written, so that equal ones are stored once.
    blobs: HashMap<Vec<u8>, DataOffset>,
}

impl ImageBuilder {
    /// An empty image.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the bytes of RAM that the image needs.
    pub fn arena_len(&mut self, len_bytes: u32) {
        self.arena_len = len_bytes;
    }

    /// Appends a tensor and returns its index.
    pub fn tensor(&mut self, tensor: Tensor) -> TensorId {
        self.push(Section::Tensors, tensor) as TensorId
    }

    /// Appends an operator which produces `rows` rows, and returns its index.
    pub fn op<P: Record>(&mut self, opcode: Opcode, rows: u16, params: P) -> u16 {
        self.op_set |= OpSet::EMPTY.with(opcode).bits();
        let at = self.sections[Section::Params as usize].len() as u32;
        self.push(Section::Params, params);
        self.push(Section::Ops, OpEntry { opcode: opcode as u8, flags: 0, rows, params: at }) as u16
    }

    /// Notes how some operator's constants are coded, as its record's `coding` says: the runtime must
    /// link what decodes them.
    pub fn coding(&mut self, coding: u8) {
        let set = OpSet::from_bits(self.op_set);
        let set = match coding {
            CODED => set.with_coded(),
            PACKED => set.with_packed(),
            _ => set,
        };
        self.op_set = set.bits();
    }

    /// Appends a step to the schedule.
    pub fn step(&mut self, step: Step) {
        self.push(Section::Steps, step);
    }

    /// Appends an input.
    pub fn input(&mut self, input: Input) {
        self.push(Section::Inputs, input);
    }

    /// Appends an output.
    pub fn output(&mut self, output: Output) {
        self.push(Section::Outputs, output);
    }

    /// Appends a state tensor.
    pub fn state(&mut self, state: State) {
        self.push(Section::States, state);
    }

    /// Appends constant data, 4-byte aligned, unless the same bytes are there already; returns
    /// where they lie.
    pub fn data<T: bytemuck::NoUninit>(&mut self, items: &[T]) -> DataOffset {
        let bytes: &[u8] = bytemuck::cast_slice(items);
        if let Some(&offset) = self.blobs.get(bytes) {
            return offset;
        }
        let data = &mut self.sections[Section::Data as usize];
        data.resize(data.len().next_multiple_of(4), 0);
        let offset = data.len() as DataOffset;
        data.extend_from_slice(bytes);
        self.blobs.insert(bytes.to_vec(), offset);
        offset
    }

    /// Sets the metadata, a compressed JSON text.
    pub fn metadata(&mut self, bytes: Vec<u8>) {
        self.sections[Section::Metadata as usize] = bytes;
    }

    /// Lays the sections out and seals them with the checksum.
    pub fn build(&self) -> Vec<u8> {
        let mut image = vec![0; Header::LEN.next_multiple_of(ALIGNMENT)];
        let sections = self.sections.each_ref().map(|bytes| {
            let range = SectionRange { offset: image.len() as u32, len_bytes: bytes.len() as u32 };
            image.extend_from_slice(bytes);
            image.resize(image.len().next_multiple_of(ALIGNMENT), 0);
            range
        });
        let header = Header {
            magic: MAGIC,
            major: VERSION_MAJOR,
            minor: VERSION_MINOR,
            total_len: image.len() as u32,
            checksum: 0,
            op_set: self.op_set,
            arena_len: self.arena_len,
            flags: 0,
            sections,
        };
        put(&header, &mut image);
        reseal(&mut image);
        image
    }

    /// Appends a record to a section and returns its index.
    fn push<R: Record>(&mut self, section: Section, record: R) -> usize {
        let bytes = &mut self.sections[section as usize];
        let start = bytes.len();
        bytes.resize(start + R::LEN, 0);
        put(&record, &mut bytes[start..]);
        start / R::LEN
    }
}

/// Recomputes the checksum of an image whose other bytes were changed.
pub fn reseal(image: &mut [u8]) {
    let sum = checksum(image);
    if let Some(field) = image.get_mut(CHECKSUM_OFFSET..CHECKSUM_OFFSET + 4) {
        field.copy_from_slice(&sum.to_le_bytes());
    }
}

/// Writes a record into a buffer that was sized for it.
fn put<R: Record>(record: &R, bytes: &mut [u8]) {
    record.write(bytes).expect("the buffer was sized for the record");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Image;
    use crate::op::Fill;
    use crate::table::{Dtype, Place};
    use crate::{ImageError, SectionRange};

    /// An image buffer with the alignment that flash gives.
    #[derive(Clone)]
    #[repr(align(16))]
    struct Aligned([u8; 512]);

    fn sample() -> (Aligned, usize) {
        let mut builder = ImageBuilder::new();
        let tensor = builder.tensor(Tensor {
            offset: 0,
            len_bytes: 4,
            dtype: Dtype::I8 as u8,
            place: Place::Arena as u8,
            ring_rows: 0,
        });
        let op = builder.op(Opcode::Fill, 1, Fill { output: tensor, value: 7, reserved: 0 });
        builder.step(Step { op, first_row: 0, rows: 1 });
        builder.arena_len(16);
        assert_eq!(builder.data(&[1i32, 2]), 0);
        assert_eq!(builder.data(&[3u8]), 8);
        assert_eq!(builder.data(&[1i32, 2]), 0, "equal data is stored once");
        builder.metadata(b"{}".to_vec());
        let bytes = builder.build();
        let mut aligned = Aligned([0; 512]);
        aligned.0[..bytes.len()].copy_from_slice(&bytes);
        (aligned, bytes.len())
    }

    #[test]
    fn what_was_written_is_read() {
        let (bytes, len) = sample();
        let image = Image::parse(&bytes.0[..len]).unwrap();
        assert_eq!(image.arena_len(), 16);
        assert_eq!(image.tensor(0).unwrap().len_bytes, 4);
        assert_eq!(image.tensor(1), None);
        assert_eq!(image.opcode(0), Some(Opcode::Fill));
        let fill: Fill = image.params(&image.op(0).unwrap()).unwrap();
        assert_eq!(fill.value, 7);
        assert_eq!(image.step(0), Some(Step { op: 0, first_row: 0, rows: 1 }));
        assert_eq!(image.data::<i32>(0, 2), Some(&[1, 2][..]));
        assert_eq!(image.data::<i32>(4, 2), None, "leaves the section");
        assert_eq!(image.data::<i32>(2, 1), None, "misaligned");
        assert_eq!(image.section(Section::Metadata), b"{}");
    }

    #[test]
    fn every_flipped_bit_is_refused() {
        let (bytes, len) = sample();
        for bit in 0..len * 8 {
            let mut damaged = bytes.clone();
            damaged.0[bit / 8] ^= 1 << (bit % 8);
            assert!(Image::parse(&damaged.0[..len]).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn every_truncation_is_refused() {
        let (bytes, len) = sample();
        for short in 0..len {
            assert!(
                matches!(Image::parse(&bytes.0[..short]), Err(ImageError::Truncated { .. })),
                "{short} bytes"
            );
        }
    }

    #[test]
    fn a_newer_major_version_is_named() {
        let (mut bytes, len) = sample();
        bytes.0[4] = 2;
        reseal(&mut bytes.0[..len]);
        assert_eq!(
            Image::parse(&bytes.0[..len]).unwrap_err(),
            ImageError::Version { major: 2, minor: 0 }
        );
    }

    #[test]
    fn misplaced_sections_are_refused() {
        let (bytes, len) = sample();
        for index in 0..Section::ALL.len() {
            for range in [
                SectionRange { offset: 0, len_bytes: 1 },
                SectionRange { offset: u32::MAX - 15, len_bytes: 32 },
                SectionRange { offset: 8 + len as u32, len_bytes: 0 },
            ] {
                let mut damaged = bytes.clone();
                let mut header = Header::read(&damaged.0).unwrap();
                header.sections[index] = range;
                put(&header, &mut damaged.0);
                reseal(&mut damaged.0[..len]);
                assert!(
                    matches!(Image::parse(&damaged.0[..len]), Err(ImageError::Section(_))),
                    "section {index} at {range:?}"
                );
            }
        }
    }

    #[test]
    fn a_misaligned_image_is_refused() {
        let (bytes, len) = sample();
        let mut shifted = Aligned([0; 512]);
        shifted.0[4..4 + len].copy_from_slice(&bytes.0[..len]);
        assert_eq!(Image::parse(&shifted.0[4..4 + len]).unwrap_err(), ImageError::Misaligned);
    }
}
