//! Random layers as images.

use fixie_format::op::coded::CODED;
use fixie_format::op::packed::PACKED;
use fixie_format::op::{Conv, Window};
use fixie_format::table::{Dtype, Place, Port, Step, Tensor, TensorId};
use fixie_format::{ImageBuilder, Opcode};
use fixie_kernels::layout::{self, Constants, Portion};

use crate::{Case, Random};

/// What a layer looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A kernel of one pixel over many of them.
    Pointwise,
    /// A kernel of one pixel over one or two of them.
    Dense,
    /// Any kernel, grouped, dilated and padded.
    Spatial,
    /// A 3×3 kernel at strides of 1 or 2, one per channel.
    DepthwiseSquare,
    /// A kernel one column wide over an image one column wide, one per channel.
    DepthwiseColumn,
    /// Any kernel, one per channel.
    DepthwiseAny,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::Pointwise,
        Self::Dense,
        Self::Spatial,
        Self::DepthwiseSquare,
        Self::DepthwiseColumn,
        Self::DepthwiseAny,
    ];

    /// The kernels that compute it.
    pub fn opcodes(self) -> &'static [Opcode] {
        match self {
            Self::Pointwise | Self::Spatial => &[
                Opcode::ConvPaired,
                Opcode::ConvSparse,
                Opcode::ConvBlocked,
                Opcode::ConvVectors,
                Opcode::Conv,
            ],
            Self::Dense => {
                &[Opcode::ConvPaired, Opcode::ConvSparse, Opcode::ConvVectors, Opcode::Conv]
            }
            Self::DepthwiseSquare | Self::DepthwiseColumn | Self::DepthwiseAny => {
                &[Opcode::DepthwisePlanar, Opcode::Depthwise]
            }
        }
    }

    /// A window, and the number of groups.
    pub(crate) fn window(self, random: &mut Random) -> (Window, u16) {
        match self {
            Self::Pointwise => pointwise(random),
            Self::Dense => dense(random),
            Self::Spatial => spatial(random),
            Self::DepthwiseSquare => {
                let stride = random.within(1..=2);
                let padded = Axis { kernel: 3, stride, ..Axis::any(random) };
                let axes = [padded, Axis { kernel: 3, stride, ..Axis::any(random) }];
                depthwise(random, axes.map(|axis| Axis { dilation: 1, ..axis }))
            }
            Self::DepthwiseColumn => {
                let kernel = random.within(1..=17);
                let output = random.within(1..=12);
                let inside = Axis { input: kernel + output - 1, output, kernel, ..Axis::POINT };
                let rows = if random.one_in(2) { inside } else { Axis::any(random) };
                depthwise(random, [rows, Axis::POINT])
            }
            Self::DepthwiseAny => {
                let axes = [Axis::any(random), Axis::any(random)];
                depthwise(random, axes)
            }
        }
    }
}

/// One axis of a window.
#[derive(Clone, Copy)]
struct Axis {
    input: u16,
    output: u16,
    kernel: u16,
    stride: u16,
    dilation: u16,
    pad: u16,
}

impl Axis {
    /// A single position.
    const POINT: Self = Self { input: 1, output: 1, kernel: 1, stride: 1, dilation: 1, pad: 0 };

    /// Small numbers; some windows see nothing but padding.
    fn any(random: &mut Random) -> Self {
        Self {
            input: random.within(1..=12),
            output: random.within(1..=9),
            kernel: random.within(1..=5),
            stride: random.within(1..=3),
            dilation: if random.one_in(3) { random.within(1..=2) } else { 1 },
            pad: random.within(0..=3),
        }
    }

    /// A kernel of one position that never leaves the input.
    fn inside(random: &mut Random, stride: u16) -> Self {
        let output = random.within(1..=9);
        let input = (output - 1) * stride + random.within(1..=stride);
        Self { input, output, stride, ..Self::POINT }
    }
}

fn pointwise(random: &mut Random) -> (Window, u16) {
    let stride = if random.one_in(3) { 2 } else { 1 };
    let groups = if random.one_in(4) { random.within(2..=3) } else { 1 };
    let axes = [Axis::inside(random, stride), Axis::inside(random, stride)];
    let channels = [random.within(1..=70), random.within(1..=20)];
    (window(axes, channels.map(|channels| channels * groups)), groups)
}

