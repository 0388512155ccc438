"""Writing and measuring the files that a recipe leaves behind."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime


@dataclass(frozen=True)
class Row:
    """One line of the table that `train.py` prints."""

    path: Path
    parameters: int
    data: str
    result: str

    @classmethod
    def of(cls, path: Path, data: str, result: str) -> Row:
        """Counts the parameters of the ONNX file at `path`: all its initialisers' elements."""
        initializers = onnx.load(path).graph.initializer
        return cls(path, sum(math.prod(t.dims) for t in initializers), data, result)

    def markdown(self) -> str:
        name = f"{self.path.parent.name}/{self.path.name}"
        size = self.path.stat().st_size
        return f"| `{name}` | {size:,} | {self.parameters:,} | {self.data} | {self.result} |"


@dataclass(frozen=True)
class Samples:
    """Model inputs as stored: the real value of an element is `x * scale + offset`."""

    x: np.ndarray
    scale: float = 1.0
    offset: float = 0.0

    def real(self) -> np.ndarray:
        """The float32 inputs, computed as a reader of the file would."""
        return self.x.astype(np.float32) * np.float32(self.scale) + np.float32(self.offset)

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays of a data file; the scalars are left out where they say nothing."""
        arrays = {"x": self.x}
        if self.scale != 1.0:
            arrays["x_scale"] = np.float32(self.scale)
        if self.offset != 0.0:
            arrays["x_offset"] = np.float32(self.offset)
        return arrays


def save_npz(path: Path, **arrays: np.ndarray) -> None:
    """Writes a compressed `.npz` aside and renames it; equal arrays give equal bytes."""
    partial = path.with_suffix(".partial.npz")
    np.savez_compressed(partial, **arrays)
    os.replace(partial, path)


def save_model(path: Path, model: onnx.ModelProto) -> None:
    """Removes what names the machine that `model` was made on, and writes it.

    PyTorch's exporter records stack traces (with the paths of source files) as node metadata.
    """
    for owner in (model, model.graph, *model.graph.node, *_values(model.graph)):
        owner.ClearField("metadata_props")
        owner.ClearField("doc_string")
    write_model(path, model)


def write_model(path: Path, model: onnx.ModelProto) -> None:
    """Checks `model`, writes it aside and renames it."""
    onnx.checker.check_model(model, full_check=True)
    partial = path.with_suffix(".partial.onnx")
    onnx.save(model, partial)
    os.replace(partial, path)


def _values(graph: onnx.GraphProto) -> list:
    return [*graph.input, *graph.output, *graph.value_info, *graph.initializer]


def reference(path: Path, real: np.ndarray) -> np.ndarray:
    """The first output of the ONNX file for each input alone (batch 1), in float32."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    outputs = [session.run(None, {name: sample[np.newaxis]})[0] for sample in real]
    return np.concatenate(outputs).astype(np.float32)


def accuracy(ref: np.ndarray, y: np.ndarray) -> float:
    """The share of samples whose highest score is at the label, 0 to 1."""
    return float(np.mean(ref.argmax(axis=1) == y))
