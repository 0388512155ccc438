"""Add, Sub and Mul: constants and activations, equal shapes and broadcasting."""

from .case import Case, Input, Weight, scalar, single

SHAPE = (1, 3, 4, 5)
PER_CHANNEL = (1, 3, 1, 1)


def binary(op: str, name: str, opset: int, first, second) -> Case:
    """A two-operand operator."""
    return single(f"{op.lower()}_{name}", op, opset, [first, second])


def with_activations(op: str, opset: int) -> list[Case]:
    """Both operands activations, of differing ranges."""
    narrow = Input(SHAPE, -0.5, 0.25)
    return [
        binary(op, "activations", opset, Input(SHAPE), narrow),
        binary(op, "per_channel_activation", opset, Input(SHAPE), Input(PER_CHANNEL, 0.0, 1.0)),
        binary(op, "activation_row", opset, Input((1, 3, 1, 5)), Input(SHAPE)),
        binary(op, "activation_outer", opset, Input((1, 3, 4, 1)), Input((1, 1, 1, 5))),
    ]


def with_constants(op: str, opset: int) -> list[Case]:
    """One operand constant."""
    return [
        binary(op, "scalar", opset, Input(SHAPE), scalar(1.5)),
        binary(op, "per_channel", opset, Input(SHAPE), Weight((3, 1, 1))),
        binary(op, "constant", opset, Input(SHAPE), Weight(SHAPE)),
        binary(op, "last_axis", opset, Input((1, 4, 6)), Weight((6,))),
        binary(op, "constant_first", opset, Weight(PER_CHANNEL), Input(SHAPE)),
    ]


CASES = [
    *with_activations("Add", 13),
    *with_activations("Sub", 7),
    *with_activations("Mul", 14),
    *with_constants("Add", 7),
    *with_constants("Sub", 14),
    *with_constants("Mul", 13),
]
