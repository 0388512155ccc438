"""Pooling."""

from .case import Case, Input, single

SQUARE = (1, 3, 7, 6)
LINE = (1, 4, 11)
AROUND = [1, 1, 1, 1]


def pool(op: str, name: str, opset: int, kernel: list[int], stride: int = 1, **attributes) -> Case:
    """A pooling operator on an image or, with a kernel of one axis, on a line."""
    return single(
        f"{'max' if op == 'MaxPool' else 'average'}_pool_{name}",
        op,
        opset,
        [Input(LINE if len(kernel) == 1 else SQUARE)],
        kernel_shape=kernel,
        strides=[stride] * len(kernel),
        **attributes,
    )


MAX = [
    pool("MaxPool", "2x2", 8, [2, 2], 2),
    pool("MaxPool", "pads", 11, [3, 3], 2, pads=AROUND),
    pool("MaxPool", "stride_1", 12, [3, 2]),
    pool("MaxPool", "ceil", 10, [3, 3], 2, ceil_mode=1),
    pool("MaxPool", "dilation", 13, [2, 2], dilations=[3, 2]),
    pool("MaxPool", "same_upper", 12, [2, 2], 2, auto_pad="SAME_UPPER"),
    pool("MaxPool", "same_lower", 9, [2, 2], auto_pad="SAME_LOWER"),
    pool("MaxPool", "1d", 20, [3], 2, pads=[1, 0]),
]

AVERAGE = [
    pool("AveragePool", "2x2", 7, [2, 2], 2),
    pool("AveragePool", "pads_excluded", 11, [3, 3], 2, pads=AROUND, count_include_pad=0),
    pool("AveragePool", "pads_included", 11, [3, 3], 2, pads=AROUND, count_include_pad=1),
    pool("AveragePool", "ceil", 19, [3, 3], 2, ceil_mode=1),
    pool("AveragePool", "ceil_excluded", 19, [3, 3], 2, pads=AROUND, ceil_mode=1),
    pool(
        "AveragePool",
        "ceil_included",
        21,
        [3, 3],
        2,
        pads=AROUND,
        ceil_mode=1,
        count_include_pad=1,
    ),
    pool("AveragePool", "dilation", 19, [2, 2], dilations=[2, 3]),
    pool("AveragePool", "same_upper", 13, [2, 2], 2, auto_pad="SAME_UPPER"),
    pool("AveragePool", "1d", 17, [4], 3),
]

GLOBAL = [
    single("global_average_pool_2d", "GlobalAveragePool", 9, [Input(SQUARE)]),
    single("global_average_pool_1d", "GlobalAveragePool", 17, [Input(LINE)]),
    single("global_max_pool_2d", "GlobalMaxPool", 13, [Input(SQUARE)]),
]

CASES = [*MAX, *AVERAGE, *GLOBAL]
