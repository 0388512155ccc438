mod espflash;

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use fixie_device::firmware::{APPLICATIONS, application};
use fixie_device::{Board, Contents, Device, Firmware, Log, LogLine, LogTable, Plan};
use serde::Serialize;

use crate::connection::{Part, ProbeArguments, building};
use crate::diagnostics::{Context, Failure};
use crate::{output, table};

/// How often the log is looked at.
const POLL: Duration = Duration::from_millis(10);

/// How long the log is shown, if not for so many seconds.
const FOREVER: &str = "until interrupted";

const EXAMPLES: &str = "\
Examples, each with the board connected to this computer by the cable that `fixie chips` names:
  fixie convert tools/models/motion/motion.onnx --calib tools/models/motion/calib.npz \\
      --target cortex-m4 -o motion.fixie
  fixie flash motion.fixie --chip nrf52840-dk --app motion --monitor
      builds and flashes an application with its image, starts it and shows its log: the arena,
      `started`, and a line for each decision, until Ctrl-C
  fixie flash motion.fixie --chip nrf52840-dk --reset
      replaces the image in its own region of flash and leaves the firmware as it is
  fixie flash motion.fixie --chip STM32L476RG --address 0x08040000 --reset
      an image for firmware of one's own, which looks for it at that address
  fixie flash digits.fixie --chip microbit --app camera --probe emulated --serial clip.bin --monitor
      without a board: flash algorithm and firmware run in QEMU, and see the pictures in clip.bin

Whether everything fits is checked before anything is written. What was written is read
back. When the cable comes off midway, the same command again sets the chip right.
An application wants the image of its model: camera one by `fixie convert --input-rows`.
Wiring, and what appears: the board's page in firmware/boards. `fixie probe list` shows what
is connected. The ESP32-C3 is flashed by espflash over its serial port, which this command
runs. Not yet tried on a real board: the documentation of tools/device says what was tested.";

/// Write an image, and firmware if asked to, to the flash of a board or chip.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Cmd {
    /// The image.
    #[arg(value_name = "MODEL.fixie")]
    image: PathBuf,
    /// A board, or any chip that probe-rs knows; `fixie chips` lists both.
    #[arg(long)]
    chip: String,
    /// Build this application for the board, and flash it too.
    #[arg(long, value_name = "NAME", value_parser = application_parser())]
    app: Option<String>,
    /// Flash this firmware too. Where it looks for the image is read from it, if it was linked for
    /// one of the boards.
    #[arg(long, value_name = "ELF", conflicts_with = "app")]
    firmware: Option<PathBuf>,
    #[command(flatten)]
    probe: ProbeArguments,
    /// With --probe emulated: what arrives on the board's serial line, such as pictures of
    /// firmware/boards/send-picture.py.
    #[arg(long, value_name = "FILE", requires = "probe")]
    serial: Option<PathBuf>,
    /// Where the image goes, if not where firmware or board say: the start of an erase sector.
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    address: Option<u64>,
    /// Start the chip's program when all is written. Otherwise the chip stays stopped until it is
    /// reset or powered up again.
    #[arg(long)]
    reset: bool,
    /// Start the program and show its log, until interrupted or for so many seconds. Messages of
    /// defmt need the firmware's file: --app or --firmware.
    #[arg(
        long,
        value_name = "SECONDS",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = FOREVER,
        value_parser = limit,
    )]
    monitor: Option<Duration>,
    /// Print one JSON object, and one for each message of the log.
    #[arg(long)]
    json: bool,
}

fn application_parser() -> clap::builder::PossibleValuesParser {
    APPLICATIONS.iter().map(|(name, _)| *name).collect::<Vec<_>>().into()
}

/// A number, decimal or with `0x`.
fn address(text: &str) -> Result<u64, String> {
    let parsed = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    parsed.map_err(|_| "as in `0x08040000`".to_owned())
}

/// Seconds, or no end.
fn limit(text: &str) -> Result<Duration, String> {
    if text == FOREVER {
        return Ok(Duration::MAX);
    }
    text.parse().map(Duration::from_secs).map_err(|_| "as in `--monitor=10`".to_owned())
}

/// What was written.
#[derive(Debug, Serialize)]
struct Summary {
    chip: String,
    board: Option<&'static str>,
    image_address: u64,
    image_bytes: u64,
    firmware_bytes: u64,
    arena_bytes: u64,
    arena_available_bytes: u64,
    started: bool,
}

