"""A 1-D CNN that tells four activities from a wrist-worn accelerometer and gyroscope."""

from pathlib import Path

import torch
from torch import nn

from . import datasets, with_torch
from .artefacts import Row, accuracy, reference, save_model, save_npz


def network(classes: int) -> nn.Sequential:
    """[N, 6, 100] to [N, classes] logits; each value that is averaged saw 4 s of the 10 s."""
    return nn.Sequential(
        nn.Conv1d(6, 16, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool1d(2),
        nn.Conv1d(16, 24, 3, dilation=2, padding=2),
        nn.BatchNorm1d(24),
        nn.ReLU(),
        nn.MaxPool1d(2),
        nn.Conv1d(24, 24, 3, dilation=3, padding=3),
        nn.BatchNorm1d(24),
        nn.ReLU(),
        nn.AvgPool1d(25),
        nn.Flatten(),
        nn.Linear(24, classes),
    )


def vary(signals: torch.Tensor) -> torch.Tensor:
    """Rolls each recording in time, scales its axes by up to ±20 % and adds a little noise."""
    start = int(torch.randint(0, signals.shape[2], ()))
    scale = 1.0 + 0.4 * (torch.rand(*signals.shape[:2], 1) - 0.5)
    return scale * torch.roll(signals, start, dims=2) + 0.1 * torch.randn_like(signals)


def make(folder: Path) -> list[Row]:
    with_torch.seed(0)
    data, classes = datasets.motions()
    model = network(len(classes))
    x, y = data.train.real(), data.train_y
    with_torch.fit(model, x, y, epochs=150, batch=8, rate=0.005, augment=vary)

    path = folder / "motion.onnx"
    scores = nn.Sequential(*model, nn.Softmax(dim=1)).eval()
    save_model(path, with_torch.export_current(scores, x.shape[1:], opset=20))
    ref = reference(path, data.test.real())
    save_npz(folder / "calib.npz", **data.train.arrays())
    save_npz(folder / "eval.npz", **data.test.arrays(), y=data.test_y, ref=ref)
    right = accuracy(ref, data.test_y)
    return [Row.of(path, f"{len(ref)} recordings", f"{right:.2%} right ({', '.join(classes)})")]
