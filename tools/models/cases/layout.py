"""Operators that move values without computing: Concat, Split, Slice, Pad, Reshape and the like."""

import numpy as np
from onnx.numpy_helper import from_array

from .case import Case, Input, Node, Weight, ints, scalar, single

IMAGE = (1, 3, 4, 5)
LINE = (1, 4, 7)


def one(name: str, op: str, opset: int, shape: tuple[int, ...], *operands, **attributes) -> Case:
    """An operator on one activation of `shape` and constant operands."""
    return single(name, op, opset, [Input(shape), *operands], **attributes)


def concat(name: str, opset: int, axis: int, *operands) -> Case:
    """Concat along `axis`."""
    return single(f"concat_{name}", "Concat", opset, list(operands), axis=axis)


def pad(name: str, opset: int, shape: tuple[int, ...], pads: list[int], *operands, **how) -> Case:
    """Pad from opset 11 on, where pads are an operand."""
    return one(f"pad_{name}", "Pad", opset, shape, ints(*pads), *operands, **how)


CONCAT = [
    concat("channels", 11, 1, Input((1, 2, 4, 3)), Input((1, 3, 4, 3), 0.0, 0.5)),
    concat("height", 13, 2, Input((1, 2, 1, 3)), Input((1, 2, 3, 3), -1.0, 0.25)),
    concat("last", 13, -1, Input((1, 2, 3)), Input((1, 2, 4), -6.0, 0.0), Input((1, 2, 1))),
    concat("constant", 9, 1, Input((1, 2, 3)), Weight((1, 1, 3))),
]

SPLIT = [
    one("split_equal", "Split", 11, (1, 6, 3), outputs=3, axis=1),
    one("split_2_attribute", "Split", 9, (1, 6, 3), outputs=2, axis=1, split=[4, 2]),
    one("split_13_operand", "Split", 13, (1, 6, 3), ints(1, 2, 3), outputs=3, axis=1),
    one("split_last", "Split", 13, (1, 3, 8), outputs=2, axis=-1),
    one("split_18_uneven", "Split", 18, (1, 7, 3), outputs=3, axis=1, num_outputs=3),
]

SLICE = [
    one("slice_9_attributes", "Slice", 9, IMAGE, starts=[1, -4], ends=[3, 9], axes=[1, 3]),
    one("slice_9_all_axes", "Slice", 9, LINE, starts=[0, 1, 2], ends=[1, 4, -1]),
    one("slice_10", "Slice", 10, IMAGE, ints(1, 0), ints(3, 3), ints(1, 2)),
    one("slice_step", "Slice", 13, IMAGE, ints(0, 1), ints(4, 5), ints(2, 3), ints(2, 3)),
    one("slice_backwards", "Slice", 13, IMAGE, ints(-1), ints(-9), ints(3), ints(-1)),
    one("slice_backwards_step", "Slice", 11, LINE, ints(5), ints(0), ints(-1), ints(-2)),
    one("slice_to_end", "Slice", 20, LINE, ints(2), ints(np.iinfo(np.int64).max), ints(2)),
]

PAD = [
    one("pad_2_constant", "Pad", 7, IMAGE, pads=[0, 0, 1, 2, 0, 0, 0, 1], mode="constant"),
    one("pad_2_value", "Pad", 9, LINE, pads=[0, 0, 2, 0, 0, 1], value=1.25),
    one("pad_2_reflect", "Pad", 10, LINE, pads=[0, 0, 3, 0, 0, 2], mode="reflect"),
    pad("constant", 11, IMAGE, [0, 0, 1, 1, 0, 0, 1, 1]),
    pad("value", 13, IMAGE, [0, 1, 0, 2, 0, 0, 1, 0], scalar(-2.0), mode="constant"),
    pad("reflect", 13, IMAGE, [0, 0, 1, 2, 0, 0, 3, 1], mode="reflect"),
    pad("edge", 16, IMAGE, [0, 0, 2, 0, 0, 0, 1, 3], mode="edge"),
    pad("axes", 18, IMAGE, [1, 0, 2, 1], scalar(0.5), ints(3, 1)),
    pad("negative", 13, IMAGE, [0, 0, -1, 1, 0, 0, 0, -2]),
]

RESHAPE = [
    one("reshape_rest", "Reshape", 7, IMAGE, ints(1, -1)),
    one("reshape_zero", "Reshape", 13, IMAGE, ints(0, 0, -1)),
    one("reshape_plain", "Reshape", 14, IMAGE, ints(1, 5, 12)),
    # Its shape from a Constant node, as older exporters write it.
    Case(
        "reshape_constant_node",
        9,
        [
            Node("Constant", [], ["shape"], {"value": from_array(ints(1, 6, 10))}),
            Node("Reshape", ["x", "shape"], ["y"]),
        ],
        {"x": Input(IMAGE)},
        {},
        ["y"],
    ),
    one("flatten_default", "Flatten", 9, IMAGE),
    one("flatten_axis_2", "Flatten", 13, IMAGE, axis=2),
    one("flatten_axis_last", "Flatten", 11, (1, 1, 3, 4), axis=-2),
    one("squeeze_11", "Squeeze", 11, (1, 3, 1, 4), axes=[2]),
    one("squeeze_13", "Squeeze", 13, (1, 3, 4, 1), ints(-1)),
    one("squeeze_all", "Squeeze", 13, (1, 3, 1, 4)),
    one("unsqueeze_11", "Unsqueeze", 11, LINE, axes=[1, 4]),
    one("unsqueeze_13", "Unsqueeze", 13, LINE, ints(-1)),
    one("identity", "Identity", 14, LINE),
    one("dropout", "Dropout", 13, LINE),
]

TRANSPOSE = [
    one("transpose_to_nhwc", "Transpose", 13, IMAGE, perm=[0, 2, 3, 1]),
    one("transpose_to_nchw", "Transpose", 9, IMAGE, perm=[0, 3, 1, 2]),
    one("transpose_width_height", "Transpose", 13, IMAGE, perm=[0, 1, 3, 2]),
    one("transpose_3d", "Transpose", 17, LINE, perm=[0, 2, 1]),
    one("transpose_default", "Transpose", 21, LINE),
]

CASES = [*CONCAT, *SPLIT, *SLICE, *PAD, *RESHAPE, *TRANSPOSE]
