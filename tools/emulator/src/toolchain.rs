//! Which compiler builds for a bare-metal target.
//!
//! 1. A rustup toolchain that has the target (`rustup target add …`) is used as it is.
//! 2. Otherwise Debian's compiler builds `core` for the target once, from the library source that
//!    Debian packages beside it, and everything else on top as stable Rust (see [`SYSTEM_PACKAGES`]).
//!
//! `FIXIE_TOOLCHAIN=rustup` or `=debian` allows only the one or the other.
//!
//! Building `core` once into a sysroot was chosen over `-Z build-std` in every firmware build: the
//! unstable switch (and `RUSTC_BOOTSTRAP`, which a stable compiler needs for it) stays in one place,
//! each of the many firmware builds is 20–45 s shorter, and both ways compile the firmware against
//! the same kind of prebuilt `core`. Instruction counts differ by less than 0.1 % between the two.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::EmulatorError;

/// The Debian packages that provide a compiler with its library source.
pub const SYSTEM_PACKAGES: &[&str] = &["rustc-web", "cargo-web", "rust-web-src"];

/// Where Debian installs the compiler.
const SYSTEM_BIN: &str = "/usr/bin";

/// A compiler that can build for a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Toolchain {
    /// Where it comes from.
    pub origin: Origin,
    /// The output of `rustc -vV`: what the results of a build depend on.
    pub version: String,
    rustc: PathBuf,
    cargo: PathBuf,
}

/// Where a compiler comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// From the `PATH`, with a prebuilt `core`: installed by rustup, as a rule.
    Rustup,
    /// From the system's packages, with the source of `core`.
    Debian,
}

/// Which origins may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// The first that has the target.
    Any,
    /// This one alone.
    Only(Origin),
}

impl Choice {
    /// The choice by `FIXIE_TOOLCHAIN`.
    ///
    /// # Errors
    ///
    /// [`EmulatorError::UnknownToolchain`].
    pub fn from_env() -> Result<Self, EmulatorError> {
        match env::var("FIXIE_TOOLCHAIN").as_deref() {
            Err(_) | Ok("") => Ok(Self::Any),
            Ok("rustup") => Ok(Self::Only(Origin::Rustup)),
            Ok("debian") => Ok(Self::Only(Origin::Debian)),
            Ok(other) => Err(EmulatorError::UnknownToolchain(other.to_owned())),
        }
    }

    /// Whether an origin may be used.
    pub fn allows(self, origin: Origin) -> bool {
        self == Self::Any || self == Self::Only(origin)
    }
}

impl Toolchain {
    /// The compiler for a target.
    ///
    /// # Errors
    ///
    /// [`EmulatorError::NoCompiler`], which says how to get one.
    pub fn find(target: &'static str) -> Result<Self, EmulatorError> {
        let choice = Choice::from_env()?;
        let if_allowed = |origin, find: &dyn Fn() -> Option<Self>| {
            if choice.allows(origin) { find() } else { None }
        };
        if_allowed(Origin::Rustup, &|| Self::rustup(target))
            .or_else(|| if_allowed(Origin::Debian, &Self::debian))
            .ok_or_else(|| EmulatorError::NoCompiler { target, fix: fix(choice, target) })
    }

