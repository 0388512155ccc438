//! Images that are part of the firmware: read and checked at compile time.

pub use fixie_format::Preview;
use fixie_format::preview;

/// What the types of an engine need to know of an image at compile time.
///
/// # Panics
///
/// At compile time, if the bytes do not start like an image of this version or have another length
/// than its header states. The checksum and the tables are checked when the image is bound.
pub const fn header(bytes: &[u8]) -> Preview {
    match preview(bytes) {
        Ok(header) if header.total_len as usize == bytes.len() => header,
        Ok(_) => panic!("the image is truncated or has bytes behind its end: convert it again"),
        Err(_) => panic!("not a Fixie image that this version can read: convert the model again"),
    }
}

/// Embeds an image and declares a module with its engine.
///
/// `include_image!(pub mod kws = "kws.fixie")` (the path as in [`include_bytes!`]) declares
///
/// - `kws::BYTES`: the image, aligned, in flash;
/// - `kws::OPS`: the operators that it needs, for the type of an engine or application;
/// - `kws::Arena`: an arena of exactly the length that it needs;
/// - `kws::Engine<'a>`: an engine with exactly the operators that it needs;
/// - `kws::bind(&mut Arena)`: binds the two.
#[macro_export]
macro_rules! include_image {
    ($vis:vis mod $name:ident = $path:expr) => {
        /// An embedded Fixie image and its engine.
        $vis mod $name {
            const LEN: usize = include_bytes!($path).len();
            static STORED: $crate::Aligned<[u8; LEN]> = $crate::Aligned(*include_bytes!($path));
            const HEADER: $crate::embed::Preview =
                $crate::embed::header(include_bytes!($path));

            /// The image.
            pub static BYTES: &[u8] = &STORED.0;
            /// The operators that the image needs: `OpSet::bits`.
            pub const OPS: u64 = HEADER.op_set;
            /// An arena of exactly the length that the image needs.
            pub type Arena = $crate::Arena<{ HEADER.arena_len as usize }>;
            /// An engine with exactly the operators that the image needs.
            pub type Engine<'a> = $crate::Engine<'a, OPS>;

            /// Binds the image to an arena.
            ///
            /// # Errors
            ///
            /// `BindError` if the image was damaged.
            pub fn bind(arena: &mut Arena) -> Result<Engine<'_>, $crate::BindError> {
                Engine::new($crate::Image::parse(BYTES)?, &mut arena.0)
            }
        }
    };
}
