//! Memory with the alignment that images and arenas need.

/// Bytes (or any value) at a multiple of 16, the format's [`ALIGNMENT`](fixie_format::ALIGNMENT).
#[derive(Clone, Copy, Debug)]
#[repr(C, align(16))]
pub struct Aligned<T: ?Sized>(pub T);

/// The memory in which one engine runs: inputs, outputs, activations, scratch and state.
pub type Arena<const LEN: usize> = Aligned<[u8; LEN]>;

impl<const LEN: usize> Arena<LEN> {
    /// A zeroed arena.
    pub const fn new() -> Self {
        Self([0; LEN])
    }
}

impl<const LEN: usize> Default for Arena<LEN> {
    fn default() -> Self {
        Self::new()
    }
}
