//! Finds the range of every activation by running the float model on calibration samples.
//!
//! ```text
//! samples ─ float model ─▶ Observations (one histogram per tensor) ─ Calibrator ─▶ Ranges
//! ```
//!
//! The model runs once per sample; observations can then be turned into ranges by several
//! calibrators. The result does not depend on the number of threads.

mod calibrator;
mod divergence;
mod histogram;
pub mod logits;

use std::collections::{HashMap, HashSet};
use std::error::Error;

use ndarray::ArrayD;
use rayon::prelude::*;
use thiserror::Error;

pub use calibrator::Calibrator;
pub use histogram::{Bucket, Histogram};

/// Real numbers from `min` to `max`; zero is among them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Range {
    /// At most 0.
    pub min: f32,
    /// At least 0.
    pub max: f32,
}

impl Range {
    /// The smallest range that holds both numbers and zero.
    pub fn new(min: f32, max: f32) -> Self {
        Self { min: min.min(0.0), max: max.max(0.0) }
    }

    /// The smallest range that holds both ranges.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self { min: self.min.min(other.min), max: self.max.max(other.max) }
    }

    /// What remains of the range behind a clamp.
    #[must_use]
    pub fn clamp(self, (min, max): (f32, f32)) -> Self {
        let bound = |x: f32| x.max(min).min(max);
        Self::new(bound(self.min), bound(self.max))
    }
}

/// The ranges of activations, by ONNX name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ranges(HashMap<String, Range>);

impl Ranges {
    /// The range of a tensor.
    pub fn get(&self, tensor: &str) -> Option<Range> {
        self.0.get(tensor).copied()
    }

    /// Gives a tensor another range.
    pub fn set(&mut self, tensor: &str, range: Range) {
        self.0.insert(tensor.to_owned(), range);
    }
}

impl<N: Into<String>> FromIterator<(N, Range)> for Ranges {
    fn from_iter<I: IntoIterator<Item = (N, Range)>>(ranges: I) -> Self {
        Self(ranges.into_iter().map(|(name, range)| (name.into(), range)).collect())
    }
}

/// Why calibration failed.
#[derive(Debug, Error)]
pub enum CalibrateError {
    /// There is no sample.
    #[error("the calibration set is empty: give at least one sample, better a few dozen")]
    Empty,
    /// The float model does not run on a sample.
    #[error("calibration sample {sample} cannot be run")]
    Run {
        /// Its index.
        sample: usize,
        /// Why.
        source: Box<dyn Error + Send + Sync>,
    },
    /// An activation is infinite or not a number.
    #[error(
        "calibration sample {sample} makes '{tensor}' {value}; check the sample and the model's \
         weights"
    )]
    NotFinite {
        /// The tensor's name.
        tensor: String,
        /// The sample's index.
        sample: usize,
        /// The value.
        value: f32,
    },
}

/// The values that the tensors of a model took on.
#[derive(Clone, Debug, Default)]
pub struct Observations(HashMap<String, Histogram>);

/// The values of a model's tensors for one sample, by name.
pub type Activations = HashMap<String, ArrayD<f32>>;

impl Observations {
    /// Runs `count` samples and records the tensors called `names`.
    ///
    /// `run` gives all activations of the sample with that index; it is called from several
    /// threads. `progress` is told how many samples are done.
    ///
    /// # Errors
    ///
    /// [`CalibrateError`], for the first sample that fails.
    pub fn collect<E: Error + Send + Sync + 'static>(
        names: &HashSet<&str>,
        count: usize,
        run: impl Fn(usize) -> Result<Activations, E> + Sync,
        progress: &mut dyn FnMut(usize),
    ) -> Result<Self, CalibrateError> {
        if count == 0 {
            return Err(CalibrateError::Empty);
        }
        // Threads run samples first, then record tensors: each histogram has one writer, which
        // sees the samples in order, and few samples are in memory at a time.
        let at_a_time = 2 * rayon::current_num_threads();
        let mut histograms: Vec<_> =
            names.iter().map(|name| (*name, Histogram::default())).collect();
        for start in (0..count).step_by(at_a_time) {
            let samples = start..count.min(start + at_a_time);
            let end = samples.end;
            let failed = |sample| move |e| CalibrateError::Run { sample, source: Box::new(e) };
            let activations: Vec<(usize, Activations)> = samples
                .into_par_iter()
                .map(|sample| Ok((sample, run(sample).map_err(failed(sample))?)))
                .collect::<Result<_, _>>()?;
            histograms
                .par_iter_mut()
                .try_for_each(|(name, histogram)| record(name, histogram, &activations))?;
            progress(end);
        }
        let seen = histograms.into_iter().filter(|(_, histogram)| !histogram.is_empty());
        Ok(Self(seen.map(|(name, histogram)| (name.to_owned(), histogram)).collect()))
    }

    /// The values that a tensor took on.
    pub fn get(&self, tensor: &str) -> Option<&Histogram> {
        self.0.get(tensor)
    }

    /// The ranges which a calibrator chooses.
    pub fn ranges(&self, calibrator: Calibrator) -> Ranges {
        self.0.iter().map(|(name, histogram)| (name, calibrator.range(histogram))).collect()
    }
}

fn record(
    name: &str,
    histogram: &mut Histogram,
    activations: &[(usize, Activations)],
) -> Result<(), CalibrateError> {
    for (sample, tensors) in activations {
        for &value in tensors.get(name).into_iter().flatten() {
            if !value.is_finite() {
                let (tensor, sample) = (name.to_owned(), *sample);
                return Err(CalibrateError::NotFinite { tensor, sample, value });
            }
            histogram.add(value);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use ndarray::arr1;

    use super::*;

    #[derive(Debug, Error)]
    #[error("no such sample")]
    struct NoSample;

    fn collect(count: usize, bad: f32) -> Result<Observations, CalibrateError> {
        let run = |sample: usize| {
            let value = if sample == 7 { bad } else { sample as f32 };
            let values = arr1(&[value, -1.0]).into_dyn();
            if sample < 20 { Ok([("x".to_owned(), values)].into()) } else { Err(NoSample) }
        };
        let mut done = Vec::new();
        let names = ["x", "absent"].into();
        let observed = Observations::collect(&names, count, run, &mut |n| done.push(n));
        assert!(observed.is_err() || done.last() == Some(&count) && done.is_sorted());
        observed
    }

    #[test]
    fn ranges_span_all_samples_and_zero() {
        let observed = collect(20, 7.0).unwrap();
        let ranges = observed.ranges(Calibrator::MinMax);
        assert_eq!(ranges.get("x"), Some(Range { min: -1.0, max: 19.0 }));
        assert_eq!(ranges.get("absent"), None);
    }

    #[test]
    fn errors_name_sample_and_tensor() {
        assert!(matches!(collect(0, 0.0), Err(CalibrateError::Empty)));
        let error = collect(20, f32::NAN).unwrap_err().to_string();
        assert!(error.starts_with("calibration sample 7 makes 'x' NaN;"), "{error}");
        assert!(matches!(collect(21, 7.0), Err(CalibrateError::Run { sample: 20, .. })));
    }

    #[test]
    fn a_clamp_cuts_a_range_but_never_zero() {
        let range = Range::new(-2.0, 9.0);
        assert_eq!(range.clamp((0.0, 6.0)), Range { min: 0.0, max: 6.0 });
        assert_eq!(range.clamp((1.0, f32::INFINITY)), Range { min: 0.0, max: 9.0 });
    }
}
