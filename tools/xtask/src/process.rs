//! Running other programs, visibly.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use anyhow::{Context, Result, bail};

/// The repository's root.
pub fn root() -> PathBuf {
    // Of the two places that could tell, this one is right wherever cargo was started.
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").components().collect()
}

/// The cargo that runs us, in the repository's root.
pub fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(root());
    command
}

/// Runs a program with its output going where ours goes.
pub fn run(command: &mut Command) -> Result<()> {
    let status = start(command)?.wait()?;
    check(command, status)
}

/// Starts a program.
pub fn start(command: &mut Command) -> Result<Child> {
    eprintln!("$ {}", line(command));
    command.spawn().with_context(|| format!("cannot start {}", line(command)))
}

/// An error if a program did not succeed.
pub fn check(command: &Command, status: ExitStatus) -> Result<()> {
    if !status.success() {
        bail!("{} ended with {status}", line(command));
    }
    Ok(())
}

/// What a program prints, if it can be started and succeeds.
pub fn output(command: &mut Command) -> Option<String> {
    let output = command.stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Whether a program can be started and succeeds.
pub fn succeeds(command: &mut Command) -> bool {
    output(command).is_some()
}

/// The command as one would type it.
fn line(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default();
    let words = std::iter::once(program).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
