//! Where results go: whole files or none, and a standard output that may be a closed pipe.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use crate::diagnostics::{Context, Failure};

/// Held while a file is written: an interrupt waits for it.
static WRITING: Mutex<()> = Mutex::new(());

/// Whether an interrupt only asks for an early end.
static PATIENT: AtomicBool = AtomicBool::new(false);
/// Whether an early end was asked for.
static ASKED: AtomicBool = AtomicBool::new(false);

/// Exit code of an interrupted command: 128 and the signal's number, as shells have it.
const INTERRUPTED: i32 = 130;

/// Lets an interrupt (Ctrl-C) wait for a file that is being written, so that none is left behind
/// half-written or under its temporary name.
pub fn finish_writing_before_interrupt() {
    let installed = ctrlc::set_handler(|| {
        if PATIENT.swap(false, Ordering::SeqCst) {
            ASKED.store(true, Ordering::SeqCst);
            anstream::eprintln!("finishing with what was found; interrupt again to stop at once");
            return;
        }
        let _writing = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
        process::exit(INTERRUPTED);
    });
    installed.expect("no other part of the program handles interrupts");
}

/// From now on, the first interrupt asks for an early end: work that has a result at any time goes
/// on until [`early_end`] is seen.
pub fn interrupt_means_early_end() {
    PATIENT.store(true, Ordering::SeqCst);
}

/// Whether an early end was asked for.
pub fn early_end() -> bool {
    ASKED.load(Ordering::SeqCst)
}

/// A file to be written when the work is done.
#[derive(Clone, Debug)]
pub struct OutputFile {
    path: PathBuf,
    directory: PathBuf,
}

impl OutputFile {
    /// Checks, before any work is done, that a file can be put there.
    pub fn at(path: &Path) -> Result<Self, Failure> {
        let directory = match path.parent() {
            Some(parent) if parent != Path::new("") => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        let what = || format!("cannot write {}", path.display());
        if path.is_dir() {
            return Err(Failure::new(what(), "it is a directory").help("name a file in it"));
        }
        let metadata = fs::metadata(&directory)
            .context(|| format!("{}: its directory {}", what(), directory.display()))?;
        if !metadata.is_dir() {
            let cause = format!("{} is not a directory", directory.display());
            return Err(Failure::new(what(), cause));
        }
        Ok(Self { path: path.to_owned(), directory })
    }

    /// Writes the file under a temporary name beside its place and renames it: whoever looks sees
    /// the old file or the whole new one.
    pub fn write(&self, bytes: &[u8]) -> Result<(), Failure> {
        self.replace(bytes).context(|| format!("cannot write {}", self.path.display()))
    }

    fn replace(&self, bytes: &[u8]) -> io::Result<()> {
        let _writing = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
        let mut builder = tempfile::Builder::new();
        builder.prefix(".fixie-").suffix(".tmp");
        // A temporary file is its owner's alone; the result is an ordinary file.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let mut file = builder.tempfile_in(&self.directory)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(&self.path)?;
        Ok(())
    }
}

/// Prints text, without its colours where they are not wanted.
pub fn print(text: impl AsRef<str>) -> Result<(), Failure> {
    print_if_read(text).map(drop)
}

/// As [`print()`]. Gives whether anybody reads on.
pub fn print_if_read(text: impl AsRef<str>) -> Result<bool, Failure> {
    let mut stdout = anstream::stdout().lock();
    match stdout.write_all(text.as_ref().as_bytes()).and_then(|()| stdout.flush()) {
        // Whoever read the output has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        result => result.map(|()| true).context(|| "cannot write to the standard output"),
    }
}

/// Prints a result as one JSON object, or as text.
pub fn report<T: Serialize>(
    json: bool,
    result: &T,
    render: impl Fn(&T) -> String,
) -> Result<(), Failure> {
    if json { print_json(result) } else { print(render(result)) }
}

/// Prints a value as JSON.
pub fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    let json = serde_json::to_string_pretty(value).context(|| "cannot write JSON")?;
    print(json + "\n")
}
