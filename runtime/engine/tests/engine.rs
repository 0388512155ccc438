//! The engine on small images made by hand: binding, running, stepping, state.

use fixie::{
    ALL_OPS, Aligned, BindError, Dtype, Engine, Image, InputRow, OpSet, Opcode, Port, PortError,
    Progress, Rule, RunError, StepLog,
};
use fixie_format::op::coded::CODED;
use fixie_format::op::packed::PACKED;
use fixie_format::table::{Place, State, Step, Tensor};
use fixie_format::{ImageBuilder, op};

/// Room for an image or an arena.
type Room = Aligned<[u8; 2048]>;

const ROOM: Room = Aligned([0; 2048]);
const LEN: u32 = 4;

fn tensor(offset: u32) -> Tensor {
    Tensor {
        offset,
        len_bytes: LEN,
        dtype: Dtype::I8 as u8,
        place: Place::Arena as u8,
        ring_rows: 0,
    }
}

fn port(tensor: u16) -> Port {
    Port {
        tensor,
        rank: 2,
        dtype: Dtype::I8 as u8,
        scale: 1.0,
        zero_point: 0,
        dims: [1, LEN, 1, 1, 1, 1],
        order: [0, 1, 0, 0, 0, 0],
        rows: 0,
    }
}

/// `out = −(in + state)`, and the new state is that output.
fn accumulator() -> ImageBuilder {
    let mut image = ImageBuilder::new();
    let [input, state, sum, output] = [0, 4, 8, 12].map(|offset| image.tensor(tensor(offset)));
    let negate: Vec<i8> = (0..=255u8).map(|q| (q as i8).saturating_neg()).collect();
    let table = image.data(&negate);
    let axes = image.data(&[LEN as i32, 1, 1]);
    let add = op::Binary {
        a: input,
        b: state,
        output: sum,
        rows: 1,
        dims: [1, 1, 1, LEN],
        a_strides: [0, 0, 0, 1],
        b_strides: [0, 0, 0, 1],
        a_multiplier: 1 << 8,
        b_multiplier: 1 << 8,
        bias: 1 << 7,
        shift: 8,
        a_zero: 0,
        b_zero: 0,
        out_zero: 0,
        act_min: -128,
        act_max: 127,
        reserved: 0,
    };
    let copy = op::Copy {
        input: output,
        output: state,
        in_base: 0,
        out_base: 0,
        axes,
        rank: 1,
        element_bytes: 1,
        reserved: 0,
    };
    let ops = [
        image.op(Opcode::Add, 1, add),
        image.op(Opcode::Lut, 1, op::Lut { input: sum, output, table }),
        image.op(Opcode::Copy, 1, copy),
    ];
    for op in ops {
        image.step(Step { op, first_row: 0, rows: 1 });
    }
    image.input(port(input));
    image.output(port(output));
    image.state(State { tensor: state, fill: 1, reserved: 0 });
    image.arena_len(16);
    image
}

fn placed(image: &ImageBuilder) -> (Room, usize) {
    let bytes = image.build();
    let mut room = ROOM;
    room.0[..bytes.len()].copy_from_slice(&bytes);
    (room, bytes.len())
}

/// What an engine says of an image.
fn bind_error(image: &ImageBuilder) -> BindError {
    let (room, len) = placed(image);
    let mut arena = ROOM;
    let image = Image::parse(&room.0[..len]).expect("the frame is sound");
    Engine::<ALL_OPS>::new(image, &mut arena.0).expect_err("the tables are not")
}

fn outputs<const OPS: u64>(engine: &Engine<'_, OPS>) -> Vec<i32> {
    engine.output(0).unwrap().integers().collect()
}

#[test]
fn state_lasts_from_run_to_run_until_reset() {
    let (room, len) = placed(&accumulator());
    let mut arena = ROOM;
    let image = Image::parse(&room.0[..len]).unwrap();
    let mut engine = Engine::<ALL_OPS>::new(image, &mut arena.0).unwrap();
    let run = |engine: &mut Engine<'_, ALL_OPS>, x: [f32; 4]| {
        engine.input(0).unwrap().quantize(&x).unwrap();
        engine.run().unwrap();
        outputs(engine)
    };
    assert_eq!(run(&mut engine, [0.0, 1.0, 2.0, -200.0]), [-1, -2, -3, 127]);
    assert_eq!(run(&mut engine, [0.0, 0.0, 10.0, 1.0]), [1, 2, -7, -127]);
    engine.reset();
    assert_eq!(run(&mut engine, [0.0; 4]), [-1; 4]);
}

#[test]
fn stepping_is_running() {
    let (room, len) = placed(&accumulator());
    let mut arena = ROOM;
    let image = Image::parse(&room.0[..len]).unwrap();
    let mut engine = Engine::<ALL_OPS>::new(image, &mut arena.0).unwrap();
    let progress: Vec<_> = (0..4).map(|_| engine.step().unwrap()).collect();
    let [running, done] = [Progress::Running, Progress::Done];
    assert_eq!(progress, [running, running, done, running], "the fourth starts the next run");
}

