"""The traced functions of a model, so that each is traced once."""

from collections.abc import Callable, Hashable
from typing import Any

import tensorflow as tf


class FunctionCache:
    """What a model has traced or compiled, by key. Keras neither tracks nor saves it."""

    def __init__(self) -> None:
        self._made: dict[Hashable, Any] = {}

    def __contains__(self, key: Hashable) -> bool:
        return key in self._made

    def get(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """The function of a key; `make` makes it when it is first used."""
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]

    def traced(self, key: Hashable, function: Callable[..., Any]) -> Callable[..., Any]:
        """A function as a graph for batches of any size, traced when first called."""
        return self.get(key, lambda: tf.function(function, reduce_retracing=True, autograph=False))
