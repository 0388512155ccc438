//! Which layers gain the most by activations of 16 bits.
//!
//! The network's outputs on calibration samples are compared with those of the float network, as
//! [`sensitivity`](super::sensitivity) does: with one layer's output in 16 bits at a time, which puts the
//! layers into an order, and with the first of them together. The fewest are taken that gain nine
//! tenths of what all of them would. How weights are rounded is left out of it.

use std::collections::BTreeSet;

use super::replay::Run;
use super::sensitivity::{Outputs, SAMPLES, harm, outputs};
use super::{QuantizeError, QuantizeOptions, WideLayers, quantize};
use crate::calibrate::Ranges;
use crate::data::Dataset;
use crate::ir::{Graph, Node, Quant};

/// The part of the gain that is enough.
const ENOUGH: f64 = 0.9;

/// What [`WideLayers::Auto`] stands for in a graph; anything else stands for itself. Without samples no
/// layer is chosen: then the model is quantised already.
///
/// # Errors
///
/// As [`quantize`].
pub fn choose_wide(
    graph: &Graph,
    ranges: Option<&Ranges>,
    samples: Option<&Dataset>,
    wide: &WideLayers,
) -> Result<WideLayers, QuantizeError> {
    match (wide, samples) {
        (WideLayers::Auto, Some(samples)) => {
            let trial = Trial::new(graph, ranges, samples);
            Ok(WideLayers::Named(trial.fewest()?))
        }
        (WideLayers::Auto, None) => Ok(WideLayers::None),
        _ => Ok(wide.clone()),
    }
}

/// A float network, and what it computes.
struct Trial<'a> {
    graph: &'a Graph,
    ranges: Option<&'a Ranges>,
    samples: &'a Dataset,
    outputs: Outputs,
}

impl<'a> Trial<'a> {
    fn new(graph: &'a Graph, ranges: Option<&'a Ranges>, samples: &'a Dataset) -> Self {
        let outputs = outputs(graph, Run::new(graph, samples, SAMPLES, false), 0);
        Self { graph, ranges, samples, outputs }
    }

    fn fewest(&self) -> Result<BTreeSet<String>, QuantizeError> {
        let narrow = self.harm(&self.quantised(WideLayers::None)?);
        let all = self.quantised(WideLayers::All)?;
        let enough = narrow - ENOUGH * (narrow - self.harm(&all));
        let mut layers = Vec::new();
        for layer in all.nodes.iter().filter(|node| is_wide_layer(&all, node)) {
            let alone = self.quantised(WideLayers::Named([layer.name.clone()].into()))?;
            layers.push((self.harm(&alone), layer.name.clone()));
        }
        layers.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut chosen = BTreeSet::new();
        let mut harm = narrow;
        for (_, layer) in layers {
            if harm <= enough {
                break;
            }
            chosen.insert(layer);
            harm = self.harm(&self.quantised(WideLayers::Named(chosen.clone()))?);
        }
        Ok(chosen)
    }

    fn quantised(&self, wide: WideLayers) -> Result<Graph, QuantizeError> {
        let mut graph = self.graph.clone();
        let options = QuantizeOptions { wide, ..QuantizeOptions::default() };
        quantize(&mut graph, self.ranges, None, &options)?;
        Ok(graph)
    }

    /// How far the outputs of a quantised graph are off.
    fn harm(&self, graph: &Graph) -> f64 {
        let found = outputs(graph, Run::new(graph, self.samples, SAMPLES, true), 0);
        harm(self.graph, &self.outputs, &found)
    }
}

fn is_wide_layer(graph: &Graph, node: &Node) -> bool {
    node.op.has_weights() && graph.tensor(node.output).quant.as_ref().is_some_and(Quant::is_wide)
}
