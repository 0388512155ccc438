//! SHA-256 in hexadecimal: of outputs, to be compared, and of what a cached build depends on.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

/// The digest of the parts as one string of bytes, 64 digits.
pub(crate) fn sha256_hex<T: AsRef<[u8]>>(parts: impl IntoIterator<Item = T>) -> String {
    let hasher = parts.into_iter().fold(Sha256::new(), Digest::chain_update);
    hasher.finalize().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 180-2, appendix B.1.
    #[test]
    fn the_published_vector() {
        assert_eq!(
            sha256_hex(["a", "bc"]),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
