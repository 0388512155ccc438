//! Running cargo's tests such that the summary can say which failed, and why: what is printed when
//! they fail is far above the end of what all stages print, and gone where only the end is kept.

use std::io::{self, BufRead, BufReader, Read};
use std::process::Stdio;

use anyhow::{Context, Result, anyhow};

use crate::process::{cargo, check, start};

/// Runs `cargo test --release --workspace` with more arguments: all tests, even if some fail.
///
/// # Errors
///
/// Failed tests, with all that they said.
pub fn test(arguments: &[&str]) -> Result<()> {
    let mut command = cargo(&["test", "--release", "--workspace", "--no-fail-fast"]);
    command.args(arguments).stdout(Stdio::piped());
    let mut child = start(&mut command)?;
    let output = child.stdout.take().context("the output of the tests is not at hand")?;
    let failures = pass_on(output)?;
    check(&command, child.wait()?).map_err(|error| anyhow!("{error}{failures}"))
}

/// Prints all that comes, and gives those parts that tell of failures, each line behind a line break:
/// the harness begins them with a line `failures:` and ends them with one `test result: ...`.
fn pass_on(output: impl Read) -> io::Result<String> {
    let (mut failures, mut is_failure) = (String::new(), false);
    for line in BufReader::new(output).split(b'\n') {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        is_failure |= line == "failures:";
        if is_failure {
            failures.extend(["\n", &*line]);
        }
        is_failure &= !line.starts_with("test result:");
    }
    Ok(failures)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_tests_say_is_kept() {
        let output = "test a ... FAILED\n\nfailures:\n\n---- a ----\nwhy\n\nfailures:\n    a\n\n\
                      test result: FAILED.\nRunning b\n\nrunning 0 tests\ntest result: ok.\n";
        let kept = "\nfailures:\n\n---- a ----\nwhy\n\nfailures:\n    a\n\ntest result: FAILED.";
        assert_eq!(pass_on(output.as_bytes()).unwrap(), kept);
    }
}
