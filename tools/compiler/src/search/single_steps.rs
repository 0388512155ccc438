//! Networks beside the path: what a step costs depends on those that were taken, so where one costs too
//! much the others go on without it.

use std::collections::BTreeMap;

use super::allocate::Step;
use super::frontier::{Limits, choose};
use super::{Search, SearchError};
use crate::quantize::Levels;

/// Steps that are tried for each of [`PARTS`].
const SINGLE_STEPS: usize = 24;
/// Shares of the loss that is allowed which they may take, one behind the other.
const PARTS: [f64; 2] = [0.5, 1.0];
/// The most networks that are tried.
pub(super) const MOST_SINGLE_STEPS: usize = PARTS.len() * SINGLE_STEPS;

impl Search<'_> {
    /// Goes on from the best network by single steps: first those that leave half of the loss that is
    /// allowed, then the others.
    pub(super) fn leave_path(&mut self) -> Result<(), SearchError> {
        let Some(loss) = self.limits.loss else { return Ok(()) };
        for part in PARTS {
            let limits = Limits { loss: Some(part * loss), ..self.limits };
            let most = self.beside.len() + SINGLE_STEPS;
            let Some(best) = self.chosen(limits) else { continue };
            let mut best = best.layers;
            let coarser = |(name, step): &&(String, Step)| {
                let now = best.get(name).copied().unwrap_or_default();
                step.to.levels.count() < now.count()
            };
            let mut steps: Vec<_> = self.path.iter().filter(coarser).cloned().collect();
            loop {
                let left = self.single_steps(&mut best, &steps, (limits, most))?;
                if left.is_empty() || left.len() == steps.len() {
                    break;
                }
                steps = left;
            }
        }
        Ok(())
    }

    /// Takes those of some steps from `best` that are within the limits, but in a layer where one was
    /// not no further ones, until there are `most` networks beside the path; those that are left to try.
    fn single_steps(
        &mut self,
        best: &mut BTreeMap<String, Levels>,
        steps: &[(String, Step)],
        (limits, most): (Limits, usize),
    ) -> Result<Vec<(String, Step)>, SearchError> {
        let mut left: Vec<(String, Step)> = Vec::new();
        for (name, step) in steps {
            if self.is_small_enough() || self.beside.len() == most {
                return Ok(Vec::new());
            }
            let mut layers = best.clone();
            layers.insert(name.clone(), step.to.levels);
            let is_tried = || self.tried().any(|point| point.layers == layers);
            if left.iter().all(|(other, _)| other != name) && !is_tried() {
                let Some(point) = self.try_layers(layers.clone())? else { return Ok(Vec::new()) };
                self.beside.push(point);
            }
            if self.chosen(limits).is_some_and(|point| point.layers == layers) {
                *best = layers;
            } else {
                left.push((name.clone(), *step));
            }
        }
        Ok(left)
    }

    /// Whether the size is limited and some network is within the limits.
    fn is_small_enough(&self) -> bool {
        self.limits.flash_bytes.is_some() && choose(&self.all_points(), self.limits).is_some()
    }
}
