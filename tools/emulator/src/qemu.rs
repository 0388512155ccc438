//! Running firmware in the emulator.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use wait_timeout::ChildExt;

use crate::board::Board;
use crate::elf::Elf;
use crate::firmware::{Firmware, is_installed};
use crate::{EmulatorError, Profile, Stage, plugin};

/// The longest that a run may take. The largest model on the slowest core needs a few seconds.
pub const DEFAULT_LIMIT: Duration = Duration::from_mins(5);

/// How firmware is to be run.
#[derive(Debug, Clone)]
pub struct Run<'a> {
    /// What `input.bin` holds for it.
    pub input: &'a [u8],
    /// When it is given up.
    pub limit: Duration,
    /// At which speed it runs in emulated time.
    pub speed: Speed,
    /// Whether the profiler counts, and between which of its marks blocks are listed too.
    pub profile: Profiling,
}

/// How emulated time passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speed {
    /// As the host's: for firmware that reads no clock.
    Host,
    /// Each instruction takes 2ⁿ ns, and sleeping takes no time of the host's: a run is the same
    /// every time. 4 stands for 62.5 million instructions a second.
    Instructions {
        /// The n, 0 to 10.
        shift: u8,
    },
}

impl Speed {
    /// The value of `-icount`, if time is counted in instructions.
    fn icount(self) -> Option<String> {
        match self {
            Self::Host => None,
            Self::Instructions { shift } => Some(format!("shift={shift},sleep=off")),
        }
    }
}

/// What the profiler does during a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Profiling {
    /// Nothing: the plugin is not loaded.
    Off,
    /// It counts.
    Count,
    /// It counts, and lists the blocks executed between two marks.
    List {
        /// The mark at which the list begins.
        first: usize,
        /// The mark at which it ends.
        last: usize,
    },
}

/// What a run left behind.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// `output.bin`; empty if the firmware wrote none.
    pub output: Vec<u8>,
    /// `report.txt`; empty if the firmware wrote none.
    pub report: String,
    /// What the firmware logged, as defmt encodes it: see [`log`](crate::log).
    pub log: Vec<u8>,
    /// The counts, if they were asked for.
    pub profile: Option<Profile>,
}

impl Default for Run<'_> {
    fn default() -> Self {
        Self { input: &[], limit: DEFAULT_LIMIT, speed: Speed::Host, profile: Profiling::Off }
    }
}

impl Firmware {
    /// Runs the firmware to its end in a directory of its own.
    ///
    /// # Errors
    ///
    /// No emulator, a run beyond its limit, a firmware that ends with an error, and files that are
    /// not there afterwards.
    pub fn run(&self, run: &Run<'_>, progress: &dyn Fn(Stage)) -> Result<Outcome, EmulatorError> {
        let board = self.board;
        let program = board.emulator.program();
        if !is_installed(program) {
            let package = board.emulator.package();
            return Err(EmulatorError::NoEmulator { program, package });
        }
        let plugin = self.plugin_argument(&run.profile, progress)?;
        let directory = TempDir::new().map_err(EmulatorError::io(std::env::temp_dir()))?;
        let files = Files { directory: directory.path() };
        files.write("firmware.elf", &self.elf)?;
        files.write("input.bin", run.input)?;

        progress(Stage::Emulation { board: board.name });
        let child = Command::new(program)
            .current_dir(files.directory)
            .args(["-machine", board.machine, "-nographic", "-monitor", "none", "-serial", "null"])
            .args(["-semihosting-config", "enable=on,target=native", "-kernel", "firmware.elf"])
            .args(board.emulator.arguments())
            .args(run.speed.icount().iter().flat_map(|value| ["-icount", value]))
            .args(plugin.iter().flat_map(|argument| ["-plugin", argument]))
            .stdin(Stdio::null())
            .stdout(files.create("stdout.txt")?)
            .stderr(files.create("stderr.txt")?)
            .spawn()
            .map_err(EmulatorError::start(program))?;
        wait(child, board, run.limit, &files)?;
        files.outcome(plugin.is_some())
    }

    /// The value of `-plugin`, if the profiler is to be loaded.
    fn plugin_argument(
        &self,
        profiling: &Profiling,
        progress: &dyn Fn(Stage),
    ) -> Result<Option<String>, EmulatorError> {
        let hot = match profiling {
            Profiling::Off => return Ok(None),
            Profiling::Count => String::new(),
            Profiling::List { first, last } => format!(",hot={first}:{last}"),
        };
        let mark = Elf::parse(&self.elf)?.symbol("fixie_mark")?;
        // In an option of QEMU's a comma is written twice.
        let library = plugin::build(progress)?.display().to_string().replace(',', ",,");
        Ok(Some(format!("{library},mark={mark:#x},out=profile.json{hot}")))
    }
}

/// Waits for the emulator, and ends it if that takes too long.
fn wait(
    mut child: Child,
    board: &'static Board,
    limit: Duration,
    files: &Files<'_>,
) -> Result<(), EmulatorError> {
    let waited =
        child.wait_timeout(limit).map_err(EmulatorError::start(board.emulator.program()))?;
    let Some(status) = waited else {
        // Failing to end a child that has just ended by itself is no failure.
        let _ = child.kill();
        let _ = child.wait();
        return Err(EmulatorError::Timeout { board: board.name, limit });
    };
    if status.success() {
        return Ok(());
    }
    let problem = files.reported_error().unwrap_or_else(|| {
        format!("the emulator ended with {status}\n{}", files.text("stderr.txt"))
    });
    Err(EmulatorError::Guest { board: board.name, problem: problem.trim_end().to_owned() })
}

/// The files between us and the firmware.
struct Files<'a> {
    directory: &'a Path,
}

impl Files<'_> {
    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn write(&self, name: &str, content: &[u8]) -> Result<(), EmulatorError> {
        let path = self.path(name);
        fs::write(&path, content).map_err(EmulatorError::io(&path))
    }

    fn create(&self, name: &str) -> Result<File, EmulatorError> {
        let path = self.path(name);
        File::create(&path).map_err(EmulatorError::io(&path))
    }

    fn text(&self, name: &str) -> String {
        let bytes = fs::read(self.path(name)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The line in which the firmware says why it failed, if it could.
    fn reported_error(&self) -> Option<String> {
        self.text("report.txt").strip_prefix("error ").map(str::to_owned)
    }

    fn outcome(&self, has_profile: bool) -> Result<Outcome, EmulatorError> {
        let profile = has_profile.then(|| self.profile()).transpose()?;
        Ok(Outcome {
            output: fs::read(self.path("output.bin")).unwrap_or_default(),
            report: self.text("report.txt"),
            log: fs::read(self.path("stdout.txt")).unwrap_or_default(),
            profile,
        })
    }

    fn profile(&self) -> Result<Profile, EmulatorError> {
        let path = self.path("profile.json");
        let bytes = fs::read(&path).map_err(EmulatorError::io(&path))?;
        serde_json::from_slice(&bytes).map_err(|error| EmulatorError::Malformed {
            what: "the profile",
            problem: error.to_string(),
        })
    }
}
