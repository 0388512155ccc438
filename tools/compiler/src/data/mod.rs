//! Calibration and evaluation data: samples, labels and reference outputs from `.npz` and `.npy`.
//!
//! ```text
//! data.npz := x  [x_scale] [x_offset]  [y]  [ref [ref_1 ..]]  [group]
//! ```
//!
//! - `x`, N samples in the layout of the model's input, N in place of its batch of 1; any numeric
//!   type. The real value is `x · x_scale + x_offset`, scalars which default to 1 and 0.
//! - `y`, N integers: the class of each sample.
//! - `ref`, `ref_1`, ..: the original model's outputs, N in place of the batch of 1.
//! - `group`, N integers: samples of one group are judged together (the windows of one clip).
//!
//! For a model with several inputs the arrays are named after the inputs: `a`, `a_scale`,
//! `a_offset`, `b`, ... A `.npy` file is `x` alone.
//!
//! A data file is untrusted: sizes are bounded before memory is reserved, and everything is checked
//! against the model once, so that a [`Dataset`] in hand can be used without further questions.

mod array;
mod error;
mod file;

use std::path::Path;

use ndarray::{ArrayD, Axis, IxDyn, stack};
use rayon::prelude::*;

use array::Array;
pub use error::{DataError, Problem};
use file::DataFile;

use crate::onnx::{Port, Reference, ReferenceError};

/// Samples that fit a model's inputs, and what is known about them.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// One per input of the model, in the model's order.
    columns: Vec<Column>,
    labels: Option<Vec<i64>>,
    groups: Option<Vec<i64>>,
    /// One per output of the model, `[N, ..]`.
    references: Vec<ArrayD<f32>>,
    len: usize,
    sha256: String,
}

/// All samples of one input.
#[derive(Clone, Debug)]
struct Column {
    /// `[N, ..]`
    values: ArrayD<f32>,
    /// The shape of one sample.
    shape: Vec<usize>,
    /// Whether the file holds 8-bit integers and no scale.
    integers: bool,
}

impl Dataset {
    /// Reads a file and checks it against the inputs of a model.
    ///
    /// # Errors
    ///
    /// [`DataError`], which names the file, the array, and what was expected and found.
    pub fn load(path: &Path, inputs: &[Port]) -> Result<Self, DataError> {
        let fail = |problem| DataError::new(path.display(), problem);
        let file = DataFile::load(path).map_err(fail)?;
        Self::read(file, inputs).map_err(fail)
    }

    /// As [`load`](Self::load), from the bytes of a file that messages call `name`.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub fn from_bytes(bytes: Vec<u8>, name: &str, inputs: &[Port]) -> Result<Self, DataError> {
        let fail = |problem| DataError::new(name, problem);
        let file = DataFile::from_bytes(bytes).map_err(fail)?;
        Self::read(file, inputs).map_err(fail)
    }

    fn read(mut file: DataFile, inputs: &[Port]) -> Result<Self, Problem> {
        let columns = inputs
            .iter()
            .map(|input| read_column(&mut file, input, inputs.len()))
            .collect::<Result<Vec<_>, _>>()?;
        let len = match columns.first() {
            Some(column) => column.values.len_of(Axis(0)),
            None => return Err(Problem::NoInputs),
        };
        if len == 0 {
            return Err(Problem::Empty);
        }
        for (column, input) in columns.iter().zip(inputs) {
            check_samples(&input.name, column.values.len_of(Axis(0)), len)?;
        }
        Ok(Self {
            columns,
            labels: read_integers(&mut file, "y", len)?,
            groups: read_integers(&mut file, "group", len)?,
            references: read_references(&mut file, len)?,
            len,
            sha256: file.sha256().to_owned(),
        })
    }

    /// Number of samples; never 0.
    #[expect(clippy::len_without_is_empty, reason = "an empty set is refused when it is read")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// The real values of one sample: one array per input of the model, in the model's order and
    /// shape.
    ///
    /// # Panics
    ///
    /// If `index` is not below [`len`](Self::len).
    pub fn sample(&self, index: usize) -> Vec<ArrayD<f32>> {
        self.columns
            .iter()
            .map(|column| {
                let values = column.values.index_axis(Axis(0), index);
                ArrayD::from_shape_vec(IxDyn(&column.shape), values.iter().copied().collect())
                    .expect("the sample's shape was checked when it was read")
            })
            .collect()
    }

    /// SHA-256 of the file, in hexadecimal.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// Whether every input holds 8-bit integers without a scale: they may be meant as quantised.
    pub fn holds_integers(&self) -> bool {
        self.columns.iter().all(|column| column.integers)
    }

    /// The class of each sample.
    pub fn labels(&self) -> Option<&[i64]> {
        self.labels.as_deref()
    }

    /// The group of each sample.
    pub fn groups(&self) -> Option<&[i64]> {
        self.groups.as_deref()
    }

    /// The same samples with the outputs that `reference` computes for them.
    ///
    /// # Errors
    ///
    /// [`ReferenceError`].
    pub fn with_outputs_of(mut self, reference: &Reference) -> Result<Self, ReferenceError> {
        let run = |index| reference.run(&self.sample(index));
        let outputs: Vec<_> = (0..self.len).into_par_iter().map(run).collect::<Result<_, _>>()?;
        let of_all = |index: usize| {
            let each: Vec<_> = outputs.iter().map(|outputs| outputs[index].view()).collect();
            let failed = |error| format!("output {index} of all samples: {error}");
            stack(Axis(0), &each)
                .map_err(|error| ReferenceError::Execution { reason: failed(error) })
        };
        self.references = (0..outputs[0].len()).map(of_all).collect::<Result<_, _>>()?;
        Ok(self)
    }

    /// The original's outputs, each `[N, ..]`; empty where the file has none.
    pub fn references(&self) -> &[ArrayD<f32>] {
        &self.references
    }
}

