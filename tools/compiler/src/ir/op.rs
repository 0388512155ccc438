//! What a node computes. Shapes, axes and paddings are as in ONNX (channels first).

/// An operator of the graph, after import: attributes resolved, defaults filled in.
///
/// Inputs are stated in order; `x` is an activation, everything else may be constant.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// `x [1, C, spatial..]`, weights `[O, C / groups, spatial..]`, optional bias `[O]`; one or two
    /// spatial axes.
    Conv(Conv),
    /// `x [.., K]`, weights `[N, K]`, optional bias `[N]` → `[.., N]`.
    Dense,
    /// Largest value of each window.
    MaxPool(Pool),
    /// Mean of each window; `count_padding` says whether padding counts as zeros.
    AvgPool {
        /// The window.
        pool: Pool,
        /// Whether padded positions are part of the divisor.
        count_padding: bool,
    },
    /// Mean over some axes (ascending).
    Mean {
        /// The axes.
        axes: Vec<usize>,
    },
    /// `a + b`, with ONNX broadcasting.
    Add,
    /// `a − b`, with ONNX broadcasting.
    Sub,
    /// `a · b`, with ONNX broadcasting.
    Mul,
    /// A function of each element.
    Unary(Unary),
    /// `x`, slope (constant, broadcast to `x`).
    PRelu,
    /// Softmax over one axis.
    Softmax {
        /// The axis.
        axis: usize,
    },
    /// Joins the inputs along an axis.
    Concat {
        /// The axis.
        axis: usize,
    },
    /// A strided part of `x`: one entry per axis.
    Slice(Vec<SliceAxis>),
    /// Adds a border: `before` and `after` per axis.
    Pad {
        /// Elements added before each axis.
        before: Vec<usize>,
        /// Elements added behind each axis.
        after: Vec<usize>,
        /// What they hold.
        mode: PadMode,
    },
    /// Same elements in the same (row-major ONNX) order, shape of the output.
    Reshape,
    /// `out.shape[i] = x.shape[perm[i]]`.
    Transpose {
        /// The permutation.
        perm: Vec<usize>,
    },
    /// Resamples the spatial axes of `[1, C, H, W]` (or `[1, C, W]`).
    Resize(Resize),
    /// Index of the largest value along an axis.
    ArgMax {
        /// The axis.
        axis: usize,
        /// Whether the last of equal values wins.
        last: bool,
    },
    /// `x`, scale, bias, mean, variance (constants `[C]`).
    BatchNorm {
        /// Added to the variance.
        epsilon: f32,
    },
    /// Rounds `x` to the integers of the output's `quant`: ONNX `QuantizeLinear`.
    Quantize,
    /// The real values of an integer tensor (its `quant`): ONNX `DequantizeLinear`.
    Dequantize,
}

impl Op {
    /// The name as ONNX or the tool prints it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Conv(_) => "Conv",
            Self::Dense => "Dense",
            Self::MaxPool(_) => "MaxPool",
            Self::AvgPool { .. } => "AveragePool",
            Self::Mean { .. } => "ReduceMean",
            Self::Add => "Add",
            Self::Sub => "Sub",
            Self::Mul => "Mul",
            Self::Unary(unary) => unary.name(),
            Self::PRelu => "PRelu",
            Self::Softmax { .. } => "Softmax",
            Self::Concat { .. } => "Concat",
            Self::Slice(_) => "Slice",
            Self::Pad { .. } => "Pad",
            Self::Reshape => "Reshape",
            Self::Transpose { .. } => "Transpose",
            Self::Resize(_) => "Resize",
            Self::ArgMax { .. } => "ArgMax",
            Self::BatchNorm { .. } => "BatchNormalization",
            Self::Quantize => "QuantizeLinear",
            Self::Dequantize => "DequantizeLinear",
        }
    }

    /// Whether it multiplies with weights: a convolution or matrix product.
    pub fn has_weights(&self) -> bool {
        matches!(self, Self::Conv(_) | Self::Dense)
    }

    /// Whether the output has the very elements of the input, elsewhere or in another order, so
    /// that both must have the same quantisation.
    pub fn moves_only(&self) -> bool {
        matches!(self, Self::Reshape | Self::Transpose { .. } | Self::Slice(_) | Self::MaxPool(_))
    }
}

/// Geometry of a convolution; one entry per spatial axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conv {
    /// Kernel extents.
    pub kernel: Vec<usize>,
    /// Strides.
    pub strides: Vec<usize>,
    /// Dilations.
    pub dilations: Vec<usize>,
    /// Padding before each axis (`auto_pad` is resolved at import).
    pub pads_before: Vec<usize>,
    /// Padding behind each axis.
    pub pads_after: Vec<usize>,
    /// Channel groups.
    pub groups: usize,
}

