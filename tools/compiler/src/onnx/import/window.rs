//! Geometry that convolutions and pools share.

use super::super::error::Problem;
use super::super::node::{self, NodeView};

/// Largest kernel extent, stride, dilation or padding: beyond, sums could overflow.
const LARGEST: usize = 1 << 20;

/// A window that slides over the spatial axes, with the extents it produces.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) kernel: Vec<usize>,
    pub(super) strides: Vec<usize>,
    pub(super) dilations: Vec<usize>,
    pub(super) pads_before: Vec<usize>,
    pub(super) pads_after: Vec<usize>,
    pub(super) output: Vec<usize>,
}

impl Window {
    /// Reads the attributes `strides`, `dilations`, `pads` and `auto_pad` of a node whose kernel is
    /// known. `input` holds the spatial extents; `ceil` lets the last window look beyond them, if
    /// the padding is explicit.
    pub(super) fn read(
        node: &NodeView<'_>,
        input: &[usize],
        kernel: Vec<usize>,
        ceil: bool,
    ) -> Result<Self, Problem> {
        let axes = input.len();
        let positive = |name: &str| -> Result<Vec<usize>, Problem> {
            let values = match node.ints(name)? {
                Some(values) => node::sizes(name, values)?,
                None => vec![1; axes],
            };
            check(name, &values, axes, 1)?;
            Ok(values)
        };
        let (strides, dilations) = (positive("strides")?, positive("dilations")?);
        check("kernel_shape", &kernel, axes, 1)?;
        let mut window = Self {
            kernel,
            strides,
            dilations,
            pads_before: vec![0; axes],
            pads_after: vec![0; axes],
            output: Vec::new(),
        };
        let explicit = window.read_pads(node, input)?;
        window.output = (0..axes)
            .map(|axis| window.extent(axis, input[axis], ceil && explicit))
            .collect::<Result<_, _>>()?;
        Ok(window)
    }

    /// Sets the padding; tells whether it is not `auto_pad` that says how much.
    fn read_pads(&mut self, node: &NodeView<'_>, input: &[usize]) -> Result<bool, Problem> {
        let axes = input.len();
        match node.string_or("auto_pad", "NOTSET")? {
            "NOTSET" | "" => {
                let Some(pads) = node.ints("pads")? else { return Ok(true) };
                if pads.iter().any(|&pad| pad < 0) {
                    return Err(Problem::new(
                        format!("its pads {pads:?} cut the input"),
                        "cut with Slice instead",
                    ));
                }
                let pads = node::sizes("pads", pads)?;
                check("pads", &pads, 2 * axes, 0)?;
                self.pads_before = pads[..axes].to_vec();
                self.pads_after = pads[axes..].to_vec();
                Ok(true)
            }
            "VALID" => Ok(false),
            mode @ ("SAME_UPPER" | "SAME_LOWER") => {
                for (axis, &extent) in input.iter().enumerate() {
                    let output = extent.div_ceil(self.strides[axis]);
                    let reached = (output.max(1) - 1) * self.strides[axis] + self.span(axis);
                    let total = reached.saturating_sub(extent);
                    let smaller = total / 2;
                    let (before, after) = (smaller, total - smaller);
                    let upper = mode == "SAME_UPPER";
                    self.pads_before[axis] = if upper { before } else { after };
                    self.pads_after[axis] = if upper { after } else { before };
                }
                Ok(false)
            }
            other => Err(Problem::invalid(format!("auto_pad is `{other}`"))),
        }
    }

    /// Positions from the first to the last element of the kernel.
    fn span(&self, axis: usize) -> usize {
        (self.kernel[axis] - 1) * self.dilations[axis] + 1
    }

    /// Positions of the window along one axis.
    fn extent(&self, axis: usize, input: usize, ceil: bool) -> Result<usize, Problem> {
        let (before, after) = (self.pads_before[axis], self.pads_after[axis]);
        let (span, stride) = (self.span(axis), self.strides[axis]);
        let room = (input + before + after).checked_sub(span).ok_or_else(|| {
            Problem::new(
                format!(
                    "its kernel spans {span} positions of {input} and {before} + {after} padding"
                ),
                "make the input larger or the kernel smaller",
            )
        })?;
        if !ceil {
            return Ok(room / stride + 1);
        }
        let output = room.div_ceil(stride) + 1;
        // A window that starts behind the input does not count.
        let last_starts_outside = (output - 1) * stride >= input + before;
        Ok(output - usize::from(last_starts_outside))
    }

    /// Whether every window sees at least one element of the input.
    pub(super) fn always_sees(&self, input: &[usize]) -> bool {
        (0..input.len()).all(|axis| {
            let (before, dilation) = (self.pads_before[axis], self.dilations[axis]);
            let starts = (0..self.output[axis]).map(|i| i * self.strides[axis]);
            let mut in_padding = starts.take_while(|&start| start < before);
            let reaches = |start: usize| {
                let step = (before - start).div_ceil(dilation);
                step < self.kernel[axis] && start + step * dilation - before < input[axis]
            };
            self.pads_after[axis] < self.span(axis) && in_padding.all(reaches)
        })
    }
}

/// Checks the number of entries and that each is at least `least` and not absurd.
fn check(name: &str, values: &[usize], count: usize, least: usize) -> Result<(), Problem> {
    let sound = values.iter().all(|value| (least..=LARGEST).contains(value));
    if values.len() == count && sound {
        return Ok(());
    }
    Err(Problem::invalid(format!(
        "{name} is {values:?}, but {count} sizes of {least} or more are wanted"
    )))
}