/// `out = −in` of a single ring slot, for an input of three rows.
fn negated_rows() -> ImageBuilder {
    let mut image = ImageBuilder::new();
    let ring = image.tensor(Tensor { ring_rows: 1, ..tensor(0) });
    let slot = image.tensor(tensor(0));
    let output = image.tensor(tensor(4));
    let negate: Vec<i8> = (0..=255u8).map(|q| (q as i8).saturating_neg()).collect();
    let table = image.data(&negate);
    let feed = image.op(Opcode::Feed, 3, op::Feed { output: ring, port: 0 });
    let lut = image.op(Opcode::Lut, 1, op::Lut { input: slot, output, table });
    for row in 0..3 {
        image.step(Step { op: feed, first_row: row, rows: 1 });
    }
    image.step(Step { op: lut, first_row: 0, rows: 1 });
    image.input(Port { dims: [3, LEN, 1, 1, 1, 1], rows: 3, ..port(ring) });
    image.output(port(output));
    image.arena_len(16);
    image
}

#[test]
fn rows_are_given_when_they_are_wanted() {
    let (room, len) = placed(&negated_rows());
    let mut arena = ROOM;
    let image = Image::parse(&room.0[..len]).unwrap();
    let mut engine = Engine::<ALL_OPS>::new(image, &mut arena.0).unwrap();
    assert_eq!(engine.input(0).unwrap_err(), PortError::ByRows { index: 0 });
    for index in 0..3 {
        assert_eq!(engine.step(), Ok(Progress::NeedsRow));
        assert_eq!(engine.step(), Ok(Progress::NeedsRow), "nothing runs before the row is there");
        let mut row = engine.row().unwrap();
        assert_eq!((row.input, row.index), (0, index));
        row.port.quantize(&[1.0 + index as f32; LEN as usize]).unwrap();
        assert_eq!(engine.step(), Ok(Progress::Running));
    }
    assert_eq!(engine.row().unwrap_err(), PortError::NoRow);
    assert_eq!(engine.step(), Ok(Progress::Done));
    assert_eq!(outputs(&engine), [-3; LEN as usize], "the last row is in the only slot");
}

#[test]
fn running_by_rows_needs_a_source() {
    let (room, len) = placed(&negated_rows());
    let mut arena = ROOM;
    let image = Image::parse(&room.0[..len]).unwrap();
    let mut engine = Engine::<ALL_OPS>::new(image, &mut arena.0).unwrap();
    assert_eq!(engine.run(), Err(RunError::NeedsRow));
    assert_eq!(engine.step(), Ok(Progress::NeedsRow), "the row is still wanted");
    engine.reset();
    let mut given = Vec::new();
    let fill = |mut row: InputRow<'_>| {
        given.push(row.index);
        row.port.bytes_mut().fill(row.index as u8);
        Ok::<_, RunError>(())
    };
    engine.run_rows(fill).unwrap();
    assert_eq!(given, [0, 1, 2]);
    assert_eq!(outputs(&engine), [-2; LEN as usize]);
}

#[test]
fn rows_that_contradict_the_port_are_refused() {
    let mut image = negated_rows();
    image.step(Step { op: 0, first_row: 0, rows: 2 });
    assert_eq!(bind_error(&image), BindError::Step { index: 4 });

    let mut image = negated_rows();
    image.output(Port { rows: 1, ..port(2) });
    assert_eq!(bind_error(&image), BindError::Port { input: false, index: 1 });

    let mut image = negated_rows();
    image.op(Opcode::Feed, 2, op::Feed { output: 0, port: 0 });
    assert_eq!(bind_error(&image), BindError::Op { index: 2, rule: Rule::Rows });
}

#[test]
fn a_log_notes_every_step() {
    let (room, len) = placed(&accumulator());
    let mut arena = ROOM;
    let image = Image::parse(&room.0[..len]).unwrap();
    let mut engine = Engine::<ALL_OPS>::new(image, &mut arena.0).unwrap();
    let (mut log, mut now) = (StepLog::<8>::new(), 0u32);
    let clock = || {
        now += 10;
        now
    };
    engine.run_logged(&mut log, clock).unwrap();
    let noted: Vec<_> = log.steps().iter().map(|step| (step.op, step.ticks)).collect();
    assert_eq!(noted, [(0, 10), (1, 10), (2, 10)]);
}

