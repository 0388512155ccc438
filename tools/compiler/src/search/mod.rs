//! Finds the smallest image that keeps the accuracy.
//!
//! 1. `quantize::probe` measures what each grid costs in each layer, by itself.
//! 2. `allocate` orders the steps to coarser grids by harm per byte: a path of networks, each of
//!    them the best of its size as far as the costs add up.
//! 3. Networks along the path are made for real, with GPTQ and bias correction for each, and
//!    evaluated: first at even distances, then between the last that is good enough and the first
//!    that is not.
//! 4. From the best of these on, further steps are tried one by one: where one costs too much, those in
//!    other layers go on. First they may take half of the loss that is allowed.
//! 5. `frontier` chooses.
//!
//! Nothing is random: the same model and data give the same result.

mod allocate;
mod error;
mod frontier;
mod single_steps;
mod trial;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::compile::{Calibrated, Compiled, Options, Progress, assemble, prepare};
use crate::data::Dataset;
use crate::lower::Compress;
use crate::metadata::Provenance;
use crate::onnx::Model;
use crate::plan::Optimize;
use crate::quantize::{
    LayerLevels, Levels, Multipliers, PrunedShare, QuantizeOptions, Rounding, WeightScale,
    WeightStatistics, WideLayers, choose_wide, probe,
};
use allocate::{Choice, Step, steps};
pub use error::SearchError;
pub use frontier::Limits;
use frontier::{choose, expected_losses};
use single_steps::MOST_SINGLE_STEPS;
use trial::Bench;
pub use trial::Measure;

/// The grids that are tried in each layer, as their largest integers.
const GRIDS: [u8; 12] = [63, 47, 31, 23, 15, 11, 9, 7, 5, 4, 3, 2];
/// Those that are tried if weights are packed, besides palettes: they have 6 to 2 bits.
const PACKED_GRIDS: [u8; 5] = [31, 15, 7, 3, 1];
/// Sizes of palettes.
const PALETTES: [usize; 3] = [16, 8, 4];
/// Networks that are tried at even distances.
const SURVEY: usize = 12;
/// Networks that are tried where it matters.
const REFINEMENT: usize = 10;
/// Beyond so many times the loss that is allowed, nothing coarser is tried.
const HOPELESS: f64 = 4.0;

/// A network that was tried.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Point {
    /// The layers that have a coarser grid than 8 bits.
    pub layers: BTreeMap<String, Levels>,
    /// Bytes of the image. Its memory is planned for latency, except that of the chosen one: layers
    /// of which the plan interleaves rows are not coded.
    pub image_bytes: usize,
    /// Multiply-accumulates of one inference.
    pub macs: u64,
    /// Accuracy, area under the ROC curve or agreement.
    pub score: f64,
    /// What the original has more.
    pub loss: f64,
    /// Signal-to-quantisation-noise ratio of its outputs, in decibels; `None` if there is no noise.
    pub sqnr_db: Option<f64>,
    /// What the other answers cost, if the original's probabilities are right, as an
    /// [`Evaluation`](crate::evaluate::Evaluation) says.
    pub believed_loss: Option<f64>,
    /// The loss in view of all networks that have less or more noise, and of what is believed: on other
    /// data it is more likely than what was measured.
    pub expected_loss: f64,
}

/// What was found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// What the scores are.
    pub measure: Measure,
    /// The original's score.
    pub original: f64,
    /// Samples that networks were scored on.
    pub samples: usize,
    /// All networks that were tried, the largest first. The first has 8 bits everywhere.
    pub frontier: Vec<Point>,
    /// Index of the one that was chosen.
    pub chosen: usize,
    /// Whether the search was not interrupted.
    pub complete: bool,
}

/// An image within the limits, and how it was found.
#[derive(Clone, Debug)]
pub struct Found {
    /// The image.
    pub compiled: Compiled,
    /// The networks that were tried.
    pub report: Report,
}

/// How far the search is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The float model has run on so many calibration samples.
    Calibrated(Progress),
    /// So many layers of all have been probed.
    Probed {
        /// Layers.
        done: usize,
        /// Layers in all.
        total: usize,
    },
    /// So many networks have been tried, of at most so many.
    Tried {
        /// Networks.
        done: usize,
        /// Networks at most.
        total: usize,
    },
}

