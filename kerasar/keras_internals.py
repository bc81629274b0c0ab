"""The private parts of Keras and TensorFlow that kerasar leans on: here, and nowhere else.

None of them has a public counterpart. When a version moves one, this is the file to change.
"""

from collections.abc import Iterator
from typing import Any

import keras

from kerasar.typing import Tensor


def functional_graph(model: Any) -> Any:
    """The functional model that a model is or (a built `keras.Sequential`) holds, else None."""
    if isinstance(model, keras.Sequential):
        model = model._functional if model.built else None
    return model if hasattr(model, "_nodes_by_depth") else None


def nodes_of(functional: Any) -> Iterator[Any]:
    """Keras' nodes of a functional model, each use of an operation, from input to output."""
    for depth in sorted(functional._nodes_by_depth, reverse=True):
        for node in functional._nodes_by_depth[depth]:
            if not node.is_input:
                yield node


def takes_training(operation: Any) -> bool:
    """Whether calling the operation passes `training` on."""
    return "training" in getattr(operation, "_call_context_args", {})


def nested_layers(layer: keras.layers.Layer, include_self: bool = True) -> list[Any]:
    """All layers inside a layer or model, at any depth."""
    return list(layer._flatten_layers(include_self=include_self))


def operation_classes(*names: str) -> list[type]:
    """The operation classes behind functions of `keras.ops`, which are not public by name."""
    from keras.src.ops import core, math, nn, numpy

    modules = (numpy, nn, core, math)
    return [getattr(module, name) for name in names for module in modules if hasattr(module, name)]


def dynamic_update_slice(tensor: Tensor, update: Tensor, start: Tensor) -> Tensor:
    """The tensor with another slice at `start`, which XLA writes in place.

    A scatter would become a loop of its own under XLA.
    """
    from tensorflow.compiler.tf2xla.python import xla

    return xla.dynamic_update_slice(tensor, update, start)
