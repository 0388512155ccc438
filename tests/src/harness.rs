//! The bodies of the fuzz targets: each takes any bytes and must neither panic, nor hang, nor touch
//! memory that is not its own.
//!
//! `tests/fuzz` runs them under libFuzzer and `AddressSanitizer`; `tests/tests/fuzz.rs` runs the same
//! functions on stable with fewer inputs.

use fixie::{ALL_OPS, Engine, Image, InputPort, InputRow, PortError, RunError};
use fixie_compiler::data::Dataset;
use fixie_compiler::metadata::Metadata;
use fixie_compiler::onnx::{ImportOptions, Model, Port};
use fixie_format::reseal;

/// Larger arenas are not tried: a hostile image may ask for gigabytes, which an application refuses.
const MAX_ARENA_LEN: usize = 1 << 20;

/// Bytes before and behind the arena which nobody may touch; a multiple of the alignment.
const RED_ZONE: usize = 64;

/// What the red zones hold.
const RED: u8 = 0xa5;

/// Imports a model.
pub fn onnx_import(bytes: &[u8]) {
    if let Ok(model) = Model::from_bytes(bytes, &ImportOptions::default()) {
        let _ = model.graph();
    }
}

/// Reads a data file, as the samples of one input and of two.
pub fn data_file(bytes: &[u8]) {
    let port = |name: &str, shape: &[usize]| Port { name: name.to_owned(), shape: shape.to_vec() };
    let inputs = [port("x", &[1, 2]), port("state", &[1, 3, 2])];
    for inputs in [&inputs[..1], &inputs] {
        if let Ok(data) = Dataset::from_bytes(bytes.to_vec(), "fuzzed", inputs) {
            let last = data.sample(data.len() - 1);
            assert!(last.iter().zip(inputs).all(|(x, input)| x.shape() == input.shape));
        }
    }
}

/// Parses an image as it is, and binds it.
pub fn image_bind(bytes: &[u8]) {
    let image = aligned(bytes);
    let Ok(image) = Image::parse(&bytemuck::cast_slice(&image)[..bytes.len()]) else {
        return;
    };
    let _ = Metadata::of(&image);
    let len = image.arena_len();
    if len > MAX_ARENA_LEN {
        return;
    }
    let mut arena = aligned(&vec![0; len]);
    let arena: &mut [u8] = bytemuck::cast_slice_mut(&mut arena);
    let short = len.saturating_sub(1);
    assert!(len == 0 || Engine::<ALL_OPS>::new(image, &mut arena[..short]).is_err());
    let _ = Engine::<ALL_OPS>::new(image, &mut arena[..len]);
}

/// Repairs the checksum of an image, binds it and runs it; whether it ran.
pub fn image_run(bytes: &[u8]) -> bool {
    let mut image = aligned(bytes);
    let image = &mut bytemuck::cast_slice_mut(&mut image)[..bytes.len()];
    reseal(image);
    let Ok(image) = Image::parse(image) else {
        return false;
    };
    if image.arena_len() > MAX_ARENA_LEN {
        return false;
    }
    let outputs = run_between_red_zones(image);
    assert_eq!(outputs, run_alone(image), "the same image and inputs gave other bytes");
    outputs.is_some()
}

/// Runs an image in the middle of memory that must not change, and gives its output bytes.
fn run_between_red_zones(image: Image<'_>) -> Option<Vec<u8>> {
    let len = image.arena_len();
    let mut memory = aligned(&vec![RED; RED_ZONE + len + RED_ZONE]);
    let memory: &mut [u8] = bytemuck::cast_slice_mut(&mut memory);
    let arena = &mut memory[RED_ZONE..RED_ZONE + len];
    let outputs = Engine::<ALL_OPS>::new(image, arena).ok().map(run);
    let untouched = |zone: &[u8]| zone.iter().all(|&byte| byte == RED);
    assert!(untouched(&memory[..RED_ZONE]), "wrote before the arena");
    assert!(untouched(&memory[RED_ZONE + len..][..RED_ZONE]), "wrote behind the arena");
    outputs
}

/// As [`run_between_red_zones`], in an allocation of its own, so that a sanitiser sees stray reads.
fn run_alone(image: Image<'_>) -> Option<Vec<u8>> {
    let len = image.arena_len();
    let mut arena = aligned(&vec![RED; len]);
    let arena = &mut bytemuck::cast_slice_mut(&mut arena)[..len];
    Engine::<ALL_OPS>::new(image, arena).ok().map(run)
}

/// Runs a bound image on two inputs, the second after a reset.
fn run(mut engine: Engine<'_, ALL_OPS>) -> Vec<u8> {
    let mut outputs = Vec::new();
    for seed in [1u8, 101] {
        let fill = |mut port: InputPort<'_>| {
            let bytes = port.bytes_mut().iter_mut();
            bytes.enumerate().for_each(|(i, byte)| *byte = (i as u8).wrapping_mul(seed));
        };
        for index in 0..engine.image().input_count() {
            match engine.input(index) {
                Err(PortError::ByRows { .. }) => {}
                input => fill(input.expect("the input exists")),
            }
        }
        let fill_row = |row: InputRow<'_>| {
            fill(row.port);
            Ok::<_, RunError>(())
        };
        engine.run_rows(fill_row).expect("what binds, runs");
        for index in 0..engine.image().output_count() {
            outputs.extend_from_slice(engine.output(index).expect("the output exists").bytes());
        }
        engine.reset();
    }
    outputs
}

/// A copy at a multiple of 16 bytes, padded with zeros to a multiple of 16.
fn aligned(bytes: &[u8]) -> Vec<u128> {
    let mut words = vec![0; bytes.len().div_ceil(size_of::<u128>())];
    bytemuck::cast_slice_mut(&mut words)[..bytes.len()].copy_from_slice(bytes);
    words
}
