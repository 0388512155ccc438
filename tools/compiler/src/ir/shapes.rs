//! The rules that tie an operator's shapes together.

use super::{Conv, Op, Pool, Resize, SliceAxis};

/// `Err` says what does not fit.
pub(super) type Check = Result<(), String>;

/// Returns a formatted reason unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($reason:tt)+) => {
        if !$condition {
            return Err(format!($($reason)+));
        }
    };
}
pub(super) use ensure;

/// Checks the number of inputs.
pub(super) fn check_arity(op: &Op, given: usize) -> Check {
    let (min, max) = match op {
        Op::Conv(_) | Op::Dense => (2, 3),
        Op::Add | Op::Sub | Op::Mul | Op::PRelu => (2, 2),
        Op::Concat { .. } => (1, usize::MAX),
        Op::BatchNorm { .. } => (5, 5),
        Op::MaxPool(_)
        | Op::AvgPool { .. }
        | Op::Mean { .. }
        | Op::Unary(_)
        | Op::Softmax { .. }
        | Op::Slice(_)
        | Op::Pad { .. }
        | Op::Reshape
        | Op::Transpose { .. }
        | Op::Resize(_)
        | Op::ArgMax { .. }
        | Op::Quantize
        | Op::Dequantize => (1, 1),
    };
    ensure!((min..=max).contains(&given), "{given} inputs");
    Ok(())
}

/// Checks the output's shape against the inputs' (of which there are as many as there should be).
pub(super) fn check_shapes(op: &Op, inputs: &[&[usize]], out: &[usize]) -> Check {
    let x = inputs[0];
    match op {
        Op::Conv(conv) => check_conv(conv, inputs, out),
        Op::Dense => check_dense(inputs, out),
        Op::MaxPool(pool) | Op::AvgPool { pool, .. } => check_pool(pool, x, out),
        Op::Mean { axes } => check_reduced(x, axes, out),
        Op::ArgMax { axis, .. } => check_reduced(x, &[*axis], out),
        Op::Add | Op::Sub | Op::Mul => expect(out, broadcast(x, inputs[1])),
        Op::PRelu => {
            expect(out, Some(x.to_vec()))?;
            expect(out, broadcast(x, inputs[1]))
        }
        Op::Unary(_) | Op::Quantize | Op::Dequantize => expect(out, Some(x.to_vec())),
        Op::Softmax { axis } => {
            ensure!(*axis < x.len(), "axis {axis} of {x:?}");
            expect(out, Some(x.to_vec()))
        }
        Op::Concat { axis } => check_concat(*axis, inputs, out),
        Op::Slice(axes) => check_slice(axes, x, out),
        Op::Pad { before, after, .. } => {
            ensure!(before.len() == x.len() && after.len() == x.len(), "pads of another rank");
            let padded = x.iter().zip(before).zip(after).map(|((x, b), a)| x + b + a);
            expect(out, Some(padded.collect()))
        }
        Op::Reshape => {
            let (from, to): (usize, usize) = (x.iter().product(), out.iter().product());
            ensure!(from == to, "{x:?} and {out:?} have different numbers of elements");
            Ok(())
        }
        Op::Transpose { perm } => {
            let mut axes = perm.clone();
            axes.sort_unstable();
            ensure!(axes.into_iter().eq(0..x.len()), "{perm:?} is no permutation of {x:?}");
            expect(out, Some(perm.iter().map(|&axis| x[axis]).collect()))
        }
        Op::Resize(resize) => check_resize(resize, x, out),
        Op::BatchNorm { .. } => {
            ensure!(x.len() >= 2, "no channel axis in {x:?}");
            let per_channel = inputs[1..].iter().all(|shape| *shape == [x[1]]);
            ensure!(per_channel, "parameters must have shape [{}]", x[1]);
            expect(out, Some(x.to_vec()))
        }
    }
}

fn expect(out: &[usize], expected: Option<Vec<usize>>) -> Check {
    let expected = expected.ok_or("its inputs' shapes do not broadcast")?;
    ensure!(out == expected, "output shape {out:?} where {expected:?} follows from the inputs");
    Ok(())
}

