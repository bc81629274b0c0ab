"""Counts the weights of a model before they are made."""

import contextlib
import math
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

from kerasar.keras_internals import planned_shape


@contextlib.contextmanager
def weight_limit(most: int, refuse: Callable[[tuple[int, ...], int], Exception]) -> Iterator[None]:
    """Within it, variables of more than `most` bytes in all are refused before they are made.

    Args:
        most: how many bytes they may take.
        refuse: makes the error that is raised, of the shape of the variable that is too much, and
            of the bytes of all, up to that one.
    """
    made = 0

    def create(next_creator: Any, **kwargs: Any) -> Any:
        nonlocal made
        shape = planned_shape(kwargs["initial_value"])
        variable = next_creator(**kwargs) if shape is None else None
        shape = shape or tuple(getattr(variable, "shape", ()))
        made += math.prod(shape) * tf.as_dtype(kwargs.get("dtype") or "float32").size
        if made > most:
            raise refuse(shape, made)
        return next_creator(**kwargs) if variable is None else variable

    with tf.variable_creator_scope(create):
        yield
