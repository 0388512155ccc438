//! The applications on this machine: what goes into the models, and images that they cannot use.
//! Whole sessions, from recordings to decisions, are in `tests/applications`.
#![expect(clippy::large_stack_arrays, reason = "the stack of a host has room for them")]

use std::convert::Infallible;
use std::f64::consts::LN_2;
use std::fs::File;

use fixie::{ALL_OPS, Aligned, BindError, Dtype, OpSet, Opcode, Port, RunError};
use fixie_applications::keyword::{FRONT_END, KeywordSpotter, MELS};
use fixie_applications::motion::{self, ActivityRecognizer};
use fixie_applications::{Affine, Application, Decision, StartError, Status, turn};
use fixie_audio::{FrontEnd, Tables};
use fixie_compiler::compile::{Options, compile};
use fixie_compiler::data::Dataset;
use fixie_compiler::onnx::{ImportOptions, Model};
use fixie_tests::shipped;
use ndarray::{Array1, Array2, Array3, Axis};
use ndarray_npy::NpzReader;
use proptest::prelude::*;

/// The front end computes what the training script computed, to a tenth of the step in which the
/// script stores its features for training.
#[test]
fn features_are_those_of_the_training() {
    static TABLES: Tables<512, 257, MELS> = Tables::new(&FRONT_END);
    let mut file = NpzReader::new(File::open(shipped("keyword/clip.npz")).unwrap()).unwrap();
    let sound: Array1<i16> = file.by_name("sound.npy").unwrap();
    let expected: Array2<f32> = file.by_name("features.npy").unwrap();
    assert!(expected.nrows() > 50);

    let sound = sound.to_vec();
    let (mut front_end, mut samples) = (FrontEnd::new(&TABLES), &sound[..]);
    for expected in expected.rows() {
        let features = front_end.advance(&mut samples).unwrap();
        for (&feature, &expected) in features.iter().zip(expected) {
            // Of samples within ±1 instead of ±2^15.
            let computed = (f64::from(feature) / 65536.0 - 30.0) * LN_2;
            let error = computed - f64::from(expected);
            assert!(error.abs() < 0.01, "{computed} instead of {expected}");
        }
    }
}

proptest! {
    #[test]
    fn raw_samples_become_the_nearest_steps(
        raw: i16,
        (scale, offset) in (1e-4_f32..0.1, -2.0_f32..2.0),
        input in 0.002_f32..0.5,
        zero_point in -128_i32..128,
    ) {
        let port = Port {
            tensor: 0,
            rank: 1,
            dtype: Dtype::I8 as u8,
            scale: input,
            zero_point,
            dims: [1; 6],
            order: [0; 6],
            rows: 0,
        };
        let real = f64::from(raw) * f64::from(scale) + f64::from(offset);
        let steps = real / f64::from(input) + f64::from(zero_point);
        let error = f64::from(Affine::new(scale, offset, &port).apply(raw))
            - steps.clamp(-128.0, 127.0);
        // Half a step of rounding; what the fixed-point factor is off; float32 of the constants.
        prop_assert!(error.abs() <= 0.5 + 0.5_f64.powi(5) + 1e-3, "{} is off {}", steps, error);
    }
}

/// The shipped model `NAME/NAME.onnx`, at a multiple of 16 bytes.
fn image(name: &str) -> (Box<Aligned<[u8; 1 << 16]>>, usize) {
    let folder = shipped(name);
    let model =
        Model::load(folder.join(format!("{name}.onnx")), &ImportOptions::default()).unwrap();
    let calibration = Dataset::load(&folder.join("calib.npz"), model.inputs()).unwrap();
    let options = Options::default();
    let image = compile(&model, Some(&calibration), &options, &mut |_| {}).unwrap().image;
    let mut storage = Box::new(Aligned([0; 1 << 16]));
    storage.0[..image.len()].copy_from_slice(&image);
    (storage, image.len())
}

/// The unit of the recordings.
const STEPS: [f32; motion::AXES] = [1.0 / 512.0; motion::AXES];

#[test]
fn an_image_of_another_application_is_refused() {
    let (image, len) = image("motion");
    let mut arena = Box::new(Aligned([0; 1 << 16]));
    let keyword = &fixie_applications::keyword::SHIPPED;
    let error = KeywordSpotter::<ALL_OPS, _>::new(&image.0[..len], &mut arena.0, keyword);
    let error = error.unwrap_err();
    assert_eq!(error, StartError::Input { rows: 49, width: 32 });
    assert!(error.to_string().contains("49 rows of 32"), "{error}");

    // The right input, with one class too few.
    let classes = &fixie_applications::keyword::SHIPPED;
    let recognizer =
        ActivityRecognizer::<ALL_OPS, _, _>::new(&image.0[..len], &mut arena.0, classes, STEPS);
    assert_eq!(recognizer.unwrap_err(), StartError::Output { classes: 5 });
}

