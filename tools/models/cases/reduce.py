"""ReduceMean and ArgMax."""

from .case import Case, Input, ints, single

IMAGE = (1, 3, 4, 5)


def mean(name: str, opset: int, *operands, **attributes) -> Case:
    """ReduceMean; its axes are an attribute up to opset 17 and an operand from 18 on."""
    return single(
        f"reduce_mean_{name}", "ReduceMean", opset, [Input(IMAGE), *operands], **attributes
    )


def arg_max(name: str, opset: int, shape: tuple[int, ...], **attributes) -> Case:
    """ArgMax over values that stay distinct in 8 bits."""
    return single(f"arg_max_{name}", "ArgMax", opset, [Input(shape, distinct=True)], **attributes)


CASES = [
    mean("spatial", 11, axes=[2, 3]),
    mean("spatial_dropped", 13, axes=[2, 3], keepdims=0),
    mean("channels", 17, axes=[1]),
    mean("last", 13, axes=[-1], keepdims=0),
    mean("18_spatial", 18, ints(2, 3)),
    mean("18_dropped", 20, ints(-2, -1), keepdims=0),
    mean("18_height", 18, ints(2)),
    arg_max("last", 13, (1, 10), axis=-1),
    arg_max("dropped", 11, (1, 10), axis=1, keepdims=0),
    arg_max("channels", 13, (1, 5, 3, 4), axis=1, keepdims=0),
    arg_max("select_last", 12, (1, 4, 6), axis=2, select_last_index=1),
]