fn dense(random: &mut Random) -> (Window, u16) {
    let pixels = random.within(1..=2);
    let columns = Axis { input: pixels, output: pixels, ..Axis::POINT };
    let in_c = if random.one_in(2) { random.within(1..=60) * 4 } else { random.within(1..=99) };
    (window([Axis::POINT, columns], [in_c, random.within(1..=40)]), 1)
}

fn spatial(random: &mut Random) -> (Window, u16) {
    let groups = if random.one_in(3) { random.within(2..=3) } else { 1 };
    let axes = [Axis::any(random), Axis::any(random)];
    let channels = [random.within(1..=20), random.within(1..=12)];
    (window(axes, channels.map(|channels| channels * groups)), groups)
}

/// The planar kernel takes 4 channels or more, no vertical dilation, and strides of 1 or even ones;
/// what it refuses is left to the other.
fn depthwise(random: &mut Random, axes: [Axis; 2]) -> (Window, u16) {
    // Vectors of Helium have 16 lanes.
    let channels = if random.one_in(3) { random.within(16..=50) } else { random.within(4..=13) };
    let dilation = if random.one_in(8) { axes[0].dilation } else { 1 };
    let rows = Axis { dilation, ..axes[0] };
    (window([rows, axes[1]], [channels; 2]), channels)
}

fn window([rows, columns]: [Axis; 2], [in_c, out_c]: [u16; 2]) -> Window {
    Window {
        in_h: rows.input,
        in_w: columns.input,
        in_c,
        out_h: rows.output,
        out_w: columns.output,
        out_c,
        kernel_h: rows.kernel,
        kernel_w: columns.kernel,
        stride_h: rows.stride,
        stride_w: columns.stride,
        dilation_h: rows.dilation,
        dilation_w: columns.dilation,
        pad_top: rows.pad,
        pad_left: columns.pad,
    }
}

/// A random layer of a kind for a kernel, one in three with coded or packed constants; `None` if the kernel
/// refuses that one.
pub fn case(kind: Kind, opcode: Opcode, random: &mut Random) -> Option<Case> {
    let (window, groups) = kind.window(random);
    let mut params = params(window, groups, random);
    let takes_all = matches!(opcode, Opcode::Conv | Opcode::Depthwise);
    if takes_all && random.one_in(3) {
        params.shift = random.within(1..=2) as u8;
    }
    let extreme = random.one_in(4);
    let taps = product([window.kernel_h, window.kernel_w, window.in_c / groups]);
    let out_c = usize::from(window.out_c);
    // Mostly as a symmetric quantiser has them; −128 cannot stand in the upper half of a pair.
    let least = if takes_all && random.one_in(4) { i8::MIN } else { -127 };
    let takes_streams = !matches!(opcode, Opcode::ConvVectors | Opcode::ConvSparse);
    let coded = takes_streams && random.one_in(3);
    params.coding = if !coded {
        0
    } else if random.one_in(2) {
        CODED
    } else {
        PACKED
    };
    // Of 8 to 2 bits.
    let unit = if params.coding == PACKED { 1 << random.within(0..=6) } else { 1 };
    let weights = random.bytes(out_c * taps, extreme).into_iter();
    let weights = weights.map(|weight| weight.max(least) / unit * unit);
    let mut weights: Vec<i8> = weights.collect();
    if opcode == Opcode::ConvSparse {
        prune(&mut weights, &params, random);
    }
    let mut multipliers = random.numbers(out_c, 26);
    if random.one_in(3) {
        // Their products are short, unless sums are too large.
        multipliers.iter_mut().for_each(|multiplier| *multiplier &= !0xffff);
    }
    if coded {
        multipliers.iter_mut().for_each(|multiplier| *multiplier = multiplier.saturating_abs());
    }
    let constants = Constants {
        weights: &weights,
        bias: &random.numbers(out_c, 19),
        multipliers: &multipliers,
    };
    let mut builder = ImageBuilder::new();
    if coded {
        let stream = layout::code(opcode, &params, constants, params.coding)?;
        params.weights = builder.data(&stream);
        builder.coding(params.coding);
    } else {
        params.weights = builder.data(&layout::pack(opcode, &params, constants)?);
        params.bias = builder.data(constants.bias);
        params.multipliers = builder.data(constants.multipliers);
    }
    let input_len = product([window.in_h, window.in_w, window.in_c]);
    let output_len = product([window.out_h, window.out_w, window.out_c]);
    // Any number of rows and channels is enough.
    let portion =
        Portion { rows: random.within(1..=30).into(), channels: random.within(1..=30).into() };
    let scratch_len = layout::scratch_len(&params, opcode, portion)?;
    [params.input, params.output, params.scratch] =
        place(&mut builder, [input_len, output_len, scratch_len].map(|len| (len, Dtype::I8)));
    let op = builder.op(opcode, window.out_h, params);
    push_steps(&mut builder, op, window.out_h, random);
    builder.input(port(params.input, input_len, Dtype::I8));
    builder.output(port(params.output, output_len, Dtype::I8));
    let input = random.bytes(input_len, extreme).into_iter().map(|value| value as u8);
    Some(Case { image: builder.build(), input: input.collect() })
}

