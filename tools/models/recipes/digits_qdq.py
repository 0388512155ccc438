"""The digits model quantised by ONNX Runtime: once as QDQ with int8 activations, once as QOperator.

The QOperator form has uint8 activations and, beside ONNX's own QLinearConv, the operators QGemm,
QLinearAdd and QLinearGlobalAveragePool of the domain com.microsoft.
"""

import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from .artefacts import Row, Samples, accuracy, reference, save_model, save_npz

FORMATS = {
    "digits_qdq.onnx": (QuantFormat.QDQ, QuantType.QInt8),
    "digits_qoperator.onnx": (QuantFormat.QOperator, QuantType.QUInt8),
}


class Reader(CalibrationDataReader):
    """Feeds one sample at a time."""

    def __init__(self, real: np.ndarray):
        self.feeds = iter({"input": sample[np.newaxis]} for sample in real)

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self.feeds, None)


def load(path: Path) -> tuple[Samples, dict[str, np.ndarray]]:
    """The stored inputs of a data file, and its arrays."""
    arrays = dict(np.load(path))
    return Samples(arrays["x"], float(arrays["x_scale"])), arrays


def quantise(model: Path, calib: Samples, style: QuantFormat, kind: QuantType) -> onnx.ModelProto:
    """Folds batch normalisation, then quantises with int8 weights per output channel."""
    with tempfile.TemporaryDirectory() as scratch:
        folded, quantised = Path(scratch) / "folded.onnx", Path(scratch) / "quantised.onnx"
        quant_pre_process(model, folded)
        quantize_static(
            folded,
            quantised,
            Reader(calib.real()),
            quant_format=style,
            per_channel=True,
            activation_type=kind,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
        )
        return onnx.load(quantised)


def make(folder: Path) -> list[Row]:
    source = folder.parent / "digits"
    calib, _ = load(source / "calib.npz")
    test, arrays = load(source / "eval.npz")
    float_ref, y = arrays["ref"], arrays["y"]

    rows, refs = [], {}
    for name, (style, kind) in FORMATS.items():
        path = folder / name
        save_model(path, quantise(source / "digits.onnx", calib, style, kind))
        refs[name] = ref = reference(path, test.real())
        same = np.mean(ref.argmax(axis=1) == float_ref.argmax(axis=1))
        result = f"{accuracy(ref, y):.2%} right, {same:.2%} as the float model"
        rows.append(Row.of(path, f"{len(ref)} digits", result))

    qdq, qoperator = (refs[name] for name in FORMATS)
    save_npz(folder / "eval.npz", **test.arrays(), y=y, ref=qdq)
    save_npz(folder / "eval_qoperator.npz", **test.arrays(), y=y, ref=qoperator)
    return rows
