//! The frame of an image: header, sections, checksum.

use crate::error::ImageError;
use crate::field::{Record, record};
use crate::op::{OpSet, Opcode};
use crate::table::{Input, OpEntry, Output, State, Step, Tensor};

/// The first four bytes of every image.
pub const MAGIC: [u8; 4] = *b"FIXI";
/// Images of another major version are refused.
pub const VERSION_MAJOR: u16 = 1;
/// Raised when an addition leaves older images readable.
pub const VERSION_MINOR: u16 = 0;
/// The image itself, its sections and its arena start at multiples of this many bytes.
pub const ALIGNMENT: usize = 16;
/// Where the checksum lies.
pub const CHECKSUM_OFFSET: usize = 12;

/// The parts of an image, in the order in which they lie in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Section {
    /// [`Tensor`] records.
    Tensors,
    /// [`OpEntry`] records.
    Ops,
    /// The parameter records of [`crate::op`], found through [`OpEntry::params`].
    Params,
    /// [`Step`] records: the schedule.
    Steps,
    /// [`Input`] records.
    Inputs,
    /// [`Output`] records.
    Outputs,
    /// [`State`] records.
    States,
    /// Weights, biases, multipliers and tables, in the order of their use.
    Data,
    /// Names and provenance as JSON; may be empty, never read on a device.
    Metadata,
}

impl Section {
    /// All sections in order.
    pub const ALL: [Self; 9] = [
        Self::Tensors,
        Self::Ops,
        Self::Params,
        Self::Steps,
        Self::Inputs,
        Self::Outputs,
        Self::States,
        Self::Data,
        Self::Metadata,
    ];
}

record! {
    /// Where a section lies.
    pub struct SectionRange {
        /// Bytes from the start of the image, a multiple of [`ALIGNMENT`].
        pub offset: u32,
        /// Length in bytes.
        pub len_bytes: u32,
    }
}

record! {
    /// The first bytes of an image.
    pub struct Header {
        /// [`MAGIC`].
        pub magic: [u8; 4],
        /// [`VERSION_MAJOR`] of the writer.
        pub major: u16,
        /// [`VERSION_MINOR`] of the writer.
        pub minor: u16,
        /// Length of the whole image in bytes, header and padding included.
        pub total_len: u32,
        /// CRC-32 of the whole image, this field taken as zero.
        pub checksum: u32,
        /// Which operators the image needs: bit *n* stands for opcode *n*, bit 63 for coded
        /// and bit 62 for packed constants.
        pub op_set: u64,
        /// Bytes of RAM that one inference needs: inputs, outputs, activations, scratch, state.
        pub arena_len: u32,
        /// Zero in version 1.
        pub flags: u32,
        /// The sections in the order of [`Section::ALL`].
        pub sections: [SectionRange; 9],
    }
}

/// A view of an image whose frame has been checked; it borrows the bytes where they lie.
///
/// The tables are reached by index and decoded on access. What the records *say* (shapes, spans,
/// operator rules) is checked when an engine binds the image.
#[derive(Clone, Copy, Debug)]
pub struct Image<'m> {
    bytes: &'m [u8],
    version: (u16, u16),
    checksum: u32,
    op_set: OpSet,
    arena_len: usize,
    /// Found once: every access to a record or to constants goes through them.
    sections: [&'m [u8]; Section::ALL.len()],
}

impl<'m> Image<'m> {
    /// Checks the frame and the checksum of `bytes`, which may be longer than the image.
    ///
    /// # Errors
    ///
    /// [`ImageError`] says what is wrong; nothing of a refused image is used.
    pub fn parse(bytes: &'m [u8]) -> Result<Self, ImageError> {
        let image = Self::parse_frame(bytes)?;
        let computed = crate::checksum(image.bytes);
        let stated = image.checksum;
        if computed == stated { Ok(image) } else { Err(ImageError::Checksum { stated, computed }) }
    }

