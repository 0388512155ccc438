//! What may be chosen about quantisation.

use std::collections::BTreeSet;

use strum::{Display, EnumString};

use super::QuantizeError;
use super::levels::{LayerLevels, has_real_weights};
use super::pruning::{PrunedShare, blocks};
use crate::choice::UnknownName;
use crate::ir::{Graph, Node};

/// Choices of quantisation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QuantizeOptions {
    /// How the scale of each weight channel is chosen.
    pub weights: WeightScale,
    /// The multipliers that the scales of weights of 8 bits lead to.
    pub multipliers: Multipliers,
    /// How weights are rounded to their grid, where there is calibration data.
    pub rounding: Rounding,
    /// Whether biases make up for mean errors, where there is calibration data.
    pub bias_correction: bool,
    /// The grids that weights are rounded to.
    pub levels: LayerLevels,
    /// The layers whose outputs have 16 bits.
    pub wide: WideLayers,
    /// The weights that become zero, where there is calibration data.
    pub pruned: PrunedShare,
}

impl QuantizeOptions {
    /// Whether quantisation looks at the layers' inputs.
    pub(super) fn need_inputs(&self) -> bool {
        self.bias_correction || self.rounding == Rounding::Gptq || !self.pruned.is_none()
    }

    /// Whether a layer's weights are rounded or pruned by the second moments of its inputs. What is
    /// left of a pruned layer is rounded so that errors compensate each other in any case.
    pub(super) fn need_second_moments(&self, graph: &Graph, node: &Node) -> bool {
        let is_pruned = || !self.pruned.is_none() && blocks(graph, node).is_some();
        self.rounding == Rounding::Gptq || is_pruned()
    }

    /// Checks that the layers which shall have 16 bits are there.
    ///
    /// # Errors
    ///
    /// [`QuantizeError::UnknownLayer`].
    pub(super) fn check_names(&self, graph: &Graph) -> Result<(), QuantizeError> {
        let WideLayers::Named(names) = &self.wide else {
            return Ok(());
        };
        let known = || graph.nodes.iter().filter(|node| has_real_weights(graph, node));
        let layer = names.iter().find(|name| !known().any(|node| node.name == **name));
        layer.map_or(Ok(()), |layer| {
            let known = known().map(|node| node.name.clone()).collect();
            Err(QuantizeError::UnknownLayer { layer: layer.clone(), known })
        })
    }
}

/// The convolutions and matrix products that compute activations of 16 bits, where what reads them
/// gains by it: another layer does, or they are an output of the model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum WideLayers {
    /// Those of these names.
    Named(BTreeSet<String>),
    /// All of them.
    All,
    /// The fewest that gain nine tenths of what all do, on calibration samples.
    Auto,
    /// None.
    #[default]
    None,
}

impl WideLayers {
    /// Whether the layer of this name is one; [`Auto`](Self::Auto) must have been decided.
    pub(super) fn contains(&self, layer: &str) -> bool {
        match self {
            Self::Named(names) => names.contains(layer),
            Self::All => true,
            Self::None | Self::Auto => false,
        }
    }
}

/// How the scale of a channel of weights is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Display, EnumString)]
#[strum(serialize_all = "lowercase", parse_err_ty = UnknownName, parse_err_fn = unknown_weight_scale)]
pub enum WeightScale {
    /// The largest weight is represented exactly.
    #[default]
    MaxAbs,
    /// The mean squared error of the weights is smallest; the largest ones may be cut.
    Mse,
}

fn unknown_weight_scale(name: &str) -> UnknownName {
    UnknownName::new("choice of weight scales", name, "maxabs or mse")
}

/// The multipliers by which accumulators become outputs. They follow from scales, of which those of
/// the weights are free.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Display, EnumString)]
#[strum(serialize_all = "lowercase", parse_err_ty = UnknownName, parse_err_fn = unknown_multipliers)]
pub enum Multipliers {
    /// Any number: weights have the finest scale.
    #[default]
    Any,
    /// Multiples of 2^-16: scales of weights are coarser by an eighth at most, mostly by less than a
    /// hundredth. Cores without a product of 64 bits multiply once instead of four times.
    Short,
    /// Short ones if that is worth it: if an output has few taps on average.
    Auto,
}

/// The most taps per output, on average, with which short multipliers are worth it: beside more, what
/// an output takes once is little.
const FEW_TAPS: usize = 64;

impl Multipliers {
    /// The choice for a graph whose layers have no integers yet.
    pub(crate) fn for_graph(self, graph: &Graph) -> Self {
        if self != Self::Auto {
            return self;
        }
        let layers = graph.nodes.iter().filter(|node| has_real_weights(graph, node));
        let sizes = layers.map(|node| {
            let (weights, output) = (graph.tensor(node.inputs[1]), graph.tensor(node.output));
            let outputs: usize = output.shape.iter().product();
            let channels = weights.shape.first().copied().unwrap_or(1).max(1);
            (outputs, outputs * (weights.shape.iter().product::<usize>() / channels))
        });
        let (outputs, taps) = sizes.fold((0, 0), |sum, size| (sum.0 + size.0, sum.1 + size.1));
        if taps < FEW_TAPS * outputs { Self::Short } else { Self::Any }
    }
}

fn unknown_multipliers(name: &str) -> UnknownName {
    UnknownName::new("choice of multipliers", name, "any, short or auto")
}

/// How weights are rounded to integers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Display, EnumString)]
#[strum(serialize_all = "lowercase", parse_err_ty = UnknownName, parse_err_fn = unknown_rounding)]
pub enum Rounding {
    /// Each weight to the nearest.
    #[default]
    Nearest,
    /// So that the errors of a row compensate each other on calibration data.
    Gptq,
}

fn unknown_rounding(name: &str) -> UnknownName {
    UnknownName::new("rounding", name, "nearest or gptq")
}
