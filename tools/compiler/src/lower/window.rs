//! Pools and resizing: operators whose output rows look at windows of the input.

use fixie_format::{Opcode, op};

use super::layout::Layout;
use super::program::Params;
use super::{Emitted, LowerError, Lowering, dim};
use crate::ir::{Interpolation, Node, Pool, Resize};
use crate::quantize::requant;

/// Kernel, stride, dilation and leading padding per spatial axis.
pub struct Spatial<'a> {
    pub kernel: &'a [usize],
    pub strides: &'a [usize],
    pub dilations: &'a [usize],
    pub pads_before: &'a [usize],
}

/// The format's window for one or two spatial axes; one axis is a single row.
pub fn window(
    node: &Node,
    shape: &[usize],
    out_shape: &[usize],
    spatial: &Spatial<'_>,
) -> Result<op::Window, LowerError> {
    let axes = shape.len().saturating_sub(2);
    if !matches!(axes, 1 | 2) || out_shape.len() != shape.len() {
        return Err(LowerError::unsupported(
            node,
            format!("{axes} spatial axes"),
            "use one or two spatial axes",
        ));
    }
    let lengthwise = |values: &[usize], absent: usize| -> Result<(u16, u16), LowerError> {
        let last = values.last().copied().unwrap_or(absent);
        let first = if axes == 2 { values[0] } else { absent };
        Ok((dim(node, first)?, dim(node, last)?))
    };
    let (in_h, in_w) = lengthwise(&shape[2..], 1)?;
    let (out_h, out_w) = lengthwise(&out_shape[2..], 1)?;
    let (kernel_h, kernel_w) = lengthwise(spatial.kernel, 1)?;
    let (stride_h, stride_w) = lengthwise(spatial.strides, 1)?;
    let (dilation_h, dilation_w) = lengthwise(spatial.dilations, 1)?;
    let (pad_top, pad_left) = lengthwise(spatial.pads_before, 0)?;
    Ok(op::Window {
        in_h,
        in_w,
        in_c: dim(node, shape[1])?,
        out_h,
        out_w,
        out_c: dim(node, out_shape[1])?,
        kernel_h,
        kernel_w,
        stride_h,
        stride_w,
        dilation_h,
        dilation_w,
        pad_top,
        pad_left,
    })
}

impl Lowering<'_> {
    pub(super) fn max_pool(&mut self, node: &Node, pool: &Pool) -> Result<(), LowerError> {
        self.same_quant(node, 0)?;
        let (input, output, window) = self.pooled(node, pool)?;
        let (act_min, act_max) = self.bounds(node)?;
        let params = op::MaxPool { input: input.0, output: output.0, window, act_min, act_max };
        let emitted = Emitted::new(Params::MaxPool(params), vec![input], output);
        self.emit(node, Opcode::MaxPool, window.out_h.into(), emitted)
    }

    pub(super) fn avg_pool(
        &mut self,
        node: &Node,
        pool: &Pool,
        count_padding: bool,
    ) -> Result<(), LowerError> {
        let (input, output, window) = self.pooled(node, pool)?;
        let (in_quant, out_quant) = (self.input_quant(node, 0)?, self.quant(node.output)?);
        let ratio = f64::from(in_quant.scale()) / f64::from(out_quant.scale());
        let sizes = window_sizes(&window);
        let divisors: Vec<u32> = if count_padding {
            padded_sizes(&window, pool, &self.graph.tensor(node.inputs[0]).shape)
        } else {
            sizes.clone()
        };
        // With padding counted, the divisor depends on the place and not on the number of elements.
        let ambiguous = count_padding && divisors.windows(2).any(|pair| pair[0] != pair[1]);
        if ambiguous {
            return Err(LowerError::unsupported(
                node,
                "padding counts and the last window looks beyond it (ceil_mode)",
                "export with ceil_mode=False or count_include_pad=False",
            ));
        }
        let ratios: Vec<f64> = divisors.iter().map(|&n| ratio / f64::from(n.max(1))).collect();
        let largest = 255 * i64::from(sizes.last().copied().unwrap_or(1));
        let requant = requant::multipliers(&ratios, largest).map_err(LowerError::scales(node))?;
        let table: Vec<i32> =
            sizes.iter().zip(&requant.multipliers).flat_map(|(&n, &m)| [n as i32, m]).collect();
        let (act_min, act_max) = self.bounds(node)?;
        let params = op::AvgPool {
            input: input.0,
            output: output.0,
            window,
            multipliers: self.program.image.data(&table),
            multiplier_count: dim(node, sizes.len())?,
            shift: requant.shift,
            in_zero: in_quant.zero_point as i8,
            out_zero: out_quant.zero_point as i8,
            act_min,
            act_max,
            reserved: 0,
        };
        let emitted = Emitted::new(Params::AvgPool(params), vec![input], output);
        self.emit(node, Opcode::AvgPool, window.out_h.into(), emitted)
    }

    /// Input and output of a pool, channels last, and its window.
    fn pooled(
        &mut self,
        node: &Node,
        pool: &Pool,
    ) -> Result<(super::BufferId, super::BufferId, op::Window), LowerError> {
        let shape = self.graph.tensor(node.inputs[0]).shape.clone();
        let out_shape = self.graph.tensor(node.output).shape.clone();
        let spatial = Spatial {
            kernel: &pool.kernel,
            strides: &pool.strides,
            dilations: &pool.dilations,
            pads_before: &pool.pads_before,
        };
        let window = window(node, &shape, &out_shape, &spatial)?;
        let input = self.arranged(node, node.inputs[0], Layout::channels_last(&shape))?.buffer;
        let output = self.define(node.output, Layout::channels_last(&out_shape))?;
        Ok((input, output, window))
    }

    pub(super) fn resize(&mut self, node: &Node, resize: &Resize) -> Result<(), LowerError> {
        self.same_quant(node, 0)?;
        let shape = self.graph.tensor(node.inputs[0]).shape.clone();
        let out_shape = self.graph.tensor(node.output).shape.clone();
        let unit = vec![Interpolation { first: 0, second: 0, weight: 0.0 }];
        let (rows, columns) = match &resize.axes[..] {
            [columns] => (&unit, columns),
            [rows, columns] => (rows, columns),
            other => {
                return Err(LowerError::unsupported(
                    node,
                    format!("{} spatial axes", other.len()),
                    "use one or two spatial axes",
                ));
            }
        };
        let extent = |shape: &[usize], back: usize| {
            if shape.len() >= 2 + back { shape[shape.len() - back] } else { 1 }
        };
        let input = self.arranged(node, node.inputs[0], Layout::channels_last(&shape))?.buffer;
        let output = self.define(node.output, Layout::channels_last(&out_shape))?;
        let row_table = self.program.image.data(&interpolation_table(node, rows)?);
        let column_table = self.program.image.data(&interpolation_table(node, columns)?);
        let params = op::Resize {
            input: input.0,
            output: output.0,
            in_h: dim(node, if resize.axes.len() == 2 { extent(&shape, 2) } else { 1 })?,
            in_w: dim(node, extent(&shape, 1))?,
            out_h: dim(node, rows.len())?,
            out_w: dim(node, columns.len())?,
            channels: shape[1] as u32,
            row_table,
            column_table,
        };
        let emitted = Emitted::new(Params::Resize(params), vec![input], output);
        self.emit(node, Opcode::Resize, rows.len(), emitted)
    }
}

