//! Weights and biases of convolutions and matrix products.
//!
//! Weights are symmetric per output channel within ±127 (two of them then fit one 16-bit lane as
//! `256 · w1 + w0`), so the accumulator counts in units of input scale · weight scale. Two bounds
//! keep that unit from becoming so small that the bias outgrows the accumulator; both concern
//! channels whose weights hardly matter:
//!
//! - it is at least 2^-13 of an output step, [`FINEST_UNIT`]. Biases within the output's range are
//!   then below 2^21, and rounding a weight moves the output by at most 2^-6 of a step;
//! - it is at least 2^-22 of the bias, [`LARGEST_BIAS`], should that be far outside of the range.
//!
//! Inputs of more than 8 bits have a finer unit by as many bits, and steps of an output are those that
//! it would have with 8: sums of up to 31 bits are made of what goes beyond.
//!
//! A channel that cannot move its output by half a step has all its weights set to zero.

use std::ops::Range;

use ndarray::{Array1, Array2, ArrayD, ArrayView2, Axis, IxDyn};
use rayon::prelude::*;

use super::bias_correction::corrected;
use super::pruning::{blocks, is_zero};
use super::replay::Moments;
use super::requant::SHORT_UNIT;
use super::rounding::Compensation;
use super::{Levels, Multipliers, QuantizeError, QuantizeOptions, WeightScale};
use crate::ir::{Constant, Graph, Node, Quant, Tensor, TensorId};

/// The accumulator's unit in output steps.
const FINEST_UNIT: f64 = 1.0 / 8192.0;
/// The bias in units of the accumulator.
const LARGEST_BIAS: f64 = 4_194_304.0;
/// What a channel must be able to move its output by, in steps.
const LEAST_EFFECT: f64 = 0.5;

/// What rounding and bias correction know of a layer's inputs, one item per channel group; nothing
/// where they do not look.
#[derive(Default)]
pub(super) struct Inputs {
    moments: Vec<Moments>,
    /// Where second moments are known.
    compensations: Vec<Compensation>,
    /// If the layer is pruned, or was before.
    pruning: Option<Pruning>,
}

/// How a layer is pruned.
struct Pruning {
    /// The places in a row of weights that become zero together.
    blocks: Vec<Vec<usize>>,
    /// How many of the blocks do.
    count: usize,
    /// Of the moments of each group.
    inverses: Vec<Array2<f64>>,
}

impl Inputs {
    /// Of a layer with the weights that `node` has.
    pub(super) fn new(
        graph: &Graph,
        node: &Node,
        moments: Vec<Moments>,
        options: &QuantizeOptions,
    ) -> Self {
        let compensations = match &graph.tensor(node.inputs[1]).constant {
            Some(Constant::Real(reals)) => compensations(reals, &moments, options.bias_correction),
            _ => Vec::new(),
        };
        let share = options.pruned;
        // What is zero already stays so: rounding must not use these weights to make up for others.
        let has_zeros = |blocks: &[Vec<usize>]| {
            let reals = graph.tensor(node.inputs[1]).real_values();
            let rows = reals.as_ref().map(rows).unwrap_or_default();
            blocks.iter().any(|block| rows.chunks(1).any(|row| is_zero(block, row)))
        };
        let blocks = if compensations.is_empty() { None } else { blocks(graph, node) };
        let blocks = blocks.filter(|blocks| !share.is_none() || has_zeros(blocks));
        let pruning = blocks.map(|blocks| Pruning {
            count: share.of(blocks.len()),
            inverses: compensations.iter().map(Compensation::inverse).collect(),
            blocks,
        });
        Self { moments, compensations, pruning }
    }
}

/// Quantises the weights and the bias of a convolution or matrix product whose input and output
/// are quantised.
pub(super) fn quantize(
    graph: &mut Graph,
    index: usize,
    choice: (&QuantizeOptions, Levels),
    inputs: &Inputs,
) -> Result<(), QuantizeError> {
    let node = &graph.nodes[index];
    let steps = match (&graph.tensor(node.inputs[0]).quant, &graph.tensor(node.output).quant) {
        (Some(input), Some(output)) => Steps::new(input, output),
        _ => return Err(QuantizeError::unsupported(graph, node, 0, "is not quantised")),
    };
    let weights = graph.tensor(node.inputs[1]).clone();
    let bias = node.inputs.get(2).map(|id| graph.tensor(*id).clone());
    let (weights, bias) = match &weights.constant {
        None => {
            let problem = "is not constant; weights must be";
            return Err(QuantizeError::unsupported(graph, node, 1, problem));
        }
        Some(Constant::Integer(_)) => {
            let given = given_weights(&weights)
                .map_err(|problem| QuantizeError::unsupported(graph, node, 1, problem))?;
            (given, bias)
        }
        Some(Constant::Real(reals)) => {
            real_weights(&steps, (&weights, reals), bias, choice, inputs)
        }
    };
    let units = units(&steps, &weights);
    let bias = match bias {
        Some(bias) if has_units(&bias, &units) => Some(bias),
        Some(bias) => Some(in_units(bias, &units)),
        None => None,
    };
    let ids: Vec<TensorId> =
        std::iter::once(weights).chain(bias).map(|tensor| graph.add_tensor(tensor)).collect();
    graph.nodes[index].inputs.splice(1.., ids);
    Ok(())
}

