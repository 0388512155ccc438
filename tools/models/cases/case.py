"""What a test case is, and how its ONNX model, inputs and reference outputs are made."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

SAMPLES = 16
# Inputs are stored in int16 in these units: exact in float32, and files half the size.
SCALE = 2.0**-12


@dataclass(frozen=True)
class Input:
    """A float graph input: its shape and the range that its values fill.

    The default range is off centre, so that a zero point in the middle is wrong.
    """

    shape: tuple[int, ...]
    low: float = -3.0
    high: float = 5.0
    # Values evenly spaced in random order: every pair is at least a step of 8 bits apart.
    distinct: bool = False

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """`SAMPLES` inputs, rounded to `SCALE`: all zero, all low, all high, then random ones."""
        shape = (SAMPLES, *self.shape)
        if self.distinct:
            ramp = np.linspace(self.low, self.high, int(np.prod(self.shape)))
            values = np.stack([rng.permutation(ramp) for _ in range(SAMPLES)]).reshape(shape)
        else:
            values = rng.uniform(self.low, self.high, shape)
            for sample, value in enumerate((0.0, self.low, self.high)):
                values[sample] = value
        return np.round(values / SCALE).astype(np.int16)


@dataclass(frozen=True)
class Weight:
    """A float constant: its shape and the range of its values."""

    shape: tuple[int, ...]
    low: float = -1.0
    high: float = 1.0

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        return rng.uniform(self.low, self.high, self.shape).astype(np.float32)


@dataclass(frozen=True)
class Node:
    """One operator: its type, tensor names and attributes."""

    op: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """A small graph with its inputs and constants by name."""

    name: str
    opset: int
    nodes: list[Node]
    inputs: dict[str, Input]
    constants: dict[str, Weight | np.ndarray]
    outputs: list[str]

    def rng(self) -> np.random.Generator:
        """Random numbers of this case's own, so that others can come and go."""
        return np.random.default_rng(zlib.crc32(self.name.encode()))

    def make(self) -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:
        """The model, and the arrays of its data file."""
        rng = self.rng()
        constants = {
            name: value.draw(rng) if isinstance(value, Weight) else value
            for name, value in self.constants.items()
        }
        stored = {name: value.draw(rng) for name, value in self.inputs.items()}
        real = {name: x.astype(np.float32) * np.float32(SCALE) for name, x in stored.items()}

        results = self._run(self._model(constants, self._unknown_outputs()), real)
        model = self._model(constants, self._known_outputs(results))
        return model, {**_input_arrays(stored), **_reference_arrays(results)}

    def _run(self, model: onnx.ModelProto, real: dict[str, np.ndarray]) -> list[np.ndarray]:
        """Each output for all samples, `SAMPLES` on a new first axis."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        # The operators as they stand, unfused.
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        runs = [
            session.run(None, {name: x[sample] for name, x in real.items()})
            for sample in range(SAMPLES)
        ]
        return [np.stack(outputs) for outputs in zip(*runs, strict=True)]

    def _unknown_outputs(self) -> list[onnx.ValueInfoProto]:
        """Outputs whose types and shapes are left to ONNX Runtime."""
        return [onnx.ValueInfoProto(name=name) for name in self.outputs]

    def _known_outputs(self, results: list[np.ndarray]) -> list[onnx.ValueInfoProto]:
        """Outputs with the types and shapes of `results`, whose first axis counts samples."""
        return [
            helper.make_tensor_value_info(
                name, helper.np_dtype_to_tensor_dtype(result.dtype), result.shape[1:]
            )
            for name, result in zip(self.outputs, results, strict=True)
        ]

    def _model(
        self, constants: dict[str, np.ndarray], outputs: list[onnx.ValueInfoProto]
    ) -> onnx.ModelProto:
        nodes = [
            helper.make_node(
                node.op, node.inputs, node.outputs, f"{node.op}_{number}", **node.attributes
            )
            for number, node in enumerate(self.nodes)
        ]
        inputs = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, value.shape)
            for name, value in self.inputs.items()
        ]
        initializers = [numpy_helper.from_array(value, name) for name, value in constants.items()]
        opsets = [helper.make_opsetid("", self.opset)]
        return helper.make_model(
            helper.make_graph(nodes, self.name, inputs, outputs, initializers),
            opset_imports=opsets,
            # Before version 4 of the IR, constants had to be graph inputs as well.
            ir_version=max(helper.find_min_ir_version_for(opsets), 4),
            producer_name="fixie",
        )


Operand = Input | Weight | np.ndarray | None


def single(
    name: str, op: str, opset: int, operands: list[Operand], outputs: int = 1, **attributes: Any
) -> Case:
    """One node of type `op` with its operands in order; None leaves an optional one out.

    A single graph input is called `x`, several `a`, `b`, …; the outputs `y`, `y_1`, …
    """
    inputs: dict[str, Input] = {}
    constants: dict[str, Weight | np.ndarray] = {}
    several = sum(isinstance(operand, Input) for operand in operands) > 1
    names = []
    for operand in operands:
        if operand is None:
            names.append("")
        elif isinstance(operand, Input):
            names.append("abcd"[len(inputs)] if several else "x")
            inputs[names[-1]] = operand
        else:
            names.append(f"const_{len(constants)}")
            constants[names[-1]] = operand
    made = ["y", *(f"y_{number}" for number in range(1, outputs))]
    return Case(name, opset, [Node(op, names, made, attributes)], inputs, constants, made)


def ints(*values: int) -> np.ndarray:
    """An int64 vector, as the operands that say axes, shapes and pads are."""
    return np.array(values, np.int64)


def scalar(value: float) -> np.ndarray:
    """A float tensor of rank 0."""
    return np.array(value, np.float32)


def _samples_first(array: np.ndarray) -> np.ndarray:
    """Lets the samples take the place of a batch of 1; without one they stay a new first axis."""
    return array[:, 0] if array.ndim > 1 and array.shape[1] == 1 else array


def _input_arrays(stored: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    arrays = {name: _samples_first(x) for name, x in stored.items()}
    return arrays | {f"{name}_scale": np.float32(SCALE) for name in stored}


def _reference_arrays(results: list[np.ndarray]) -> dict[str, np.ndarray]:
    names = ["ref", *(f"ref_{number}" for number in range(1, len(results)))]
    return {name: _samples_first(result) for name, result in zip(names, results, strict=True)}