/// Neighbours and the weight of the second in 1/256, as the format holds them.
fn interpolation_table(node: &Node, axis: &[Interpolation]) -> Result<Vec<u16>, LowerError> {
    let mut table = Vec::with_capacity(3 * axis.len());
    for entry in axis {
        let weight = (entry.weight * 256.0).round() as u16;
        table.extend([dim(node, entry.first)?, dim(node, entry.second)?, weight]);
    }
    Ok(table)
}

/// How many elements the windows along one axis see, one entry per output.
fn seen(input: u16, output: u16, kernel: u16, stride: u16, dilation: u16, pad: u16) -> Vec<u32> {
    let inside = |position: i64| (0..i64::from(input)).contains(&position);
    let at = |y: u16, i: u16| {
        i64::from(y) * i64::from(stride) + i64::from(i) * i64::from(dilation) - i64::from(pad)
    };
    (0..output).map(|y| (0..kernel).filter(|&i| inside(at(y, i))).count() as u32).collect()
}

/// Every number of elements that some window sees, ascending.
fn window_sizes(w: &op::Window) -> Vec<u32> {
    let rows = seen(w.in_h, w.out_h, w.kernel_h, w.stride_h, w.dilation_h, w.pad_top);
    let columns = seen(w.in_w, w.out_w, w.kernel_w, w.stride_w, w.dilation_w, w.pad_left);
    products(&rows, &columns)
}

/// The divisors that belong to [`window_sizes`] where padding counts: positions inside the padded
/// input.
fn padded_sizes(w: &op::Window, pool: &Pool, shape: &[usize]) -> Vec<u32> {
    let padded =
        |axis: usize| (shape[2 + axis] + pool.pads_before[axis] + pool.pads_after[axis]) as u16;
    let last = shape.len() - 3;
    let rows = if last == 1 {
        seen(padded(0), w.out_h, w.kernel_h, w.stride_h, w.dilation_h, 0)
    } else {
        vec![1]
    };
    let columns = seen(padded(last), w.out_w, w.kernel_w, w.stride_w, w.dilation_w, 0);
    let divisors = products(&rows, &columns);
    match divisors[..] {
        [only] => vec![only; window_sizes(w).len()],
        _ => divisors,
    }
}

fn products(rows: &[u32], columns: &[u32]) -> Vec<u32> {
    let mut sizes: Vec<u32> =
        rows.iter().flat_map(|&r| columns.iter().map(move |&c| r * c)).collect();
    sizes.sort_unstable();
    sizes.dedup();
    sizes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn border_windows_see_fewer_elements() {
        // 4 inputs, kernel 3, stride 1, padding 1: 2, 3, 3, 2.
        assert_eq!(seen(4, 4, 3, 1, 1, 1), [2, 3, 3, 2]);
        assert_eq!(seen(5, 2, 3, 2, 2, 0), [3, 2]);
        assert_eq!(products(&[2, 3], &[2, 3]), [4, 6, 9]);
    }
}
