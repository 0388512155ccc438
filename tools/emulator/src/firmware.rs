//! Building an application of the firmware workspace for a board.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;

use crate::board::{Board, Platform, STACK_MESSAGE};
use crate::site::Site;
use crate::store::Store;
use crate::{EmulatorError, Stage};

/// A program of the firmware workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Application {
    /// The workspace it is in: a folder below `firmware`, or nothing for the one that `firmware` is.
    pub workspace: &'static str,
    /// The package it is in.
    pub package: &'static str,
    /// Its binary.
    pub binary: &'static str,
    /// The package's features, separated by commas, where they are not the default ones.
    pub features: Option<&'static str>,
}

impl Application {
    /// Its features, as cargo takes them.
    fn feature_arguments(self) -> impl Iterator<Item = &'static str> {
        self.features.into_iter().flat_map(|features| ["--no-default-features", "-F", features])
    }
}

/// Runs an image on inputs from a file, between profiling marks.
pub const BENCH: Application =
    Application { workspace: "", package: "fixie-bench", binary: "bench", features: None };

/// The same inference with nothing around it, to be measured.
pub const BARE: Application =
    Application { workspace: "", package: "fixie-bench", binary: "bare", features: Some("") };

/// Loops of known length, by which the profiler is tested.
pub const CALIBRATION: Application = Application {
    workspace: "",
    package: "fixie-calibration",
    binary: "calibration",
    features: None,
};

/// Spots keywords in a recording.
pub const KEYWORD: Application =
    Application { workspace: "", package: "fixie-emulated", binary: "keyword", features: None };

/// Recognises activities in a recording.
pub const MOTION: Application =
    Application { workspace: "", package: "fixie-emulated", binary: "motion", features: None };

/// Classifies recorded pictures.
pub const CAMERA: Application =
    Application { workspace: "", package: "fixie-emulated", binary: "camera", features: None };

/// A program built for a board.
#[derive(Debug, Clone)]
pub struct Firmware {
    /// The board.
    pub board: &'static Board,
    /// The linked file, with symbols.
    pub elf: Vec<u8>,
}

impl Firmware {
    /// Builds an application with an image inside, unless it is built already.
    ///
    /// # Errors
    ///
    /// No compiler, no sources, a build that fails, or an image that does not fit the board.
    pub fn build(
        board: &'static Board,
        application: Application,
        image: Option<&[u8]>,
        progress: &dyn Fn(Stage),
    ) -> Result<Self, EmulatorError> {
        let elf = build(board.platform(), application, image, progress)?;
        Ok(Self { board, elf })
    }
}

/// Builds an application for a platform, with an image inside if it embeds one, unless it is built
/// already. Gives the linked file.
///
/// # Errors
///
/// As [`Firmware::build`].
pub fn build(
    platform: Platform,
    application: Application,
    image: Option<&[u8]>,
    progress: &dyn Fn(Stage),
) -> Result<Vec<u8>, EmulatorError> {
    let board = platform.name;
    let site = Site::prepare(platform, progress)?;
    let store = Store::open(&site, application, image)?;
    if let Some(elf) = store.elf() {
        return Ok(elf);
    }
    site.place_image(image)?;
    progress(Stage::Firmware { application: application.binary, board });
    let output = site
        .cargo("build", application.workspace)?
        .args(["--package", application.package, "--bin", application.binary])
        .args(["--message-format", "json-render-diagnostics"])
        .args(application.feature_arguments())
        .output()
        .map_err(EmulatorError::start("cargo"))?;
    let elf = executable(&output).ok_or_else(|| build_error(board, application, &output))?;
    let elf = fs::read(&elf).map_err(EmulatorError::io(&elf))?;
    store.keep(&elf)?;
    Ok(elf)
}

/// Builds all programs of a package at once, with some of its features. Gives each one's name and
/// linked file, by name.
///
/// # Errors
///
/// No compiler, no sources, or a build that fails.
pub fn build_all(
    platform: Platform,
    package: Application,
    progress: &dyn Fn(Stage),
) -> Result<Vec<(String, Vec<u8>)>, EmulatorError> {
    let board = platform.name;
    let site = Site::prepare(platform, progress)?;
    let output = site
        .cargo("build", package.workspace)?
        .args(["--package", package.package, "--bins"])
        .args(["--message-format", "json-render-diagnostics"])
        .args(package.feature_arguments())
        .output()
        .map_err(EmulatorError::start("cargo"))?;
    if !output.status.success() {
        return Err(build_error(board, package, &output));
    }
    let mut programs = Vec::new();
    for message in messages(&output) {
        if let Some(path) = message["executable"].as_str() {
            let name = message["target"]["name"].as_str().unwrap_or_default().to_owned();
            programs.push((name, fs::read(path).map_err(EmulatorError::io(path))?));
        }
    }
    programs.sort();
    Ok(programs)
}

