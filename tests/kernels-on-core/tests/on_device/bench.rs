//! The bench: cycles and outputs of each layer.

use fixie_compiler::data::Dataset;
use fixie_compiler::lower::Inputs;
use fixie_compiler::session::Network;
use fixie_device::bench::crc32;
use fixie_device::firmware::BENCH;
use fixie_device::{
    BenchReport, BenchRequest, Board, Chip, Contents, DeviceError, Firmware, Log, LogTable, Memory,
    Plan, bench,
};
use fixie_emulator::Layer;
use fixie_format::ImageBuilder;
use ndarray::ArrayD;

use crate::stand::{Stand, convert, digits};

const SAMPLES: usize = 6;

fn layers(network: &Network) -> Vec<Layer> {
    let image = network.image();
    let layers = (0..image.op_count()).map(|index| Layer {
        name: format!("layer {index}"),
        op: image.opcode(index).unwrap().name().to_owned(),
        macs: 0,
    });
    layers.collect()
}

/// Some samples, and what this computer makes of them.
struct Samples {
    bytes: Vec<u8>,
    decisions: Vec<usize>,
    outputs: Vec<u8>,
}

fn samples(network: &Network, data: &Dataset) -> Samples {
    let mut arena = network.arena();
    let mut session = network.session(&mut arena).unwrap();
    let mut samples = Samples { bytes: Vec::new(), decisions: Vec::new(), outputs: Vec::new() };
    for index in 0..SAMPLES {
        let sample = data.sample(index);
        samples.bytes.extend(session.quantize(&sample).unwrap());
        session.run(&sample).unwrap();
        samples.decisions.push(largest(&session.outputs().unwrap()[0]));
        samples.outputs.extend(session.raw_outputs().unwrap());
    }
    samples
}

fn largest(outputs: &ArrayD<f32>) -> usize {
    let values = outputs.iter().enumerate();
    values.max_by(|a, b| a.1.total_cmp(b.1)).unwrap().0
}

/// Flashes the image, with the firmware or without, and measures it.
fn run(
    stand: &Stand,
    firmware: Option<&Firmware>,
    network: &Network,
    samples: &Samples,
) -> BenchReport {
    let image = network.bytes();
    let mut device = stand.start(firmware, image, &samples.bytes);
    let (firmware, layers) = (&stand.firmware, layers(network));
    let outputs_crc32 = crc32(&samples.outputs);
    let request = BenchRequest { firmware, image, outputs_crc32, layers: &layers };
    let report = bench(&mut device, &request).unwrap();
    assert_eq!(report.decisions, samples.decisions);
    assert_eq!(report.arena_bytes, network.image().arena_len() as u64);
    // The steps are the run, but for what a call of `step` costs more than its part of `run`.
    let steps: u64 = report.layers.iter().map(|layer| layer.cycles).sum();
    assert!(steps.abs_diff(report.cycles) < report.cycles / 50, "{steps}, {}", report.cycles);
    report
}

#[test]
fn from_onnx_to_cycles_over_rtt() {
    let (model, data) = digits();
    let network = convert(&model, Inputs::Whole, false);
    let samples = samples(&network, &data);
    let stand = Stand::new("bench");
    let report = run(&stand, Some(&stand.firmware), &network, &samples);
    assert!((256..4096).contains(&report.stack_bytes), "{}", report.stack_bytes);
    assert!(report.layers.iter().all(|layer| layer.cycles > 0));

    // Other images for the firmware that is there.
    let before = stand.firmware_region();
    let stripped = convert(&model, Inputs::Whole, true);
    assert_ne!(stripped.bytes(), network.bytes());
    run(&stand, None, &stripped, &samples);
    let by_rows = convert(&model, Inputs::ByRows, false);
    assert_eq!(by_rows.image().input(0).unwrap().rows, 8);
    run(&stand, None, &by_rows, &samples);
    assert_eq!(stand.firmware_region(), before);
}

#[test]
fn an_arena_that_the_firmware_has_no_room_for() {
    let stand = Stand::new("bench");
    let (model, _) = digits();
    let network = convert(&model, Inputs::Whole, false);
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
    let network = convert(&model, Inputs::Whole, false);
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
    let stand = Stand::new("bench");
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
    assert!(line.timestamp.is_some_and(|time| time.parse::<f64>().is_ok()));

    stand.emulated.set_wire(|wire| wire.unplug_after = Some(0));
    let error = log.read(&mut device).unwrap_err();
    assert!(matches!(error, DeviceError::Disconnected { .. }), "{error:?}");
}
