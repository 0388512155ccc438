//! Convolutions and dense layers.

use fixie_format::op::paired::TAP_ALIGN;
use fixie_format::op::sparse;
use fixie_format::{Opcode, op};
use fixie_kernels::layout::{self, Portion};
use fixie_kernels::overlap;
use ndarray::ArrayD;

use super::coding::Stream;
use super::layout::Layout;
use super::program::{BufferId, Overlap, Params};
use super::{Codable, Emitted, LowerError, Lowering, Value, dim};
use crate::ir::{Constant, Conv, Node};
use crate::plan::cost;
use crate::quantize::accumulator;
use crate::quantize::requant::{self, Requant};

/// A convolution in integers, ready for any kernel.
pub(super) struct Integers {
    /// `[out_c][kernel_h][kernel_w][in_c / groups]`.
    pub(super) weights: Vec<i8>,
    /// Weights per output channel.
    pub(super) taps: usize,
    /// Per output channel, the input's zero point folded in.
    pub(super) bias: Vec<i32>,
    /// How accumulators become activations.
    pub(super) requant: Requant,
}

impl<'g> Lowering<'g> {
    pub(super) fn conv(&mut self, node: &Node, conv: &Conv) -> Result<(), LowerError> {
        let shape = self.graph.tensor(node.inputs[0]).shape.clone();
        let out_shape = self.graph.tensor(node.output).shape.clone();
        let x = self.arranged(node, node.inputs[0], Layout::channels_last(&shape))?;
        let weights = self.integers(node, 1)?;
        let window = window(node, conv, &shape, &out_shape)?;
        let integers = self.accumulation(node, ohwi(weights))?;
        let output = self.define(node.output, Layout::channels_last(&out_shape))?;
        self.emit_conv(node, x.buffer, output, window, conv.groups, &integers)
    }

    /// A matrix product is a 1×1 convolution over as many pixels as there are rows.
    pub(super) fn dense(&mut self, node: &Node) -> Result<(), LowerError> {
        let weights = self.integers(node, 1)?;
        let (out_c, in_c) = (weights.shape()[0], weights.shape()[1]);
        let pixels = self.graph.tensor(node.inputs[0]).len() / in_c.max(1);
        let (x, columns) = self.dense_input(node, in_c)?;
        let reordered = (0..out_c).flat_map(|n| columns.iter().map(move |&k| (n, k)));
        let weights: Vec<i8> = reordered.map(|(n, k)| weights[[n, k]] as i8).collect();
        let integers = self.accumulation(node, (weights, in_c))?;
        let window = op::Window {
            in_h: 1,
            in_w: dim(node, pixels)?,
            in_c: dim(node, in_c)?,
            out_h: 1,
            out_w: dim(node, pixels)?,
            out_c: dim(node, out_c)?,
            kernel_h: 1,
            kernel_w: 1,
            stride_h: 1,
            stride_w: 1,
            dilation_h: 1,
            dilation_w: 1,
            pad_top: 0,
            pad_left: 0,
        };
        let out_shape = self.graph.tensor(node.output).shape.clone();
        let output = self.define(node.output, Layout::row_major(&out_shape))?;
        self.emit_conv(node, x.buffer, output, window, 1, &integers)
    }

    /// The input of a dense layer, and for each place in memory the weight column that belongs
    /// there: one vector may lie in any order, since the weights can follow it.
    fn dense_input(&mut self, node: &Node, in_c: usize) -> Result<(Value, Vec<usize>), LowerError> {
        let x = self.input(node, 0)?;
        let one_vector = self.graph.tensor(node.inputs[0]).len() == in_c;
        if one_vector {
            let columns = x.layout.memory_to_onnx();
            return Ok((x, columns));
        }
        let row_major = Layout::row_major(&self.graph.tensor(node.inputs[0]).shape);
        let x = self.arranged(node, node.inputs[0], row_major)?;
        Ok((x, (0..in_c).collect()))
    }

