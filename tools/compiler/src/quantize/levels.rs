//! How fine the grid is that weights are rounded to, layer by layer.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::QuantizeError;
use crate::ir::{Constant, Graph, Node, Op};

/// A symmetric grid of weights: the integers from `-largest` to `largest`, or a palette.
///
/// Grids of b bits reach to 2^(b − 1) − 1. Any other number will do as well: weights that are
/// entropy coded cost what they say, not what a power of two would hold. A palette has 16, 8 or 4
/// integers, which lie denser around zero, where most weights are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Levels(Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Kind {
    /// The largest integer.
    Even(u8),
    /// The positive integers of a palette; the others are their negatives.
    Palette(&'static [u8]),
}

/// What represents a normal distribution best with 16, 8 and 4 values (Max 1960, "Quantizing for
/// minimum distortion", table I), the largest one as 127.
const PALETTES: [&[u8]; 3] = [&[6, 18, 31, 44, 58, 75, 96, 127], &[14, 45, 79, 127], &[38, 127]];

impl Levels {
    /// The finest grid: 8 bits.
    pub const FINEST: Self = Self(Kind::Even(127));

    /// The grid from `-largest` to `largest`; `None` unless that is 1 to 127.
    pub fn new(largest: u8) -> Option<Self> {
        (1..=127).contains(&largest).then_some(Self(Kind::Even(largest)))
    }

    /// The grid of 2 to 8 bits.
    pub fn of_bits(bits: u8) -> Option<Self> {
        (2..=8).contains(&bits).then(|| Self(Kind::Even(((1u16 << (bits - 1)) - 1) as u8)))
    }

    /// The palette of 4, 8 or 16 integers.
    pub fn palette(size: usize) -> Option<Self> {
        let palette = PALETTES.into_iter().find(|positive| 2 * positive.len() == size)?;
        Some(Self(Kind::Palette(palette)))
    }

    /// The largest integer.
    pub fn largest(self) -> u8 {
        match self.0 {
            Kind::Even(largest) => largest,
            Kind::Palette(positive) => positive.last().copied().unwrap_or(0),
        }
    }

    /// The bits, where the grid is that of a number of bits.
    pub fn bits(self) -> Option<u8> {
        (2..=8).find(|&bits| Self::of_bits(bits) == Some(self))
    }

    /// The number of its integers.
    pub fn count(self) -> u32 {
        match self.0 {
            Kind::Even(largest) => 2 * u32::from(largest) + 1,
            Kind::Palette(positive) => 2 * positive.len() as u32,
        }
    }

    /// Bits that tell which of the integers it is.
    pub fn index_bits(self) -> u32 {
        self.count().next_power_of_two().trailing_zeros()
    }

    /// The integer of the grid that is nearest to a number.
    pub(super) fn nearest(self, value: f64) -> f64 {
        match self.0 {
            Kind::Even(largest) => {
                let limit = f64::from(largest);
                value.round_ties_even().clamp(-limit, limit)
            }
            Kind::Palette(positive) => {
                let off = |level: &f64| (value.abs() - level).abs();
                let levels = positive.iter().map(|&level| f64::from(level));
                let nearest = levels.min_by(|a, b| off(a).total_cmp(&off(b)));
                nearest.unwrap_or(0.0).copysign(value)
            }
        }
    }
}

impl Default for Levels {
    fn default() -> Self {
        Self::FINEST
    }
}

/// `4` for 4 bits, `levels:11` for ±11, `palette:16`.
impl fmt::Display for Levels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0, self.bits()) {
            (_, Some(bits)) => write!(f, "{bits}"),
            (Kind::Even(largest), None) => write!(f, "levels:{largest}"),
            (Kind::Palette(positive), None) => write!(f, "palette:{}", 2 * positive.len()),
        }
    }
}

/// A text that says no [`Levels`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "unknown weight grid `{0}`: give 2 to 8 bits, levels:N for integers within ±N, N ≤ 127, or \
     palette:N, N = 4, 8 or 16"
)]
pub struct UnknownLevels(String);

impl FromStr for Levels {
    type Err = UnknownLevels;

    fn from_str(text: &str) -> Result<Self, UnknownLevels> {
        let levels = match text.split_once(':') {
            Some(("levels", largest)) => largest.parse().ok().and_then(Self::new),
            Some(("palette", size)) => size.parse().ok().and_then(Self::palette),
            None => text.parse().ok().and_then(Self::of_bits),
            Some(_) => None,
        };
        levels.ok_or_else(|| UnknownLevels(text.to_owned()))
    }
}

impl TryFrom<String> for Levels {
    type Error = UnknownLevels;

    fn try_from(text: String) -> Result<Self, UnknownLevels> {
        text.parse()
    }
}

impl From<Levels> for String {
    fn from(levels: Levels) -> Self {
        levels.to_string()
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
        for text in ["2", "4", "8", "levels:11", "levels:126", "palette:4", "palette:16"] {
            assert_eq!(text.parse::<Levels>().unwrap().to_string(), text);
        }
        assert_eq!("levels:7".parse(), Ok(Levels::of_bits(4).unwrap()));
        for wrong in [
            "",
            "1",
            "9",
            "11",
            "levels:0",
            "levels:128",
            "levels",
            "bits:4",
            "-4",
            "palette:2",
            "palette",
        ] {
            assert!(wrong.parse::<Levels>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_nearest_integer_of_a_palette_is_found() {
        let palette = Levels::palette(8).unwrap();
        let nearest = [0.0, -3.0, 29.0, 30.0, -61.0, -63.0, 500.0].map(|x| palette.nearest(x));
        assert_eq!(nearest, [14.0, -14.0, 14.0, 45.0, -45.0, -79.0, 127.0]);
        let bits = [4, 8, 16].map(|size| Levels::palette(size).unwrap().index_bits());
        assert_eq!(bits, [2, 3, 4]);
        let bits = [1, 3, 7, 8, 127].map(|largest| Levels::new(largest).unwrap().index_bits());
        assert_eq!(bits, [2, 3, 4, 5, 8]);
    }
}
