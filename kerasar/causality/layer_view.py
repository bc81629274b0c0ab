"""A layer as its own `call` sees it while it is traced: symbolic weights, sub-layers as nodes.

`type(layer).call(view, x)` runs the very code of the layer, but reads every attribute through the
view. The layer itself is never changed, so this is safe beside other threads and leaves nothing to
restore.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasar.keras_internals import autocast, describe_call


class CannotOpen(Exception):
    """A layer does what a graph of its pieces would not do; the message ends a sentence."""


class SubLayer(keras.Operation):
    """A layer called inside of another layer's `call`: a node of the trace, not of the layer."""

    def __init__(self, layer: keras.layers.Layer, name: str) -> None:
        super().__init__(name=name)
        self.layer = layer

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        return describe_call(self.layer, args, kwargs)


class Trace:
    """What is shared by all views of one trace.

    Attributes:
        constants: the symbolic tensors that stand for weights and arrays, and what they stand for.
    """

    def __init__(self) -> None:
        self.constants: list[tuple[keras.KerasTensor, Any]] = []
        self._stand_ins: dict[int, keras.KerasTensor] = {}
        self._views: dict[int, LayerView] = {}
        self._containers: list[tuple[str, Any, Any, Any]] = []

    def view(self, layer: keras.layers.Layer) -> "LayerView":
        """The one view of a layer."""
        if id(layer) not in self._views:
            self._views[id(layer)] = LayerView.of(layer, self)
        return self._views[id(layer)]

    def stand_in(self, value: Any) -> keras.KerasTensor:
        """The symbolic tensor for a weight or an array."""
        if id(value) not in self._stand_ins:
            dtype = value.dtype if isinstance(value, keras.Variable) else np.asarray(value).dtype
            if isinstance(value, keras.Variable):
                with autocast(None):
                    dtype = value.dtype
            made = keras.KerasTensor(tuple(value.shape), keras.backend.standardize_dtype(dtype))
            made.value = made  # as a weight has it
            self._stand_ins[id(value)] = made
            self.constants.append((made, value))
        return self._stand_ins[id(value)]

    def weight(self, variable: keras.Variable) -> keras.KerasTensor:
        """A weight as the layer sees it: cast to the dtype in which the layer computes."""
        made, dtype = self.stand_in(variable), keras.backend.standardize_dtype(variable.dtype)
        return made if made.dtype == dtype else keras.ops.cast(made, dtype)

    def call(self, layer: keras.layers.Layer, args: Any, kwargs: Any) -> Any:
        """Notes the call of a sub-layer."""
        if not tf.executing_eagerly():
            raise CannotOpen(f"layer '{layer.name}' is called within a loop or a branch")
        if not layer.built:
            raise CannotOpen(f"its layer '{layer.name}' is not built before it is called")
        args, kwargs = keras.tree.map_structure(
            lambda part: self.stand_in(part) if _is_array(part) else part, (args, kwargs)
        )
        if kwargs.get("training") is not False:
            kwargs.pop("training", None)  # it follows the layer around it
        return SubLayer(layer, layer.name)(*args, **kwargs)

    def wrapped(self, value: Any, name: str) -> Any:
        """An attribute's value with views for layers and symbolic tensors for weights."""
        if isinstance(value, keras.Variable):
            return self.weight(value)
        if isinstance(value, LayerView):
            return value
        if isinstance(value, keras.layers.Layer):
            return self.view(value)
        if isinstance(value, keras.random.SeedGenerator):
            raise CannotOpen(f"its call draws random values itself, by self.{name}")
        if isinstance(value, tf.Variable):
            raise CannotOpen(f"self.{name} is a tf.Variable, and not a weight of Keras")
        kind = next((kind for kind in (list, dict, tuple, set) if isinstance(value, kind)), None)
        if kind is None:
            return value
        made = self._container(kind, value, name)
        self._containers.append((name, value, made, _members(made)))
        return made

    def _container(self, kind: type, value: Any, name: str) -> Any:
        if kind is dict:
            return {key: self.wrapped(part, name) for key, part in value.items()}
        parts = [self.wrapped(part, name) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else kind(parts)

    def check_unchanged(self) -> None:
        """Raises CannotOpen if a list, dict or set of a layer was changed in the trace."""
        for name, _, made, members in self._containers:
            if _members(made) != members:
                raise CannotOpen(f"its call changes self.{name}")


class LayerView:
    """Stands for a layer, as `self`, while its `call` is traced.

    Made by `LayerView.of`: its class is derived from that of the layer, for `super()`, `isinstance`
    and methods such as `__len__` to work.
    """

    _layer: keras.layers.Layer
    _trace: Trace
    _read: set[str]
    _written: dict[str, Any]

    @staticmethod
    def of(layer: keras.layers.Layer, trace: Trace) -> "LayerView":
        """The view of a layer.

        Args:
            layer: the layer.
            trace: where calls and weights are noted.
        """
        kind = type(type(layer).__name__, (LayerView, type(layer)), {})
        made = object.__new__(kind)
        parts = {"_layer": layer, "_trace": trace, "_read": set(), "_written": {}}
        for name, value in parts.items():
            object.__setattr__(made, name, value)
        return made

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        get = object.__getattribute__
        return get(self, "_trace").call(get(self, "_layer"), args, kwargs)

    def __getattribute__(self, name: str) -> Any:
        layer = object.__getattribute__(self, "_layer")
        kind, written = type(layer), object.__getattribute__(self, "_written")
        if name == "__class__":
            return kind
        found: Any = inspect.getattr_static(kind, name, None)
        if _is_property(found):
            return found.__get__(self, kind)
        if name in written:
            return written[name]
        object.__getattribute__(self, "_read").add(name)
        if name in vars(layer):
            return object.__getattribute__(self, "_trace").wrapped(vars(layer)[name], name)
        if found is not None:
            return found.__get__(self, kind) if hasattr(found, "__get__") else found
        raise AttributeError(f"'{kind.__name__}' object has no attribute '{name}'")

    def __setattr__(self, name: str, value: Any) -> None:
        layer, read = (object.__getattribute__(self, part) for part in ("_layer", "_read"))
        found: Any = inspect.getattr_static(type(layer), name, None)
        if _is_property(found):
            found.__set__(self, value)
            return
        if name in read:
            raise CannotOpen(f"its call keeps a state from call to call, in self.{name}")
        object.__getattribute__(self, "_written")[name] = value

    def __delattr__(self, name: str) -> None:
        raise CannotOpen(f"its call deletes self.{name}")


def call_through_view(trace: Trace, layer: keras.layers.Layer) -> Callable[..., Any]:
    """The layer's own `call`, with a view of the layer as `self`."""
    return trace.view(layer).call


def _is_property(attribute: Any) -> bool:
    """Whether a class decides what reading or writing an attribute does."""
    return hasattr(type(attribute), "__set__")


def _is_array(value: Any) -> bool:
    return isinstance(value, (np.ndarray, tf.Tensor, keras.Variable))


def _members(container: Any) -> Any:
    """What a container holds, by identity."""
    if isinstance(container, Mapping):
        return [(key, id(part)) for key, part in container.items()]
    if isinstance(container, set):
        return {id(part) for part in container}
    return [id(part) for part in container]