/// Integers for real weights, and the bias that goes with them.
fn real_weights(
    steps: &Steps,
    (tensor, reals): (&Tensor, &ArrayD<f32>),
    bias: Option<Tensor>,
    (options, levels): (&QuantizeOptions, Levels),
    Inputs { moments, compensations, pruning }: &Inputs,
) -> (Tensor, Option<Tensor>) {
    let outputs = reals.len_of(Axis(0));
    let biases = bias.as_ref().and_then(Tensor::real_values);
    let biases = biases.unwrap_or_else(|| ArrayD::zeros(IxDyn(&[outputs])));
    // Kernels with inputs of 16 bits do not gain by it.
    let is_short = options.multipliers == Multipliers::Short && steps.input_finer <= 1.0;
    let unit = is_short.then(|| SHORT_UNIT * steps.output / steps.input);
    let grid = Grid { choice: options.weights, levels, unit };
    let rows = rows(reals);
    // Kernels take the channels of a group in pairs.
    let per_group = outputs / compensations.len().max(1);
    let pairs = |group: usize| {
        let end = (group + 1) * per_group;
        (group * per_group..end).step_by(2).map(move |n| (group, n..end.min(n + 2)))
    };
    let pair = |(group, pair): (usize, Range<usize>)| -> Vec<Channel> {
        let compensation = compensations.get(group);
        let rows = &rows[pair.clone()];
        let pruned = pruning.as_ref().zip(compensation).and_then(|(pruning, compensation)| {
            let inverse = pruning.inverses.get(group)?.clone();
            compensation.pruned(inverse, rows, &pruning.blocks, pruning.count)
        });
        let (rows, compensation) = match &pruned {
            Some((rows, compensation)) => (&rows[..], Some(compensation)),
            None => (rows, compensation),
        };
        let channel = |(n, row): (usize, &Vec<f32>)| {
            steps.channel(row, biases[[n]].into(), grid, compensation)
        };
        pair.zip(rows).map(channel).collect()
    };
    let pairs: Vec<_> = (0..compensations.len().max(1)).flat_map(pairs).collect();
    let channels: Vec<Channel> = pairs.into_par_iter().flat_map_iter(pair).collect();
    let weights = from_channels(tensor, reals, &channels);
    // A bias in the model's own integers stays.
    let open =
        !matches!(bias.as_ref().and_then(|b| b.constant.as_ref()), Some(Constant::Integer(_)));
    let bias = match weights.real_values() {
        Some(rounded) if options.bias_correction && open && !moments.is_empty() => {
            let values = corrected(&biases, reals, &rounded, moments);
            let name = bias.map_or_else(|| format!("{}/bias", tensor.name), |bias| bias.name);
            let constant = Some(Constant::Real(values));
            Some(Tensor { name, shape: vec![outputs], constant, quant: None })
        }
        _ => bias,
    };
    (weights, bias)
}

/// The weights of each output channel.
fn rows(reals: &ArrayD<f32>) -> Vec<Vec<f32>> {
    reals.axis_iter(Axis(0)).map(|row| row.iter().copied().collect()).collect()
}

/// One per channel group, where second moments are known.
fn compensations(
    weights: &ArrayD<f32>,
    moments: &[Moments],
    mean_is_corrected: bool,
) -> Vec<Compensation> {
    let outputs = weights.len_of(Axis(0));
    let matrix = weights.to_shape((outputs, weights.len() / outputs.max(1)));
    let matrix = matrix.unwrap_or_else(|error| panic!("weights: {error}"));
    let per_group = outputs / moments.len().max(1);
    let groups = matrix.axis_chunks_iter(Axis(0), per_group.max(1));
    let of = |(moments, rows): (&Moments, ArrayView2<f32>)| {
        let means = mean_is_corrected.then_some((&moments.float_mean, &moments.mean));
        let compensation = Compensation::new(moments.second.as_ref()?, means)?;
        Some(compensation.trusting(&rows.to_owned(), moments.halves.as_ref(), means))
    };
    let groups: Vec<_> = moments.iter().zip(groups).collect();
    groups.into_par_iter().map(of).collect::<Option<_>>().unwrap_or_default()
}

