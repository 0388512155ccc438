//! How far the integers of a layer may be from the real numbers that they stand for.
//!
//! All bounds are in *steps*, the real value of one unit of the output. A layer is allowed
//!
//! ```text
//! |runtime − clip(f(inputs))| ≤ rounding + arithmetic
//! ```
//!
//! where `f` is the operator in real numbers, applied to the very inputs that the layer read, and
//! `clip` the limits of the output's bits. `rounding` is the half step of every operator that rounds at all;
//! `arithmetic` is what the integers of the image are off, and follows from the formulas of the
//! format and the scales, as derived at each function below. Both sides of a difference may be
//! clipped, since clipping brings no two numbers further apart.

use fixie_compiler::ir::{
    Constant, Graph, Interpolation, Node, Op, PadMode, Quant, Resize, TensorId, Unary,
};

/// Half a step, or nothing for operators that copy integers.
pub fn rounding(node: &Node) -> f64 {
    let copies = match &node.op {
        // A clamp's bounds and a border's value are rounded, even where elements are copied.
        Op::MaxPool(_) => node.clamp.is_none(),
        Op::Pad { mode, .. } => !matches!(mode, PadMode::Constant(_)),
        Op::Reshape
        | Op::Transpose { .. }
        | Op::Slice(_)
        | Op::Concat { .. }
        | Op::ArgMax { .. } => true,
        _ => false,
    };
    if copies { 0.0 } else { 0.5 }
}

/// What a layer may be off besides its rounding.
pub fn arithmetic(graph: &Graph, node: &Node) -> f64 {
    let scale = |id| graph.tensor(id).quant.as_ref().map_or(1.0, |q: &Quant| f64::from(q.scale()));
    let input = |index: usize| scale(node.inputs[index]);
    let output = scale(node.output);
    match &node.op {
        Op::Conv(_) | Op::Dense => accumulation(graph, node),
        Op::Add | Op::Sub => sum((input(0) + input(1)) / output),
        Op::Mul => multiplied(input(0) * input(1) / output, LEVELS * LEVELS),
        Op::Mean { axes } => {
            let shape = &graph.tensor(node.inputs[0]).shape;
            let count = axes.iter().map(|&axis| shape[axis] as f64).product::<f64>();
            multiplied(input(0) / output / count, LEVELS * count)
        }
        // Windows of a single element have the largest multiplier, from which the shift follows.
        Op::AvgPool { pool, .. } => {
            let taps: usize = pool.kernel.iter().product();
            multiplied(input(0) / output, LEVELS * taps as f64)
        }
        Op::PRelu => {
            let slopes = graph.tensor(node.inputs[1]).real_values().expect("constant slopes");
            let steepest =
                slopes.iter().fold(1.0, |steepest: f32, slope| slope.abs().max(steepest));
            multiplied(input(0) / output * f64::from(steepest), LEVELS)
        }
        Op::Softmax { axis } => {
            softmax(graph.tensor(node.inputs[0]).shape[*axis], input(0), output)
        }
        Op::Resize(resize) => interpolation(resize),
        Op::Unary(Unary::Identity) if is_wide(graph, node) => {
            multiplied(input(0) / output, levels(graph, node.inputs[0]))
        }
        // A table holds the rounded function itself.
        Op::Unary(function) => evaluation(LEVELS * lipschitz(*function) * input(0) / output),
        _ => evaluation(LEVELS),
    }
}

/// The most that a difference of two 8-bit numbers can be.
const LEVELS: f64 = 255.0;

/// The most that a difference of two integers of a tensor can be, and one more.
fn levels(graph: &Graph, id: TensorId) -> f64 {
    let quant = graph.tensor(id).quant.as_ref().expect("a quantised tensor");
    2.0 * quant.limit() as f64
}

/// Whether a node reads or writes activations of more than 8 bits.
fn is_wide(graph: &Graph, node: &Node) -> bool {
    levels(graph, node.inputs[0]).max(levels(graph, node.output)) > LEVELS + 1.0
}

/// What the real numbers themselves are off: inputs, constants and results of the evaluation are
/// single precision, each with a relative error of 2^-24 of `steps`, the largest magnitude that
/// occurs. (Sums run in double precision.)
fn evaluation(steps: f64) -> f64 {
    3.0 * 2f64.powi(-24) * steps.max(LEVELS)
}

/// The largest slope of a function.
pub fn lipschitz(function: Unary) -> f64 {
    match function {
        Unary::Relu | Unary::Clip { .. } | Unary::Tanh | Unary::Identity => 1.0,
        Unary::LeakyRelu { alpha } => f64::from(alpha.abs()).max(1.0),
        Unary::Sigmoid => 0.25,
        Unary::HardSigmoid { alpha, .. } => alpha.abs().into(),
        // x / 3 + 1/2 at x = 3.
        Unary::HardSwish => 1.5,
        // Its slope is largest, 1.0998, at x = 2.4.
        Unary::Silu => 1.1,
        Unary::Affine { scale, .. } => scale.abs().into(),
    }
}

/// The smallest shift for which `round(ratio · 2^(32 − shift))` fits 31 bits, as the format's
/// requantisation wants it.
fn shift(ratio: f64) -> i32 {
    let fits = |shift: &i32| (ratio.abs() * 2f64.powi(32 - shift)).round() <= f64::from(i32::MAX);
    (0..32).find(fits).expect("the compiler refuses larger ratios")
}

/// `requant(acc)` with `m = round(ratio · 2^(32 − shift))`: `m` is off by at most 1/2, so the
/// product by `|acc| · 2^(shift − 33)`.
fn multiplied(ratio: f64, max_acc: f64) -> f64 {
    max_acc * 2f64.powi(shift(ratio) - 33) + evaluation(ratio * max_acc)
}