    /// As [`parse`](Self::parse), without the pass over all bytes for the checksum.
    ///
    /// For tools which repair a checksum, and for images that something else has authenticated.
    /// Memory safety never depends on the checksum.
    ///
    /// # Errors
    ///
    /// As [`parse`](Self::parse), but never [`ImageError::Checksum`].
    pub fn parse_frame(bytes: &'m [u8]) -> Result<Self, ImageError> {
        let given = bytes.len() as u32;
        let truncated = |needed| ImageError::Truncated { needed, given };
        let header = Header::read(bytes).ok_or(truncated(Header::LEN as u32))?;
        if header.magic != MAGIC {
            return Err(ImageError::NotAnImage);
        }
        if header.major != VERSION_MAJOR {
            return Err(ImageError::Version { major: header.major, minor: header.minor });
        }
        let bytes = bytes.get(..header.total_len as usize).ok_or(truncated(header.total_len))?;
        if bytes.as_ptr().addr() % ALIGNMENT != 0 {
            return Err(ImageError::Misaligned);
        }
        Ok(Self {
            bytes,
            version: (header.major, header.minor),
            checksum: header.checksum,
            op_set: OpSet::from_bits(header.op_set),
            arena_len: header.arena_len as usize,
            sections: sections(&header, bytes)?,
        })
    }

    /// Major and minor version of the format that the image is written in.
    pub fn version(&self) -> (u16, u16) {
        self.version
    }

    /// The checksum that the image states.
    pub fn checksum(&self) -> u32 {
        self.checksum
    }

    /// The whole image.
    pub fn bytes(&self) -> &'m [u8] {
        self.bytes
    }

    /// Which operators the image needs.
    pub fn op_set(&self) -> OpSet {
        self.op_set
    }

    /// Bytes of RAM that the image needs.
    pub fn arena_len(&self) -> usize {
        self.arena_len
    }

    /// The bytes of a section.
    pub fn section(&self, section: Section) -> &'m [u8] {
        self.sections.get(section as usize).copied().unwrap_or(&[])
    }

    /// Number of records of a table section.
    fn count<R: Record>(&self, section: Section) -> usize {
        self.section(section).len() / R::LEN
    }

    /// The record at `index` of a table section.
    fn record<R: Record>(&self, section: Section, index: usize) -> Option<R> {
        R::read(self.section(section).get(index.checked_mul(R::LEN)?..)?)
    }

    /// Number of tensors.
    pub fn tensor_count(&self) -> usize {
        self.count::<Tensor>(Section::Tensors)
    }

    /// The tensor at `index`.
    pub fn tensor(&self, index: usize) -> Option<Tensor> {
        self.record(Section::Tensors, index)
    }

    /// Number of operators.
    pub fn op_count(&self) -> usize {
        self.count::<OpEntry>(Section::Ops)
    }

    /// The operator at `index`.
    pub fn op(&self, index: usize) -> Option<OpEntry> {
        self.record(Section::Ops, index)
    }

    /// The opcode of the operator at `index`; `None` also where this version does not know it.
    pub fn opcode(&self, index: usize) -> Option<Opcode> {
        Opcode::from_u8(self.op(index)?.opcode)
    }

    /// The parameter record of an operator.
    pub fn params<R: Record>(&self, entry: &OpEntry) -> Option<R> {
        R::read(self.section(Section::Params).get(entry.params as usize..)?)
    }

    /// Number of steps in the schedule.
    pub fn step_count(&self) -> usize {
        self.count::<Step>(Section::Steps)
    }

    /// The step at `index`.
    pub fn step(&self, index: usize) -> Option<Step> {
        self.record(Section::Steps, index)
    }

    /// Number of inputs.
    pub fn input_count(&self) -> usize {
        self.count::<Input>(Section::Inputs)
    }

    /// The input at `index`.
    pub fn input(&self, index: usize) -> Option<Input> {
        self.record(Section::Inputs, index)
    }

    /// Number of outputs.
    pub fn output_count(&self) -> usize {
        self.count::<Output>(Section::Outputs)
    }

    /// The output at `index`.
    pub fn output(&self, index: usize) -> Option<Output> {
        self.record(Section::Outputs, index)
    }

    /// Number of state tensors.
    pub fn state_count(&self) -> usize {
        self.count::<State>(Section::States)
    }

    /// The state tensor at `index`.
    pub fn state(&self, index: usize) -> Option<State> {
        self.record(Section::States, index)
    }

    /// All constant data from `offset` bytes into the data section on; `None` where that is outside.
    pub fn data_from(&self, offset: u32) -> Option<&'m [u8]> {
        self.section(Section::Data).get(offset as usize..)
    }

    /// `len` items of constant data that start `offset` bytes into the data section; `None` where
    /// they leave it or `offset` is not a multiple of the item's alignment.
    pub fn data<T: bytemuck::AnyBitPattern>(&self, offset: u32, len: usize) -> Option<&'m [T]> {
        let start = offset as usize;
        let end = start.checked_add(len.checked_mul(size_of::<T>())?)?;
        bytemuck::try_cast_slice(self.section(Section::Data).get(start..end)?).ok()
    }
}