/// Real values of one step of the input and the output.
struct Steps {
    input: f64,
    output: f64,
    /// The largest magnitude that the input can hold.
    input_limit: f64,
    /// How many times as fine as with 8 bits the input's steps are.
    input_finer: f64,
    /// A step of the output if it had 8 bits.
    output_byte: f64,
}

/// The weights of one output channel.
struct Channel {
    scale: f64,
    integers: Vec<i32>,
}

impl Steps {
    fn new(input: &Quant, output: &Quant) -> Self {
        let (min, max) = input.range();
        let input_limit = input.dequantize(min, 0).abs().max(input.dequantize(max, 0).abs());
        let finer = |quant: &Quant| f64::from(quant.bits - 8).exp2();
        Self {
            input: input.scale().into(),
            output: output.scale().into(),
            input_limit,
            input_finer: finer(input),
            output_byte: f64::from(output.scale()) * finer(output),
        }
    }

    fn channel(
        &self,
        weights: &[f32],
        bias: f64,
        grid: Grid,
        compensation: Option<&Compensation>,
    ) -> Channel {
        let sum: f64 = weights.iter().map(|&w| f64::from(w).abs()).sum();
        let coarsest = (FINEST_UNIT * self.output_byte).max(bias.abs() / LARGEST_BIAS);
        let floor = coarsest / self.input_finer / self.input;
        if sum * self.input_limit < LEAST_EFFECT * self.output {
            return Channel { scale: grid.not_finer(floor), integers: vec![0; weights.len()] };
        }
        if let Some(compensation) = compensation {
            return grid.compensated(weights, floor, compensation);
        }
        let scale = grid.scale(weights, floor);
        let integers = weights.iter().map(|&w| grid.integer(w, scale)).collect();
        Channel { scale, integers }
    }
}

/// Scales are single precision in the end: integers must be found with the same number.
fn single(scale: f64) -> f64 {
    f64::from(scale as f32)
}

/// The integers that weights are rounded to, and how their scale is chosen.
#[derive(Clone, Copy)]
struct Grid {
    choice: WeightScale,
    levels: Levels,
    /// What scales are multiples of, if they are.
    unit: Option<f64>,
}

/// Fractions of the full scale that are tried.
const CANDIDATES: u32 = 100;
/// Those that are tried where each takes a compensation of its own.
const COMPENSATED_CANDIDATES: u32 = 20;

impl Grid {
    fn integer(self, weight: f32, scale: f64) -> i32 {
        self.levels.nearest(f64::from(weight) / scale) as i32
    }

    /// The scale with which the largest weight is represented exactly.
    fn full_scale(self, weights: &[f32]) -> f64 {
        let largest = weights.iter().fold(0.0, |largest, &w| f64::from(w).abs().max(largest));
        largest / f64::from(self.levels.largest())
    }

    /// The finest of the possible scales that is not finer than one.
    fn not_finer(self, scale: f64) -> f64 {
        self.unit.map_or(scale, |unit| unit * (scale / unit).ceil())
    }

    /// The scale for weights that are rounded to the nearest integer, `floor` at least.
    fn scale(self, weights: &[f32], floor: f64) -> f64 {
        let error = |scale: &f64| -> f64 {
            let off = |&w: &f32| f64::from(w) - f64::from(self.integer(w, *scale)) * scale;
            weights.iter().map(|w| off(w).powi(2)).sum()
        };
        let tried = self.candidates(weights, floor, CANDIDATES);
        let least = tried.into_iter().min_by(|a, b| error(a).total_cmp(&error(b)));
        least.unwrap_or_else(|| unreachable!("one scale at least is tried"))
    }

    /// The scales to choose from, `floor` at least: up to `count` of them.
    fn candidates(self, weights: &[f32], floor: f64, count: u32) -> Vec<f64> {
        let full = self.full_scale(weights);
        let scales = match self.choice {
            WeightScale::MaxAbs => vec![full],
            WeightScale::Mse => fractions(full, count).collect(),
        };
        scales.into_iter().map(|scale| single(self.not_finer(scale.max(floor)))).collect()
    }

