//! `core` for bare-metal targets, compiled once per compiler and kept.

use std::fs;
use std::path::{Path, PathBuf};

use crate::digest::sha256_hex;
use crate::toolchain::{Origin, Toolchain};
use crate::workspace::{Lock, Workspace, write_if_changed};
use crate::{EmulatorError, Stage};

/// Bitcode beside the machine code, without which fat link-time optimisation has to leave `core`
/// out.
const FLAGS: &str = "-Cembed-bitcode=yes";

/// The libraries that firmware links.
const LIBRARIES: [&str; 2] = ["libcore-", "libcompiler_builtins-"];

/// The sysroot to compile with: none if the toolchain has the target's libraries itself.
pub(crate) fn for_target(
    workspace: &Workspace,
    toolchain: &Toolchain,
    target: &'static str,
    progress: &dyn Fn(Stage),
) -> Result<Option<PathBuf>, EmulatorError> {
    if toolchain.origin == Origin::Rustup {
        return Ok(None);
    }
    let sysroot = workspace.cache(Path::new("sysroot").join(key(toolchain)))?;
    let _lock = Lock::acquire(&sysroot)?;
    let libraries = sysroot.join("lib/rustlib").join(target).join("lib");
    if !libraries.exists() {
        progress(Stage::Sysroot { target });
        build(&sysroot, toolchain, target, &libraries)?;
    }
    Ok(Some(sysroot))
}

/// Names what the libraries depend on besides the target.
fn key(toolchain: &Toolchain) -> String {
    sha256_hex([&toolchain.version, FLAGS]).split_off(48)
}

fn build(
    sysroot: &Path,
    toolchain: &Toolchain,
    target: &'static str,
    libraries: &Path,
) -> Result<(), EmulatorError> {
    let package = sysroot.join("build");
    write_package(&package)?;
    let output = toolchain
        .cargo()
        .current_dir(&package)
        .args(["build", "--quiet", "--release", "-Zbuild-std=core", "--target", target])
        .args(["--target-dir", "target"])
        // The library source asks for unstable features; nothing else is built this way.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_ENCODED_RUSTFLAGS", FLAGS)
        .output()
        .map_err(EmulatorError::start("cargo"))?;
    if !output.status.success() {
        return Err(EmulatorError::Build {
            what: format!("core for {target}"),
            output: String::from_utf8_lossy(&output.stderr).into_owned(),
        });
    }
    let built = package.join("target");
    collect(&built.join(target).join("release/deps"), libraries)?;
    // What is left is several times as large as what is needed.
    fs::remove_dir_all(&built).map_err(EmulatorError::io(&built))
}

/// An empty library: what is wanted are its dependencies.
fn write_package(package: &Path) -> Result<(), EmulatorError> {
    const MANIFEST: &[u8] = b"[package]\nname = \"sysroot\"\nedition = \"2024\"\n\n\
        [profile.release]\nopt-level = 3\n\n[workspace]\n";
    let sources = package.join("src");
    fs::create_dir_all(&sources).map_err(EmulatorError::io(&sources))?;
    write_if_changed(&package.join("Cargo.toml"), MANIFEST)?;
    write_if_changed(&sources.join("lib.rs"), b"#![no_std]\n")
}

/// Moves the libraries to where the compiler looks for them. The directory appears under its name
/// only when it is complete.
fn collect(built: &Path, libraries: &Path) -> Result<(), EmulatorError> {
    let partial = libraries.with_extension("partial");
    fs::create_dir_all(&partial).map_err(EmulatorError::io(&partial))?;
    for entry in fs::read_dir(built).map_err(EmulatorError::io(built))?.flatten() {
        let name = entry.file_name();
        let text = name.to_string_lossy();
        if text.ends_with(".rlib") && LIBRARIES.iter().any(|prefix| text.starts_with(prefix)) {
            fs::rename(entry.path(), partial.join(&name))
                .map_err(EmulatorError::io(entry.path()))?;
        }
    }
    fs::rename(&partial, libraries).map_err(EmulatorError::io(libraries))
}
