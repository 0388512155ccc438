//! Finding arrays in a `.npy` or `.npz` file.

use std::fs::File;
use std::io::{Cursor, Read};
use std::path::Path;

use zip::ZipArchive;
use zip::result::ZipError;

use super::array::{Array, NPY_MAGIC};
use super::error::Problem;
use crate::digest::sha256;

/// Most bytes that are read from one file, packed or unpacked: some thousand samples of the largest
/// inputs that a microcontroller can take.
const MAX_BYTES: u64 = 1 << 30;

/// The first bytes of a zip archive, empty or not.
const ZIP_MAGIC: [&[u8]; 2] = [b"PK\x03\x04", b"PK\x05\x06"];

/// An opened data file.
pub struct DataFile {
    kind: Kind,
    /// How many more bytes may be unpacked.
    budget: u64,
    sha256: String,
}

enum Kind {
    /// One array, called `x`; `None` once it was taken.
    Npy(Option<Array>),
    Npz(Box<ZipArchive<Cursor<Vec<u8>>>>),
}

impl DataFile {
    /// Opens the file at `path`.
    pub fn load(path: &Path) -> Result<Self, Problem> {
        let file = File::open(path).map_err(Problem::Read)?;
        Self::from_bytes(read_at_most(file, MAX_BYTES).map_err(Problem::Read)??)
    }

    /// Opens a file whose content is at hand.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, Problem> {
        let sha256 = sha256(&bytes);
        let kind = if bytes.starts_with(NPY_MAGIC) {
            Kind::Npy(Some(Array::parse("x", bytes)?))
        } else if ZIP_MAGIC.iter().any(|magic| bytes.starts_with(magic)) {
            let archive = ZipArchive::new(Cursor::new(bytes)).map_err(Problem::Archive)?;
            Kind::Npz(Box::new(archive))
        } else {
            return Err(Problem::NotNumpy);
        };
        Ok(Self { kind, budget: MAX_BYTES, sha256 })
    }

    /// SHA-256 of the file, in hexadecimal.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// The array called `name`, where there is one. A lone array is given once.
    pub fn array(&mut self, name: &str) -> Result<Option<Array>, Problem> {
        let archive = match &mut self.kind {
            Kind::Npy(array) => return Ok(array.take_if(|_| name == "x")),
            Kind::Npz(archive) => archive,
        };
        let entry = match archive.by_name(&format!("{name}.npy")) {
            Ok(entry) => entry,
            Err(ZipError::FileNotFound) => return Ok(None),
            Err(error) => return Err(Problem::Archive(error)),
        };
        let bytes = read_at_most(entry, self.budget)
            .map_err(|source| Problem::Unpack { array: name.to_owned(), source })??;
        self.budget -= bytes.len() as u64;
        Array::parse(name, bytes).map(Some)
    }

    /// The names of all arrays.
    pub fn names(&self) -> Vec<String> {
        match &self.kind {
            Kind::Npy(_) => vec!["x".to_owned()],
            Kind::Npz(archive) => archive
                .file_names()
                .map(|name| name.strip_suffix(".npy").unwrap_or(name).to_owned())
                .collect(),
        }
    }
}

/// Reads to the end, but refuses what is longer than `limit_bytes`: an archive of some kilobytes may
/// unpack to as many gigabytes.
fn read_at_most(reader: impl Read, limit_bytes: u64) -> std::io::Result<Result<Vec<u8>, Problem>> {
    let mut bytes = Vec::new();
    reader.take(limit_bytes + 1).read_to_end(&mut bytes)?;
    Ok(if bytes.len() as u64 > limit_bytes {
        Err(Problem::TooLarge { limit_bytes: MAX_BYTES })
    } else {
        Ok(bytes)
    })
}

#[cfg(test)]
mod tests {
    use ndarray::Array1;
    use ndarray_npy::NpzWriter;

    use super::*;

    #[test]
    fn bombs_are_defused() {
        let mut archive = NpzWriter::new_compressed(Cursor::new(Vec::new()));
        archive.add_array("x", &Array1::<u8>::zeros(1_000_000)).unwrap();
        let bytes = archive.finish().unwrap().into_inner();
        assert!(bytes.len() < 10_000);
        for (budget, too_large) in [(100_000, true), (1_000_128, false)] {
            let mut file = DataFile::from_bytes(bytes.clone()).unwrap();
            file.budget = budget;
            let refused = matches!(file.array("x"), Err(Problem::TooLarge { .. }));
            assert_eq!(refused, too_large, "{budget} bytes");
        }
    }
}
