//! An image bound to its arena.

use fixie_format::op::Feed;
use fixie_format::table::{OpEntry, Step, TensorId};
use fixie_format::{ALIGNMENT, Image, OpSet, Opcode};
use fixie_kernels::Memory;

use crate::error::{BindError, PortError, RunError};
use crate::log::StepLog;
use crate::port::{InputPort, InputRow, OutputPort};
use crate::{bind, dispatch};

/// Whether an inference is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Steps remain.
    Running,
    /// An input that is given row by row wants its next row: [`Engine::row`].
    NeedsRow,
    /// The outputs are there.
    Done,
}

/// An image bound to its arena: fill the inputs, [`run`](Self::run), read the outputs.
///
/// `OPS` is the set of operators which this engine links, [`OpSet::bits`](crate::OpSet::bits). For
/// an image known at compile time [`include_image!`](crate::include_image) chooses it.
///
/// Inputs may share memory with later activations: fill them anew before each run. An image that was
/// converted with `--input-rows` takes its inputs row by row while it runs ([`row`](Self::row)), as a
/// camera or a microphone delivers them, and has no room for all of them at a time.
#[derive(Debug)]
pub struct Engine<'a, const OPS: u64> {
    memory: Memory<'a>,
    /// The next step to run.
    next: usize,
    /// Whether the row that this step waits for has been given.
    row_given: bool,
}

impl<'a, const OPS: u64> Engine<'a, OPS> {
    /// Binds an image to an arena of at least `image.arena_len()` bytes, 16-byte aligned, and
    /// resets its state.
    ///
    /// # Errors
    ///
    /// [`BindError`]; all that can be wrong with an image is found here.
    pub fn new(image: Image<'a>, arena: &'a mut [u8]) -> Result<Self, BindError> {
        let (needed, given) = (image.arena_len(), arena.len());
        let aligned = arena.as_ptr().addr().is_multiple_of(ALIGNMENT);
        let arena = arena.get_mut(..needed).ok_or(BindError::ArenaTooSmall { needed, given })?;
        if !aligned {
            return Err(BindError::ArenaMisaligned);
        }
        bind::check::<OPS>(&image)?;
        let mut engine = Self { memory: Memory::new(image, arena), next: 0, row_given: false };
        engine.reset();
        Ok(engine)
    }

