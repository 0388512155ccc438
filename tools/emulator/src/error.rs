//! What can go wrong between an image and its figures, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Why firmware could not be built or run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmulatorError {
    /// No board has that name.
    #[error("there is no board '{name}'; known are {known}")]
    UnknownBoard {
        /// The name asked for.
        name: String,
        /// The names that exist, separated by commas.
        known: String,
    },
    /// The firmware's sources are not where they were when this program was compiled.
    #[error(
        "the firmware's sources are not at {}: set FIXIE_SOURCE to the directory of the Fixie \
         repository",
        .0.display()
    )]
    NoSource(PathBuf),
    /// `FIXIE_TOOLCHAIN` has a value that means nothing.
    #[error("FIXIE_TOOLCHAIN is '{0}'; it can be 'rustup' or 'debian', or be unset")]
    UnknownToolchain(String),
    /// No compiler can build for the target.
    #[error("no compiler for {target} is installed: run `cargo xtask setup`, or {fix}")]
    NoCompiler {
        /// The compiler's target.
        target: &'static str,
        /// What would provide one.
        fix: String,
    },
    /// No linker was found for a compiler that brings none.
    #[error(
        "no linker for {target} is installed: run `cargo xtask setup`, or `apt-get install lld`"
    )]
    NoLinker {
        /// The compiler's target.
        target: &'static str,
    },
    /// The emulator is not installed.
    #[error(
        "{program} is not installed: run `cargo xtask setup`, or `apt-get install {package}` (on \
         other systems QEMU 7.2 or later)"
    )]
    NoEmulator {
        /// The program.
        program: &'static str,
        /// The Debian package that contains it.
        package: &'static str,
    },
    /// A program could not be started.
    #[error("cannot start {program}: {source}")]
    Start {
        /// The program.
        program: String,
        /// What the system said.
        source: io::Error,
    },
    /// A build failed for a reason that is not the image's size.
    #[error("building {what} failed:\n{output}")]
    Build {
        /// What was to be built.
        what: String,
        /// The compiler's messages.
        output: String,
    },
    /// The image, with its code and arena, is larger than the board.
    #[error("the model does not fit {board}: {problem}; choose a larger board or a smaller model")]
    DoesNotFit {
        /// The board's name.
        board: &'static str,
        /// Which memory is full, and by how much it is exceeded.
        problem: String,
    },
    /// The firmware ran for longer than it should.
    #[error("{board} did not finish within {} s", limit.as_secs())]
    Timeout {
        /// The board's name.
        board: &'static str,
        /// How long it was given.
        limit: Duration,
    },
    /// The firmware, or the emulator, ended with an error.
    #[error("{board} failed: {problem}")]
    Guest {
        /// The board's name.
        board: &'static str,
        /// What the firmware reported, or what the emulator printed.
        problem: String,
    },
    /// A built file is not what it should be.
    #[error("{what}: {problem}")]
    Malformed {
        /// Which file or report.
        what: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl EmulatorError {
    /// For `map_err` on what is done to a file.
    pub(crate) fn io(path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        let path = path.as_ref().to_path_buf();
        move |source| Self::Io { path, source }
    }

    /// For `map_err` where a program is started.
    pub(crate) fn start(program: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        let program = program.as_ref().display().to_string();
        move |source| Self::Start { program, source }
    }
}