/// Reads the samples of one of `count` inputs.
fn read_column(file: &mut DataFile, input: &Port, count: usize) -> Result<Column, Problem> {
    let (name, array) = find_samples(file, &input.name, count)?;
    let scale = read_scalar(file, &format!("{name}_scale"))?;
    let offset = read_scalar(file, &format!("{name}_offset"))?;
    let samples = sample_count(array.shape(), &input.shape).ok_or_else(|| Problem::Shape {
        array: name.clone(),
        expected: sample_shape(&input.shape),
        found: array.shape().to_vec(),
    })?;
    let integers = scale.is_none() && offset.is_none() && array.holds_i8();
    let values = array.reals(scale.unwrap_or(1.0), offset.unwrap_or(0.0))?;
    let mut shape = vec![samples];
    shape.extend(sample_shape(&input.shape));
    let values = values
        .into_shape_with_order(shape)
        .expect("the number of values follows from the shape that was checked");
    check_finite(&name, &values)?;
    Ok(Column { values, shape: input.shape.clone(), integers })
}

/// The samples of an input and the array's name: the only input's may be called `x`.
fn find_samples(
    file: &mut DataFile,
    input: &str,
    count: usize,
) -> Result<(String, Array), Problem> {
    let names = if count == 1 { &["x", input][..] } else { &[input] };
    for &name in names {
        if let Some(array) = file.array(name)? {
            return Ok((name.to_owned(), array));
        }
    }
    Err(Problem::Missing {
        expected: names.iter().map(|&name| name.to_owned()).collect(),
        found: file.names(),
    })
}

/// What remains of an input's shape when its batch of 1 is left out.
fn sample_shape(input: &[usize]) -> Vec<usize> {
    match input {
        [1, rest @ ..] => rest.to_vec(),
        whole => whole.to_vec(),
    }
}

/// How many samples of an input's shape an array holds: N in place of the batch of 1, or N in front
/// of the whole shape.
fn sample_count(array: &[usize], input: &[usize]) -> Option<usize> {
    let (&samples, rest) = array.split_first()?;
    (rest == sample_shape(input) || rest == input).then_some(samples)
}

fn read_scalar(file: &mut DataFile, name: &str) -> Result<Option<f64>, Problem> {
    let Some(array) = file.array(name)? else {
        return Ok(None);
    };
    match array.numbers()?[..] {
        [value] if value.is_finite() => Ok(Some(value)),
        _ => Err(Problem::NotScalar { array: name.to_owned() }),
    }
}

/// Reads one integer per sample.
fn read_integers(
    file: &mut DataFile,
    name: &str,
    samples: usize,
) -> Result<Option<Vec<i64>>, Problem> {
    /// Above this, doubles are no longer exact integers.
    const MAX_EXACT: f64 = (1u64 << 53) as f64;
    let Some(array) = file.array(name)? else {
        return Ok(None);
    };
    let numbers = array.numbers()?;
    check_samples(name, numbers.len(), samples)?;
    let integer = |(sample, &value): (usize, &f64)| {
        if value.fract() == 0.0 && value.abs() < MAX_EXACT {
            Ok(value as i64)
        } else {
            Err(Problem::NotInteger { array: name.to_owned(), sample })
        }
    };
    let integers = numbers.iter().enumerate().map(integer);
    integers.collect::<Result<_, _>>().map(Some)
}

/// Reads `ref`, `ref_1`, `ref_2` .. as far as they go.
fn read_references(file: &mut DataFile, samples: usize) -> Result<Vec<ArrayD<f32>>, Problem> {
    let mut references = Vec::new();
    loop {
        let name = match references.len() {
            0 => "ref".to_owned(),
            index => format!("ref_{index}"),
        };
        let Some(array) = file.array(&name)? else {
            return Ok(references);
        };
        let found = array.shape().first().copied().unwrap_or(0);
        check_samples(&name, found, samples)?;
        let values = array.reals(1.0, 0.0)?;
        check_finite(&name, &values)?;
        references.push(values);
    }
}

fn check_samples(array: &str, found: usize, expected: usize) -> Result<(), Problem> {
    if found == expected {
        return Ok(());
    }
    Err(Problem::Samples { array: array.to_owned(), expected, found })
}

/// A NaN or an infinity would make any statistic meaningless.
fn check_finite(array: &str, values: &ArrayD<f32>) -> Result<(), Problem> {
    let bad = |sample: &ndarray::ArrayViewD<'_, f32>| sample.iter().any(|v| !v.is_finite());
    match values.outer_iter().position(|sample| bad(&sample)) {
        None => Ok(()),
        Some(sample) => Err(Problem::NotFinite { array: array.to_owned(), sample }),
    }
}

#[cfg(test)]
mod tests;
