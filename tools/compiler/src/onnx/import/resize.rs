//! Resampling: every mode becomes a table of neighbours and weights.

use super::super::error::{Problem, Stop};
use super::super::limits;
use super::super::node::{self, NodeView};
use super::convolution::spatial;
use super::importer::{Importer, Kind};
use crate::ir::{Interpolation, Op, Resize};

/// `Resize` of the spatial axes, with `nearest` or `linear` interpolation.
pub(super) fn resize<'m>(importer: &mut Importer<'m>, node: &NodeView<'m>) -> Result<(), Stop> {
    let mode = Mode::read(node)?;
    let (x, kind) = match mode {
        Mode::Nearest(_) => importer.any_activation(node, 0)?,
        Mode::Linear => (importer.activation(node, 0)?, Kind::Real),
    };
    let shape = importer.shape(x).to_vec();
    spatial(&shape)?;
    let axes = lengths(importer, node, &shape)?;
    let coordinates = Coordinates::read(node)?;
    let unchanged = |axis: &Axis| axis.output == axis.input && node::is_one(axis.scale);
    if !axes[..2].iter().all(unchanged) {
        return Err(Problem::new(
            "it resizes the batch or the channels",
            "resize the spatial axes of a tensor whose channels come second",
        )
        .into());
    }
    let shrinks = axes.iter().any(|axis| axis.scale < 1.0);
    if shrinks && node.flag("antialias", false)? {
        return Err(Problem::new("it smooths (antialias)", "export with antialias=False").into());
    }
    if shrinks && node.opset < 11 && mode != Mode::Linear {
        return Err(Problem::new(
            format!("opset {} does not say which elements remain", node.opset),
            "export with opset 11 or newer",
        )
        .into());
    }
    let mut tables = Vec::new();
    for axis in &axes[2..] {
        limits::check("positions of a resized axis", axis.output, limits::MAX_RESIZED)?;
        tables.push(
            (0..axis.output).map(|i| mode.pick(coordinates.of(i, axis), axis.input)).collect(),
        );
    }
    let output: Vec<_> = axes.iter().map(|axis| axis.output).collect();
    importer.emit_kind(node, Op::Resize(Resize { axes: tables }), &[x], &output, kind)?;
    Ok(())
}

/// One axis before and behind.
struct Axis {
    input: usize,
    output: usize,
    scale: f32,
}

/// The lengths that `scales` or `sizes` ask for.
fn lengths(
    importer: &Importer<'_>,
    node: &NodeView<'_>,
    shape: &[usize],
) -> Result<Vec<Axis>, Problem> {
    let (scales, sizes) = if node.opset < 11 {
        (importer.real_constant(node, 1)?, None)
    } else {
        (importer.real_constant(node, 2)?, importer.ints(node, 3)?)
    };
    let scales = scales.filter(|scales| !scales.is_empty());
    let named = match node.ints("axes")? {
        Some(axes) => {
            node::axes(axes, shape.len())?;
            axes.iter().map(|&axis| node::axis(axis, shape.len())).collect::<Result<_, _>>()?
        }
        None => (0..shape.len()).collect::<Vec<_>>(),
    };
    let mut axes: Vec<_> =
        shape.iter().map(|&input| Axis { input, output: input, scale: 1.0 }).collect();
    match (scales, sizes) {
        (Some(scales), None) if scales.len() == named.len() => {
            for (&at, &scale) in named.iter().zip(&scales) {
                let output = (axes[at].input as f32 * scale).floor();
                // Comparing like this also refuses a NaN.
                if !(1.0..=limits::MAX_ELEMENTS as f32).contains(&output) {
                    return Err(Problem::invalid(format!("scale {scale} leaves no sensible size")));
                }
                axes[at] = Axis { output: output as usize, scale, ..axes[at] };
            }
        }
        (None, Some(sizes)) if sizes.len() == named.len() => {
            let sizes = node::sizes("sizes", &sizes)?;
            if sizes.iter().any(|size| !(1..=limits::MAX_ELEMENTS).contains(size)) {
                return Err(Problem::invalid(format!("sizes {sizes:?} are not sensible")));
            }
            set_sizes(
                &mut axes,
                &named,
                &sizes,
                node.string_or("keep_aspect_ratio_policy", "stretch")?,
            )?;
        }
        _ => return Err(Problem::invalid("either scales or sizes are wanted, one for each axis")),
    }
    Ok(axes)
}

/// Sets the sizes that are asked for; where the aspect ratio is kept, one scale serves all axes.
fn set_sizes(
    axes: &mut [Axis],
    named: &[usize],
    sizes: &[usize],
    policy: &str,
) -> Result<(), Problem> {
    let ratios = named.iter().zip(sizes).map(|(&at, &size)| size as f32 / axes[at].input as f32);
    let ratios: Vec<_> = ratios.collect();
    let common = match policy {
        "stretch" => None,
        "not_larger" => ratios.iter().copied().reduce(f32::min),
        "not_smaller" => ratios.iter().copied().reduce(f32::max),
        other => return Err(Problem::invalid(format!("keep_aspect_ratio_policy is `{other}`"))),
    };
    for ((&at, &size), ratio) in named.iter().zip(sizes).zip(ratios) {
        let input = axes[at].input;
        axes[at] = match common {
            None => Axis { input, output: size, scale: ratio },
            Some(scale) => {
                Axis { input, output: ((scale * input as f32 + 0.5) as usize).max(1), scale }
            }
        };
    }
    Ok(())
}

/// How an output position maps to a position of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coordinates {
    HalfPixel,
    HalfPixelSymmetric,
    PytorchHalfPixel,
    TfHalfPixelForNn,
    AlignCorners,
    Asymmetric,
}