#[test]
fn an_image_that_needs_other_operators_is_refused() {
    const OPS: u64 = OpSet::EMPTY.with(Opcode::Conv).bits();
    let (image, len) = image("motion");
    let mut arena = Box::new(Aligned([0; 1 << 16]));
    let recognizer = ActivityRecognizer::<OPS, _, _>::new(
        &image.0[..len],
        &mut arena.0,
        &motion::SHIPPED,
        STEPS,
    );
    let error = recognizer.unwrap_err();
    assert!(matches!(error, StartError::Bind(BindError::Operator { .. })), "{error}");
}

#[test]
fn a_damaged_image_and_a_small_arena_are_refused() {
    let (mut image, len) = image("motion");
    let mut arena = Box::new(Aligned([0; 1 << 16]));
    let start = |image: &[u8], arena: &mut [u8]| {
        ActivityRecognizer::<ALL_OPS, _, _>::new(image, arena, &motion::SHIPPED, STEPS).map(drop)
    };
    let error = start(&image.0[..len], &mut arena.0[..64]).unwrap_err();
    assert!(matches!(error, StartError::Bind(BindError::ArenaTooSmall { .. })), "{error}");
    image.0[len - 1] ^= 1;
    let error = start(&image.0[..len], &mut arena.0).unwrap_err();
    assert!(matches!(error, StartError::Bind(BindError::Image(_))), "{error}");
}

/// What can end a superloop over a queue.
#[derive(Debug)]
struct Stopped(#[expect(dead_code, reason = "printed when a test fails")] RunError);

impl From<RunError> for Stopped {
    fn from(error: RunError) -> Self {
        Self(error)
    }
}

impl From<Infallible> for Stopped {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

/// Ten recordings one after the other: `[axis]` at each moment.
fn motions() -> Vec<[i16; motion::AXES]> {
    let mut file = NpzReader::new(File::open(shipped("motion/eval.npz")).unwrap()).unwrap();
    let x: Array3<i16> = file.by_name("x.npy").unwrap();
    let at = |index: usize, time: usize| std::array::from_fn(|axis| x[[4 * index, axis, time]]);
    (0..10).flat_map(|index| (0..x.len_of(Axis(2))).map(move |time| at(index, time))).collect()
}

/// A decision is about certain samples, however many come at a time and whoever asks for it.
#[test]
fn a_queue_and_a_superloop_change_no_decision() {
    let (image, len) = image("motion");
    let image = &image.0[..len];
    let samples = motions();
    let decide = |feed: &dyn Fn(&mut ActivityRecognizer<'_, ALL_OPS, 6, 4>) -> Vec<Decision>| {
        let mut arena = Box::new(Aligned([0; 1 << 16]));
        let shipped = &motion::SHIPPED;
        feed(&mut ActivityRecognizer::new(image, &mut arena.0, shipped, STEPS).unwrap())
    };

    let one_by_one = decide(&|recognizer| {
        let mut decisions = Vec::new();
        for sample in &samples {
            recognizer.push_samples(&[*sample]);
            loop {
                match recognizer.poll().unwrap() {
                    Status::Idle => break,
                    Status::Busy => {}
                    Status::Inferred(decision) => decisions.extend(decision),
                }
            }
        }
        decisions
    });
    assert!(one_by_one.len() > 3, "{one_by_one:?}");

    let by_queue = decide(&|recognizer| {
        let mut queue = heapless::spsc::Queue::<_, 8>::new();
        let (mut interrupt, mut consumer) = queue.split();
        let mut buffer = [[0; motion::AXES]; 3];
        let mut decisions = Vec::new();
        for block in samples.chunks(5) {
            block.iter().for_each(|sample| interrupt.enqueue(*sample).unwrap());
            loop {
                match turn::<_, _, Stopped>(recognizer, &mut consumer, &mut buffer).unwrap() {
                    Status::Idle => break,
                    Status::Busy => {}
                    Status::Inferred(decision) => decisions.extend(decision),
                }
            }
        }
        decisions
    });
    assert_eq!(by_queue, one_by_one);
}
