//! Where the firmware of one board is built, and with which compiler and flags.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use crate::board::Platform;
use crate::toolchain::Toolchain;
use crate::workspace::{Lock, Workspace, write_if_changed};
use crate::{EmulatorError, Stage, sysroot};

/// A board's build directory, held for one caller.
///
/// Each board has its own: a change of the image leaves the other boards' builds as they are, and
/// builds for different boards do not wait for each other.
pub(crate) struct Site {
    /// The firmware's workspace.
    pub sources: PathBuf,
    /// Everything of this board.
    pub directory: PathBuf,
    /// The compiler.
    pub toolchain: Toolchain,
    builds: PathBuf,
    platform: Platform,
    renamed: Vec<(PathBuf, &'static str)>,
    sysroot: Option<PathBuf>,
    _lock: Lock,
}

impl Site {
    /// Waits for the directory, and sees to a compiler.
    pub fn prepare(platform: Platform, progress: &dyn Fn(Stage)) -> Result<Self, EmulatorError> {
        let workspace = Workspace::locate()?;
        let toolchain = Toolchain::find(platform.target)?;
        let sysroot = sysroot::for_target(&workspace, &toolchain, platform.target, progress)?;
        let directory = workspace.cache(Path::new("firmware").join(platform.name))?;
        let builds = workspace.cache(Path::new("firmware").join(platform.builds))?;
        let lock = Lock::acquire(&builds)?;
        let sources = workspace.root.join("firmware");
        write_if_changed(&directory.join("memory.x"), platform.memory_x.as_bytes())?;
        let builds = builds.join("build");
        let renamed = renamed(&workspace);
        Ok(Self { sources, directory, builds, toolchain, platform, renamed, sysroot, _lock: lock })
    }

    /// Puts the image where the next build takes it from.
    pub fn place_image(&self, image: Option<&[u8]>) -> Result<(), EmulatorError> {
        image.map_or(Ok(()), |image| write_if_changed(&self.image_path(), image))
    }

    /// Everything but sources and image that a build depends on.
    pub fn fingerprint(&self) -> Result<[String; 5], EmulatorError> {
        let Platform { opt_level, memory_x, timer_hz, .. } = &self.platform;
        let (opt_level, timer_hz) = ((*opt_level).to_owned(), timer_hz.to_string());
        let version = self.toolchain.version.clone();
        Ok([version, self.flags()?, opt_level, memory_x.clone(), timer_hz])
    }

    fn image_path(&self) -> PathBuf {
        self.directory.join("image.fixie")
    }

    /// A subcommand of cargo's for this board, on a workspace below the firmware's or on that.
    pub fn cargo(&self, subcommand: &str, workspace: &str) -> Result<Command, EmulatorError> {
        let mut command = self.toolchain.cargo();
        command
            .current_dir(self.sources.join(workspace))
            .args([subcommand, "--release", "--locked", "--target", self.platform.target])
            .arg("--target-dir")
            .arg(&self.builds)
            .env("CARGO_ENCODED_RUSTFLAGS", self.flags()?)
            .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", self.platform.opt_level)
            .env("FIXIE_IMAGE", self.image_path())
            .env("FIXIE_TIMER_HZ", self.platform.timer_hz.to_string());
        Ok(command)
    }

    /// The compiler's flags, in the form of `CARGO_ENCODED_RUSTFLAGS`.
    fn flags(&self) -> Result<String, EmulatorError> {
        let mut flags = vec![
            format!("-Clink-arg=-T{}", self.platform.link_script),
            format!("-Clink-arg=-L{}", self.directory.display()), // memory.x
            // Otherwise by the compiler's hashes, which hold the path of the runtime's sources.
            "-Clink-arg=--sort-section=name".to_owned(),
        ];
        flags.extend(self.platform.cpu.map(|cpu| format!("-Ctarget-cpu={cpu}")));
        flags.extend(self.sysroot.iter().map(|path| format!("--sysroot={}", path.display())));
        let linker = self.toolchain.linker(self.platform.target)?;
        flags.extend(linker.map(|path| format!("-Clinker={}", path.display())));
        flags.extend(self.renamed.iter().map(|(path, name)| {
            let path = path.display();
            format!("--remap-path-prefix={path}={name}")
        }));
        Ok(flags.join("\u{1f}"))
    }
}

/// The folders whose place differs from machine to machine, and what the firmware calls them. The
/// texts of panics hold the names of sources: with their full paths, the same sources would give
/// programs of another size, and of other counts, in another folder.
fn renamed(workspace: &Workspace) -> Vec<(PathBuf, &'static str)> {
    let home = |variable: &str| env::var_os(variable).map(PathBuf::from);
    let cargo = home("CARGO_HOME").or_else(|| Some(home("HOME")?.join(".cargo")));
    let registries = cargo.map(|cargo| folders(&cargo.join("registry/src"))).unwrap_or_default();
    let own = [(workspace.root.clone(), "fixie"), (workspace.built(), "built")];
    own.into_iter().chain(registries.into_iter().map(|registry| (registry, "crates"))).collect()
}

/// The folders in a folder, in the order of their names.
fn folders(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}
