"""Operators between QuantizeLinear and DequantizeLinear, in QDQ and in QOperator form.

Every graph takes and gives float tensors: quantised inside, as quantisers leave a model.
"""

import numpy as np

from .case import Case, Input, Node

IMAGE = (1, 3, 6, 5)
OUTPUTS = 4


def int8_weights(*shape: int) -> np.ndarray:
    """Symmetric int8 weights that reach both ends."""
    rng = np.random.default_rng(shape)
    weights = rng.integers(-127, 128, shape).astype(np.int8)
    weights.flat[:2] = 127, -127
    return weights


def scales(*values: float) -> np.ndarray:
    """Scales of an axis, or one as a scalar."""
    return np.array(values if len(values) > 1 else values[0], np.float32)


PER_CHANNEL = scales(0.011, 0.008, 0.0093, 0.0061)
BIAS = np.array([900, -1200, 0, 350], np.int32)
# Quantisation of the input range -3..5 and of the outputs, in int8 and in uint8.
INT8 = {
    "x_scale": scales(8.0 / 255.0),
    "x_zero": np.int8(-32),
    "y_scale": scales(0.21),
    "y_zero": np.int8(11),
}
UINT8 = {
    "x_scale": scales(8.0 / 255.0),
    "x_zero": np.uint8(96),
    "y_scale": scales(0.21),
    "y_zero": np.uint8(139),
}


def between(inner: list[Node]) -> list[Node]:
    """`inner`, which makes `y_q` of `x_q`, with the quantisation of `x` and `y` around it."""
    return [
        Node("QuantizeLinear", ["x", "x_scale", "x_zero"], ["x_q"]),
        *inner,
        Node("DequantizeLinear", ["y_q", "y_scale", "y_zero"], ["y"]),
    ]


def dequantised(node: Node) -> list[Node]:
    """`node`, which makes `y_f` of `x_f`, with the Q and DQ nodes that QDQ puts on either side."""
    return between(
        [
            Node("DequantizeLinear", ["x_q", "x_scale", "x_zero"], ["x_f"]),
            node,
            Node("QuantizeLinear", ["y_f", "y_scale", "y_zero"], ["y_q"]),
        ]
    )


def case(name: str, opset: int, shape: tuple[int, ...], nodes: list[Node], *constants) -> Case:
    """A case with one input and the constants of all the given dictionaries."""
    merged = {key: np.asarray(value) for part in constants for key, value in part.items()}
    return Case(name, opset, nodes, {"x": Input(shape)}, merged, ["y"])


CONV_WEIGHTS = {
    "w": int8_weights(OUTPUTS, 3, 3, 3),
    "w_scale": PER_CHANNEL,
    "w_zero": np.zeros(OUTPUTS, np.int8),
}
DENSE_WEIGHTS = {"w": int8_weights(9, OUTPUTS), "w_scale": scales(0.012), "w_zero": np.int8(0)}
PADS = {"pads": [1, 1, 1, 1]}

QOPERATOR_CONV = between(
    [
        Node(
            "QLinearConv",
            ["x_q", "x_scale", "x_zero", "w", "w_scale", "w_zero", "y_scale", "y_zero", "bias"],
            ["y_q"],
            PADS,
        )
    ]
)
QOPERATOR_MATMUL = between(
    [
        Node(
            "QLinearMatMul",
            ["x_q", "x_scale", "x_zero", "w", "w_scale", "w_zero", "y_scale", "y_zero"],
            ["y_q"],
        )
    ]
)
QDQ_CONV = [
    Node("DequantizeLinear", ["w", "w_scale", "w_zero"], ["w_f"], {"axis": 0}),
    Node("DequantizeLinear", ["bias", "bias_scale"], ["bias_f"], {"axis": 0}),
    *dequantised(Node("Conv", ["x_f", "w_f", "bias_f"], ["y_f"], PADS)),
]
QDQ_MATMUL = [
    Node("DequantizeLinear", ["w", "w_scale", "w_zero"], ["w_f"]),
    *dequantised(Node("MatMul", ["x_f", "w_f"], ["y_f"])),
]
BIAS_CONSTANTS = {"bias": BIAS, "bias_scale": PER_CHANNEL * INT8["x_scale"]}

CASES = [
    case("qlinear_conv_uint8", 10, IMAGE, QOPERATOR_CONV, UINT8, CONV_WEIGHTS, {"bias": BIAS}),
    case("qlinear_conv_int8", 13, IMAGE, QOPERATOR_CONV, INT8, CONV_WEIGHTS, {"bias": BIAS}),
    case("qlinear_matmul_uint8", 10, (1, 9), QOPERATOR_MATMUL, UINT8, DENSE_WEIGHTS),
    case("qlinear_matmul_int8", 21, (1, 9), QOPERATOR_MATMUL, INT8, DENSE_WEIGHTS),
    case("qdq_conv_int8", 13, IMAGE, QDQ_CONV, INT8, CONV_WEIGHTS, BIAS_CONSTANTS),
    case("qdq_conv_uint8", 17, IMAGE, QDQ_CONV, UINT8, CONV_WEIGHTS, BIAS_CONSTANTS),
    case("qdq_matmul_int8", 13, (1, 9), QDQ_MATMUL, INT8, DENSE_WEIGHTS),
    case(
        "qdq_sigmoid_int8",
        19,
        (1, 40),
        dequantised(Node("Sigmoid", ["x_f"], ["y_f"])),
        INT8,
        {"y_scale": scales(1.0 / 256.0), "y_zero": np.int8(-128)},
    ),
]