/// The common shape of two operands, aligned at their last axes.
fn broadcast(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let rank = a.len().max(b.len());
    let extent = |shape: &[usize], axis: usize| {
        (axis + shape.len()).checked_sub(rank).map_or(1, |axis| shape[axis])
    };
    let common = (0..rank).map(|axis| match (extent(a, axis), extent(b, axis)) {
        (a, b) if a == b || b == 1 => Some(a),
        (1, b) => Some(b),
        _ => None,
    });
    common.collect()
}

fn check_conv(conv: &Conv, inputs: &[&[usize]], out: &[usize]) -> Check {
    let (x, weights) = (inputs[0], inputs[1]);
    let axes = conv.kernel.len();
    ensure!((1..=2).contains(&axes), "{axes} spatial axes");
    ensure!(x.len() == axes + 2 && weights.len() == axes + 2, "ranks of {x:?} and {weights:?}");
    let groups = conv.groups;
    ensure!(groups > 0 && x[1] % groups == 0, "{groups} groups of {} channels", x[1]);
    ensure!(weights[0] % groups == 0, "{groups} groups of {} output channels", weights[0]);
    ensure!(weights[1] == x[1] / groups, "weights {weights:?} for {} channels", x[1]);
    ensure!(weights[2..] == conv.kernel, "weights {weights:?} for kernel {:?}", conv.kernel);
    check_bias(inputs, weights[0])?;
    let mut expected = vec![x[0], weights[0]];
    for axis in 0..axes {
        let (stride, padded) = window(
            [&conv.kernel, &conv.strides, &conv.dilations, &conv.pads_before, &conv.pads_after],
            axis,
            x[axis + 2],
        )?;
        expected.push(padded / stride + 1);
    }
    expect(out, Some(expected))
}

fn check_bias(inputs: &[&[usize]], channels: usize) -> Check {
    match inputs.get(2) {
        Some(bias) if *bias != [channels] => Err(format!("bias {bias:?} for {channels} channels")),
        _ => Ok(()),
    }
}

/// The stride along an axis, and how far the window can be moved from its first position.
fn window(
    geometry: [&Vec<usize>; 5],
    axis: usize,
    extent: usize,
) -> Result<(usize, usize), String> {
    let entry = |list: &Vec<usize>| list.get(axis).copied().ok_or("geometry of another rank");
    let [kernel, stride, dilation, before, after] = geometry.map(entry);
    let (kernel, stride, dilation) = (kernel?, stride?, dilation?);
    ensure!(kernel > 0 && stride > 0 && dilation > 0, "kernel, stride or dilation of zero");
    let reach = dilation * (kernel - 1) + 1;
    let padded = extent + before? + after?;
    ensure!(padded >= reach, "a window of {reach} on {padded} elements");
    Ok((stride, padded - reach))
}

fn check_dense(inputs: &[&[usize]], out: &[usize]) -> Check {
    let (x, weights) = (inputs[0], inputs[1]);
    let (&[n, k], Some((&last, lead))) = (weights, x.split_last()) else {
        return Err(format!("ranks of {x:?} and {weights:?}"));
    };
    ensure!(last == k, "weights {weights:?} for {x:?}");
    check_bias(inputs, n)?;
    expect(out, Some(lead.iter().copied().chain([n]).collect()))
}

fn check_pool(pool: &Pool, x: &[usize], out: &[usize]) -> Check {
    let axes = pool.kernel.len();
    ensure!(x.len() == axes + 2 && out.len() == axes + 2, "ranks of {x:?} and {out:?}");
    ensure!(x[..2] == out[..2], "channels of {x:?} and {out:?}");
    for axis in 0..axes {
        let (stride, padded) = window(
            [&pool.kernel, &pool.strides, &pool.dilations, &pool.pads_before, &pool.pads_after],
            axis,
            x[axis + 2],
        )?;
        // `ceil_mode` looks beyond the padding for one more window.
        let (floor, ceil) = (padded / stride + 1, padded.div_ceil(stride) + 1);
        let given = out[axis + 2];
        ensure!((floor..=ceil).contains(&given), "{given} windows where {floor} fit");
    }
    Ok(())
}

