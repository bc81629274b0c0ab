"""What two layers have in common that compute alike but for their weights."""

import functools
import json
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasar.keras_internals import nested_layers

_PLAIN = vars(keras.layers.Layer()).keys()


def layer_key(operation: Any, use: Any) -> str | None:
    """A text that is equal for layers of equal classes and attributes that are used alike.

    Args:
        operation: the layer.
        use: how it is used: any nested lists, texts and numbers.

    Returns:
        The key; None where attributes cannot be compared.
    """
    try:
        parts = [
            [type(layer).__module__, type(layer).__qualname__, _attributes(layer)]
            for layer in nested_layers(operation)
        ]
        return json.dumps([use, parts], default=_token)
    except (TypeError, ValueError, RecursionError):
        return None


def _attributes(layer: Any) -> dict[str, Any]:
    own = {name: value for name, value in vars(layer).items() if name not in _PLAIN}
    return {**own, "dtype": layer.dtype_policy.name}


def _token(value: Any) -> Any:
    """Something that is equal for equal attributes only; a ValueError where there is none."""
    if isinstance(value, (np.ndarray, np.generic)):
        return [value.shape, value.dtype.str, value.tobytes().hex()]
    if isinstance(value, (keras.Variable, tf.Variable)):
        return [tuple(value.shape), str(value.dtype)]
    if isinstance(value, keras.layers.Layer):
        return type(value).__qualname__  # told apart as a layer of its own
    name = getattr(value, "__qualname__", None)
    if name is None:
        return _object_token(value)
    if "<" in name or hasattr(value, "__self__"):
        raise ValueError("a function of its own")
    return [value.__module__, name]


def _object_token(value: Any) -> Any:
    kind = [type(value).__module__, type(value).__qualname__]
    if isinstance(value, functools.partial):
        return [kind, value.func, value.args, value.keywords]
    if hasattr(value, "get_config") and not isinstance(value, keras.random.SeedGenerator):
        try:
            return [kind, value.get_config()]
        except Exception as error:
            raise ValueError("an object that cannot be saved") from error
    if kind[0].split(".")[0] in ("keras", "tensorflow", "threading", "_thread"):
        return kind  # what Keras keeps for itself
    if isinstance(value, (set, frozenset)):
        return [kind, sorted(map(repr, value))]
    if not hasattr(value, "__dict__"):
        return [kind, repr(value)]
    return [kind, vars(value)]
