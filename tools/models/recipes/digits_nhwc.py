"""A Keras CNN on 8x8 digits in NHWC, with ReLU6 and explicit padding, as tf2onnx exports it."""

import math
from pathlib import Path

import numpy as np
from keras import Sequential, layers, losses, optimizers

from . import datasets, with_keras
from .artefacts import Row, Samples, accuracy, reference, save_model, save_npz

EPOCHS, BATCH = 60, 32


def network() -> Sequential:
    """[N, 8, 8, 1] in 0..1 to [N, 10] logits."""
    return Sequential(
        [
            layers.Input((8, 8, 1)),
            layers.GaussianNoise(0.05),
            layers.ZeroPadding2D(1, name="pad"),
            layers.Conv2D(16, 3, use_bias=False, name="stem"),
            layers.BatchNormalization(name="stem_norm"),
            layers.ReLU(6.0, name="stem_relu6"),
            layers.ZeroPadding2D(((0, 1), (0, 1)), name="pool_pad"),
            layers.MaxPooling2D(3, strides=2, name="pool"),
            layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="depthwise"),
            layers.BatchNormalization(name="depthwise_norm"),
            layers.ReLU(6.0, name="depthwise_relu6"),
            layers.Conv2D(16, 1, use_bias=False, name="pointwise"),
            layers.BatchNormalization(name="pointwise_norm"),
            layers.ReLU(6.0, name="pointwise_relu6"),
            layers.Flatten(name="flatten"),
            layers.Dense(10, name="scores"),
        ],
        name="digits",
    )


def make(folder: Path) -> list[Row]:
    with_keras.seed(0)
    data = datasets.digits()
    train = Samples(data.train.x[..., np.newaxis], data.train.scale)
    test = Samples(data.test.x[..., np.newaxis], data.test.scale)

    model = network()
    steps = EPOCHS * math.ceil(len(train.x) / BATCH)
    model.compile(
        optimizers.AdamW(with_keras.schedule(0.01, steps)),
        losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    model.fit(train.real(), data.train_y, batch_size=BATCH, epochs=EPOCHS, verbose=0)

    path = folder / "digits_nhwc.onnx"
    save_model(path, with_keras.export(model, opset=13))
    ref = reference(path, test.real())
    chosen = datasets.per_class(data.train_y, 10)
    save_npz(folder / "calib.npz", **Samples(train.x[chosen], train.scale).arrays())
    save_npz(folder / "eval.npz", **test.arrays(), y=data.test_y, ref=ref)
    right = accuracy(ref, data.test_y)
    return [Row.of(path, f"{len(ref)} digits", f"{right:.2%} right")]
