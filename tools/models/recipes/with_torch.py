"""Training and exporting with PyTorch, reproducibly."""

from __future__ import annotations

import math
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import nn
from torch.nn import functional

Augment = Callable[[torch.Tensor], torch.Tensor]


def seed(value: int) -> None:
    """Fixes every source of randomness; one thread, since sums over threads vary in order."""
    torch.manual_seed(value)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)


def fit(
    model: nn.Module,
    x: np.ndarray,
    y: np.ndarray,
    *,
    epochs: int,
    batch: int,
    rate: float,
    decay: float = 1e-4,
    augment: Augment = lambda inputs: inputs,
    loss: Callable = functional.cross_entropy,
) -> None:
    """Trains with AdamW under a one-cycle schedule and leaves the model in evaluation mode."""
    inputs, labels = torch.from_numpy(x), torch.from_numpy(y)
    steps = math.ceil(len(x) / batch)
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, rate, epochs=epochs, steps_per_epoch=steps
    )
    model.train()
    for _ in range(epochs):
        for chosen in torch.randperm(len(x)).split(batch):
            optimizer.zero_grad()
            loss(model(augment(inputs[chosen])), labels[chosen]).backward()
            optimizer.step()
            schedule.step()
    model.eval()


def export_traced(model: nn.Module, shape: tuple[int, ...], opset: int) -> onnx.ModelProto:
    """Exports by the TorchScript exporter, with BatchNormalization nodes kept as they are."""
    return _export(
        model,
        shape,
        opset,
        dynamo=False,
        dynamic_axes={"input": {0: "N"}, "output": {0: "N"}},
        training=torch.onnx.TrainingMode.PRESERVE,
    )


def export_current(model: nn.Module, shape: tuple[int, ...], opset: int) -> onnx.ModelProto:
    """Exports by the `torch.export` exporter, PyTorch's default, with its own optimisations."""
    return _export(model, shape, opset, dynamo=True, dynamic_shapes=({0: torch.export.Dim("N")},))


def _export(model: nn.Module, shape: tuple[int, ...], opset: int, **how) -> onnx.ModelProto:
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder) / "model.onnx"
        torch.onnx.export(
            model,
            (torch.zeros(1, *shape),),
            path,
            input_names=["input"],
            output_names=["output"],
            opset_version=opset,
            external_data=False,
            verbose=False,
            **how,
        )
        return onnx.load(path)
