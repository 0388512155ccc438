//! An image bound to its arena.

use fixie_format::table::TensorId;
use fixie_format::{ALIGNMENT, Image, Opcode};
use fixie_kernels::Memory;

use crate::error::{BindError, PortError, RunError};
use crate::log::StepLog;
use crate::port::{InputPort, OutputPort};
use crate::{bind, dispatch};

/// Whether an inference is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Steps remain.
    Running,
    /// The outputs are there.
    Done,
}

/// An image bound to its arena: fill the inputs, [`run`](Self::run), read the outputs.
///
/// `OPS` is the set of operators which this engine links, [`OpSet::bits`](crate::OpSet::bits). For
/// an image known at compile time [`include_image!`](crate::include_image) chooses it.
///
/// Inputs may share memory with later activations: fill them anew before each run.
#[derive(Debug)]
pub struct Engine<'a, const OPS: u64> {
    memory: Memory<'a>,
    /// The next step to run.
    next: usize,
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
        let mut engine = Self { memory: Memory::new(image, arena), next: 0 };
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
    /// [`PortError::NoSuchPort`].
    pub fn input(&mut self, index: usize) -> Result<InputPort<'_>, PortError> {
        let missing = PortError::NoSuchPort { index, count: self.image().input_count() };
        let port = self.image().input(index).ok_or(missing)?;
        self.memory.bytes_mut(port.tensor).map(|bytes| InputPort::new(port, bytes)).ok_or(missing)
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
    /// [`RunError`] if the image changed after it was bound.
    pub fn run(&mut self) -> Result<(), RunError> {
        while self.step()? == Progress::Running {}
        Ok(())
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
            let progress = self.step()?;
            log.end_of_step(op, clock());
            if progress == Progress::Done {
                return Ok(());
            }
        }
    }

    /// Runs the next step of the schedule: one operator, or some of its rows.
    ///
    /// After [`Progress::Done`] the outputs are there and the next call starts the next inference.
    ///
    /// # Errors
    ///
    /// [`RunError`] if the image changed after it was bound.
    pub fn step(&mut self) -> Result<Progress, RunError> {
        let step = self.next;
        let count = self.image().step_count();
        if step < count {
            self.run_step(step).ok_or(RunError::Changed { step })?;
        }
        let done = step + 1 >= count;
        self.next = if done { 0 } else { step + 1 };
        Ok(if done { Progress::Done } else { Progress::Running })
    }

    fn run_step(&mut self, index: usize) -> Option<()> {
        let step = self.image().step(index)?;
        let entry = self.image().op(step.op as usize)?;
        let first = step.first_row as usize;
        let rows = first..first + step.rows as usize;
        dispatch::run::<OPS>(Opcode::from_u8(entry.opcode)?, entry, rows, &mut self.memory)
    }
}
