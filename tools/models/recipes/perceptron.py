"""The smallest model: a 2-3-1 perceptron, y = sigmoid(W2 relu(W1 x + b1) + b2), on noisy XOR."""

from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from . import with_torch
from .artefacts import Row, Samples, reference, save_model, save_npz

# Spread of the four clouds around (±1, ±1): about 1 % of points lie in a neighbour's quadrant.
NOISE = 0.4
# Three ReLU units get stuck from many a start: of so many, the one of least training loss stays.
STARTS = 8


def noisy_xor(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """`count` points, float32 [count, 2], and whether their cloud's coordinates differ in sign."""
    rng = np.random.default_rng(seed)
    corners = rng.choice([-1.0, 1.0], size=(count, 2))
    points = corners + rng.normal(0.0, NOISE, size=(count, 2))
    return points.astype(np.float32), (corners[:, 0] != corners[:, 1]).astype(np.int64)


def train(x: np.ndarray, y: np.ndarray) -> tuple[float, nn.Sequential]:
    """One training from a random start: its final loss and the network before the sigmoid."""
    logits = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    target = y[:, np.newaxis].astype(np.float32)
    loss = functional.binary_cross_entropy_with_logits
    with_torch.fit(logits, x, target, epochs=100, batch=32, rate=0.03, loss=loss)
    with torch.no_grad():
        return float(loss(logits(torch.from_numpy(x)), torch.from_numpy(target))), logits


def make(folder: Path) -> list[Row]:
    with_torch.seed(0)
    train_x, train_y = noisy_xor(800, seed=1)
    test_x, test_y = noisy_xor(400, seed=2)
    trained = [train(train_x, train_y) for _ in range(STARTS)]
    _, logits = min(trained, key=lambda start: start[0])

    path = folder / "perceptron.onnx"
    save_model(path, with_torch.export_traced(nn.Sequential(*logits, nn.Sigmoid()), (2,), opset=13))
    ref = reference(path, test_x)
    save_npz(folder / "calib.npz", **Samples(train_x[:100]).arrays())
    save_npz(folder / "eval.npz", **Samples(test_x).arrays(), y=test_y, ref=ref)
    right = np.mean((ref[:, 0] > 0.5) == test_y)
    return [Row.of(path, f"{len(test_y)} points", f"{right:.2%} right at a threshold of 0.5")]