/// Reduced axes are gone, or of length 1.
fn check_reduced(x: &[usize], axes: &[usize], out: &[usize]) -> Check {
    ensure!(axes.iter().all(|&axis| axis < x.len()), "axes {axes:?} of {x:?}");
    let kept = |axis: usize| (!axes.contains(&axis)).then_some(x[axis]);
    let gone: Vec<usize> = (0..x.len()).filter_map(kept).collect();
    let ones: Vec<usize> = (0..x.len()).map(|axis| kept(axis).unwrap_or(1)).collect();
    ensure!(out == gone || out == ones, "output shape {out:?} of {x:?} without axes {axes:?}");
    Ok(())
}

fn check_concat(axis: usize, inputs: &[&[usize]], out: &[usize]) -> Check {
    ensure!(axis < out.len(), "axis {axis} of {out:?}");
    let mut expected = out.to_vec();
    expected[axis] = 0;
    for shape in inputs {
        let alike =
            shape.len() == out.len() && (0..out.len()).all(|a| a == axis || shape[a] == out[a]);
        ensure!(alike, "{shape:?} does not fit into {out:?}");
        expected[axis] += shape[axis];
    }
    expect(out, Some(expected))
}

fn check_slice(axes: &[SliceAxis], x: &[usize], out: &[usize]) -> Check {
    ensure!(axes.len() == x.len(), "{} axes of {x:?}", axes.len());
    for (axis, &extent) in axes.iter().zip(x).filter(|(axis, _)| axis.len > 0) {
        let last = axis.start as i128 + axis.step as i128 * (axis.len as i128 - 1);
        let inside = axis.start < extent && (0..extent as i128).contains(&last);
        ensure!(axis.step != 0 && inside, "{axis:?} leaves {x:?}");
    }
    expect(out, Some(axes.iter().map(|axis| axis.len).collect()))
}

fn check_resize(resize: &Resize, x: &[usize], out: &[usize]) -> Check {
    ensure!(resize.axes.len() + 2 == x.len(), "{} axes of {x:?}", resize.axes.len());
    for (table, &extent) in resize.axes.iter().zip(&x[2..]) {
        let inside = table.iter().all(|at| at.first < extent && at.second < extent);
        ensure!(inside, "neighbours outside {x:?}");
    }
    let spatial = resize.axes.iter().map(Vec::len);
    expect(out, Some(x[..2].iter().copied().chain(spatial).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operands_broadcast_from_the_last_axis() {
        assert_eq!(broadcast(&[1, 4, 5], &[4, 1]), Some(vec![1, 4, 5]));
        assert_eq!(broadcast(&[3], &[2, 1]), Some(vec![2, 3]));
        assert_eq!(broadcast(&[3], &[2]), None);
    }

    #[test]
    fn windows_are_counted() {
        let conv = Conv {
            kernel: vec![3],
            strides: vec![2],
            dilations: vec![2],
            pads_before: vec![1],
            pads_after: vec![0],
            groups: 2,
        };
        let inputs: [&[usize]; 2] = [&[1, 4, 10], &[6, 2, 3]];
        assert_eq!(check_conv(&conv, &inputs, &[1, 6, 4]), Ok(()));
        assert!(check_conv(&conv, &inputs, &[1, 6, 5]).is_err());
        assert!(check_conv(&conv, &[&[1, 6, 10], &[6, 2, 3]], &[1, 6, 4]).is_err());

        let pool = Pool {
            kernel: vec![2],
            strides: vec![2],
            dilations: vec![1],
            pads_before: vec![0],
            pads_after: vec![0],
        };
        let windows = |n| check_pool(&pool, &[1, 4, 5], &[1, 4, n]).is_ok();
        assert_eq!([1, 2, 3, 4].map(windows), [false, true, true, false]);
    }

    #[test]
    fn slices_stay_inside() {
        let at = |start, step, len| check_slice(&[SliceAxis { start, step, len }], &[5], &[len]);
        assert_eq!(at(4, -2, 3), Ok(()));
        assert!(at(4, -2, 4).is_err());
        assert!(at(1, 2, 3).is_err());
    }
}
