//! An engine that classifies: one input, one output of int8 scores, run step by step.

use core::fmt;

use fixie::{BindError, Dtype, Engine, Image, Port, PortError, Progress, RunError};

/// Why an application cannot start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StartError {
    /// The image does not run here.
    Bind(BindError),
    /// The image has no input or output.
    Port(PortError),
    /// The model's input is not what the application feeds it with.
    Input {
        /// Rows that the application feeds, the slowest axis of the input in memory.
        rows: usize,
        /// Elements of a row.
        width: usize,
    },
    /// The image wants its input otherwise than the application gives it.
    Delivery(Delivery),
    /// The model has another number of scores than the application has classes, or they are not
    /// 8-bit.
    Output {
        /// Classes of the application.
        classes: usize,
    },
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bind(error) => error.fmt(f),
            Self::Port(error) => error.fmt(f),
            Self::Input { rows, width } => write!(
                f,
                "the application feeds {rows} rows of {width} 8-bit values, which in memory the \
                 model's input is not: flash an image for this application"
            ),
            Self::Delivery(Delivery::Whole) => f.write_str(
                "the image wants its input row by row: convert the model without --input-rows",
            ),
            Self::Delivery(Delivery::ByRows) => {
                f.write_str("the image wants its input whole: convert the model with --input-rows")
            }
            Self::Output { classes } => write!(
                f,
                "the application has {classes} classes, the model has other scores: flash an image \
                 for this application"
            ),
        }
    }
}

impl core::error::Error for StartError {}

impl From<BindError> for StartError {
    fn from(error: BindError) -> Self {
        Self::Bind(error)
    }
}

impl From<PortError> for StartError {
    fn from(error: PortError) -> Self {
        Self::Port(error)
    }
}

/// How an image wants its input, which `fixie convert` has decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// There is room for all of it, which is filled before an inference.
    Whole,
    /// Row by row during the inference (`--input-rows`).
    ByRows,
}

/// What a step of an inference led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<const CLASSES: usize> {
    /// More steps remain.
    Running,
    /// The next row of the input is wanted: [`Network::give_row`].
    NeedsRow,
    /// The inference is complete, with these scores.
    Done([i8; CLASSES]),
}

/// A network that makes `CLASSES` scores of rows of `WIDTH` values.
#[derive(Debug)]
pub struct Network<'a, const OPS: u64, const WIDTH: usize, const CLASSES: usize> {
    engine: Engine<'a, OPS>,
    /// Rows that were given in this inference.
    given_rows: usize,
}

impl<'a, const OPS: u64, const WIDTH: usize, const CLASSES: usize>
    Network<'a, OPS, WIDTH, CLASSES>
{
    /// Binds an image whose input is `rows` rows in memory. Gives the description of the input too,
    /// for its scale and zero point.
    ///
    /// # Errors
    ///
    /// [`StartError`]: what is wrong with the image.
    pub fn new(
        image: &'a [u8],
        arena: &'a mut [u8],
        rows: usize,
        delivery: Delivery,
    ) -> Result<(Self, Port), StartError> {
        let engine = Engine::new(Image::parse(image).map_err(BindError::from)?, arena)?;
        let input = engine.image().input(0).filter(|input| holds_rows(input, rows, WIDTH));
        let input = input.ok_or(StartError::Input { rows, width: WIDTH })?;
        if delivery != if input.rows == 0 { Delivery::Whole } else { Delivery::ByRows } {
            return Err(StartError::Delivery(delivery));
        }
        let output = engine.output(0)?;
        if output.port().dtype != Dtype::I8 as u8 || output.bytes().len() != CLASSES {
            return Err(StartError::Output { classes: CLASSES });
        }
        Ok((Self { engine, given_rows: 0 }, input))
    }

    /// Fills an input that is given whole, before an inference.
    pub fn fill<'r>(&mut self, rows: impl Iterator<Item = &'r [i8; WIDTH]>) {
        // The input was there when the network was bound.
        if let Ok(mut input) = self.engine.input(0) {
            copy(rows.flatten(), input.bytes_mut());
        }
    }

    /// The index of the row that is wanted next: they are wanted in order.
    pub const fn wanted_row(&self) -> usize {
        self.given_rows
    }

    /// Gives the row that is wanted, after [`Step::NeedsRow`].
    pub fn give_row(&mut self, values: &[i8; WIDTH]) {
        if let Ok(mut row) = self.engine.row() {
            copy(values.iter(), row.port.bytes_mut());
            self.given_rows += 1;
        }
    }

    /// Runs the next step.
    ///
    /// # Errors
    ///
    /// [`RunError`] if the image changed while it was in use.
    pub fn step(&mut self) -> Result<Step<CLASSES>, RunError> {
        Ok(match self.engine.step()? {
            Progress::Running => Step::Running,
            Progress::NeedsRow => Step::NeedsRow,
            Progress::Done => {
                self.given_rows = 0;
                Step::Done(self.scores())
            }
        })
    }

    /// Abandons an inference that is under way.
    pub fn reset(&mut self) {
        self.given_rows = 0;
        self.engine.reset();
    }

    /// The scores; their number was checked when the network was bound.
    fn scores(&self) -> [i8; CLASSES] {
        let bytes = self.engine.output(0).map_or(&[][..], |output| output.bytes());
        <&[u8; CLASSES]>::try_from(bytes).map_or([i8::MIN; CLASSES], |all| all.map(|b| b as i8))
    }
}

fn copy<'v>(values: impl Iterator<Item = &'v i8>, bytes: &mut [u8]) {
    bytes.iter_mut().zip(values).for_each(|(byte, &value)| *byte = value as u8);
}

/// Whether a port is int8 and in memory `rows` times `width`, of which a row may be several axes.
fn holds_rows(port: &Port, rows: usize, width: usize) -> bool {
    let axes = port.order.iter().take(port.rank.into());
    let extents = axes.filter_map(|&axis| port.dims.get(usize::from(axis)));
    let mut extents = extents.map(|&extent| extent as usize).skip_while(|&extent| extent == 1);
    let outermost = if rows == 1 { Some(1) } else { extents.next() };
    port.dtype == Dtype::I8 as u8
        && outermost == Some(rows)
        && extents.try_fold(1_usize, usize::checked_mul) == Some(width)
}
