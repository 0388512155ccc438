"""Training with Keras and exporting with tf2onnx, reproducibly."""

from __future__ import annotations

import re

import keras
import onnx
import tensorflow as tf
import tf2onnx


def seed(value: int) -> None:
    """Fixes every source of randomness and the order of sums."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(value)
    tf.config.experimental.enable_op_determinism()


def schedule(rate: float, steps: int) -> keras.optimizers.schedules.LearningRateSchedule:
    """A cosine from `rate` to a hundredth of it over `steps` updates."""
    return keras.optimizers.schedules.CosineDecay(rate, steps, alpha=0.01)


def export(model: keras.Model, opset: int) -> onnx.ModelProto:
    """Converts by tf2onnx with the batch left open, as its command line does by default."""
    signature = [tf.TensorSpec((None, *model.input_shape[1:]), tf.float32, name="input")]

    @tf.function(input_signature=signature)
    def infer(x):
        return model(x, training=False)

    converted, _ = tf2onnx.convert.from_function(infer, input_signature=signature, opset=opset)
    return _renumber(converted)


def _renumber(model: onnx.ModelProto) -> onnx.ModelProto:
    """Numbers the names that tf2onnx makes up by their first use, and orders initialisers so.

    tf2onnx counts by the order of sets of objects, which differs from run to run, and so does which
    of several equal constants stays.
    """
    graph = model.graph
    by_name = {tensor.name: tensor for tensor in graph.initializer}
    ordered = [by_name[name] for name in _tensor_names(graph) if name in by_name]
    names = {}
    for tensor in ordered:
        if re.search(r"__\d+$", tensor.name):
            names[tensor.name] = tensor.name = f"const__{len(names)}"
    del graph.initializer[:]
    graph.initializer.extend(ordered)

    numbers = {}

    def number(found: re.Match) -> str:
        return f"__{numbers.setdefault(found[1], len(numbers))}"

    def renamed(name: str) -> str:
        return names.get(name) or re.sub(r"__(\d+)", number, name)

    for node in graph.node:
        node.name = renamed(node.name)
        node.input[:] = map(renamed, node.input)
        node.output[:] = map(renamed, node.output)
    for value in (*graph.input, *graph.output):
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param:
                dim.dim_param = renamed(dim.dim_param)
    del graph.value_info[:]
    return model


def _tensor_names(graph: onnx.GraphProto) -> dict[str, None]:
    """The names that nodes read, once each, in the order of the nodes."""
    return dict.fromkeys(name for node in graph.node for name in node.input)