impl Cmd {
    pub fn run(self) -> Result<(), Failure> {
        let what = || format!("cannot flash {}", self.image.display());
        let name = self.image.display().to_string();
        let image = read(&self.image)?;
        let serial = self.serial()?;
        if let Some(board) = self.board_of_espflash() {
            return self.flash_over_serial(board, &image);
        }
        let part = Part::find(&self.chip, &name).context(what)?;
        let firmware = self.firmware(part.board)?;
        let contents = Contents {
            firmware: firmware.as_ref(),
            image: Some(&image),
            samples: &[],
            address: self.address,
            board: part.board,
        };
        let plan = Plan::new(&part.chip, &contents).context(what)?;
        let mut device = part.flash(&self.probe, &plan, serial).context(what)?;
        let starts = self.reset || self.monitor.is_some();
        if starts {
            let started = part.start(&self.probe, device, firmware.as_ref());
            device = started.context(|| "cannot start the program")?;
        }
        self.report(&Summary::of(part.chip.name(), part.board, &plan, starts))?;
        match self.monitor {
            Some(limit) => self.monitor(&mut device, firmware.as_ref(), limit),
            None => Ok(()),
        }
    }

    fn report(&self, summary: &Summary) -> Result<(), Failure> {
        if self.json { output::print_json(summary) } else { output::print(summary.render()) }
    }

    /// What arrives on the serial line of the emulated board.
    fn serial(&self) -> Result<Vec<u8>, Failure> {
        let Some(path) = &self.serial else { return Ok(Vec::new()) };
        if self.probe.is_emulated() {
            return read(path);
        }
        let what = format!("cannot send {}", path.display());
        Err(Failure::new(what, "the serial line of a real board is not Fixie's")
            .help("write to its serial port, or choose --probe emulated"))
    }

    fn firmware(&self, board: Option<&'static Board>) -> Result<Option<Firmware>, Failure> {
        if let Some(path) = &self.firmware {
            let what = || format!("cannot use the firmware {}", path.display());
            return Firmware::parse(read(path)?).map(Some).context(what);
        }
        let Some(name) = &self.app else {
            return Ok(None);
        };
        let what = || format!("cannot build {name} for {}", self.chip);
        let board = board.ok_or_else(|| {
            Failure::new(what(), "it is none of the boards that Fixie knows")
                .help("`fixie chips` lists them; other firmware comes with --firmware")
        })?;
        let application = application(name).context(what)?;
        building(|progress| Firmware::build(board, application, progress)).map(Some).context(what)
    }

    fn monitor(
        &self,
        device: &mut Device,
        firmware: Option<&Firmware>,
        limit: Duration,
    ) -> Result<(), Failure> {
        let what = || "cannot show the log";
        let table = LogTable::of(firmware).context(what)?;
        let mut log = Log::attach(device, firmware, &table).context(what)?;
        let start = Instant::now();
        while start.elapsed() < limit {
            for line in log.read(device).context(what)? {
                let text = if self.json { json(&line)? } else { render(&line) };
                if !output::print_if_read(text)? {
                    return Ok(());
                }
            }
            thread::sleep(POLL);
        }
        Ok(())
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).context(|| format!("cannot read {}", path.display()))
}

fn json(line: &LogLine) -> Result<String, Failure> {
    let json = serde_json::to_string(line).context(|| "cannot write JSON")?;
    Ok(json + "\n")
}

fn render(line: &LogLine) -> String {
    let parts = [line.timestamp.as_deref(), line.level, Some(&line.message)];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" ") + "\n"
}

impl Summary {
    fn of(chip: &str, board: Option<&'static Board>, plan: &Plan, started: bool) -> Self {
        let (image_address, image_bytes) = plan.image.unwrap_or_default();
        Self {
            chip: chip.to_owned(),
            board: board.map(|board| board.name),
            image_address,
            image_bytes,
            firmware_bytes: plan.firmware_bytes,
            arena_bytes: plan.arena_bytes,
            arena_available_bytes: plan.arena_available_bytes,
            started,
        }
    }

    fn render(&self) -> String {
        let firmware = match self.firmware_bytes {
            0 => "left as it was".to_owned(),
            bytes => format!("{} bytes", table::count(bytes)),
        };
        let program = if self.started { "started" } else { "stopped until the next reset" };
        let image = format!(
            "{} bytes at {:#010x}, verified",
            table::count(self.image_bytes),
            self.image_address
        );
        let arena = format!(
            "{} of {} bytes",
            table::count(self.arena_bytes),
            table::count(self.arena_available_bytes)
        );
        table::facts([
            ("chip", self.chip.clone()),
            ("firmware", firmware),
            ("image", image),
            ("arena", arena),
            ("program", program.to_owned()),
        ])
    }
}
