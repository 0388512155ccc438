"""Gemm and MatMul with constant weights."""

from .case import Case, Input, Weight, single


def gemm(name: str, opset: int, shape: tuple[int, int], *constants: Weight, **attributes) -> Case:
    """A Gemm of an activation with a weight matrix and, as an option, a bias."""
    return single(f"gemm_{name}", "Gemm", opset, [Input(shape), *constants], **attributes)


def matmul(name: str, opset: int, *operands: Input | Weight) -> Case:
    """A MatMul of an activation and a constant in either order."""
    return single(f"matmul_{name}", "MatMul", opset, list(operands))


ROW = (1, 9)

CASES = [
    gemm("plain", 7, ROW, Weight((9, 5)), Weight((5,))),
    gemm("trans_b", 13, ROW, Weight((5, 9)), Weight((5,)), transB=1),
    gemm("trans_a", 11, (9, 1), Weight((9, 5)), Weight((5,)), transA=1),
    gemm("trans_a_trans_b", 9, (9, 1), Weight((5, 9)), Weight((1, 5)), transA=1, transB=1),
    gemm("alpha_beta", 13, ROW, Weight((5, 9)), Weight((5,)), alpha=0.5, beta=2.0, transB=1),
    gemm("no_bias", 11, ROW, Weight((9, 5))),
    gemm("bias_row", 9, ROW, Weight((9, 5)), Weight((1, 5))),
    gemm("bias_scalar", 17, ROW, Weight((9, 5)), Weight(())),
    gemm("rows", 13, (4, 9), Weight((9, 5)), Weight((5,))),
    matmul("2d", 9, Input(ROW), Weight((9, 5))),
    matmul("3d", 13, Input((1, 3, 9)), Weight((9, 5))),
    matmul("4d", 17, Input((1, 2, 3, 9)), Weight((9, 4))),
    matmul("vector", 13, Input(ROW), Weight((9,))),
    matmul("constant_first", 18, Weight((5, 4)), Input((1, 4, 3))),
]