/// Makes any share of the blocks of two channels and four taps zero.
fn prune(weights: &mut [i8], params: &Conv, random: &mut Random) {
    let window = &params.window;
    let row_taps = product([1, window.kernel_w, window.in_c / params.groups]);
    let taps = row_taps * usize::from(window.kernel_h);
    let group_out = usize::from(window.out_c / params.groups);
    let eighths = random.within(0..=8);
    for pair in weights.chunks_mut(group_out * taps).flat_map(|group| group.chunks_mut(2 * taps)) {
        for first in (0..taps).step_by(row_taps) {
            for quad in (first..first + row_taps).step_by(4) {
                if random.within(1..=8) <= eighths {
                    let end = (quad + 4).min(first + row_taps);
                    pair.chunks_mut(taps).for_each(|channel| channel[quad..end].fill(0));
                }
            }
        }
    }
}

fn params(window: Window, groups: u16, random: &mut Random) -> Conv {
    let (act_min, act_max) = if random.one_in(3) { (-90, 100) } else { (i8::MIN, i8::MAX) };
    Conv {
        input: 0,
        output: 0,
        scratch: 0,
        groups,
        window,
        weights: 0,
        bias: 0,
        multipliers: 0,
        shift: 0,
        pad_value: random.bits() as i8,
        out_zero: random.bits() as i8,
        act_min,
        act_max,
        coding: 0,
        reserved: [0; 2],
    }
}

pub(crate) fn product(extents: [u16; 3]) -> usize {
    extents.into_iter().map(usize::from).product()
}

/// Tensors of so many elements of a type, one behind the other in the arena.
pub(crate) fn place<const N: usize>(
    builder: &mut ImageBuilder,
    tensors: [(usize, Dtype); N],
) -> [TensorId; N] {
    let mut end = 0;
    let ids = tensors.map(|(elements, dtype)| {
        let offset = end;
        let len = elements * dtype.size_bytes();
        end += (len as u32).next_multiple_of(4);
        builder.tensor(Tensor {
            offset,
            len_bytes: len as u32,
            dtype: dtype as u8,
            place: Place::Arena as u8,
            ring_rows: 0,
        })
    });
    builder.arena_len(end);
    ids
}

/// Steps of one to four rows each.
pub(crate) fn push_steps(builder: &mut ImageBuilder, op: u16, rows: u16, random: &mut Random) {
    let mut first_row = 0;
    while first_row < rows {
        let rows = random.within(1..=4).min(rows - first_row);
        builder.step(Step { op, first_row, rows });
        first_row += rows;
    }
}

pub(crate) fn port(tensor: TensorId, len: usize, dtype: Dtype) -> Port {
    Port {
        tensor,
        rank: 1,
        dtype: dtype as u8,
        scale: 1.0,
        zero_point: 0,
        dims: [len as u32, 1, 1, 1, 1, 1],
        order: [0; 6],
        rows: 0,
    }
}
