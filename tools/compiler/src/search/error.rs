//! Why a search found nothing.

use thiserror::Error;

use super::{Limits, Point};
use crate::compile::CompileError;
use crate::evaluate::EvaluateError;
use crate::onnx::ImportError;
use crate::quantize::QuantizeError;
use crate::session::SessionError;

/// Why a search found nothing.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SearchError {
    /// The model cannot be compiled at all.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// A layer cannot be quantised.
    #[error(transparent)]
    Quantize(#[from] QuantizeError),
    /// The original cannot run.
    #[error("the original model cannot be run: {0}")]
    Reference(#[from] ImportError),
    /// An image cannot run.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// An image cannot be evaluated.
    #[error(transparent)]
    Evaluate(#[from] EvaluateError),
    /// Neither labels nor classes say how good a network is.
    #[error("nothing says how good a network is: give --data with labels `y`")]
    NoMeasure,
    /// No network is within the limits.
    #[error("no network that was tried is within the limits: {nearest}")]
    OutOfReach {
        /// The nearest ones on either side.
        nearest: String,
    },
}

impl SearchError {
    /// `frontier` holds the networks by size, the largest first.
    pub(super) fn out_of_reach(frontier: &[Point], limits: Limits) -> Self {
        let mut nearest = Vec::new();
        nearest.extend(frontier.iter().rev().find(|point| limits.keeps(point)).map(|point| {
            format!("the smallest that keeps the accuracy has {} bytes", point.image_bytes)
        }));
        nearest.extend(frontier.iter().find(|point| limits.fits(point)).map(|point| {
            format!(
                "the largest that fits has {} bytes and loses {:.2} points",
                point.image_bytes,
                100.0 * point.loss
            )
        }));
        if nearest.is_empty() {
            let smallest = frontier.last().map_or(0, |point| point.image_bytes);
            nearest.push(format!("the smallest has {smallest} bytes"));
        }
        Self::OutOfReach { nearest: nearest.join("; ") }
    }
}
