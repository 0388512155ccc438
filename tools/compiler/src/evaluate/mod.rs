//! How good an image is: accuracy on labelled samples, and how close it stays to the original.

mod score;

use std::ops::Range;
use std::time::{Duration, Instant};

use ndarray::{ArrayD, Axis};
use rayon::prelude::*;
use serde::Serialize;
use thiserror::Error;

use crate::data::Dataset;
use crate::onnx;
use crate::session::{Network, Session, SessionError};
pub(crate) use score::Noise;
use score::Scoring;

/// Samples that one worker takes at a time.
const CHUNK: usize = 16;

/// How an image did on a data set; what the set does not allow to say is `None`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evaluation {
    /// Number of samples.
    pub samples: usize,
    /// Share of samples whose largest output is the label's.
    pub accuracy: Option<f64>,
    /// Area under the ROC curve of the mean squared reconstruction error, averaged per group: for
    /// models that reproduce their input, with labels 0 (normal) and 1 (anomalous).
    pub auc: Option<f64>,
    /// The original's accuracy.
    pub original_accuracy: Option<f64>,
    /// The original's area under the ROC curve.
    pub original_auc: Option<f64>,
    /// Share of samples of which the original and the image say the same class.
    pub agreement: Option<f64>,
    /// What the other answers cost, if the original's probabilities are right: by how much the classes
    /// that it says are more probable than those that the image says, on average. Labels, and luck with
    /// them, do not matter.
    pub believed_loss: Option<f64>,
    /// Signal-to-quantisation-noise ratio against the original, over all outputs, in decibels.
    pub sqnr_db: Option<f64>,
    /// Times that the image is as fast as the original on this machine, both on one core at a time;
    /// `None` if the original was not computed. A measurement, and no part of the JSON.
    #[serde(skip)]
    pub speedup: Option<f64>,
}

/// Why an evaluation was impossible.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EvaluateError {
    /// The image cannot run.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The original cannot run.
    #[error("the reference model: {0}")]
    Reference(#[from] onnx::ReferenceError),
    /// The original has other outputs than the image.
    #[error(
        "the reference has {found} values in output {output}, the image {expected}: is it the \
         same model?"
    )]
    Outputs {
        /// Index of the output.
        output: usize,
        /// Values of the image's output.
        expected: usize,
        /// Values of the reference.
        found: usize,
    },
    /// The samples of a group have different labels.
    #[error("the samples of group {group} have both labels: give each group one label")]
    GroupLabels {
        /// The group.
        group: i64,
    },
}

/// Where the original's outputs come from.
enum Original<'a> {
    Nowhere,
    Recorded(&'a [ArrayD<f32>]),
    Computed(&'a onnx::Reference),
}

/// Runs all samples through an image and compares with the labels and with the original: with
/// `reference` if it is given, else with the outputs that the data set holds.
///
/// All cores work, except for networks with state: these take the samples in order, their state
/// cleared where a new group starts. `progress` learns how many samples each piece of work had.
///
/// # Errors
///
/// [`EvaluateError`].
pub fn evaluate(
    network: &Network,
    data: &Dataset,
    reference: Option<&onnx::Reference>,
    progress: &(dyn Fn(usize) + Sync),
) -> Result<Evaluation, EvaluateError> {
    let job = Job {
        data,
        scoring: Scoring::of(network, data.labels()),
        original: match reference {
            Some(model) => Original::Computed(model),
            None if data.references().is_empty() => Original::Nowhere,
            None => Original::Recorded(data.references()),
        },
    };
    let chunk = if network.has_state() { data.len() } else { CHUNK };
    let starts: Vec<_> = (0..data.len()).step_by(chunk).collect();
    let chunks: Vec<_> = starts
        .into_par_iter()
        .map_init(
            || network.arena(),
            |arena, start| {
                let samples = start..data.len().min(start + chunk);
                let judged = job.judge(network.session(arena)?, samples.clone())?;
                progress(samples.len());
                Ok::<_, EvaluateError>(judged)
            },
        )
        .collect::<Result<_, _>>()?;
    job.summarise(&chunks.concat())
}

/// What every worker needs to know.
struct Job<'a> {
    data: &'a Dataset,
    scoring: Scoring,
    original: Original<'a>,
}

/// What one sample says.
#[derive(Clone, Copy, Debug, Default)]
struct Judged {
    /// The class that the image sees.
    class: Option<i64>,
    /// The class that the original sees.
    original_class: Option<i64>,
    /// By how much the original's class is more probable than the image's, by the original.
    believed_loss: Option<f64>,
    /// Mean squared reconstruction error.
    error: f64,
    /// That of the original.
    original_error: Option<f64>,
    noise: Noise,
    /// What the image took.
    time: Duration,
    /// What the original took, if it was computed.
    original_time: Duration,
}

