"""The data sets, each from inside a PyPI package, split and in stored form."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from aeon.datasets import load_basic_motions
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from .artefacts import Samples

# Stored integers of BasicMotions are in units of 2^-9 (m/s² or rad/s): |x| < 64 fits int16, and the
# step is far under the sensors' noise.
MOTION_SCALE = 2.0**-9


@dataclass(frozen=True)
class Split:
    """Training and test samples with int64 labels."""

    train: Samples
    train_y: np.ndarray
    test: Samples
    test_y: np.ndarray


def digits() -> Split:
    """scikit-learn's handwritten digits, uint8 8x8, 0 to 16 pixels set per cell, 80 % / 20 %."""
    data = load_digits()
    x, y = data.images.astype(np.uint8), data.target.astype(np.int64)
    train_x, test_x, train_y, test_y = train_test_split(
        x, y, test_size=0.2, stratify=y, random_state=1998
    )
    scale = 1.0 / 16.0
    return Split(Samples(train_x, scale), train_y, Samples(test_x, scale), test_y)


def motions() -> tuple[Split, list[str]]:
    """aeon's BasicMotions, int16 [N, 6 axes, 100 steps] at 10 Hz, and the names of its classes.

    The split is the data set's own: 40 recordings each.
    """
    train_x, train_names = load_basic_motions(split="train")
    test_x, test_names = load_basic_motions(split="test")
    classes, train_y = np.unique(train_names, return_inverse=True)
    test_y = np.searchsorted(classes, test_names)
    stored = [
        Samples(np.round(x / MOTION_SCALE).astype(np.int16), MOTION_SCALE)
        for x in (train_x, test_x)
    ]
    split = Split(stored[0], train_y.astype(np.int64), stored[1], test_y.astype(np.int64))
    return split, [str(name) for name in classes]


def per_class(y: np.ndarray, count: int) -> np.ndarray:
    """Indices of the first `count` samples of each class, in the order of the set."""
    picks = [np.flatnonzero(y == label)[:count] for label in np.unique(y)]
    return np.sort(np.concatenate(picks))
