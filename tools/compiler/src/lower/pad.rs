//! Padding: a fill and a copy, or copies of mirrored or repeated borders.

use fixie_format::{Opcode, op};

use super::layout::Layout;
use super::movement::CopyAxis;
use super::program::{BufferId, Params};
use super::{Emitted, LowerError, Lowering, Value};
use crate::ir::{Node, PadMode};

/// A run of output elements along one axis, and the input elements that they show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    to: usize,
    from: usize,
    step: isize,
    len: usize,
}

impl Lowering<'_> {
    pub(super) fn pad(
        &mut self,
        node: &Node,
        before: &[usize],
        mode: PadMode,
    ) -> Result<(), LowerError> {
        self.same_quant(node, 0)?;
        let value = self.plain_input(node, 0)?;
        let shape = self.graph.tensor(node.output).shape.clone();
        let layout = Layout { dims: shape.clone(), order: value.layout.order.clone() };
        let output = self.define(node.output, layout.clone())?;
        let runs = |axis: usize| {
            let (input, total) = (value.layout.dims[axis], shape[axis]);
            runs(input, before[axis], total - input - before[axis], mode)
        };
        let runs: Vec<Vec<Run>> = (0..shape.len()).map(runs).collect();
        if let PadMode::Constant(real) = mode {
            let fill = self.quant(node.output)?.quantize(real.into(), 0) as i8;
            let params = op::Fill { output: output.0, value: fill, reserved: 0 };
            let emitted = Emitted::new(Params::Fill(params), vec![], output);
            self.emit(node, Opcode::Fill, 1, emitted)?;
        }
        for region in regions(&runs) {
            self.copy_region(node, &value, output, &layout, &region)?;
        }
        Ok(())
    }

    /// Copies one box of the output, given as a run per axis.
    fn copy_region(
        &mut self,
        node: &Node,
        value: &Value,
        output: BufferId,
        layout: &Layout,
        region: &[Run],
    ) -> Result<(), LowerError> {
        let (from, to) = (value.layout.strides(), layout.strides());
        let start = |strides: &[usize], place: fn(&Run) -> usize| -> usize {
            region.iter().zip(strides).map(|(run, stride)| place(run) * stride).sum()
        };
        let axes: Vec<CopyAxis> = layout
            .order
            .iter()
            .map(|&a| CopyAxis {
                extent: region[a].len,
                from: region[a].step * from[a] as isize,
                to: to[a] as isize,
            })
            .collect();
        let (in_base, out_base) = (start(&from, |run| run.from), start(&to, |run| run.to));
        self.emit_copy(node, node.output, (value.buffer, in_base), (output, out_base), &axes)
    }
}

/// The runs along one axis of `input` elements.
fn runs(input: usize, before: usize, after: usize, mode: PadMode) -> Vec<Run> {
    let end = before + input;
    let middle = Run { to: before, from: 0, step: 1, len: input };
    let border = match mode {
        PadMode::Constant(_) => vec![],
        PadMode::Edge => vec![
            Run { to: 0, from: 0, step: 0, len: before },
            Run { to: end, from: input - 1, step: 0, len: after },
        ],
        PadMode::Reflect => vec![
            Run { to: 0, from: before, step: -1, len: before },
            Run { to: end, from: input.saturating_sub(2), step: -1, len: after },
        ],
    };
    border.into_iter().chain([middle]).filter(|run| run.len > 0).collect()
}

/// Every combination of one run per axis.
fn regions(runs: &[Vec<Run>]) -> Vec<Vec<Run>> {
    let mut regions = vec![vec![]];
    for axis in runs {
        let extend = |region: Vec<Run>| {
            axis.iter().map(move |&run| region.iter().copied().chain([run]).collect::<Vec<_>>())
        };
        regions = regions.into_iter().flat_map(extend).collect();
    }
    regions
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What each output element along an axis shows.
    fn shown(input: usize, before: usize, after: usize, mode: PadMode) -> Vec<usize> {
        let mut out = vec![usize::MAX; before + input + after];
        for run in runs(input, before, after, mode) {
            for i in 0..run.len {
                out[run.to + i] = run.from.checked_add_signed(run.step * i as isize).unwrap();
            }
        }
        out
    }

    #[test]
    fn borders_mirror_or_repeat() {
        assert_eq!(shown(3, 2, 1, PadMode::Reflect), [2, 1, 0, 1, 2, 1]);
        assert_eq!(shown(3, 2, 1, PadMode::Edge), [0, 0, 0, 1, 2, 2]);
        let none = usize::MAX;
        assert_eq!(shown(2, 1, 1, PadMode::Constant(0.0)), [none, 0, 1, none]);
    }

    #[test]
    fn two_bordered_axes_have_nine_regions() {
        let axis = runs(3, 1, 1, PadMode::Edge);
        assert_eq!(regions(&[axis.clone(), axis]).len(), 9);
    }
}
