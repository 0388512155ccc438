//! The whole way to a decision on a chip, without a chip: an ONNX model is converted, found to fit,
//! flashed with its firmware through probe-rs, verified and run, and its log is read over RTT.
//!
//! The chip is QEMU's micro:bit behind an emulated debug port. probe-rs's flash algorithm for the
//! nRF51 executes there, on a model of that chip's flash controller, and so does the firmware.

use fixie_compiler::compile::{Options, compile};
use fixie_compiler::data::Dataset;
use fixie_compiler::onnx::{ImportOptions, Model};
use fixie_compiler::session::Network;
use fixie_compiler::target::Target;
use fixie_device::emulated::{EmulatedBoard, Qemu, Wire};
use fixie_device::firmware::BENCH;
use fixie_device::{
    Attach, BenchReport, BenchRequest, Board, Chip, Contents, Device, DeviceError, Firmware, Log,
    LogTable, Memory, Plan, Probes, bench,
};
use fixie_emulator::Layer;
use fixie_format::ImageBuilder;
use fixie_tests::shipped;
use ndarray::ArrayD;

const SAMPLES: usize = 6;

/// A micro:bit on an emulated probe, with the bench firmware for it.
struct Stand {
    board: &'static Board,
    chip: Chip,
    emulated: EmulatedBoard,
    firmware: Firmware,
}

impl Stand {
    fn new() -> Self {
        let board = Board::find("microbit").unwrap();
        Self {
            board,
            chip: Chip::find(board.chip).unwrap(),
            emulated: EmulatedBoard::new(Qemu::start().unwrap(), Wire::default()),
            firmware: Firmware::build(board, BENCH, &|_| {}).unwrap(),
        }
    }

    fn plan(
        &self,
        firmware: Option<&Firmware>,
        image: &[u8],
        samples: &[u8],
    ) -> Result<Plan, DeviceError> {
        let (image, board) = (Some(image), Some(self.board));
        Plan::new(&self.chip, &Contents { firmware, image, samples, address: None, board })
    }

    fn attach(&self) -> Device {
        let probes = Probes::of(self.emulated.lister());
        let chip = &self.chip;
        let how = Attach { probes: &probes, probe: None, chip, identity: None, unlock: false };
        Device::attach(&how).unwrap()
    }

    /// Flashes the image, with the firmware or without, and runs it.
    fn run(&self, firmware: Option<&Firmware>, network: &Network, samples: &[u8]) -> BenchReport {
        let plan = self.plan(firmware, network.bytes(), samples).unwrap();
        let mut device = self.attach();
        device.flash(&plan, &mut |_| {}).unwrap();
        device.restart(Some(&self.firmware)).unwrap();
        let layers = layers(network);
        let (firmware, image) = (&self.firmware, network.bytes());
        bench(&mut device, &BenchRequest { firmware, image, samples, layers: &layers }).unwrap()
    }

    /// The flash that belongs to the firmware.
    fn firmware_region(&self) -> Vec<u8> {
        let region = self.board.firmware;
        let mut bytes = vec![0; region.len_bytes as usize];
        self.emulated.peek(region.origin, &mut bytes).unwrap();
        bytes
    }
}

fn digits() -> (Model, Dataset) {
    let model = Model::load(shipped("digits/digits.onnx"), &ImportOptions::default()).unwrap();
    let data = Dataset::load(&shipped("digits/eval.npz"), model.inputs()).unwrap();
    (model, data)
}

fn convert(model: &Model, strip: bool) -> Network {
    let data = Dataset::load(&shipped("digits/calib.npz"), model.inputs()).unwrap();
    let options = Options { target: Target::CortexM0, strip, ..Options::default() };
    Network::new(&compile(model, Some(&data), &options, &mut |_| {}).unwrap().image).unwrap()
}

fn layers(network: &Network) -> Vec<Layer> {
    let image = network.image();
    let layers = (0..image.op_count()).map(|index| Layer {
        name: format!("layer {index}"),
        op: image.opcode(index).unwrap().name().to_owned(),
        macs: 0,
    });
    layers.collect()
}

/// Input bytes of some samples, and what the host takes each for.
fn samples(network: &Network, data: &Dataset) -> (Vec<u8>, Vec<usize>) {
    let mut arena = network.arena();
    let mut session = network.session(&mut arena).unwrap();
    let (mut bytes, mut decisions) = (Vec::new(), Vec::new());
    for index in 0..SAMPLES {
        let sample = data.sample(index);
        bytes.extend(session.quantize(&sample).unwrap());
        session.run(&sample).unwrap();
        decisions.push(largest(&session.outputs().unwrap()[0]));
    }
    (bytes, decisions)
}