impl Coordinates {
    fn read(node: &NodeView<'_>) -> Result<Self, Problem> {
        match node.string_or("coordinate_transformation_mode", "half_pixel")? {
            "half_pixel" => Ok(Self::HalfPixel),
            "half_pixel_symmetric" => Ok(Self::HalfPixelSymmetric),
            "pytorch_half_pixel" => Ok(Self::PytorchHalfPixel),
            "tf_half_pixel_for_nn" => Ok(Self::TfHalfPixelForNn),
            "align_corners" => Ok(Self::AlignCorners),
            "asymmetric" => Ok(Self::Asymmetric),
            other => Err(Problem::new(
                format!("its coordinates are `{other}`"),
                "use half_pixel, align_corners or asymmetric",
            )),
        }
    }

    /// In single precision, as runtimes compute it: which neighbour is nearest depends on it.
    fn of(self, position: usize, axis: &Axis) -> f32 {
        let (at, input, output) = (position as f32, axis.input as f32, axis.output as f32);
        let half_pixel = (at + 0.5) / axis.scale - 0.5;
        match self {
            Self::HalfPixelSymmetric => {
                let adjustment = output / (axis.scale * input);
                input / 2.0 * (1.0 - adjustment) + half_pixel
            }
            Self::PytorchHalfPixel | Self::AlignCorners if axis.output == 1 => 0.0,
            Self::HalfPixel | Self::PytorchHalfPixel => half_pixel,
            Self::TfHalfPixelForNn => (at + 0.5) / axis.scale,
            Self::AlignCorners => at * (input - 1.0) / (output - 1.0),
            Self::Asymmetric => at / axis.scale,
        }
    }
}

/// How a value between two positions is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Nearest(Rounding),
    Linear,
}

/// Which of two neighbours is nearest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rounding {
    Floor,
    Ceil,
    PreferFloor,
    PreferCeil,
}

impl Mode {
    fn read(node: &NodeView<'_>) -> Result<Self, Problem> {
        match node.string_or("mode", "nearest")? {
            "nearest" => {}
            // `Upsample` calls it after the number of axes.
            "linear" | "bilinear" => return Ok(Self::Linear),
            other => {
                return Err(Problem::new(
                    format!("its mode is `{other}`"),
                    "use nearest or linear",
                ));
            }
        }
        match node.string_or("nearest_mode", "round_prefer_floor")? {
            "floor" => Ok(Self::Nearest(Rounding::Floor)),
            "ceil" => Ok(Self::Nearest(Rounding::Ceil)),
            "round_prefer_floor" => Ok(Self::Nearest(Rounding::PreferFloor)),
            "round_prefer_ceil" => Ok(Self::Nearest(Rounding::PreferCeil)),
            other => Err(Problem::invalid(format!("nearest_mode is `{other}`"))),
        }
    }

    /// Neighbours and weight for a position of an axis with `len` elements.
    fn pick(self, position: f32, len: usize) -> Interpolation {
        let last = (len - 1) as f32;
        match self {
            Self::Nearest(rounding) => {
                let nearest = match rounding {
                    Rounding::Floor => position.floor(),
                    Rounding::Ceil => position.ceil(),
                    Rounding::PreferFloor => (position - 0.5).ceil(),
                    Rounding::PreferCeil => (position + 0.5).floor(),
                };
                let only = nearest.clamp(0.0, last) as usize;
                Interpolation { first: only, second: only, weight: 0.0 }
            }
            Self::Linear => {
                let position = position.clamp(0.0, last);
                let first = position.floor() as usize;
                let second = (first + 1).min(len - 1);
                Interpolation { first, second, weight: position - first as f32 }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn positions(coordinates: Coordinates, input: usize, output: usize) -> Vec<f32> {
        let axis = Axis { input, output, scale: output as f32 / input as f32 };
        (0..output).map(|i| coordinates.of(i, &axis)).collect()
    }

    #[test]
    fn coordinates_follow_the_formulas_of_onnx() {
        assert_eq!(positions(Coordinates::HalfPixel, 2, 4), [-0.25, 0.25, 0.75, 1.25]);
        assert_eq!(positions(Coordinates::Asymmetric, 2, 4), [0.0, 0.5, 1.0, 1.5]);
        assert_eq!(positions(Coordinates::AlignCorners, 2, 3), [0.0, 0.5, 1.0]);
        assert_eq!(positions(Coordinates::PytorchHalfPixel, 4, 1), [0.0]);
        assert_eq!(positions(Coordinates::TfHalfPixelForNn, 2, 4), [0.25, 0.75, 1.25, 1.75]);
    }

    #[test]
    fn ties_go_where_the_mode_says() {
        let picked = |rounding, at| Mode::Nearest(rounding).pick(at, 4).first;
        assert_eq!(picked(Rounding::PreferFloor, 1.5), 1);
        assert_eq!(picked(Rounding::PreferCeil, 1.5), 2);
        assert_eq!(picked(Rounding::Floor, 1.9), 1);
        assert_eq!(picked(Rounding::Ceil, 1.1), 2);
        assert_eq!(picked(Rounding::PreferFloor, -0.5), 0);
        assert_eq!(picked(Rounding::PreferCeil, 9.0), 3);
    }

    #[test]
    fn weights_stay_inside() {
        let at = |position| Mode::Linear.pick(position, 3);
        assert_eq!(at(-0.25), Interpolation { first: 0, second: 1, weight: 0.0 });
        assert_eq!(at(0.75), Interpolation { first: 0, second: 1, weight: 0.75 });
        assert_eq!(at(2.25), Interpolation { first: 2, second: 2, weight: 0.0 });
    }
}