/// Searches. `calibration` drives the rounding; accuracy is measured on `data`, which has labels, or,
/// without it, as agreement with the original on the calibration samples.
///
/// `progress` is told how far it is and answers whether to go on; if it does not, the best network so
/// far is returned.
///
/// # Errors
///
/// [`SearchError`], which says what is in the way, or how near the limits the search came.
pub fn search(
    model: &Model,
    calibration: &Dataset,
    data: Option<&Dataset>,
    (options, limits): (&Options, Limits),
    progress: &mut dyn FnMut(Event) -> bool,
) -> Result<Found, SearchError> {
    // Coarser grids only make images smaller if they are coded.
    let compress = match (options.compress, options.optimize) {
        (Compress::None, Optimize::Latency) => Compress::Packed,
        (Compress::None, _) => Compress::Coded,
        (given, _) => given,
    };
    let calibrated = prepare(model, Some(calibration), options, &mut |event| {
        progress(Event::Calibrated(event));
    })?;
    let (graph, ranges) = (&calibrated.graph, calibrated.ranges.as_ref());
    let wide = choose_wide(graph, ranges, Some(calibration), &options.quantize.wide);
    let quantize = method(wide?, options.quantize.multipliers.for_graph(graph));
    let options = Options { quantize, compress, ..options.clone() };
    let mut search = Search {
        bench: Bench::new(model, &calibrated, (calibration, data), &options)?,
        path: Vec::new(),
        points: BTreeMap::new(),
        beside: Vec::new(),
        limits,
        complete: true,
        progress,
    };
    let (baseline, point) = search.bench.baseline()?;
    if let Optimize::Within(_) = options.optimize {
        // Coarser weights hardly change what memory is needed: better to know now if it is too much.
        assemble(baseline.graph.clone(), Provenance::default(), &options)?;
    }
    search.points.insert(0, point);
    if limits.ask_for_something() {
        search.find_path(&calibrated, &baseline)?;
        search.survey()?;
        search.refine()?;
        search.leave_path()?;
    }
    search.finish(&options)
}

/// How weights become integers in every network that is tried.
fn method(wide: WideLayers, multipliers: Multipliers) -> QuantizeOptions {
    QuantizeOptions {
        weights: WeightScale::Mse,
        multipliers,
        rounding: Rounding::Gptq,
        bias_correction: true,
        levels: LayerLevels::default(),
        wide,
        pruned: PrunedShare::default(),
    }
}

struct Search<'a> {
    bench: Bench<'a>,
    /// Steps from 8 bits everywhere to the coarsest network: the names of layers and their grids.
    path: Vec<(String, Step)>,
    /// The networks that were tried, by the number of steps taken.
    points: BTreeMap<usize, Point>,
    /// Those beside the path.
    beside: Vec<Point>,
    limits: Limits,
    complete: bool,
    progress: &'a mut dyn FnMut(Event) -> bool,
}

