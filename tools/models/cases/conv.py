"""Convolutions and batch normalisation."""

from .case import Case, Input, Weight, single


def conv(
    name: str,
    opset: int,
    shape: tuple[int, ...],
    weight: tuple[int, ...],
    *,
    bias: bool = True,
    **attributes,
) -> Case:
    """A Conv of `weight` [out, in / group, …] on `shape`."""
    operands = [Input(shape), Weight(weight)]
    if bias:
        operands.append(Weight(weight[:1]))
    return single(f"conv_{name}", "Conv", opset, operands, **attributes)


def batch_norm(name: str, opset: int, shape: tuple[int, ...], **attributes) -> Case:
    """BatchNormalization over axis 1 with a positive variance."""
    channels = shape[1:2]
    operands = [
        Input(shape),
        Weight(channels, 0.5, 1.5),
        Weight(channels),
        Weight(channels),
        Weight(channels, 0.2, 2.0),
    ]
    return single(f"batch_norm_{name}", "BatchNormalization", opset, operands, **attributes)


SQUARE = (1, 3, 7, 6)
EVEN = (1, 4, 6, 5)
LINE = (1, 4, 11)

CASES = [
    conv("2d_3x3", 11, SQUARE, (4, 3, 3, 3)),
    conv("2d_no_bias", 7, SQUARE, (4, 3, 3, 3), bias=False, kernel_shape=[3, 3]),
    conv("2d_1x1", 13, SQUARE, (5, 3, 1, 1)),
    conv("2d_1x1_stride_2", 17, SQUARE, (5, 3, 1, 1), strides=[2, 2]),
    conv("2d_pads", 9, SQUARE, (4, 3, 3, 3), pads=[1, 1, 1, 1]),
    conv("2d_pads_asymmetric", 11, SQUARE, (4, 3, 3, 3), pads=[0, 1, 2, 0]),
    conv("2d_stride_2", 13, SQUARE, (4, 3, 3, 3), strides=[2, 2], pads=[1, 1, 1, 1]),
    conv("2d_strides_differ", 15, SQUARE, (4, 3, 3, 1), strides=[2, 1], pads=[1, 0, 1, 0]),
    conv("2d_dilation", 11, SQUARE, (4, 3, 3, 3), dilations=[2, 2], pads=[2, 2, 2, 2]),
    conv("2d_dilations_differ", 18, SQUARE, (4, 3, 3, 2), dilations=[2, 3]),
    conv("2d_kernel_wide", 13, SQUARE, (4, 3, 1, 5), pads=[0, 2, 0, 2]),
    conv("2d_kernel_whole", 20, SQUARE, (6, 3, 7, 6)),
    conv("2d_groups", 11, EVEN, (6, 2, 3, 3), group=2, pads=[1, 1, 1, 1]),
    conv("2d_depthwise", 12, EVEN, (4, 1, 3, 3), group=4, pads=[1, 1, 1, 1]),
    conv("2d_depthwise_stride_2", 13, EVEN, (4, 1, 3, 3), group=4, strides=[2, 2]),
    conv("2d_depthwise_multiplier_2", 16, EVEN, (8, 1, 3, 3), group=4, pads=[1, 1, 1, 1]),
    conv("2d_depthwise_dilation", 21, EVEN, (4, 1, 2, 2), group=4, dilations=[3, 2]),
    conv("2d_same_upper", 11, SQUARE, (4, 3, 2, 2), auto_pad="SAME_UPPER"),
    conv("2d_same_upper_stride_2", 13, SQUARE, (4, 3, 3, 3), auto_pad="SAME_UPPER", strides=[2, 2]),
    conv("2d_same_lower_stride_2", 8, SQUARE, (4, 3, 3, 3), auto_pad="SAME_LOWER", strides=[2, 2]),
    conv("2d_valid", 10, SQUARE, (4, 3, 3, 3), auto_pad="VALID", strides=[2, 2]),
    conv("1d", 11, LINE, (5, 4, 3)),
    conv("1d_stride_2", 17, LINE, (5, 4, 3), strides=[2], pads=[1, 1]),
    conv("1d_causal_dilation", 18, LINE, (5, 4, 3), dilations=[2], pads=[4, 0]),
    conv("1d_groups", 13, LINE, (6, 2, 3), group=2, pads=[1, 1]),
    conv("1d_depthwise", 20, LINE, (4, 1, 5), group=4, pads=[2, 2], bias=False),
    conv("1d_same_upper", 9, LINE, (5, 4, 4), auto_pad="SAME_UPPER", strides=[2]),
    batch_norm("2d", 7, SQUARE),
    batch_norm("2d_epsilon", 9, SQUARE, epsilon=1e-3, momentum=0.99),
    batch_norm("1d", 14, LINE, training_mode=0),
    batch_norm("flat", 15, (1, 10)),
]
