"""A depthwise-separable CNN with a residual block on 8x8 digits, as a PyTorch user exports it."""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from . import datasets, with_torch
from .artefacts import Row, Samples, accuracy, reference, save_model, save_npz

STEM, WIDTH = 24, 32


def conv(inputs: int, outputs: int, kernel: int, **options) -> nn.Sequential:
    """Convolution that keeps the size, and batch normalisation."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False, **options),
        nn.BatchNorm2d(outputs),
    )


class Separable(nn.Sequential):
    """A 3x3 convolution per channel, then a 1x1 convolution across channels."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__(
            conv(inputs, inputs, 3, groups=inputs),
            nn.ReLU(),
            conv(inputs, outputs, 1),
        )


class Residual(nn.Module):
    """relu(x + separable(x))."""

    def __init__(self, channels: int):
        super().__init__()
        self.body = Separable(channels, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x + self.body(x))


class DigitsNet(nn.Sequential):
    """[N, 1, 8, 8] in 0..1 to [N, 10] logits."""

    def __init__(self):
        super().__init__(
            conv(1, STEM, 3),
            nn.ReLU(),
            Separable(STEM, WIDTH),
            nn.ReLU(),
            Residual(WIDTH),
            nn.MaxPool2d(2),
            Residual(WIDTH),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(WIDTH, 10),
        )


def with_noise(images: torch.Tensor) -> torch.Tensor:
    """Adds noise of about one grey level of 17; the digits are cropped too tightly to shift."""
    return images + 0.05 * torch.randn_like(images)


def make(folder: Path) -> list[Row]:
    with_torch.seed(0)
    data = datasets.digits()
    train = Samples(data.train.x[:, np.newaxis], data.train.scale)
    test = Samples(data.test.x[:, np.newaxis], data.test.scale)

    model = DigitsNet()
    with_torch.fit(
        model, train.real(), data.train_y, epochs=40, batch=32, rate=0.01, augment=with_noise
    )

    path = folder / "digits.onnx"
    save_model(path, with_torch.export_traced(model, (1, 8, 8), opset=17))
    ref = reference(path, test.real())
    chosen = datasets.per_class(data.train_y, 10)
    save_npz(folder / "calib.npz", **Samples(train.x[chosen], train.scale).arrays())
    save_npz(folder / "eval.npz", **test.arrays(), y=data.test_y, ref=ref)
    right = accuracy(ref, data.test_y)
    return [Row.of(path, f"{len(ref)} digits", f"{right:.2%} right")]