    /// Rounds so that errors compensate each other. The error which the scale is chosen by is then
    /// that of the outputs.
    fn compensated(self, weights: &[f32], floor: f64, compensation: &Compensation) -> Channel {
        let tried = self.candidates(weights, floor, COMPENSATED_CANDIDATES);
        let rounded = tried.into_iter().map(|scale| {
            let rounded = compensation.round(weights, scale, self.levels);
            (rounded.error * scale * scale, Channel { scale, integers: rounded.integers })
        });
        let least = rounded.min_by(|a, b| a.0.total_cmp(&b.0));
        least.map_or_else(|| unreachable!("one scale at least is tried"), |(_, channel)| channel)
    }
}

/// Scales from half of the full one to it, the full one first.
fn fractions(full: f64, count: u32) -> impl Iterator<Item = f64> {
    (count / 2..=count).rev().map(move |i| full * f64::from(i) / f64::from(count))
}

fn from_channels(tensor: &Tensor, reals: &ArrayD<f32>, channels: &[Channel]) -> Tensor {
    let integers = channels.iter().flat_map(|channel| channel.integers.iter().copied()).collect();
    let integers = ArrayD::from_shape_vec(reals.raw_dim(), integers)
        .expect("one integer per weight, channel by channel");
    let scales = channels.iter().map(|channel| channel.scale as f32).collect();
    Tensor {
        constant: Some(Constant::Integer(integers)),
        quant: Some(Quant { scales, zero_point: 0, axis: Some(0), bits: 8 }),
        ..tensor.clone()
    }
}

/// The model's own weights, with a zero point of 0.
fn given_weights(tensor: &Tensor) -> Result<Tensor, String> {
    let (Some(Constant::Integer(values)), Some(quant)) = (&tensor.constant, &tensor.quant) else {
        return Err("has no scale".into());
    };
    let axis = quant.axis.filter(|_| quant.scales.len() > 1);
    if let Some(axis) = axis.filter(|&axis| axis != 0) {
        return Err(format!(
            "has scales along axis {axis}; quantise weights per tensor or per output channel"
        ));
    }
    let integers = values.mapv(|q| q - quant.zero_point);
    if let Some(q) = integers.iter().find(|q| i8::try_from(**q).is_err()) {
        return Err(format!(
            "holds {q} steps from its zero point, which 8 bits cannot; quantise weights \
             symmetrically"
        ));
    }
    let quant = Quant { zero_point: 0, bits: 8, ..quant.clone() };
    let constant = Some(Constant::Integer(integers));
    Ok(Tensor { constant, quant: Some(quant), ..tensor.clone() })
}

/// The accumulator's unit for each scale of the weights.
fn units(steps: &Steps, weights: &Tensor) -> Vec<f64> {
    let scales = weights.quant.as_ref().map_or(&[][..], |quant| &quant.scales);
    scales.iter().map(|&scale| steps.input * f64::from(scale)).collect()
}

/// Relative deviation within which a bias scale, rounded to single precision, is the product that
/// it should be.
const UNIT_TOLERANCE: f64 = 1e-4;

/// Whether a bias is given in the accumulator's units already.
fn has_units(bias: &Tensor, units: &[f64]) -> bool {
    let (Some(Constant::Integer(_)), Some(quant)) = (&bias.constant, &bias.quant) else {
        return false;
    };
    let channels = quant.scales.len().max(units.len());
    let unit = |n: usize| units[if units.len() == 1 { 0 } else { n }];
    let same =
        |n: usize| (f64::from(quant.scale_at(n)) - unit(n)).abs() <= UNIT_TOLERANCE * unit(n);
    quant.zero_point == 0 && (0..channels).all(same)
}

fn in_units(bias: Tensor, units: &[f64]) -> Tensor {
    let reals = bias.real_values().unwrap_or_else(|| ArrayD::zeros(bias.shape.clone()));
    let unit = |n: usize| units[if units.len() == 1 { 0 } else { n }];
    // Saturates: lowering finds out whether such a bias changes results.
    let integers = reals.iter().enumerate().map(|(n, &b)| (f64::from(b) / unit(n)).round() as i32);
    let integers = integers.collect::<Array1<i32>>().into_dyn();
    let scales: Vec<f32> = units.iter().map(|&unit| unit as f32).collect();
    let axis = (scales.len() > 1).then_some(0);
    let quant = Quant { scales, zero_point: 0, axis, bits: 32 };
    Tensor { constant: Some(Constant::Integer(integers)), quant: Some(quant), ..bias }
}
