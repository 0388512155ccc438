"""A dense autoencoder of one digit; the reconstruction error tells other digits as anomalies."""

import math
from pathlib import Path

import numpy as np
from keras import Sequential, layers, losses, optimizers
from sklearn.metrics import roc_auc_score

from . import datasets, with_keras
from .artefacts import Row, Samples, reference, save_model, save_npz

NORMAL = 8
GROUP = 4
EPOCHS, BATCH = 400, 32


def network() -> Sequential:
    """[N, 64] in 0..1 to its reconstruction through 8 values."""
    return Sequential(
        [
            layers.Input((64,)),
            layers.Dense(32, activation="relu", name="encode"),
            layers.Dense(8, activation="relu", name="code"),
            layers.Dense(32, activation="relu", name="decode"),
            layers.Dense(64, name="pixels"),
        ],
        name="autoencoder",
    )


def groups(y: np.ndarray) -> np.ndarray:
    """Indices of test samples, `GROUP` of one digit at a time; a digit's remainder is left out."""
    chosen = []
    for digit in range(10):
        of_digit = np.flatnonzero(y == digit)
        chosen.append(of_digit[: len(of_digit) // GROUP * GROUP])
    return np.concatenate(chosen)


def make(folder: Path) -> list[Row]:
    with_keras.seed(0)
    data = datasets.digits()
    flat = data.train.x.reshape(-1, 64)
    train = Samples(flat[data.train_y == NORMAL], data.train.scale)

    model = network()
    steps = EPOCHS * math.ceil(len(train.x) / BATCH)
    model.compile(optimizers.Adam(with_keras.schedule(0.005, steps)), losses.MeanSquaredError())
    model.fit(train.real(), train.real(), batch_size=BATCH, epochs=EPOCHS, verbose=0)

    path = folder / "autoencoder.onnx"
    save_model(path, with_keras.export(model, opset=13))
    chosen = groups(data.test_y)
    test = Samples(data.test.x.reshape(-1, 64)[chosen], data.test.scale)
    y = (data.test_y[chosen] != NORMAL).astype(np.int64)
    group = np.arange(len(y), dtype=np.int64) // GROUP
    ref = reference(path, test.real())
    save_npz(folder / "calib.npz", **Samples(train.x[:100], train.scale).arrays())
    save_npz(folder / "eval.npz", **test.arrays(), y=y, group=group, ref=ref)

    errors = np.mean((ref - test.real()) ** 2, axis=1).reshape(-1, GROUP).mean(axis=1)
    auc = roc_auc_score(y[::GROUP], errors)
    data_note = f"{len(errors)} groups of {GROUP} digits"
    return [Row.of(path, data_note, f"AUC {auc:.4f} for telling other digits from {NORMAL}")]