impl Conv {
    /// Whether windows reach beyond the input, where they see zeros.
    pub fn is_padded(&self) -> bool {
        self.pads_before.iter().chain(&self.pads_after).any(|&pad| pad != 0)
    }
}

/// Geometry of a pooling window; one entry per spatial axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Kernel extents.
    pub kernel: Vec<usize>,
    /// Strides.
    pub strides: Vec<usize>,
    /// Dilations.
    pub dilations: Vec<usize>,
    /// Padding before each axis.
    pub pads_before: Vec<usize>,
    /// Padding behind each axis, as the model states it: `ceil_mode` may look beyond.
    pub pads_after: Vec<usize>,
}

/// Functions of one number. Constants are part of the function.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Unary {
    /// `max(x, 0)`.
    Relu,
    /// `min(max(x, min), max)`.
    Clip {
        /// Lower bound, may be −∞.
        min: f32,
        /// Upper bound, may be +∞.
        max: f32,
    },
    /// `x` above zero, `alpha · x` below.
    LeakyRelu {
        /// Slope below zero.
        alpha: f32,
    },
    /// `1 / (1 + exp(−x))`.
    Sigmoid,
    /// `tanh(x)`.
    Tanh,
    /// `max(0, min(1, alpha · x + beta))`.
    HardSigmoid {
        /// Slope.
        alpha: f32,
        /// Offset.
        beta: f32,
    },
    /// `x · max(0, min(1, x / 6 + 1/2))`.
    HardSwish,
    /// `x · sigmoid(x)`.
    Silu,
    /// `scale · x + offset`.
    Affine {
        /// Factor.
        scale: f32,
        /// Summand.
        offset: f32,
    },
    /// `x` itself: only the quantisation changes.
    Identity,
}

impl Unary {
    /// The name as ONNX or the tool prints it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Relu => "Relu",
            Self::Clip { .. } => "Clip",
            Self::LeakyRelu { .. } => "LeakyRelu",
            Self::Sigmoid => "Sigmoid",
            Self::Tanh => "Tanh",
            Self::HardSigmoid { .. } => "HardSigmoid",
            Self::HardSwish => "HardSwish",
            Self::Silu => "Silu",
            Self::Affine { .. } => "Affine",
            Self::Identity => "Identity",
        }
    }

    /// The function's value, in double precision.
    pub fn eval(self, x: f64) -> f64 {
        match self {
            Self::Relu => x.max(0.0),
            Self::Clip { min, max } => x.max(min.into()).min(max.into()),
            Self::LeakyRelu { alpha } => {
                if x < 0.0 {
                    f64::from(alpha) * x
                } else {
                    x
                }
            }
            Self::Sigmoid => 1.0 / (1.0 + (-x).exp()),
            Self::Tanh => x.tanh(),
            Self::HardSigmoid { alpha, beta } => {
                (f64::from(alpha) * x + f64::from(beta)).clamp(0.0, 1.0)
            }
            Self::HardSwish => x * (x / 6.0 + 0.5).clamp(0.0, 1.0),
            Self::Silu => x / (1.0 + (-x).exp()),
            Self::Affine { scale, offset } => f64::from(scale) * x + f64::from(offset),
            Self::Identity => x,
        }
    }

    /// The bounds, where the function is only a clamp: it can be fused into the producer.
    pub fn as_clamp(self) -> Option<(f32, f32)> {
        match self {
            Self::Relu => Some((0.0, f32::INFINITY)),
            Self::Clip { min, max } => Some((min, max)),
            _ => None,
        }
    }
}

/// A strided part of one axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SliceAxis {
    /// First index.
    pub start: usize,
    /// Step, not zero; may be negative.
    pub step: isize,
    /// Number of elements.
    pub len: usize,
}

/// What a border holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PadMode {
    /// One value.
    Constant(f32),
    /// The inside mirrored, its edge not repeated.
    Reflect,
    /// The edge repeated.
    Edge,
}

/// How an output index maps to input positions, fully resolved: per spatial axis and output index
/// the two neighbours and the weight of the second.
#[derive(Clone, Debug, PartialEq)]
pub struct Resize {
    /// One table per spatial axis.
    pub axes: Vec<Vec<Interpolation>>,
}

/// One output position along one axis: `(1 − weight) · x[first] + weight · x[second]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interpolation {
    /// The neighbour before.
    pub first: usize,
    /// The neighbour behind; equal to `first` at the edge and for nearest neighbour.
    pub second: usize,
    /// 0 to 1.
    pub weight: f32,
}
