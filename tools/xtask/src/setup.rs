//! `cargo xtask setup`: finds what firmware and the emulators need, installs what is missing where
//! it may, and otherwise says what to install.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command as Process;

use anyhow::{Context, Result, bail};
use fixie_emulator::BOARDS;
use fixie_emulator::board::Emulator;
use fixie_emulator::toolchain::{self, Choice, Origin, Toolchain};

use crate::process::{output, run as start, succeeds};

/// Lints firmware with the system's compiler.
const LINT_PACKAGE: &str = "rust-web-clippy";
/// For a compiler that brings no linker for bare metal.
const LINKER_PACKAGE: &str = "lld";
const FUZZ_VERSION: &str = "^0.13";

/// Installs what is missing and says what will be used.
pub fn run() -> Result<()> {
    let mut packages = emulator_packages();
    packages.extend(compiler_packages(Choice::from_env()?)?);
    install(&packages)?;
    install_fuzzer();
    verify()
}

/// The packages of the emulators that are not there.
fn emulator_packages() -> BTreeSet<&'static str> {
    let emulators = BOARDS.iter().map(|board| board.emulator);
    emulators
        .filter(|emulator| !succeeds(Process::new(emulator.program()).arg("--version")))
        .map(Emulator::package)
        .collect()
}

/// Sees to a compiler for every target. Gives the packages that it takes.
fn compiler_packages(choice: Choice) -> Result<BTreeSet<&'static str>> {
    let targets: BTreeSet<_> = BOARDS.iter().map(|board| board.target).collect();
    let missing: Vec<_> =
        targets.into_iter().filter(|target| Toolchain::rustup(target).is_none()).collect();
    let may_add = choice.allows(Origin::Rustup)
        // With a compiler of the system's there is no need to.
        && (!choice.allows(Origin::Debian) || Toolchain::debian().is_none());
    let rustup_serves = choice.allows(Origin::Rustup) && missing.is_empty();
    if rustup_serves || may_add && add_targets(&missing) {
        return Ok(BTreeSet::new());
    }
    if !choice.allows(Origin::Debian) {
        bail!("`rustup target add {}` failed; see above", missing.join(" "));
    }
    Ok(system_packages())
}

fn add_targets(targets: &[&str]) -> bool {
    start(Process::new("rustup").args(["target", "add"]).args(targets)).is_ok()
}

/// The packages of the system's compiler that are not there.
fn system_packages() -> BTreeSet<&'static str> {
    let mut packages = BTreeSet::new();
    if Toolchain::debian().is_none() {
        packages.extend(toolchain::SYSTEM_PACKAGES);
    }
    if !Path::new("/usr/bin/clippy-driver").exists() {
        packages.insert(LINT_PACKAGE);
    }
    if toolchain::bundled_linker().is_none() && !Path::new("/usr/bin/ld.lld").exists() {
        packages.insert(LINKER_PACKAGE);
    }
    packages
}

fn install(packages: &BTreeSet<&'static str>) -> Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    let list = packages.iter().copied().collect::<Vec<_>>().join(" ");
    let is_root = output(Process::new("id").arg("-u")).is_some_and(|id| id.trim() == "0");
    let has_apt = succeeds(Process::new("apt-get").arg("--version"));
    if !has_apt {
        bail!("not installed: {list} (as Debian calls them); install them, then try again");
    }
    if !is_root {
        bail!("not installed: {list}; run `sudo apt-get install {list}`, then try again");
    }
    start(Process::new("apt-get").arg("update"))?;
    start(
        Process::new("apt-get")
            .args(["install", "--yes", "--no-install-recommends"])
            .args(packages)
            .env("DEBIAN_FRONTEND", "noninteractive"),
    )
}

/// Sees to cargo-fuzz, where there is a nightly toolchain for it. Without it the fuzz targets are
/// not run, and `cargo xtask test` says so: not a reason to fail here.
fn install_fuzzer() {
    let nightly = |arguments: &[&str]| {
        let mut command = Process::new("rustup");
        command.args(["run", "nightly", "cargo"]).args(arguments);
        command
    };
    if !succeeds(&mut nightly(&["--version"])) || succeeds(&mut nightly(&["fuzz", "--version"])) {
        return;
    }
    let install = ["install", "cargo-fuzz", "--locked", "--version", FUZZ_VERSION];
    if let Err(error) = start(&mut nightly(&install)) {
        eprintln!("the fuzz targets will not be run: {error:#}");
    }
}

/// Says what will be used, once all of it is there.
fn verify() -> Result<()> {
    for board in BOARDS {
        let toolchain = Toolchain::find(board.target)?;
        let version = output(Process::new(board.emulator.program()).arg("--version"))
            .with_context(|| format!("{} does not run", board.emulator.program()))?;
        let emulator = version.lines().next().unwrap_or_default();
        println!("{:<14} {:<28} {}; {emulator}", board.name, board.target, toolchain.release());
    }
    Ok(())
}