fn largest(outputs: &ArrayD<f32>) -> usize {
    let values = outputs.iter().enumerate();
    values.max_by(|a, b| a.1.total_cmp(b.1)).unwrap().0
}

#[test]
fn from_onnx_to_a_decision_over_rtt() {
    let (model, data) = digits();
    let network = convert(&model, false);
    let (bytes, expected) = samples(&network, &data);
    let stand = Stand::new();
    let report = stand.run(Some(&stand.firmware), &network, &bytes);
    assert_eq!(report.decisions, expected);
    assert_eq!(report.arena_bytes, network.image().arena_len() as u64);
    assert!((256..4096).contains(&report.stack_bytes), "{}", report.stack_bytes);
    // The steps are the run, but for what a call of `step` costs more than its part of `run`.
    let steps: u64 = report.layers.iter().map(|layer| layer.cycles).sum();
    assert!(steps.abs_diff(report.cycles) < report.cycles / 50, "{steps}, {}", report.cycles);
    assert!(report.layers.iter().all(|layer| layer.cycles > 0));

    // Another image for the firmware that is there.
    let before = stand.firmware_region();
    let stripped = convert(&model, true);
    assert_ne!(stripped.bytes(), network.bytes());
    let second = stand.run(None, &stripped, &bytes);
    assert_eq!(stand.firmware_region(), before);
    assert_eq!((second.decisions, second.output_crc32), (expected, report.output_crc32));
}

#[test]
fn an_arena_that_the_firmware_has_no_room_for() {
    let stand = Stand::new();
    let (model, _) = digits();
    let network = convert(&model, false);
    let room = stand.firmware.split().unwrap().arena_bytes;
    let needed = network.image().arena_len() as u64;
    assert!(stand.plan(Some(&stand.firmware), network.bytes(), &[]).is_ok(), "{needed} of {room}");

    let mut larger = ImageBuilder::new();
    larger.arena_len(room as u32 + 16);
    let error = stand.plan(Some(&stand.firmware), &larger.build(), &[]).unwrap_err();
    let DeviceError::DoesNotFit { memory: Memory::Arena, needed, available, .. } = error else {
        panic!("{error:?}");
    };
    assert_eq!((needed, available), (room + 16, room));
}

/// A Cortex-M4 and a Cortex-M7.
#[test]
fn the_bench_is_built_for_boards_and_fits_them() {
    let (model, _) = digits();
    let network = convert(&model, false);
    for name in ["nrf52840-dk", "nucleo-h743zi"] {
        let board = Board::find(name).unwrap();
        let firmware = Firmware::build(board, BENCH, &|_| {}).unwrap();
        let contents = Contents {
            firmware: Some(&firmware),
            image: Some(network.bytes()),
            board: Some(board),
            ..Contents::default()
        };
        let plan = Plan::new(&Chip::find(board.chip).unwrap(), &contents).unwrap();
        let image = network.bytes().len() as u64;
        assert_eq!(plan.image, Some((board.image.range().start, image)), "{name}");
        assert!(firmware.rtt().is_some(), "{name}");
    }
}

/// Firmware without an image says so over RTT; a cable that comes off while it talks is noticed.
#[test]
fn firmware_without_an_image() {
    let stand = Stand::new();
    let contents = Contents { firmware: Some(&stand.firmware), ..Contents::default() };
    let plan = Plan::new(&stand.chip, &contents).unwrap();
    let mut device = stand.attach();
    device.flash(&plan, &mut |_| {}).unwrap();
    device.restart(Some(&stand.firmware)).unwrap();
    let table = LogTable::of(Some(&stand.firmware)).unwrap();
    let mut log = Log::attach(&mut device, Some(&stand.firmware), &table).unwrap();
    let line = loop {
        if let Some(line) = log.read(&mut device).unwrap().into_iter().next() {
            break line;
        }
    };
    assert!(line.message.starts_with("bench error"), "{line:?}");
    assert!(line.timestamp.is_some_and(|time| time.parse::<u32>().is_ok()));

    stand.emulated.set_wire(|wire| wire.unplug_after = Some(0));
    let error = log.read(&mut device).unwrap_err();
    assert!(matches!(error, DeviceError::Disconnected { .. }), "{error:?}");
}