    /// The compiler on the `PATH`, if it has a prebuilt `core` for the target.
    pub fn rustup(target: &str) -> Option<Self> {
        let rustc = PathBuf::from("rustc");
        has_library(&target_libraries(&rustc, target)?, "libcore-").then_some(())?;
        let cargo = env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from);
        Some(Self { origin: Origin::Rustup, version: version(&rustc)?, rustc, cargo })
    }

    /// Debian's compiler, if it and its library source are installed and recent enough.
    pub fn debian() -> Option<Self> {
        let rustc = Path::new(SYSTEM_BIN).join("rustc");
        let cargo = Path::new(SYSTEM_BIN).join("cargo");
        let source = sysroot(&rustc)?.join("lib/rustlib/src/rust/library/core");
        let version = version(&rustc)?;
        let is_complete = cargo.exists() && source.exists();
        (is_complete && is_recent(&version)).then_some(())?;
        Some(Self { origin: Origin::Debian, version, rustc, cargo })
    }

    /// The compiler's release in one line, such as `rustc 1.95.0 (…)`.
    pub fn release(&self) -> &str {
        self.version.lines().next().unwrap_or_default()
    }

    /// A call of this toolchain's cargo which nothing in the caller's environment bends: that may
    /// be another cargo's, running us.
    pub(crate) fn cargo(&self) -> Command {
        let mut command = Command::new(&self.cargo);
        for (name, _) in env::vars_os() {
            if self.must_not_inherit(&name) {
                command.env_remove(name);
            }
        }
        if self.origin == Origin::Debian {
            command.env("RUSTC", &self.rustc).env("PATH", path_with_system_first());
        }
        command
    }

    fn must_not_inherit(&self, name: &OsStr) -> bool {
        let name = name.to_string_lossy();
        let of_another_toolchain = matches!(&*name, "RUSTUP_TOOLCHAIN" | "RUSTC" | "RUSTDOC");
        of_another_toolchain && self.origin == Origin::Debian
            || matches!(
                &*name,
                "CARGO"
                    | "CARGO_BUILD_TARGET"
                    | "CARGO_ENCODED_RUSTFLAGS"
                    | "CARGO_TARGET_DIR"
                    | "LD_LIBRARY_PATH"
                    | "RUSTC_BOOTSTRAP"
                    | "RUSTC_WORKSPACE_WRAPPER"
                    | "RUSTFLAGS"
            )
            || name.starts_with("CARGO_PROFILE_")
    }

    /// The linker to name to the compiler: none if it brings its own.
    pub(crate) fn linker(&self, target: &'static str) -> Result<Option<PathBuf>, EmulatorError> {
        if self.origin == Origin::Rustup {
            return Ok(None);
        }
        bundled_linker()
            .or_else(|| Some(Path::new(SYSTEM_BIN).join("ld.lld")).filter(|path| path.exists()))
            .map(Some)
            .ok_or(EmulatorError::NoLinker { target })
    }
}

/// The linker that the compiler on the `PATH` brings.
pub fn bundled_linker() -> Option<PathBuf> {
    let rustc = Path::new("rustc");
    let host = version(rustc)?.lines().find_map(|line| line.strip_prefix("host: "))?.to_owned();
    let linker = sysroot(rustc)?.join("lib/rustlib").join(host).join("bin/rust-lld");
    linker.exists().then_some(linker)
}

/// The `PATH` on which cargo finds its subcommands, Debian's before those of other toolchains.
fn path_with_system_first() -> OsString {
    let mut path = OsString::from(SYSTEM_BIN);
    if let Some(rest) = env::var_os("PATH") {
        path.push(":");
        path.push(rest);
    }
    path
}

fn fix(choice: Choice, target: &str) -> String {
    let rustup = format!("`rustup target add {target}`");
    let debian = format!("`apt-get install {}`", SYSTEM_PACKAGES.join(" "));
    match choice {
        Choice::Any => format!("{rustup}, or {debian}"),
        Choice::Only(Origin::Rustup) => rustup,
        Choice::Only(Origin::Debian) => debian,
    }
}

fn version(rustc: &Path) -> Option<String> {
    output_of(Command::new(rustc).arg("-vV"))
}

/// Whether a compiler of this `rustc -vV` can compile the workspace.
fn is_recent(version: &str) -> bool {
    let minor = |version: &str| version.split('.').nth(1)?.parse::<u32>().ok();
    let release = version.lines().find_map(|line| line.strip_prefix("release: "));
    release.and_then(minor) >= minor(env!("CARGO_PKG_RUST_VERSION"))
}

fn sysroot(rustc: &Path) -> Option<PathBuf> {
    output_of(Command::new(rustc).args(["--print", "sysroot"])).map(PathBuf::from)
}

fn target_libraries(rustc: &Path, target: &str) -> Option<PathBuf> {
    Some(sysroot(rustc)?.join("lib/rustlib").join(target).join("lib"))
}

fn has_library(directory: &Path, prefix: &str) -> bool {
    std::fs::read_dir(directory).is_ok_and(|entries| {
        entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
    })
}

/// What a program prints, if it succeeds.
fn output_of(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_of_one_allows_no_other() {
        assert!(Choice::Any.allows(Origin::Rustup) && Choice::Any.allows(Origin::Debian));
        let only = Choice::Only(Origin::Debian);
        assert!(only.allows(Origin::Debian) && !only.allows(Origin::Rustup));
    }

    #[test]
    fn older_compilers_are_passed_over() {
        assert!(is_recent("rustc 1.96.0 (built from a source tarball)\nrelease: 1.96.0\n"));
        assert!(!is_recent("rustc 1.85.0\nrelease: 1.85.0\n"));
        assert!(!is_recent(""));
    }

    #[test]
    fn the_fix_names_what_the_choice_allows() {
        let target = "thumbv7m-none-eabi";
        assert!(fix(Choice::Any, target).contains("rustup target add thumbv7m-none-eabi"));
        assert!(!fix(Choice::Only(Origin::Debian), target).contains("rustup"));
        assert!(!fix(Choice::Only(Origin::Rustup), target).contains("apt-get"));
    }
}