/// Lints a package as it is compiled for a platform, with every warning an error.
///
/// # Errors
///
/// No compiler, no sources, or a complaint.
pub fn lint_package(
    platform: Platform,
    package: Application,
    progress: &dyn Fn(Stage),
) -> Result<(), EmulatorError> {
    let what = format!("{} for {}", package.package, platform.name);
    let site = Site::prepare(platform, progress)?;
    let packages = ["--package", package.package, "--no-deps"];
    clippy(&site, package.workspace, packages.into_iter().chain(package.feature_arguments()), what)
}

/// Lints all firmware as it is compiled for a board, with every warning an error.
///
/// # Errors
///
/// No compiler, no sources, or a complaint.
pub fn lint(
    board: &'static Board,
    image: &[u8],
    progress: &dyn Fn(Stage),
) -> Result<(), EmulatorError> {
    let site = Site::prepare(board.platform(), progress)?;
    site.place_image(Some(image))?;
    let what = || format!("firmware for {}", board.name);
    // The applications of real boards handle panics themselves: together with the others there would
    // be two handlers.
    let alone = "fixie-session";
    let others = ["--workspace", "--exclude", alone];
    clippy(&site, "", others, what())?;
    clippy(&site, "", ["--package", alone], what())
}

/// Lints packages of a workspace below the firmware's or of that.
fn clippy<'a>(
    site: &Site,
    workspace: &str,
    packages: impl IntoIterator<Item = &'a str>,
    what: String,
) -> Result<(), EmulatorError> {
    let output = site
        .cargo("clippy", workspace)?
        .arg("--quiet")
        .args(packages)
        .args(["--", "-D", "warnings"])
        .output()
        .map_err(EmulatorError::start("cargo"))?;
    output.status.success().then_some(()).ok_or_else(|| EmulatorError::Build {
        what,
        output: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// The path of what was linked, from cargo's messages; none if the build failed.
pub(crate) fn executable(output: &Output) -> Option<PathBuf> {
    artifact(output, |message| message["executable"].as_str())
}

/// The first file that `select` finds in cargo's messages; none if the build failed.
pub(crate) fn artifact(
    output: &Output,
    select: impl Fn(&Value) -> Option<&str>,
) -> Option<PathBuf> {
    output.status.success().then_some(())?;
    messages(output).iter().find_map(|message| select(message).map(PathBuf::from))
}

/// Cargo's messages about what it built.
fn messages(output: &Output) -> Vec<Value> {
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["reason"] == "compiler-artifact")
        .collect()
}

fn build_error(board: &'static str, application: Application, output: &Output) -> EmulatorError {
    let messages = String::from_utf8_lossy(&output.stderr).into_owned();
    match does_not_fit(&messages) {
        Some(problem) => EmulatorError::DoesNotFit { board, problem },
        None => EmulatorError::Build {
            what: format!("{} for {board}", application.binary),
            output: messages,
        },
    }
}

/// What the linker says about the lack of memory, if it does.
fn does_not_fit(messages: &str) -> Option<String> {
    if messages.contains(STACK_MESSAGE) {
        return Some("RAM has no room left for the stack".to_owned());
    }
    // "section '.bss' will not fit in region 'RAM': overflowed by 123 bytes"
    let line = messages.lines().find(|line| line.contains("will not fit in region"))?;
    let region = line.split('\'').nth(3)?;
    let bytes = line.rsplit("overflowed by ").next()?.trim();
    let memory = if region == "RAM" { "RAM" } else { "flash" };
    Some(format!("{memory} is too small by {bytes}"))
}

/// Whether a program can be started at all.
pub(crate) fn is_installed(program: &str) -> bool {
    let started = Command::new(program).arg("--version").output();
    !matches!(started, Err(error) if error.kind() == io::ErrorKind::NotFound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_memory_is_recognised() {
        let lld = "rust-lld: error: section '.bss' will not fit in region 'RAM': overflowed by 5876 bytes";
        assert_eq!(does_not_fit(lld).unwrap(), "RAM is too small by 5876 bytes");
        let flash = "ld.lld: error: section '.rodata' will not fit in region 'FLASH': overflowed by 9 bytes";
        assert_eq!(does_not_fit(flash).unwrap(), "flash is too small by 9 bytes");
        assert!(does_not_fit("error[E0425]: cannot find value").is_none());
    }
}