#[test]
fn an_engine_refuses_operators_it_was_built_without() {
    const ONLY_ADD: u64 = OpSet::EMPTY.with(Opcode::Add).bits();
    let (room, len) = placed(&accumulator());
    let mut arena = ROOM;
    let image = Image::parse(&room.0[..len]).unwrap();
    let error = Engine::<ONLY_ADD>::new(image, &mut arena.0).unwrap_err();
    assert_eq!(error, BindError::Operator { code: Opcode::Lut as u8 });
    assert!(error.to_string().contains("Lut"), "{error}");
}

#[test]
fn an_engine_refuses_constants_that_it_cannot_decode() {
    const CODED_ONLY: u64 = ALL_OPS & !OpSet::EMPTY.with_packed().bits();
    const PACKED_ONLY: u64 = ALL_OPS & !OpSet::EMPTY.with_coded().bits();
    let [coded, packed] = [CODED, PACKED].map(|coding| {
        let mut image = accumulator();
        image.coding(coding);
        placed(&image)
    });
    let mut arena = ROOM;
    let image = Image::parse(&packed.0.0[..packed.1]).unwrap();
    let error = Engine::<CODED_ONLY>::new(image, &mut arena.0).unwrap_err();
    assert!(error.to_string().contains("packed constants"), "{error}");
    assert!(Engine::<PACKED_ONLY>::new(image, &mut arena.0).is_ok());
    let image = Image::parse(&coded.0.0[..coded.1]).unwrap();
    let error = Engine::<PACKED_ONLY>::new(image, &mut arena.0).unwrap_err();
    assert!(error.to_string().contains("coded constants"), "{error}");
}

#[test]
fn an_arena_must_be_large_enough_and_aligned() {
    let (room, len) = placed(&accumulator());
    let mut arena = ROOM;
    let image = Image::parse(&room.0[..len]).unwrap();
    let error = Engine::<ALL_OPS>::new(image, &mut arena.0[..15]).unwrap_err();
    assert_eq!(error, BindError::ArenaTooSmall { needed: 16, given: 15 });
    let error = Engine::<ALL_OPS>::new(image, &mut arena.0[4..]).unwrap_err();
    assert_eq!(error, BindError::ArenaMisaligned);
}

#[test]
fn tables_that_contradict_each_other_are_refused() {
    let mut image = accumulator();
    image.arena_len(12);
    assert_eq!(bind_error(&image), BindError::Tensor { index: 3 });

    let mut image = accumulator();
    image.step(Step { op: 3, first_row: 0, rows: 1 });
    assert_eq!(bind_error(&image), BindError::Step { index: 3 });

    let mut image = accumulator();
    image.step(Step { op: 0, first_row: 1, rows: 1 });
    assert_eq!(bind_error(&image), BindError::Step { index: 3 });

    let mut image = accumulator();
    image.output(Port { scale: f32::NAN, ..port(0) });
    assert_eq!(bind_error(&image), BindError::Port { input: false, index: 1 });

    let mut image = accumulator();
    image.input(Port { order: [0, 0, 0, 0, 0, 0], ..port(0) });
    assert_eq!(bind_error(&image), BindError::Port { input: true, index: 1 });

    let mut image = accumulator();
    image.state(State { tensor: 9, fill: 0, reserved: 0 });
    assert_eq!(bind_error(&image), BindError::State { index: 1 });

    let mut image = accumulator();
    image.op(Opcode::Lut, 1, op::Lut { input: 0, output: 1, table: 1 << 20 });
    let rule = Rule::Data(1 << 20);
    assert_eq!(bind_error(&image), BindError::Op { index: 3, rule });
}

#[test]
fn ports_that_do_not_exist_are_named() {
    let (room, len) = placed(&accumulator());
    let mut arena = ROOM;
    let image = Image::parse(&room.0[..len]).unwrap();
    let mut engine = Engine::<ALL_OPS>::new(image, &mut arena.0).unwrap();
    let missing = PortError::NoSuchPort { index: 1, count: 1 };
    assert_eq!(engine.input(1).unwrap_err(), missing);
    assert_eq!(engine.output(1).unwrap_err(), missing);
}

#[test]
fn every_damaged_image_is_refused_or_harmless() {
    let (room, len) = placed(&accumulator());
    for bit in 0..len * 8 {
        let mut damaged = room;
        damaged.0[bit / 8] ^= 1 << (bit % 8);
        assert!(Image::parse(&damaged.0[..len]).is_err(), "bit {bit}: the checksum misses it");
        fixie_format::reseal(&mut damaged.0[..len]);
        let Ok(image) = Image::parse(&damaged.0[..len]) else {
            continue;
        };
        let mut arena = Aligned([0x5a; 2048]);
        let needed = image.arena_len().min(1024);
        if let Ok(mut engine) = Engine::<ALL_OPS>::new(image, &mut arena.0[..needed]) {
            let _ = engine.run();
        }
        assert!(arena.0[needed..].iter().all(|&byte| byte == 0x5a), "bit {bit}: a stray write");
    }
}
