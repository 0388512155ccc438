//! Images and firmware, small enough to be written by hand.

use fixie_device::Firmware;
use fixie_format::table::{Dtype, Place, Port, Step, Tensor};
use fixie_format::{ImageBuilder, Opcode, op};

const ELEMENTS: u32 = 16;

/// An image of one table, with so much RAM and at least so much flash.
pub fn image(arena_bytes: u32, flash_bytes: usize) -> Vec<u8> {
    let mut image = ImageBuilder::new();
    image.arena_len(arena_bytes);
    let mut tensor = |offset| {
        image.tensor(Tensor {
            offset,
            len_bytes: ELEMENTS,
            dtype: Dtype::I8 as u8,
            place: Place::Arena as u8,
            ring_rows: 0,
        })
    };
    let [input, output] = [0, ELEMENTS].map(&mut tensor);
    let table = image.data(&[7_i8; 256]);
    image.data(&(0..flash_bytes).map(|index| (index % 251) as u8).collect::<Vec<_>>());
    let op = image.op(Opcode::Lut, 1, op::Lut { input, output, table });
    image.step(Step { op, first_row: 0, rows: 1 });
    image.input(port(input));
    image.output(port(output));
    image.build()
}

fn port(tensor: u16) -> Port {
    Port {
        tensor,
        rank: 1,
        dtype: Dtype::I8 as u8,
        scale: 1.0,
        zero_point: 0,
        dims: [ELEMENTS, 1, 1, 1, 1, 1],
        order: [0; 6],
        rows: 0,
    }
}

/// An ELF file for Arm that loads `code` at an address of flash and wants zeroed RAM.
pub fn firmware(address: u32, code: &[u8], ram: (u32, u32)) -> Firmware {
    Firmware::parse(elf(address, code, ram)).unwrap()
}

/// Header and two program headers, by the System V ABI (ELF-32).
pub fn elf(address: u32, code: &[u8], (ram, ram_bytes): (u32, u32)) -> Vec<u8> {
    const HEADER: u32 = 52;
    const PROGRAM_HEADER: u32 = 32;
    const PT_LOAD: u32 = 1;
    const EXECUTABLE: u32 = 2;
    const ARM: u32 = 40;
    let (start, len) = (HEADER + 2 * PROGRAM_HEADER, code.len() as u32);
    let words = [
        // e_type and e_machine, e_version, e_entry, e_phoff, e_shoff, e_flags
        &[ARM << 16 | EXECUTABLE, 1, address, HEADER, 0, 0][..],
        // e_ehsize and e_phentsize, e_phnum and e_shentsize, e_shnum and e_shstrndx
        &[PROGRAM_HEADER << 16 | HEADER, 40 << 16 | 2, 0],
        // p_type, p_offset, p_vaddr, p_paddr, p_filesz, p_memsz, p_flags, p_align
        &[PT_LOAD, start, address, address, len, len, 5, 4],
        &[PT_LOAD, start, ram, ram, 0, ram_bytes, 6, 4],
    ];
    let mut file = b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    file.extend(words.concat().into_iter().flat_map(u32::to_le_bytes));
    file.extend(code);
    file
}
