//! How fine the grid is that weights are rounded to, layer by layer.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::QuantizeError;
use crate::ir::{Constant, Graph, Node, Op};

/// A symmetric grid of weights: the integers from `-largest` to `largest`.
///
/// Grids of b bits reach to 2^(b − 1) − 1. Any other number will do as well: weights that are
/// entropy coded cost what they say, not what a power of two would hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Levels(u8);

impl Levels {
    /// The finest grid: 8 bits.
    pub const FINEST: Self = Self(127);

    /// The grid from `-largest` to `largest`; `None` unless that is 1 to 127.
    pub fn new(largest: u8) -> Option<Self> {
        (1..=127).contains(&largest).then_some(Self(largest))
    }

    /// The grid of 2 to 8 bits.
    pub fn of_bits(bits: u8) -> Option<Self> {
        (2..=8).contains(&bits).then(|| Self(((1u16 << (bits - 1)) - 1) as u8))
    }

    /// The largest integer.
    pub fn largest(self) -> u8 {
        self.0
    }

    /// The bits, where the grid is that of a number of bits.
    pub fn bits(self) -> Option<u8> {
        (2..=8).find(|&bits| Self::of_bits(bits) == Some(self))
    }
}

impl Default for Levels {
    fn default() -> Self {
        Self::FINEST
    }
}

/// `4` for 4 bits, `levels:11` for ±11.
impl fmt::Display for Levels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.bits() {
            Some(bits) => write!(f, "{bits}"),
            None => write!(f, "levels:{}", self.0),
        }
    }
}

/// A text or number that says no [`Levels`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("unknown weight grid `{0}`: give 2 to 8 bits, or levels:N for integers within ±N, N ≤ 127")]
pub struct UnknownLevels(String);

impl FromStr for Levels {
    type Err = UnknownLevels;

    fn from_str(text: &str) -> Result<Self, UnknownLevels> {
        let levels = match text.split_once(':') {
            Some(("levels", largest)) => largest.parse().ok().and_then(Self::new),
            None => text.parse().ok().and_then(Self::of_bits),
            Some(_) => None,
        };
        levels.ok_or_else(|| UnknownLevels(text.to_owned()))
    }
}

impl TryFrom<u8> for Levels {
    type Error = UnknownLevels;

    fn try_from(largest: u8) -> Result<Self, UnknownLevels> {
        Self::new(largest).ok_or_else(|| UnknownLevels(format!("levels:{largest}")))
    }
}

impl From<Levels> for u8 {
    fn from(levels: Levels) -> Self {
        levels.0
    }
}

/// The grids of all layers of a network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LayerLevels {
    /// For inner layers: all but the first and the last one, which cost the most accuracy, and
    /// depthwise convolutions, which have hardly any weights. Those have the finest grid.
    pub inner: Levels,
    /// For layers by the name of their node: these take precedence.
    pub named: BTreeMap<String, Levels>,
}

impl LayerLevels {
    /// The grid of each node; nodes without real weights have the finest, which nobody uses.
    ///
    /// # Errors
    ///
    /// [`QuantizeError::UnknownLayer`] for a name that is no layer's.
    pub(super) fn of_nodes(&self, graph: &Graph) -> Result<Vec<Levels>, QuantizeError> {
        let known = || graph.nodes.iter().filter(|node| has_real_weights(graph, node));
        if let Some(layer) = self.named.keys().find(|name| !known().any(|node| node.name == **name))
        {
            let known = known().map(|node| node.name.clone()).collect();
            return Err(QuantizeError::UnknownLayer { layer: layer.clone(), known });
        }
        let inner = inner_layers(graph).into_iter().zip(&graph.nodes);
        let levels = inner.map(|(is_inner, node)| match self.named.get(&node.name) {
            Some(&levels) => levels,
            None if is_inner => self.inner,
            None => Levels::FINEST,
        });
        Ok(levels.collect())
    }
}

/// Whether a node is a layer whose weights are still to be quantised.
pub(super) fn has_real_weights(graph: &Graph, node: &Node) -> bool {
    let weights = || graph.tensor(node.inputs[1]).constant.as_ref();
    node.op.has_weights() && matches!(weights(), Some(Constant::Real(_)))
}

fn inner_layers(graph: &Graph) -> Vec<bool> {
    let first = graph.nodes.iter().position(|node| node.op.has_weights());
    let last = graph.nodes.iter().rposition(|node| node.op.has_weights());
    let inner = |index: usize| Some(index) != first && Some(index) != last;
    let whole = |op: &Op| !matches!(op, Op::Conv(conv) if conv.groups > 1);
    let nodes = graph.nodes.iter().enumerate();
    nodes.map(|(index, node)| node.op.has_weights() && inner(index) && whole(&node.op)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_grids() {
        let largest = [2, 3, 4, 5, 6, 7, 8].map(|bits| Levels::of_bits(bits).unwrap().largest());
        assert_eq!(largest, [1, 3, 7, 15, 31, 63, 127]);
        assert_eq!((Levels::of_bits(1), Levels::of_bits(9)), (None, None));
        assert_eq!((Levels::new(0), Levels::new(128)), (None, None));
    }

    #[test]
    fn texts_round_trip() {
        for text in ["2", "4", "8", "levels:11", "levels:126"] {
            assert_eq!(text.parse::<Levels>().unwrap().to_string(), text);
        }
        assert_eq!("levels:7".parse(), Ok(Levels::of_bits(4).unwrap()));
        for wrong in ["", "1", "9", "11", "levels:0", "levels:128", "levels", "bits:4", "-4"] {
            assert!(wrong.parse::<Levels>().is_err(), "{wrong}");
        }
    }
}
