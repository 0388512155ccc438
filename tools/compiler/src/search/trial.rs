//! Makes networks and says how good and how large they are.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::{Point, SearchError};
use crate::compile::{Calibrated, Compiled, Options, assemble};
use crate::data::Dataset;
use crate::evaluate::{EvaluateError, Evaluation, evaluate};
use crate::lower::Compress;
use crate::metadata::Provenance;
use crate::onnx::Model;
use crate::plan::Optimize;
use crate::quantize::{LayerLevels, Levels, QuantizeOptions};
use crate::session::Network;

/// What a network is judged by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// The share of samples of which it says the right class.
    Accuracy,
    /// The area under the ROC curve.
    Auc,
    /// The share of samples of which it says the original's class.
    Agreement,
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Accuracy => "accuracy",
            Self::Auc => "ROC AUC",
            Self::Agreement => "agreement",
        })
    }
}

/// All that networks are made of and judged with.
pub(super) struct Bench<'a> {
    pub(super) calibration: &'a Dataset,
    pub(super) measure: Measure,
    /// The original's score.
    pub(super) original: f64,
    calibrated: &'a Calibrated,
    /// With the original's outputs.
    pub(super) data: Cow<'a, Dataset>,
    pub(super) options: Options,
}

impl<'a> Bench<'a> {
    pub(super) fn new(
        model: &Model,
        calibrated: &'a Calibrated,
        (calibration, data): (&'a Dataset, Option<&'a Dataset>),
        options: &Options,
    ) -> Result<Self, SearchError> {
        let data = data.unwrap_or(calibration);
        let data = if data.references().is_empty() {
            let recorded = data.clone().with_outputs_of(&model.reference()?);
            Cow::Owned(recorded.map_err(EvaluateError::from)?)
        } else {
            Cow::Borrowed(data)
        };
        Ok(Self {
            calibration,
            measure: Measure::Agreement,
            original: 1.0,
            calibrated,
            data,
            // How memory is planned changes no result.
            options: Options { optimize: Optimize::Latency, ..options.clone() },
        })
    }

    /// Whether weights are packed, not entropy coded.
    pub(super) fn packs(&self) -> bool {
        self.options.compress == Compress::Packed
    }

    /// The network with 8 bits everywhere; finds out what there is to measure.
    pub(super) fn baseline(&mut self) -> Result<(Compiled, Point), SearchError> {
        let compiled = self.make(BTreeMap::new(), &self.options)?;
        let first = self.evaluate(&compiled)?;
        (self.measure, self.original) = match (first.original_accuracy, first.original_auc) {
            (Some(accuracy), _) => (Measure::Accuracy, accuracy),
            (None, Some(auc)) => (Measure::Auc, auc),
            (None, None) => (Measure::Agreement, 1.0),
        };
        let point = self.describe(BTreeMap::new(), &compiled, &first)?;
        Ok((compiled, point))
    }

    /// A network with these grids.
    pub(super) fn point(&self, layers: BTreeMap<String, Levels>) -> Result<Point, SearchError> {
        let compiled = self.make(layers.clone(), &self.options)?;
        self.describe(layers, &compiled, &self.evaluate(&compiled)?)
    }

    pub(super) fn make(
        &self,
        named: BTreeMap<String, Levels>,
        options: &Options,
    ) -> Result<Compiled, SearchError> {
        let levels = LayerLevels { named, ..LayerLevels::default() };
        let quantize = QuantizeOptions { levels, ..options.quantize.clone() };
        let options = Options { quantize, ..options.clone() };
        Ok(self.calibrated.finish(Some(self.calibration), &options)?)
    }

    fn evaluate(&self, compiled: &Compiled) -> Result<Evaluation, SearchError> {
        // Decoded constants give the same outputs, but would be decoded for every sample.
        let options = Options { compress: Compress::None, ..self.options.clone() };
        let plain = assemble(compiled.graph.clone(), Provenance::default(), &options)?;
        let network = Network::new(&plain.image)?;
        Ok(evaluate(&network, &self.data, None, &|_| {})?)
    }

    fn score(&self, evaluation: &Evaluation) -> Option<f64> {
        match self.measure {
            Measure::Accuracy => evaluation.accuracy,
            Measure::Auc => evaluation.auc,
            Measure::Agreement => evaluation.agreement,
        }
    }

    fn describe(
        &self,
        layers: BTreeMap<String, Levels>,
        compiled: &Compiled,
        evaluation: &Evaluation,
    ) -> Result<Point, SearchError> {
        let score = self.score(evaluation).ok_or(SearchError::NoMeasure)?;
        let loss = self.original - score;
        Ok(Point {
            layers,
            image_bytes: compiled.image.len(),
            macs: compiled.metadata.macs(),
            score,
            loss,
            sqnr_db: evaluation.sqnr_db,
            believed_loss: evaluation.believed_loss,
            expected_loss: loss,
        })
    }
}
