//! The cores that an image can be made for.

use std::fmt;
use std::str::FromStr;

use fixie_format::Opcode;
use fixie_format::op::Window;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::quantize::Multipliers;

/// A core, as `--target` names it. It decides which weight orders an image uses; every core (and
/// the host) computes the same bytes from any of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// Any core.
    #[default]
    Generic,
    /// Arm Cortex-M0.
    CortexM0,
    /// Arm Cortex-M0+.
    CortexM0plus,
    /// Arm Cortex-M3.
    CortexM3,
    /// Arm Cortex-M4, with DSP extension.
    CortexM4,
    /// Arm Cortex-M7.
    CortexM7,
    /// Arm Cortex-M33, with DSP extension.
    CortexM33,
    /// Arm Cortex-M55, with Helium.
    CortexM55,
    /// RISC-V RV32IMAC.
    Rv32,
}

impl Target {
    /// Every target.
    pub const ALL: [Self; 9] = [
        Self::Generic,
        Self::CortexM0,
        Self::CortexM0plus,
        Self::CortexM3,
        Self::CortexM4,
        Self::CortexM7,
        Self::CortexM33,
        Self::CortexM55,
        Self::Rv32,
    ];

    /// The name as `--target` takes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Generic => "generic",
            Self::CortexM0 => "cortex-m0",
            Self::CortexM0plus => "cortex-m0plus",
            Self::CortexM3 => "cortex-m3",
            Self::CortexM4 => "cortex-m4",
            Self::CortexM7 => "cortex-m7",
            Self::CortexM33 => "cortex-m33",
            Self::CortexM55 => "cortex-m55",
            Self::Rv32 => "rv32",
        }
    }

    /// The multipliers that suit this core: Cortex-M0 and M0+ have no product of 64 bits.
    pub fn multipliers(self) -> Multipliers {
        match self {
            Self::CortexM0 | Self::CortexM0plus => Multipliers::Auto,
            _ => Multipliers::Any,
        }
    }

    /// The convolution kernels of this core, best first. The last one takes every convolution.
    /// `ConvSparse` is best only for weights of which enough are zero.
    pub(crate) fn convolutions(self) -> &'static [Opcode] {
        match self {
            Self::CortexM4 | Self::CortexM7 | Self::CortexM33 => {
                &[Opcode::ConvSparse, Opcode::ConvPaired, Opcode::Conv]
            }
            Self::CortexM0 | Self::CortexM0plus | Self::CortexM3 | Self::Rv32 => {
                &[Opcode::ConvBlocked, Opcode::Conv]
            }
            Self::CortexM55 => &[Opcode::ConvVectors, Opcode::Conv],
            Self::Generic => &[Opcode::Conv],
        }
    }

    /// The kernels of this core for a depthwise convolution, best first. The last one takes every
    /// depthwise convolution.
    pub(crate) fn depthwise_convolutions(self, window: &Window) -> &'static [Opcode] {
        let (planar, any) = (&[Opcode::DepthwisePlanar, Opcode::Depthwise], &[Opcode::Depthwise]);
        match self {
            Self::CortexM4 | Self::CortexM7 | Self::CortexM33 => planar,
            // Helium has loops for no other kernels.
            Self::CortexM55 if (window.kernel_h, window.kernel_w) == (3, 3) => planar,
            _ => any,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is no target's.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("unknown target `{0}`: choose one of {all}", all = Target::ALL.map(Target::name).join(", "))]
pub struct UnknownTarget(String);

impl FromStr for Target {
    type Err = UnknownTarget;

    fn from_str(name: &str) -> Result<Self, UnknownTarget> {
        let found = Self::ALL.into_iter().find(|target| target.name() == name);
        found.ok_or_else(|| UnknownTarget(name.to_owned()))
    }
}
