"""Keeps a configuration from making weights that its file does not hold."""

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from kerasar.keras_internals import planned_shape


@contextlib.contextmanager
def weight_limit(most: int) -> Iterator[None]:
    """Within it, variables of more than `most` bytes in all are refused before they are made."""
    made = 0

    def create(next_creator: Any, **kwargs: Any) -> Any:
        nonlocal made
        shape = planned_shape(kwargs["initial_value"])
        variable = next_creator(**kwargs) if shape is None else None
        shape = shape or tuple(getattr(variable, "shape", ()))
        made += math.prod(shape) * tf.as_dtype(kwargs.get("dtype") or "float32").size
        if made > most:
            raise ValueError(
                f"its configuration asks for weights of more than {most:,} bytes, at shape "
                f"{shape}, which the file does not hold."
            )
        return next_creator(**kwargs) if variable is None else variable

    with tf.variable_creator_scope(create):
        yield