impl Job<'_> {
    fn judge(
        &self,
        mut session: Session<'_>,
        samples: Range<usize>,
    ) -> Result<Vec<Judged>, EvaluateError> {
        let group = |sample: usize| self.data.groups().map(|groups| groups[sample]);
        let mut judged = Vec::with_capacity(samples.len());
        for sample in samples {
            if sample > 0 && group(sample) != group(sample - 1) {
                session.reset();
            }
            judged.push(self.judge_sample(&mut session, sample)?);
        }
        Ok(judged)
    }

    fn judge_sample(
        &self,
        session: &mut Session<'_>,
        sample: usize,
    ) -> Result<Judged, EvaluateError> {
        let inputs = self.data.sample(sample);
        let mut judged = Judged::default();
        let started = Instant::now();
        session.run(&inputs)?;
        let outputs = session.outputs()?;
        judged.time = started.elapsed();
        if let Some(output) = outputs.first() {
            judged.class = self.scoring.class(output);
            judged.error = self.scoring.reconstruction_error(output, &inputs);
        }
        let originals = match self.original {
            Original::Nowhere => return Ok(judged),
            Original::Recorded(references) => references
                .iter()
                .map(|values| values.index_axis(Axis(0), sample).to_owned())
                .collect(),
            Original::Computed(model) => {
                let started = Instant::now();
                let originals = model.run(&inputs)?;
                judged.original_time = started.elapsed();
                originals
            }
        };
        for (index, (original, output)) in originals.iter().zip(&outputs).enumerate() {
            if original.len() != output.len() {
                return Err(EvaluateError::Outputs {
                    output: index,
                    expected: output.len(),
                    found: original.len(),
                });
            }
            judged.noise.add(original, output);
        }
        if let Some(original) = originals.first() {
            judged.original_class = self.scoring.class(original);
            let probability = |class: Option<i64>| self.scoring.probability(original, class?);
            judged.believed_loss = probability(judged.original_class)
                .zip(probability(judged.class))
                .map(|(original, image)| original - image);
            judged.original_error = Some(self.scoring.reconstruction_error(original, &inputs));
        }
        Ok(judged)
    }

    fn summarise(&self, judged: &[Judged]) -> Result<Evaluation, EvaluateError> {
        let (accuracy, auc) = self.score(judged, |j| j.class, |j| Some(j.error))?;
        let (original_accuracy, original_auc) =
            self.score(judged, |j| j.original_class, |j| j.original_error)?;
        let pairs = judged.iter().map(|j| (j.class, j.original_class));
        let believed_losses: Option<Vec<f64>> = judged.iter().map(|j| j.believed_loss).collect();
        let mean = |losses: Vec<f64>| losses.iter().sum::<f64>() / losses.len() as f64;
        let noise = judged.iter().map(|j| j.noise).sum::<Noise>();
        let time = |of: fn(&Judged) -> Duration| judged.iter().map(of).sum::<Duration>();
        let speedup = time(|j| j.original_time).as_secs_f64() / time(|j| j.time).as_secs_f64();
        Ok(Evaluation {
            samples: judged.len(),
            accuracy,
            auc,
            original_accuracy,
            original_auc,
            agreement: score::share_of_equals(pairs),
            believed_loss: believed_losses.map(mean),
            sqnr_db: noise.ratio_db(),
            speedup: matches!(self.original, Original::Computed(_)).then_some(speedup),
        })
    }

    /// Accuracy and area under the curve, as far as the labels allow to say, of what `class` and
    /// `error` say about each sample.
    fn score(
        &self,
        judged: &[Judged],
        class: impl Fn(&Judged) -> Option<i64>,
        error: impl Fn(&Judged) -> Option<f64>,
    ) -> Result<(Option<f64>, Option<f64>), EvaluateError> {
        let Some(labels) = self.data.labels() else {
            return Ok((None, None));
        };
        if self.scoring == Scoring::Reconstruction {
            let errors: Option<Vec<f64>> = judged.iter().map(error).collect();
            let area = errors.map(|errors| self.auc(errors, labels)).transpose()?;
            return Ok((None, area.flatten()));
        }
        let pairs = judged.iter().zip(labels).map(|(j, &label)| (class(j), Some(label)));
        Ok((score::share_of_equals(pairs), None))
    }

    fn auc(&self, errors: Vec<f64>, labels: &[i64]) -> Result<Option<f64>, EvaluateError> {
        let cases = match self.data.groups() {
            Some(groups) => score::average_groups(&errors, labels, groups)
                .map_err(|group| EvaluateError::GroupLabels { group })?,
            None => errors.into_iter().zip(labels.iter().map(|&label| label == 1)).collect(),
        };
        Ok(score::roc_auc(&cases))
    }
}
