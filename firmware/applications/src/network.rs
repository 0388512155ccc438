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

/// A network that makes `CLASSES` scores of rows of `WIDTH` values.
#[derive(Debug)]
pub struct Network<'a, const OPS: u64, const WIDTH: usize, const CLASSES: usize> {
    engine: Engine<'a, OPS>,
    is_running: bool,
}

impl<'a, const OPS: u64, const WIDTH: usize, const CLASSES: usize>
    Network<'a, OPS, WIDTH, CLASSES>
{
    /// Binds an image whose input is `rows` rows in memory.
    ///
    /// # Errors
    ///
    /// [`StartError`]: what is wrong with the image.
    pub fn new(image: &'a [u8], arena: &'a mut [u8], rows: usize) -> Result<Self, StartError> {
        let mut engine = Engine::new(Image::parse(image).map_err(BindError::from)?, arena)?;
        if !holds_rows(engine.input(0)?.port(), rows, WIDTH) {
            return Err(StartError::Input { rows, width: WIDTH });
        }
        let output = engine.output(0)?;
        if output.port().dtype != Dtype::I8 as u8 || output.bytes().len() != CLASSES {
            return Err(StartError::Output { classes: CLASSES });
        }
        Ok(Self { engine, is_running: false })
    }

    /// The input's description, for its scale and zero point.
    ///
    /// # Errors
    ///
    /// None once the network is bound.
    pub fn input(&mut self) -> Result<Port, PortError> {
        Ok(*self.engine.input(0)?.port())
    }

    /// Whether an inference is under way.
    pub const fn is_running(&self) -> bool {
        self.is_running
    }

    /// Fills the input and begins an inference; one that is under way is abandoned.
    pub fn start<'r>(&mut self, rows: impl Iterator<Item = &'r [i8; WIDTH]>) {
        // The input was there when the network was bound.
        if let Ok(mut input) = self.engine.input(0) {
            let elements = rows.flatten().map(|&value| value as u8);
            input.bytes_mut().iter_mut().zip(elements).for_each(|(byte, value)| *byte = value);
        }
        self.is_running = true;
    }

    /// Runs the next step, if an inference is under way. Gives the scores after the last one.
    ///
    /// # Errors
    ///
    /// [`RunError`] if the image changed while it was in use.
    pub fn step(&mut self) -> Result<Option<[i8; CLASSES]>, RunError> {
        if !self.is_running || self.engine.step()? == Progress::Running {
            return Ok(None);
        }
        self.is_running = false;
        let scores = self.engine.output(0).ok().and_then(|output| {
            let bytes: &[u8; CLASSES] = output.bytes().try_into().ok()?;
            Some(bytes.map(|byte| byte as i8))
        });
        Ok(scores)
    }
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