/// `floor((a·Ma + b·Mb + bias) / 2^shift)`, `M = round(ratio · 2^shift)` off by at most 1/2, the
/// differences `a − zero` at most 255: off by at most `255 / 2^shift`.
///
/// `shift` is the largest up to 30 for which `128·(|Ma| + |Mb|) + |bias| < 2^31`. The bias is at
/// most `(128 + 1/2) · 2^shift + 128·(|Ma| + |Mb|)`, so a shift fits if
/// `(256 · ratios + 128.5) · 2^shift + 256 < 2^31`.
fn sum(ratios: f64) -> f64 {
    let largest = (2f64.powi(31) - 257.0) / (256.0 * ratios + 128.5);
    let shift = largest.log2().floor().min(30.0);
    LEVELS / shift.exp2() + evaluation(ratios * LEVELS)
}

/// Convolution and matrix product, the largest bound of all output channels:
/// `zero + requant(bias + Σ w·x)`.
///
/// - The multiplier is off by at most 1/2, a relative `δ = 2^(shift − 33) / ratio`. Results further
///   than 256 steps from zero (of 8 bits) saturate with either multiplier, so that is at most
///   `256 · δ / (1 − δ)` steps, and never more than `|acc| · 2^(shift − 33)`.
/// - The bias is an integer of unit `input scale · weight scale`. A model that brings its own has
///   rounded that product to single precision: `|bias| · |scale − unit|`.
/// - A bias beyond the accumulator may be moved by half a step, where it does not saturate anyhow.
fn accumulation(graph: &Graph, node: &Node) -> f64 {
    let quant = |id: TensorId| graph.tensor(id).quant.as_ref().expect("a quantised tensor");
    let (input, weights_quant) = (quant(node.inputs[0]), quant(node.inputs[1]));
    let weights = integers(graph, node.inputs[1]);
    let output = f64::from(quant(node.output).scale());
    let unit = |n: usize| f64::from(input.scale()) * f64::from(weights_quant.scale_at(n));
    let largest = (0..weights.shape()[0]).map(unit).fold(0.0, f64::max) / output;
    let shift = shift(largest);
    let limit = f64::from(i32::MAX >> shift);
    let saturation = levels(graph, node.output);
    let bounds = weights.outer_iter().enumerate().map(|(n, weights)| {
        let (sum, swing) = weights.iter().fold((0.0, 0.0), |(sum, swing), &w| {
            (sum + f64::from(w), swing + input.limit() as f64 * f64::from(w).abs())
        });
        let (bias, rounded) =
            node.inputs.get(2).map_or((0.0, 0.0), |&id| bias(graph, id, n, unit(n)));
        let ratio = unit(n) / output;
        let start = bias - f64::from(input.zero_point) * sum;
        let magnitude = start.abs() + swing;
        let moved = ((magnitude - limit).max(0.0) * ratio).min(0.5);
        let off = 2f64.powi(shift - 33);
        let multiplier = match off / ratio {
            relative if relative < 1.0 => saturation * relative / (1.0 - relative),
            _ => f64::INFINITY,
        };
        // |x − zero| is up to twice what it is in the swing.
        let evaluation = evaluation(((bias.abs() + 2.0 * swing) * ratio).max(saturation));
        multiplier.min(magnitude * off) + rounded * ratio + moved + evaluation
    });
    bounds.fold(0.0, f64::max)
}

fn integers(graph: &Graph, id: TensorId) -> &ndarray::ArrayD<i32> {
    let tensor = graph.tensor(id);
    match &tensor.constant {
        Some(Constant::Integer(values)) => values,
        _ => panic!("'{}' does not hold integers", tensor.name),
    }
}

/// A channel's bias, and how far it is from the number that its own scale says; both in units of
/// the accumulator.
fn bias(graph: &Graph, id: TensorId, channel: usize, unit: f64) -> (f64, f64) {
    let integer = f64::from(integers(graph, id)[[channel]]);
    let quant = graph.tensor(id).quant.as_ref().expect("integers have a scale");
    (integer, (integer * (f64::from(quant.scale_at(channel)) / unit - 1.0)).abs())
}

/// Softmax of `len` values. With the table's amplitude `2^t`, every exponential is off by at most
/// `2^-t / 2`, the largest one is exact and their sum at least `2^t`. So a probability is off by at
/// most `(len + 1) · 2^-t / 2`; the reciprocal adds `2^-31`, 24 fractional bits `2^-24`. The
/// multiplier of the output scale is off by what rounding `2^8 / scale` changes, of at most one.
///
/// In the evaluation a difference of two inputs is off by a relative 2^-23 of up to 255 steps, and
/// an exponential by as much of itself.
fn softmax(len: usize, input: f64, output: f64) -> f64 {
    let bits = 31_u32.saturating_sub(len.next_power_of_two().trailing_zeros()).min(23);
    let table = (len + 1) as f64 * 0.5 / f64::from(bits).exp2();
    let probability = table + 2f64.powi(-31) + 2f64.powi(-24);
    let exact = 256.0 / output;
    let evaluation = evaluation(LEVELS * input / output) + evaluation(1.0 / output);
    probability / output + (exact.round() - exact).abs() / 256.0 + evaluation
}

/// Interpolation: a weight in 1/256 is off by up to 1/512, of a difference of up to 255 steps; the
/// bounds of rows and columns add up.
fn interpolation(resize: &Resize) -> f64 {
    let off = |entry: &Interpolation| {
        let exact = f64::from(entry.weight) * 256.0;
        (exact - exact.round()).abs() / 256.0
    };
    let axis = |table: &Vec<Interpolation>| LEVELS * table.iter().map(off).fold(0.0, f64::max);
    resize.axes.iter().map(axis).sum::<f64>() + evaluation(LEVELS)
}
