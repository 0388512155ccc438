//! What may be chosen about quantisation.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use super::levels::LayerLevels;

/// Choices of quantisation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QuantizeOptions {
    /// How the scale of each weight channel is chosen.
    pub weights: WeightScale,
    /// How weights are rounded to their grid, where there is calibration data.
    pub rounding: Rounding,
    /// Whether biases make up for mean errors, where there is calibration data.
    pub bias_correction: bool,
    /// The grids that weights are rounded to.
    pub levels: LayerLevels,
}

impl QuantizeOptions {
    /// Whether quantisation looks at the layers' inputs.
    pub(super) fn need_inputs(&self) -> bool {
        self.bias_correction || self.rounding == Rounding::Gptq
    }
}

/// How the scale of a channel of weights is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WeightScale {
    /// The largest weight is represented exactly.
    #[default]
    MaxAbs,
    /// The mean squared error of the weights is smallest; the largest ones may be cut.
    Mse,
}

impl fmt::Display for WeightScale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MaxAbs => "maxabs",
            Self::Mse => "mse",
        })
    }
}

/// A name that is no [`WeightScale`]'s.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("unknown choice of weight scales `{0}`: choose maxabs or mse")]
pub struct UnknownWeightScale(String);

impl FromStr for WeightScale {
    type Err = UnknownWeightScale;

    fn from_str(name: &str) -> Result<Self, UnknownWeightScale> {
        match name {
            "maxabs" => Ok(Self::MaxAbs),
            "mse" => Ok(Self::Mse),
            _ => Err(UnknownWeightScale(name.to_owned())),
        }
    }
}

/// How weights are rounded to integers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rounding {
    /// Each weight to the nearest.
    #[default]
    Nearest,
    /// So that the errors of a row compensate each other on calibration data.
    Gptq,
}

impl fmt::Display for Rounding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nearest => "nearest",
            Self::Gptq => "gptq",
        })
    }
}

/// A name that is no [`Rounding`]'s.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("unknown rounding `{0}`: choose nearest or gptq")]
pub struct UnknownRounding(String);

impl FromStr for Rounding {
    type Err = UnknownRounding;

    fn from_str(name: &str) -> Result<Self, UnknownRounding> {
        match name {
            "nearest" => Ok(Self::Nearest),
            "gptq" => Ok(Self::Gptq),
            _ => Err(UnknownRounding(name.to_owned())),
        }
    }
}