    /// The integers of a constant input.
    fn integers(&self, node: &Node, index: usize) -> Result<&'g ArrayD<i32>, LowerError> {
        let id = *node.inputs.get(index).ok_or_else(|| LowerError::missing_input(node, index))?;
        match &self.graph.tensor(id).constant {
            Some(Constant::Integer(values)) => Ok(values),
            _ => Err(LowerError::unsupported(
                node,
                "its weights are computed at run time",
                "export the model with constant weights",
            )),
        }
    }

    /// Bias and multiplier of every output channel.
    fn accumulation(
        &self,
        node: &Node,
        (weights, taps): (Vec<i8>, usize),
    ) -> Result<Integers, LowerError> {
        if node.inputs.len() > 2 {
            self.integers(node, 2)?;
        }
        let channels = accumulator::channels(self.graph, node).ok_or_else(|| {
            let tensor = self.graph.tensor(node.output).name.clone();
            LowerError::NotQuantized { tensor }
        })?;
        let (requant, bias) = requant::convolution(&channels).map_err(LowerError::scales(node))?;
        Ok(Integers { weights, taps, bias, requant })
    }

    fn emit_conv(
        &mut self,
        node: &Node,
        input: BufferId,
        output: BufferId,
        window: op::Window,
        groups: usize,
        integers: &Integers,
    ) -> Result<(), LowerError> {
        if self.input_quant(node, 0)?.is_wide() || self.quant(node.output)?.is_wide() {
            return self.emit_wide(node, [input, output], (window, groups), integers);
        }
        let (act_min, act_max) = self.bounds(node)?;
        let mut params = op::Conv {
            input: input.0,
            output: output.0,
            scratch: 0,
            groups: dim(node, groups)?,
            window,
            weights: 0,
            bias: 0,
            multipliers: 0,
            shift: integers.requant.shift,
            pad_value: self.input_quant(node, 0)?.zero_point as i8,
            out_zero: self.quant(node.output)?.zero_point as i8,
            act_min,
            act_max,
            coding: 0,
            reserved: [0; 2],
        };
        let Written { opcode, weight_bytes, decoding, pixel_macs } =
            self.constants(node, &mut params, integers)?;
        let scratch_len = layout::scratch_len(&params, opcode, Portion::WHOLE);
        let scratch = self.add_scratch(scratch_len.ok_or_else(|| too_large(node))?)?;
        params.scratch = scratch.0;
        let overlap = overlap::overlap(&params, opcode).map(|how| match how {
            overlap::Overlap::InPlace => Overlap::InPlace(input),
            overlap::Overlap::Trailing(lead) => Overlap::Trailing { input, lead },
        });
        let emitted = Emitted {
            scratch: Some(scratch),
            overlap,
            macs: u64::from(window.out_h) * u64::from(window.out_w) * pixel_macs,
            weight_bytes,
            decoding,
            ..Emitted::new(Params::Conv(params), vec![input], output)
        };
        self.emit(node, opcode, window.out_h.into(), emitted)
    }

    /// Writes the constants of a convolution for the best kernel that takes it.
    fn constants(
        &mut self,
        node: &Node,
        params: &mut op::Conv,
        integers: &Integers,
    ) -> Result<Written, LowerError> {
        let constants = layout::Constants {
            weights: &integers.weights,
            bias: &integers.bias,
            multipliers: &integers.requant.multipliers,
        };
        let (best, plain) = self.packed(params, constants).ok_or_else(|| too_large(node))?;
        let Codable { coding, ops } = self.codable;
        let plain = plain.as_ref().unwrap_or(&best);
        if ops.contains(&self.program.ops.len())
            && let Some(stream) =
                Stream::new(*coding, (plain.opcode, params), constants, best.len(params))
        {
            params.coding = *coding;
            params.weights = self.program.image.data(&stream.bytes);
            let weight_bytes = stream.bytes.len();
            let (opcode, pixel_macs) = (plain.opcode, plain.pixel_macs(params, integers.taps));
            return Ok(Written { opcode, weight_bytes, decoding: stream.decoding, pixel_macs });
        }
        params.weights = self.program.image.data(&best.bytes);
        if !best.carries_numbers() {
            params.bias = self.program.image.data(constants.bias);
            params.multipliers = self.program.image.data(constants.multipliers);
        }
        let (weight_bytes, pixel_macs) = (best.len(params), best.pixel_macs(params, integers.taps));
        Ok(Written { opcode: best.opcode, weight_bytes, decoding: 0.0, pixel_macs })
    }

    /// The weights in the order of the best kernel of the target that takes this convolution, and, if
    /// that one skips zeros, in the order of the best other one.
    fn packed(
        &self,
        params: &op::Conv,
        constants: layout::Constants<'_>,
    ) -> Option<(Packed, Option<Packed>)> {
        let depthwise = params.groups > 1 && params.groups == params.window.in_c;
        let kernels = if depthwise {
            self.target.depthwise_convolutions(&params.window)
        } else {
            self.target.convolutions()
        };
        let mut packed = kernels.iter().filter_map(|&opcode| {
            Some(Packed { opcode, bytes: layout::pack(opcode, params, constants)? })
        });
        let best = packed.find(|packed| packed.is_worth_it(params))?;
        let plain = if best.opcode == Opcode::ConvSparse { packed.next() } else { None };
        Some((best, plain))
    }
}