/// The sections, which lie in order, aligned, inside the image and behind the header.
fn sections<'m>(
    header: &Header,
    bytes: &'m [u8],
) -> Result<[&'m [u8]; Section::ALL.len()], ImageError> {
    let mut sections = [&[][..]; Section::ALL.len()];
    let mut end = Header::LEN;
    let found = Section::ALL.into_iter().zip(header.sections).zip(&mut sections);
    for ((section, SectionRange { offset, len_bytes }), place) in found {
        let start = offset as usize;
        let next = start.checked_add(len_bytes as usize).ok_or(ImageError::Section(section))?;
        let is_in_order = start >= end && start.is_multiple_of(ALIGNMENT);
        let lies_there = bytes.get(start..next).filter(|_| is_in_order);
        *place = lies_there.ok_or(ImageError::Section(section))?;
        end = next;
    }
    Ok(sections)
}

/// What a compiler of firmware needs to know of an image that it embeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preview {
    /// [`Header::total_len`].
    pub total_len: u32,
    /// [`Header::op_set`].
    pub op_set: u64,
    /// [`Header::arena_len`].
    pub arena_len: u32,
}

/// Reads the header fields that matter at compile time, where traits cannot be called.
///
/// # Errors
///
/// [`ImageError::Truncated`], [`ImageError::NotAnImage`], [`ImageError::Version`].
pub const fn preview(bytes: &[u8]) -> Result<Preview, ImageError> {
    let (needed, given) = (Header::LEN as u32, bytes.len() as u32);
    if given < needed {
        return Err(ImageError::Truncated { needed, given });
    }
    if u32_at(bytes, 0) != u32::from_le_bytes(MAGIC) {
        return Err(ImageError::NotAnImage);
    }
    let version = u32_at(bytes, 4);
    let (major, minor) = (version as u16, (version >> 16) as u16);
    if major != VERSION_MAJOR {
        return Err(ImageError::Version { major, minor });
    }
    Ok(Preview {
        total_len: u32_at(bytes, 8),
        op_set: u32_at(bytes, 16) as u64 | (u32_at(bytes, 20) as u64) << 32,
        arena_len: u32_at(bytes, 24),
    })
}

/// The little-endian number at `offset`, which must leave room for it.
const fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    u32::from_le_bytes([bytes[offset], bytes[offset + 1], bytes[offset + 2], bytes[offset + 3]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preview_agrees_with_the_header() {
        let header = Header {
            magic: MAGIC,
            major: VERSION_MAJOR,
            minor: 9,
            total_len: 0x0102_0304,
            checksum: u32::MAX,
            op_set: 0x1122_3344_5566_7788,
            arena_len: 0x0506_0708,
            flags: u32::MAX,
            sections: [SectionRange { offset: u32::MAX, len_bytes: u32::MAX }; 9],
        };
        let mut bytes = [0; Header::LEN];
        header.write(&mut bytes).unwrap();
        let Header { total_len, op_set, arena_len, .. } = header;
        assert_eq!(preview(&bytes), Ok(Preview { total_len, op_set, arena_len }));
        assert!(matches!(preview(&bytes[1..]), Err(ImageError::Truncated { .. })));
        bytes[4] = 7;
        assert_eq!(preview(&bytes), Err(ImageError::Version { major: 7, minor: 9 }));
        bytes[0] = 0;
        assert_eq!(preview(&bytes), Err(ImageError::NotAnImage));
    }
}
