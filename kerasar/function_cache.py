"""The traced functions of a model, so that each is traced once, and again when the model changed.

A trace holds the layers as they were: after LoRA, quantization, another activation or a frozen
layer it would compute what the network was before. So each use compares the layers with those of
the last one, and starts anew if they differ. Traces for single lengths and sizes hold megabytes
each, so only those used last are kept.
"""

import functools
from collections.abc import Callable, Hashable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasar.keras_internals import nested_layers

#: What Keras notes in a layer as it is used, which changes nothing that it computes.
_NOTES = frozenset(
    """_called _losses _loss_ids _metrics _lock _tracker _parent_path built _build_shapes_dict
    _call_signature _saved_model_arg_spec _saved_model_inputs_spec _convert_input_args
    _dropout_mask _recurrent_dropout_mask
    _allow_non_tensor_positional_args _input_spec input_spec _jit_compile
    train_function test_function predict_function
    stop_training stop_evaluating stop_predicting
    _self_unconditional_checkpoint_dependencies _self_unconditional_dependency_names""".split()
)

#: Attributes of every layer, which Keras replaces by others when they change.
_OF_KERAS = vars(keras.layers.Layer()).keys()
#: Values that cannot change in place, and how deep others are looked into.
_PLAIN, _DEEPEST = (bool, int, float, str, type(None)), 5

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

    def get(self, key: Hashable, make: Callable[[], Any], is_fresh: bool = False) -> Any:
        """The function of a key; `make` makes it when it is first used.

        `is_fresh` says that the network was compared just before, in the same call.
        """
        if not is_fresh:
            self.refresh()
        made = self._made.pop(key) if key in self._made else make()
        self._made[key] = made  # now the last one used
        of_sizes = [other for other in self._made if isinstance(other, tuple)]
        for other in of_sizes[:-_MOST_SIZES]:
            del self._made[other]
        return made

    def traced(self, key: Hashable, function: Callable[..., Any]) -> Callable[..., Any]:
        """A function as a graph, traced for the first size of a batch, then for all others."""
        return self.get(key, lambda: tf.function(function, reduce_retracing=True, autograph=False))

    def traced_open(self, key: Hashable, function: Callable[..., Any]) -> Callable[..., Any]:
        """A function as an `OpenBatchFunction`, traced once for batches of any size.

        Sums of several terms may be rounded in another order than where TensorFlow knows the size.
        """
        return self.get(key, lambda: OpenBatchFunction(function))

    def refresh(self) -> None:
        """Forgets everything if a layer of the model has changed since the last use."""
        layers = nested_layers(self._owner, include_self=False)
        if self._state is not None and _are_unchanged(layers, self._state):
            return
        state = [(layer, _attributes(layer)) for layer in layers]
        if self._state is not None:
            self._made.clear()
            self._owner.network_changed()  # may refuse it, now and each time until it is mended
        self._state = state


def _attributes(layer: Any) -> dict[str, Any]:
    """What a layer holds that may change what it computes; copies of what changes in place."""
    return {
        name: value if name in _OF_KERAS else _copied(value)
        for name, value in _changeable(layer).items()
    }


def _changeable(layer: Any) -> dict[str, Any]:
    own = {name: value for name, value in vars(layer).items() if name not in _NOTES}
    return {**own, "class's call": type(layer).call}


def _are_unchanged(layers: list[Any], state: list[tuple[Any, dict[str, Any]]]) -> bool:
    """Whether layers hold what was noted of them; several times as fast as noting it again."""
    return len(layers) == len(state) and all(
        layer is noted and _is_unchanged(before, _changeable(layer))
        for layer, (noted, before) in zip(layers, state, strict=True)
    )


def _is_unchanged(copy: Any, value: Any, depth: int = -1) -> bool:
    """Whether a value is still what `_copied` made a copy of."""
    if copy is value:
        return True
    if isinstance(value, _PLAIN) or depth > _DEEPEST:
        return type(copy) is type(value) and bool(copy == value)
    if isinstance(value, np.ndarray):
        return isinstance(copy, np.ndarray) and np.array_equal(copy, value)
    if isinstance(value, dict):
        return (
            isinstance(copy, dict)
            and copy.keys() == value.keys()
            and all(_is_unchanged(copy[name], part, depth + 1) for name, part in value.items())
        )
    parts = _parts(value)
    return (
        parts is not None
        and isinstance(copy, list)
        and len(copy) == len(parts)
        and all(map(_is_unchanged, copy, parts, [depth + 1] * len(parts)))
    )


def _copied(value: Any, depth: int = 0) -> Any:
    """A copy of an array, a container or an object of Python's; all else as it is."""
    if isinstance(value, _PLAIN) or depth > _DEEPEST:
        return value
    if isinstance(value, np.ndarray):
        return value.copy()
    if isinstance(value, dict):
        return {key: _copied(part, depth + 1) for key, part in value.items()}
    parts = _parts(value)
    return value if parts is None else [_copied(part, depth + 1) for part in parts]


def _parts(value: Any) -> list[Any] | None:
    """What may change within a value that itself stays the same object; None if nothing does."""
    if isinstance(value, (list, tuple)):
        return list(value)
    if isinstance(value, functools.partial):
        return [value.func, [*value.args], value.keywords]
    library = type(value).__module__.split(".")[0] in ("keras", "tensorflow", "builtins", "types")
    if library or not hasattr(value, "__dict__") or isinstance(value, (type, keras.Operation)):
        return None
    return [id(value), type(value), vars(value)]


class OpenBatchFunction:
    """A function as a graph, traced once for batches of any size.

    TensorFlow traces a first batch at its own size, and again, with the size left open, when
    another comes; here it is open at once. That is also safer: `keras.ops.add` takes its second
    argument for a bias where its one known size above 1 is that of an axis of the first, which a
    known batch size may well be.

    Args:
        function: takes a structure of tensors whose first axis is the batch, and further arguments.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = tf.function(function, reduce_retracing=True, autograph=False)
        self._traced: set[Hashable] = set()

    def __call__(self, batch: Any, *others: Any) -> Any:
        self.trace(batch, *others)
        return self._function(batch, *others)

    def trace(self, batch: Any, *others: Any) -> None:
        """Makes the graph for such arguments, if there is none yet."""
        specs = tf.nest.map_structure(_open_spec, batch), *others
        kind = tuple(map(_kind, tf.nest.flatten(specs)))
        if kind not in self._traced:
            self._function.get_concrete_function(*specs)
            self._traced.add(kind)


def _open_spec(tensor: Any) -> tf.TensorSpec | None:
    """What a tensor of a batch of any size is; a scalar is the same for any."""
    if tensor is None:
        return None
    return tf.TensorSpec((None, *tensor.shape[1:]) if tensor.shape.rank else (), tensor.dtype)


def _kind(argument: Any) -> Hashable:
    return None if argument is None else (tuple(argument.shape), argument.dtype)


def check_eager(method: str) -> None:
    """Raises a ValueError within a tf.function, where results have no values.

    Raises:
        ValueError: there.
    """
    if not tf.executing_eagerly():
        raise ValueError(
            f"{method} runs graphs of its own and returns NumPy arrays, so it cannot be called "
            "within a tf.function. Call it outside. The functions of an export are graphs that "
            "others can call."
        )
