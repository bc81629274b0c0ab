"""The traced functions of a model, so that each is traced once, and again when the model changed.

A trace holds the layers as they were: after LoRA, quantization, another activation or a frozen
layer it would compute what the network was before. So each use compares the layers with those of
the last one, and starts anew if they differ. Traces for single lengths and sizes hold megabytes
each, so only those used last are kept.
"""

import operator
from collections.abc import Callable, Hashable
from typing import Any

import keras
import tensorflow as tf

from kerasar.keras_internals import nested_layers

#: What Keras notes in a layer as it is used, which changes nothing that it computes.
_NOTES = frozenset(
    """_called _losses _loss_ids _metrics _lock _tracker _parent_path built _build_shapes_dict
    _call_signature _saved_model_arg_spec _saved_model_inputs_spec _convert_input_args
    _allow_non_tensor_positional_args _input_spec input_spec _jit_compile""".split()
)

#: Attributes that every layer has; in their lists Keras notes uses of the layer.
_OF_EVERY_LAYER = vars(keras.layers.Layer()).keys()

#: How many traces that hold for one size only are kept.
_MOST_SIZES = 16


class FunctionCache:
    """What a model has traced or compiled, by key. Keras neither tracks nor saves it.

    Args:
        owner: the model. Its method `network_changed` is called when its layers have changed.
    """

    def __init__(self, owner: keras.Model) -> None:
        self._owner = owner
        self._made: dict[Hashable, Any] = {}
        self._state: list[tuple[Any, dict[str, Any]]] | None = None

    def __contains__(self, key: Hashable) -> bool:
        return key in self._made

    def get(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """The function of a key; `make` makes it when it is first used."""
        self.refresh()
        made = self._made.pop(key) if key in self._made else make()
        self._made[key] = made  # now the last one used
        of_sizes = [other for other in self._made if isinstance(other, tuple)]
        for other in of_sizes[:-_MOST_SIZES]:
            del self._made[other]
        return made

    def traced(self, key: Hashable, function: Callable[..., Any]) -> Callable[..., Any]:
        """A function as a graph for batches of any size, traced when first called."""
        return self.get(key, lambda: tf.function(function, reduce_retracing=True, autograph=False))

    def refresh(self) -> None:
        """Forgets everything if a layer of the model has changed since the last use."""
        layers = nested_layers(self._owner, include_self=False)
        state = [(layer, _attributes(layer)) for layer in layers]
        if self._state is not None and _differ(self._state, state):
            self._made.clear()
            self._owner.network_changed()  # may refuse it, now and each time until it is mended
        self._state = state


def _attributes(layer: keras.layers.Layer) -> dict[str, Any]:
    """What a layer holds, with the contents of its own lists and dicts as they are now."""
    held = dict(vars(layer))
    for name, value in held.items():
        if isinstance(value, (list, dict)) and name not in _OF_EVERY_LAYER:
            parts = value.items() if isinstance(value, dict) else value
            held[name] = (type(value), *parts)
    return held


def _differ(
    before: list[tuple[Any, dict[str, Any]]], after: list[tuple[Any, dict[str, Any]]]
) -> bool:
    if len(before) != len(after):
        return True
    for (layer, old), (other, new) in zip(before, after, strict=True):
        if layer is not other:
            return True
        same = len(old) == len(new) and all(map(operator.is_, old.values(), new.values()))
        if not same and _changed(old, new):
            return True
    return False


def _changed(old: dict[str, Any], new: dict[str, Any]) -> bool:
    """Whether attributes differ that may change what a layer computes."""
    names = (old.keys() | new.keys()) - _NOTES
    return any(not _same(old.get(name), new.get(name)) for name in names)


def _same(one: Any, other: Any) -> bool:
    if one is other:
        return True
    if type(one) is not type(other):
        return False
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    return isinstance(one, (bool, int, float, str)) and one == other