/// What was written of a convolution.
struct Written {
    opcode: Opcode,
    /// Bytes of all constants.
    weight_bytes: usize,
    /// Instructions to decode them.
    decoding: f64,
    /// Multiply-accumulates of an output pixel, all channels of it.
    pixel_macs: u64,
}

/// Weights in the order of a kernel.
struct Packed {
    opcode: Opcode,
    bytes: Vec<u8>,
}

impl Packed {
    /// Whether bias and multipliers are among the weights.
    fn carries_numbers(&self) -> bool {
        !matches!(self.opcode, Opcode::Conv | Opcode::Depthwise)
    }

    /// Bytes of all constants.
    fn len(&self, params: &op::Conv) -> usize {
        let numbers = if self.carries_numbers() { 0 } else { 8 };
        self.bytes.len() + numbers * usize::from(params.window.out_c)
    }

    /// Whether the kernel is faster than the next one would be.
    fn is_worth_it(&self, params: &op::Conv) -> bool {
        self.sparse_quads(params).is_none_or(|quads| cost::is_sparse_faster(params, quads))
    }

    /// Multiply-accumulates of an output pixel, of which each channel has so many taps.
    fn pixel_macs(&self, params: &op::Conv, taps: usize) -> u64 {
        let macs = match self.sparse_quads(params) {
            Some(quads) => 2 * TAP_ALIGN * quads,
            None => taps * usize::from(params.window.out_c),
        };
        macs as u64
    }

    /// Groups of four taps of two channels that a sparse kernel multiplies.
    fn sparse_quads(&self, params: &op::Conv) -> Option<usize> {
        (self.opcode == Opcode::ConvSparse).then_some(())?;
        let around = 1 + cost::pairs(params) * (sparse::HEAD_WORDS + sparse::TAIL_WORDS);
        let couples = (self.bytes.len() / size_of::<u32>() - around) / sparse::COUPLE_WORDS;
        Some(2 * couples)
    }
}

pub(super) fn too_large(node: &Node) -> LowerError {
    LowerError::unsupported(node, "it is too large for this format", "make the layer smaller")
}

/// `[O, I, spatial..]` weights in the order `[O][kernel_h][kernel_w][I]`, and the taps per channel.
fn ohwi(weights: &ArrayD<i32>) -> (Vec<i8>, usize) {
    let rank = weights.ndim();
    let order: Vec<usize> = std::iter::once(0).chain(2..rank).chain([1]).collect();
    let taps = weights.shape()[1..].iter().product();
    let reordered = weights.view().permuted_axes(order);
    (reordered.iter().map(|&w| w as i8).collect(), taps)
}

/// The window of a one- or two-dimensional convolution; one dimension is a single row.
fn window(
    node: &Node,
    conv: &Conv,
    shape: &[usize],
    out_shape: &[usize],
) -> Result<op::Window, LowerError> {
    super::window::window(
        node,
        shape,
        out_shape,
        &super::window::Spatial {
            kernel: &conv.kernel,
            strides: &conv.strides,
            dilations: &conv.dilations,
            pads_before: &conv.pads_before,
        },
    )
}
