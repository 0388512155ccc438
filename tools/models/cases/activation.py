"""Activation functions and Softmax."""

from .case import Case, Input, Weight, scalar, single

IMAGE = (1, 3, 4, 5)
# Wide enough to saturate the curves.
CURVE = Input((1, 40), -9.0, 7.5)


def clip_13(name: str, *bounds) -> Case:
    """Clip with its bounds as operands."""
    return single(f"clip_13_{name}", "Clip", 13, [Input(IMAGE, -4.0, 7.9), *bounds])


def softmax(name: str, opset: int, shape: tuple[int, ...], **attributes) -> Case:
    """Softmax; before opset 13 it flattens to two axes at `axis`, from then on it is along one."""
    return single(f"softmax_{name}", "Softmax", opset, [Input(shape)], **attributes)


CASES = [
    single("relu", "Relu", 13, [Input(IMAGE)]),
    single("clip_6_relu6", "Clip", 7, [Input(IMAGE, -4.0, 7.9)], min=0.0, max=6.0),
    single("clip_6_any", "Clip", 9, [Input(IMAGE)], min=-1.5, max=2.25),
    single("clip_11_relu6", "Clip", 11, [Input(IMAGE, -4.0, 7.9), scalar(0.0), scalar(6.0)]),
    clip_13("any", scalar(-1.5), scalar(2.25)),
    clip_13("low", scalar(-0.75)),
    clip_13("high", None, scalar(3.5)),
    single("leaky_relu_default", "LeakyRelu", 7, [Input(IMAGE)]),
    single("leaky_relu", "LeakyRelu", 16, [Input(IMAGE)], alpha=0.2),
    single("prelu_scalar", "PRelu", 9, [Input(IMAGE), Weight((1,), 0.1, 0.4)]),
    single("prelu_per_channel", "PRelu", 16, [Input(IMAGE), Weight((3, 1, 1), -0.5, 1.5)]),
    single("prelu_elements", "PRelu", 9, [Input((1, 12)), Weight((12,), 0.0, 1.0)]),
    single("sigmoid", "Sigmoid", 13, [CURVE]),
    single("tanh", "Tanh", 13, [Input((1, 40), -4.0, 5.0)]),
    single("hard_sigmoid_default", "HardSigmoid", 7, [CURVE]),
    single("hard_sigmoid_sixth", "HardSigmoid", 14, [CURVE], alpha=1.0 / 6.0, beta=0.5),
    single("hard_swish", "HardSwish", 14, [CURVE]),
    softmax("7_default", 7, (1, 10)),
    softmax("11_flattens", 11, (1, 3, 4, 2), axis=1),
    softmax("11_axis_2", 11, (1, 3, 8), axis=2),
    softmax("13_default", 13, (1, 10)),
    softmax("13_axis_1", 13, (1, 3, 4, 2), axis=1),
    softmax("13_axis_2", 17, (1, 3, 4, 2), axis=2),
    softmax("13_axis_last", 20, (1, 3, 8), axis=-1),
]
