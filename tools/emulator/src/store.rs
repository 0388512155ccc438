//! Linked files, kept under the digest of everything that they are made of.
//!
//! One build directory holds the result for one image at a time. Tests and benches go through many
//! images in turn, and more than once: what was linked before is taken from here.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::EmulatorError;
use crate::digest::sha256_hex;
use crate::firmware::Application;
use crate::site::Site;

/// Files kept for one board; the least recently linked ones are removed.
const CAPACITY: usize = 64;

/// The place of one linked file.
#[derive(Debug)]
pub(crate) struct Store {
    directory: PathBuf,
    path: PathBuf,
}

impl Store {
    /// The place for an application with an image inside.
    pub fn open(
        site: &Site,
        application: Application,
        image: Option<&[u8]>,
    ) -> Result<Self, EmulatorError> {
        let directory = site.directory.join("linked");
        fs::create_dir_all(&directory).map_err(EmulatorError::io(&directory))?;
        let mut parts = vec![application.binary.as_bytes().to_vec()];
        parts.extend(site.fingerprint()?.map(String::into_bytes));
        // What firmware is compiled from: its own workspace, and the runtime beside it.
        for sources in [site.sources.clone(), site.sources.join("../runtime")] {
            append_sources(&sources, &mut parts)?;
        }
        parts.extend(image.map(<[u8]>::to_vec));
        // Digests of the parts, so that none can run into the next.
        let key = sha256_hex(parts.iter().map(|part| sha256_hex([part])));
        Ok(Self { path: directory.join(key).with_extension("elf"), directory })
    }

    /// The file, if it was linked before.
    pub fn elf(&self) -> Option<Vec<u8>> {
        fs::read(&self.path).ok()
    }

    /// Keeps the file for the next time.
    pub fn keep(&self, elf: &[u8]) -> Result<(), EmulatorError> {
        // The build directory is locked: only an interrupted writer leaves a partial file.
        let partial = self.path.with_extension("partial");
        fs::write(&partial, elf).map_err(EmulatorError::io(&partial))?;
        fs::rename(&partial, &self.path).map_err(EmulatorError::io(&self.path))?;
        self.remove_oldest()
    }

    fn remove_oldest(&self) -> Result<(), EmulatorError> {
        let mut files: Vec<_> =
            entries(&self.directory)?.into_iter().map(|path| (modified(&path), path)).collect();
        files.sort();
        for (_, path) in files.iter().take(files.len().saturating_sub(CAPACITY)) {
            fs::remove_file(path).map_err(EmulatorError::io(path))?;
        }
        Ok(())
    }
}

/// Appends the names and contents of all sources below a directory, in the order of their names.
fn append_sources(directory: &Path, parts: &mut Vec<Vec<u8>>) -> Result<(), EmulatorError> {
    for path in entries(directory)? {
        if path.is_dir() {
            if !path.ends_with("target") {
                append_sources(&path, parts)?;
            }
        } else {
            parts.push(path.as_os_str().as_encoded_bytes().to_vec());
            parts.push(fs::read(&path).map_err(EmulatorError::io(&path))?);
        }
    }
    Ok(())
}

/// What a directory holds, sorted.
fn entries(directory: &Path) -> Result<Vec<PathBuf>, EmulatorError> {
    let listing = fs::read_dir(directory).map_err(EmulatorError::io(directory))?;
    let mut paths: Vec<_> = listing.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    Ok(paths)
}

/// When a file was last written; the epoch if the system cannot tell.
fn modified(path: &Path) -> SystemTime {
    let metadata = fs::metadata(path).and_then(|metadata| metadata.modified());
    metadata.unwrap_or(SystemTime::UNIX_EPOCH)
}
