//! Random layers of 16-bit elements as images.

use fixie_format::op::ConvWide;
use fixie_format::table::Dtype;
use fixie_format::{ImageBuilder, Opcode};
use fixie_kernels::layout;

use crate::layer::{Kind, place, port, product, push_steps};
use crate::{Case, Random};

/// A random layer of a kind, its input or its output or both in 16 bits; `None` if it is too large.
pub fn wide_case(kind: Kind, random: &mut Random) -> Option<Case> {
    let (window, groups) = kind.window(random);
    let types = match random.within(0..=2) {
        0 => [Dtype::I8, Dtype::I16],
        1 => [Dtype::I16, Dtype::I8],
        _ => [Dtype::I16, Dtype::I16],
    };
    let [wide_input, wide_output] = types.map(|dtype| dtype == Dtype::I16);
    let extreme = random.one_in(4);
    let taps = product([window.kernel_h, window.kernel_w, window.in_c / groups]);
    let out_c = usize::from(window.out_c);
    let mut builder = ImageBuilder::new();
    let finer = if wide_input { 8 } else { 0 };
    // Most results are neither cut nor next to nothing.
    let multiplier_bits = if wide_output { 30 - finer } else { 26 - finer };
    let (act_min, act_max) = match (wide_output, random.one_in(3)) {
        (true, false) => (i16::MIN, i16::MAX),
        (true, true) => (-20000, 30000),
        (false, false) => (i8::MIN.into(), i8::MAX.into()),
        (false, true) => (-90, 100),
    };
    let mut zero = |wide: bool| if wide { 0 } else { random.bits() as i8 };
    let (pad_value, out_zero) = (zero(wide_input), zero(wide_output));
    let mut params = ConvWide {
        input: 0,
        output: 0,
        scratch: 0,
        groups,
        window,
        weights: builder.data(&random.bytes(out_c * taps, extreme)),
        bias: builder.data(&random.numbers(out_c, 19 + finer)),
        multipliers: builder.data(&random.numbers(out_c, multiplier_bits)),
        shift: if wide_input { 0 } else { random.within(0..=1) as u8 },
        pad_value,
        out_zero,
        reserved: 0,
        act_min,
        act_max,
    };
    let input_len = product([window.in_h, window.in_w, window.in_c]);
    let output_len = product([window.out_h, window.out_w, window.out_c]);
    let scratch_len = layout::wide_scratch_len(&params)?;
    [params.input, params.output, params.scratch] = place(
        &mut builder,
        [(input_len, types[0]), (output_len, types[1]), (scratch_len, Dtype::I8)],
    );
    let op = builder.op(Opcode::ConvWide, window.out_h, params);
    push_steps(&mut builder, op, window.out_h, random);
    builder.input(port(params.input, input_len, types[0]));
    builder.output(port(params.output, output_len, types[1]));
    let input = random.bytes(input_len * types[0].size_bytes(), extreme);
    let input = input.into_iter().map(|byte| byte as u8).collect();
    Some(Case { image: builder.build(), input })
}