    /// The image.
    pub fn image(&self) -> &Image<'a> {
        self.memory.image()
    }

    /// Clears the state tensors and abandons an inference that is under way.
    pub fn reset(&mut self) {
        self.next = 0;
        self.row_given = false;
        for index in 0..self.image().state_count() {
            let Some(state) = self.image().state(index) else {
                continue;
            };
            if let Some(bytes) = self.memory.bytes_mut(state.tensor) {
                bytes.fill(state.fill as u8);
            }
        }
    }

    /// An input, to be filled before a run.
    ///
    /// # Errors
    ///
    /// [`PortError::NoSuchPort`]; [`PortError::ByRows`] for an input that is given row by row.
    pub fn input(&mut self, index: usize) -> Result<InputPort<'_>, PortError> {
        let missing = PortError::NoSuchPort { index, count: self.image().input_count() };
        let port = self.image().input(index).ok_or(missing)?;
        if port.rows != 0 {
            return Err(PortError::ByRows { index });
        }
        self.memory.bytes_mut(port.tensor).map(|bytes| InputPort::new(port, bytes)).ok_or(missing)
    }

    /// The row that is wanted now, to be filled before the next [`step`](Self::step).
    ///
    /// Rows are wanted in order; the last ones of an input are not, where no output depends on them.
    ///
    /// # Errors
    ///
    /// [`PortError::NoRow`] unless [`step`](Self::step) said [`Progress::NeedsRow`].
    pub fn row(&mut self) -> Result<InputRow<'_>, PortError> {
        self.wanted_row().ok_or(PortError::NoRow)
    }

    fn wanted_row(&mut self) -> Option<InputRow<'_>> {
        let (step, entry) = self.entry(self.next)?;
        if !Self::feeds(entry) {
            return None;
        }
        let feed: Feed = self.image().params(&entry)?;
        let (input, index) = (usize::from(feed.port), usize::from(step.first_row));
        let port = self.image().input(input)?;
        let bytes = self.memory.row_mut(feed.output, index, entry.rows)?;
        self.row_given = true;
        Some(InputRow { input, index, port: InputPort::new(port, bytes) })
    }

    /// An output, to be read after a run.
    ///
    /// # Errors
    ///
    /// [`PortError::NoSuchPort`].
    pub fn output(&self, index: usize) -> Result<OutputPort<'_>, PortError> {
        let missing = PortError::NoSuchPort { index, count: self.image().output_count() };
        let port = self.image().output(index).ok_or(missing)?;
        self.memory.bytes(port.tensor).map(|bytes| OutputPort::new(port, bytes)).ok_or(missing)
    }

    /// The bytes of any tensor of the image's table, for tools that look between two steps: what a
    /// step wrote may be overwritten by the next.
    pub fn tensor(&self, id: TensorId) -> Option<&[u8]> {
        self.memory.bytes(id)
    }

    /// Computes the outputs from the inputs.
    ///
    /// # Errors
    ///
    /// [`RunError::Changed`] if the image changed after it was bound, [`RunError::NeedsRow`] if an
    /// input is given row by row.
    pub fn run(&mut self) -> Result<(), RunError> {
        while !self.step_whole()? {}
        Ok(())
    }

    /// As [`run`](Self::run), with `fill` to write the rows of inputs that are given row by row.
    ///
    /// # Errors
    ///
    /// [`RunError::Changed`] if the image changed after it was bound, and what `fill` says.
    pub fn run_rows<E: From<RunError>>(
        &mut self,
        mut fill: impl FnMut(InputRow<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        loop {
            match self.step()? {
                Progress::Running => {}
                Progress::NeedsRow => {
                    let changed = self.changed();
                    fill(self.row().map_err(|_| changed)?)?;
                }
                Progress::Done => return Ok(()),
            }
        }
    }

    /// As [`run`](Self::run), noting in `log` when each step ended by the application's clock.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub fn run_logged<const N: usize>(
        &mut self,
        log: &mut StepLog<N>,
        mut clock: impl FnMut() -> u32,
    ) -> Result<(), RunError> {
        log.start(clock());
        loop {
            let op = self.image().step(self.next).map_or(u16::MAX, |step| step.op);
            let done = self.step_whole()?;
            log.end_of_step(op, clock());
            if done {
                return Ok(());
            }
        }
    }

    /// A step of a run whose inputs are there; whether it was the last one.
    fn step_whole(&mut self) -> Result<bool, RunError> {
        match self.step()? {
            Progress::Running => Ok(false),
            Progress::NeedsRow => Err(RunError::NeedsRow),
            Progress::Done => Ok(true),
        }
    }

    /// Runs the next step of the schedule: one operator, or some of its rows.
    ///
    /// After [`Progress::NeedsRow`] nothing has run: fill [`row`](Self::row) and go on. After
    /// [`Progress::Done`] the outputs are there and the next call starts the next inference.
    ///
    /// # Errors
    ///
    /// [`RunError::Changed`] if the image changed after it was bound.
    pub fn step(&mut self) -> Result<Progress, RunError> {
        let count = self.image().step_count();
        if self.next < count {
            let (step, entry) = self.entry(self.next).ok_or(self.changed())?;
            if Self::feeds(entry) && !core::mem::take(&mut self.row_given) {
                return Ok(Progress::NeedsRow);
            }
            self.run_step(step, entry).ok_or(self.changed())?;
        }
        let done = self.next + 1 >= count;
        self.next = if done { 0 } else { self.next + 1 };
        Ok(if done { Progress::Done } else { Progress::Running })
    }

    /// Whether an operator waits for the application; known at compile time where none does.
    fn feeds(entry: OpEntry) -> bool {
        OpSet::from_bits(OPS).contains(Opcode::Feed) && entry.opcode == Opcode::Feed as u8
    }

    /// What a step that was sound when the image was bound means when it no longer is.
    fn changed(&self) -> RunError {
        RunError::Changed { step: self.next }
    }

    /// A step and its operator.
    fn entry(&self, step: usize) -> Option<(Step, OpEntry)> {
        let step = self.image().step(step)?;
        Some((step, self.image().op(step.op as usize)?))
    }

    fn run_step(&mut self, step: Step, entry: OpEntry) -> Option<()> {
        let first = step.first_row as usize;
        let rows = first..first + step.rows as usize;
        dispatch::run::<OPS>(Opcode::from_u8(entry.opcode)?, entry, rows, &mut self.memory)
    }
}