impl Search<'_> {
    fn find_path(
        &mut self,
        calibrated: &Calibrated,
        baseline: &Compiled,
    ) -> Result<(), SearchError> {
        let packs = self.bench.packs();
        let (grids, palettes) =
            if packs { (&PACKED_GRIDS[..], &PALETTES[..]) } else { (&GRIDS[..], &[][..]) };
        let grids = grids.iter().copied().filter_map(Levels::new);
        let palettes = palettes.iter().copied().filter_map(Levels::palette);
        let grids: Vec<Levels> = grids.chain(palettes).collect();
        let (complete, progress) = (&mut self.complete, &mut *self.progress);
        let mut report = |done, total| {
            *complete = progress(Event::Probed { done, total });
            *complete
        };
        let (graph, ranges) = (&calibrated.graph, calibrated.ranges.as_ref());
        // A scale of its own for each row and grid would take ten times as long and change little.
        let method = self.bench.options.quantize.clone();
        let quick = QuantizeOptions { weights: WeightScale::MaxAbs, ..method };
        let choice = (&quick, &grids[..]);
        let probes = probe(graph, ranges, self.bench.calibration, choice, &mut report)?;
        let mut names = Vec::new();
        let mut layers = Vec::new();
        for layer in &baseline.metadata.layers {
            let Some(weights) = layer.weights.filter(|_| !names.contains(&layer.name)) else {
                continue;
            };
            // Channels that a reduction removes cost nothing on any grid.
            let scaled = |bytes: usize, count: usize| {
                bytes as f64 * weights.count as f64 / count.max(1) as f64
            };
            let stored = |weights: &WeightStatistics, levels: Levels| {
                if packs {
                    (weights.count * levels.index_bits() as usize).div_ceil(8)
                } else {
                    weights.stored_bytes()
                }
            };
            let fine = stored(&weights, Levels::FINEST);
            let mut choices =
                vec![Choice { levels: Levels::FINEST, bytes: fine as f64, harm: 0.0 }];
            choices.extend(probes.iter().filter(|probe| probe.layer == layer.name).map(|probe| {
                let bytes = scaled(stored(&probe.weights, probe.levels), probe.weights.count);
                Choice { levels: probe.levels, bytes, harm: probe.harm }
            }));
            names.push(layer.name.clone());
            layers.push(choices);
        }
        let named = |step: Step| (names[step.layer].clone(), step);
        self.path = steps(&layers).into_iter().map(named).collect();
        Ok(())
    }

    /// Tries networks at even distances in size, from large to small, until it is hopeless.
    fn survey(&mut self) -> Result<(), SearchError> {
        let total: f64 = self.path.iter().map(|(_, step)| step.saved).sum();
        let mut marks = BTreeSet::new();
        for part in 1..=SURVEY {
            let wanted = total * part as f64 / SURVEY as f64;
            let mut saved = 0.0;
            let reached = |(_, step): &(String, Step)| {
                saved += step.saved;
                saved >= wanted * (1.0 - f64::EPSILON)
            };
            marks.insert(self.path.iter().position(reached).map_or(self.path.len(), |i| i + 1));
        }
        let mut hopeless = 0;
        for mark in marks {
            let Some(point) = self.try_steps(mark)? else { return Ok(()) };
            let too_much = self.limits.loss.is_some_and(|most| point.loss > HOPELESS * most);
            hopeless = if too_much { hopeless + 1 } else { 0 };
            if hopeless == 2 {
                break;
            }
        }
        Ok(())
    }

    /// Halves the distance between the network that would be chosen and the next smaller one.
    fn refine(&mut self) -> Result<(), SearchError> {
        for _ in 0..REFINEMENT {
            let Some(chosen) = self.best() else { return Ok(()) };
            let Some(next) = self.points.range(chosen + 1..).next().map(|(&mark, _)| mark) else {
                return Ok(());
            };
            if next - chosen < 2 || self.try_steps(chosen.midpoint(next))?.is_none() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Makes and evaluates the network after so many steps; `None` if the search is interrupted.
    fn try_steps(&mut self, count: usize) -> Result<Option<Point>, SearchError> {
        if let Some(point) = self.points.get(&count) {
            return Ok(Some(point.clone()));
        }
        let point = self.try_layers(self.layers(count))?;
        if let Some(point) = &point {
            self.points.insert(count, point.clone());
        }
        Ok(point)
    }

    /// Makes and evaluates the network with these grids; `None` if the search is interrupted.
    fn try_layers(
        &mut self,
        layers: BTreeMap<String, Levels>,
    ) -> Result<Option<Point>, SearchError> {
        let done = self.tried().count() - 1;
        let event = Event::Tried { done, total: SURVEY + REFINEMENT + MOST_SINGLE_STEPS };
        self.complete = self.complete && (self.progress)(event);
        self.complete.then(|| self.bench.point(layers)).transpose()
    }

    /// All networks that were tried.
    fn tried(&self) -> impl Iterator<Item = &Point> {
        self.points.values().chain(&self.beside)
    }

    /// The same by size, with their expected losses.
    fn all_points(&self) -> Vec<Point> {
        let mut points: Vec<Point> = self.tried().cloned().collect();
        expected_losses(&mut points);
        points
    }

    /// The grids after so many steps.
    fn layers(&self, count: usize) -> BTreeMap<String, Levels> {
        self.path[..count].iter().map(|(name, step)| (name.clone(), step.to.levels)).collect()
    }

    /// The number of steps of the best network on the path.
    fn best(&self) -> Option<usize> {
        let layers = self.chosen(self.limits)?.layers;
        self.points.iter().find(|(_, point)| point.layers == layers).map(|(&count, _)| count)
    }

    /// The network that some limits would choose now; if none is within them, one that keeps the loss.
    fn chosen(&self, limits: Limits) -> Option<Point> {
        let mut points = self.all_points();
        let any_size = Limits { flash_bytes: None, ..limits };
        let chosen = choose(&points, limits).or_else(|| choose(&points, any_size))?;
        Some(points.swap_remove(chosen))
    }

    fn finish(self, options: &Options) -> Result<Found, SearchError> {
        let mut frontier = self.all_points();
        let (chosen, compiled) = loop {
            let Some(chosen) = choose(&frontier, self.limits) else {
                return Err(SearchError::out_of_reach(&frontier, self.limits));
            };
            let compiled = self.bench.make(frontier[chosen].layers.clone(), options)?;
            frontier[chosen].image_bytes = compiled.image.len();
            if self.limits.fits(&frontier[chosen]) {
                break (chosen, compiled);
            }
        };
        let report = Report {
            measure: self.bench.measure,
            original: self.bench.original,
            samples: self.bench.data.len(),
            frontier,
            chosen,
            complete: self.complete,
        };
        Ok(Found { compiled, report })
    }
}
