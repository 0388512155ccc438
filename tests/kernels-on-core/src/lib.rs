//! Random convolutions, each an image of its own, to be run on a host and on emulated cores.
//!
//! That the host computes what the format defines is shown by the tests of `fixie-kernels`; what a
//! core computes, through assembly or another compiler's code, must equal it byte for byte.

mod layer;
mod random;
mod wide;

use fixie::{Engine, Image, OpSet};

pub use layer::{Kind, case};
pub use random::Random;
pub use wide::wide_case;

/// An image of a single operator, and what its input holds.
pub struct Case {
    /// The image; it runs the operator in steps of some rows each.
    pub image: Vec<u8>,
    /// The raw bytes of input 0.
    pub input: Vec<u8>,
}

impl Case {
    /// Appends the case to the input of the firmware `kernel-tests`.
    pub fn append_to(&self, file: &mut Vec<u8>) {
        file.extend((self.image.len() as u32).to_le_bytes());
        file.extend(&self.image);
        file.extend(&self.input);
    }

    /// The raw bytes of output 0, computed here.
    ///
    /// # Panics
    ///
    /// If the image does not bind or does not run.
    pub fn run(&self) -> Vec<u8> {
        let mut image = aligned(self.image.len());
        let image: &mut [u8] = bytemuck::cast_slice_mut(&mut image);
        image[..self.image.len()].copy_from_slice(&self.image);
        let image = Image::parse(image).expect("a sound image");
        let mut arena = aligned(image.arena_len());
        let arena = bytemuck::cast_slice_mut(&mut arena);
        let mut engine =
            Engine::<{ OpSet::ALL.bits() }>::new(image, arena).expect("an image that binds");
        engine.input(0).unwrap().bytes_mut().copy_from_slice(&self.input);
        engine.run().expect("an image that runs");
        engine.output(0).unwrap().bytes().to_vec()
    }
}

/// At least `len` bytes with the alignment that images and arenas need.
fn aligned(len: usize) -> Vec<u128> {
    vec![0; len.div_ceil(size_of::<u128>())]
}
