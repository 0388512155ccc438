//! Where the sources are, and where what is built goes.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::EmulatorError;

/// The workspace, and the directory for everything that is built from it.
#[derive(Debug, Clone)]
pub(crate) struct Workspace {
    /// The repository's root.
    pub root: PathBuf,
    /// Where firmware, sysroots and locks are kept.
    cache: PathBuf,
}

impl Workspace {
    /// Finds the workspace: `FIXIE_SOURCE`, else where this crate was compiled.
    pub fn locate() -> Result<Self, EmulatorError> {
        let root = env::var_os("FIXIE_SOURCE")
            .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."), PathBuf::from);
        let root = root.canonicalize().map_err(|_| EmulatorError::NoSource(root))?;
        if !root.join("firmware/Cargo.toml").is_file() {
            return Err(EmulatorError::NoSource(root));
        }
        let target = env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| root.join("target"), |dir| root.join(dir));
        Ok(Self { cache: target.join("emulator"), root })
    }

    /// The cache: everything that is built is below it.
    pub fn built(&self) -> PathBuf {
        self.cache.clone()
    }

    /// A directory of the cache, created if need be.
    pub fn cache(&self, name: impl AsRef<Path>) -> Result<PathBuf, EmulatorError> {
        let path = self.cache.join(name);
        fs::create_dir_all(&path).map_err(EmulatorError::io(&path))?;
        Ok(path)
    }
}

/// Keeps other processes and threads out of a directory until it is dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Waits for the lock of `directory`.
    pub fn acquire(directory: &Path) -> Result<Self, EmulatorError> {
        let path = directory.join(".lock");
        let file = File::create(&path).map_err(EmulatorError::io(&path))?;
        file.lock().map_err(EmulatorError::io(&path))?;
        Ok(Self { _file: file })
    }
}

/// Writes a file unless it has that content already, so that builds see no change where none is.
pub(crate) fn write_if_changed(path: &Path, content: &[u8]) -> Result<(), EmulatorError> {
    if fs::read(path).is_ok_and(|present| present == content) {
        return Ok(());
    }
    fs::write(path, content).map_err(EmulatorError::io(path))
}
