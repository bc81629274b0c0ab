"""A layer as its own `call` sees it while it is traced: symbolic weights, sub-layers as nodes.

`type(layer).call(view, x)` runs the very code of the layer, but reads every attribute through the
view. The layer itself is never changed, so this is safe beside other threads and leaves nothing to
restore.
"""

import functools
import inspect
import re
import types
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasar.causality.layer_key import layer_key
from kerasar.keras_internals import (
    autocast,
    calling,
    cast_inputs,
    describe_call,
    exact_outputs,
    has_mask,
    made_by,
    operation_classes,
    replaces_methods,
)

#: Whose objects are taken for granted.
_LIBRARIES = ("keras", "tensorflow", "numpy", "kerasar")
#: Shapes and dtypes of outputs, for layers that say less of them.
_EXACT_SHAPES: dict[str, tuple[Any, str]] = {}


class CannotOpen(Exception):
    """A layer does what a graph of its pieces would not do; the message ends a sentence."""


def short_text(error: Exception) -> str:
    """What an error says, without what Keras writes around it."""
    text = re.sub(r"\x1b\[\d*m", "", str(error))
    text = re.sub(r"^Exception encountered when calling .*?\(\)\.", "", text.strip())
    text = text.split("Arguments received by")[0]
    return " ".join(text.split())[:160].rstrip(".")


class SubLayer(keras.Operation):
    """A layer called inside of another layer's `call`: a node of the trace, not of the layer."""

    def __init__(self, layer: keras.layers.Layer, name: str) -> None:
        super().__init__(name=name)
        self.layer = layer

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        try:
            outputs = describe_call(self.layer, args, kwargs)
        except TypeError:  # some layers describe fewer arguments than they take
            return exact_outputs(self.layer, args, kwargs)
        given = [p for p in keras.tree.flatten((args, kwargs)) if isinstance(p, keras.KerasTensor)]
        is_single = isinstance(outputs, keras.KerasTensor) and not has_mask(outputs)
        if not is_single or not _leaves_open([outputs]) or _leaves_open(given):
            return outputs
        # Some layers say less of their shape than there is to know, such as EinsumDense.
        key = layer_key(self.layer, repr([(t.shape, t.dtype) for t in given]))
        if key is None or key not in _EXACT_SHAPES:
            exact = exact_outputs(self.layer, args, kwargs)
            if key is None:
                return exact
            _EXACT_SHAPES[key] = exact.shape, exact.dtype
        return keras.KerasTensor(*_EXACT_SHAPES[key])


class StandIn(keras.KerasTensor):
    """Stands for a weight, which can be sliced without a tuple, has its value, and can be masked.

    Attributes:
        mask_weight: what `assign` does, which is given the new value.
    """

    mask_weight: Callable[[keras.KerasTensor], None] | None = None

    @property
    def value(self) -> "StandIn":
        return self

    def assign(self, value: Any) -> "StandIn":
        if self.mask_weight is None:
            raise CannotOpen("its call assigns to an array")
        self.mask_weight(value)
        return self

    def __getitem__(self, key: Any) -> Any:
        return super().__getitem__(key if isinstance(key, tuple) else (key,))


class Trace:
    """What is shared by all views of one trace.

    Attributes:
        constants: the symbolic tensors that stand for weights and arrays, and what they stand for.
    """

    def __init__(self) -> None:
        self.constants: list[tuple[keras.KerasTensor, Any]] = []
        self._stand_ins: dict[int, keras.KerasTensor] = {}
        self._masked: set[int] = set()
        self._views: dict[int, LayerView] = {}
        self._seen: list[tuple[str, Any, Any]] = []

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
            made = StandIn(tuple(value.shape), keras.backend.standardize_dtype(dtype))
            self._stand_ins[id(value)] = made
            self.constants.append((made, value))
            if isinstance(value, keras.Variable):
                made.mask_weight = functools.partial(self._mask, value)
        return self._stand_ins[id(value)]

    def _mask(self, variable: keras.Variable, value: Any) -> None:
        """A weight that is multiplied by a mask for good: what is read of it next is masked.

        Any other assignment makes another function of each call.
        """
        now, node = self._stand_ins[id(variable)], made_by(value)
        factors = list(keras.tree.flatten(node.arguments.args)) if node is not None else []
        names = {id(made): array for made, array in self.constants}
        masks = [names.get(id(factor), factor) for factor in factors if factor is not now]
        is_product = node is not None and type(node.operation) in _PRODUCTS
        if not is_product or len(masks) != 1 or not _is_mask(masks[0]):
            raise CannotOpen(
                f"its call assigns to weight '{variable.name}' what is not the weight times a "
                "constant mask of zeros and ones"
            )
        value.__class__ = StandIn
        value.mask_weight = functools.partial(self._mask, variable)
        self._stand_ins[id(variable)] = value
        self._masked.add(id(variable))

    def weight(self, variable: keras.Variable) -> keras.KerasTensor:
        """A weight as the layer sees it: cast to the dtype in which the layer computes."""
        made, dtype = self.stand_in(variable), keras.backend.standardize_dtype(variable.dtype)
        if made.dtype == dtype:
            return made
        cast = keras.ops.cast(made, dtype)
        cast.__class__ = StandIn
        return cast

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
        if self._masked.intersection(map(id, layer.variables)):
            return self._inline(layer, args, kwargs)
        return SubLayer(layer, layer.name)(*args, **kwargs)

    def _inline(self, layer: keras.layers.Layer, args: Any, kwargs: Any) -> Any:
        """The call of a sub-layer whose weights were masked: its pieces, which read them masked."""
        if layer.activity_regularizer is not None or replaces_methods(layer):
            raise CannotOpen(f"it masks the weights of '{layer.name}', which does more than call")
        with calling(layer, is_nested=True):
            args, kwargs = cast_inputs(layer, (args, kwargs))
            return call_through_view(self, layer)(*args, **kwargs)

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
        made = value if kind is None else self._container(kind, value, name)
        self._seen.append((name, made, _state(made)))
        return made

    def _container(self, kind: type, value: Any, name: str) -> Any:
        if kind is dict:
            return {key: self.wrapped(part, name) for key, part in value.items()}
        parts = [self.wrapped(part, name) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else kind(parts)

    def check_unchanged(self) -> None:
        """Raises CannotOpen if an object that a layer holds was changed in the trace."""
        for name, made, before in self._seen:
            if _state(made) != before:
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
        made: Any = object.__new__(kind)
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


def _leaves_open(tensors: list[Any]) -> bool:
    """Whether a size behind the first axis is open."""
    return any(None in tensor.shape[1:] for tensor in tensors)


def call_through_view(trace: Trace, layer: keras.layers.Layer) -> Callable[..., Any]:
    """The layer's own `call`, with a view of the layer as `self`."""
    return trace.view(layer).call


def _is_property(attribute: Any) -> bool:
    """Whether a class decides what reading or writing an attribute does."""
    return hasattr(type(attribute), "__set__")


def _is_array(value: Any) -> bool:
    return isinstance(value, (np.ndarray, tf.Tensor, keras.Variable))


def _is_mask(value: Any) -> bool:
    """Whether it is a constant array of zeros and ones: multiplied twice, it does the same."""
    if isinstance(value, (keras.Variable, keras.KerasTensor)) or not _is_array(value):
        return False
    array = np.asarray(value)
    return bool(((array == 0) | (array == 1)).all())


_PRODUCTS = frozenset(operation_classes("Multiply"))


def _state(value: Any, depth: int = 4) -> Any:
    """What an object of the user's holds, by identity, down to some depth."""
    if isinstance(value, Mapping):
        return [(key, _state(part, depth - 1)) for key, part in value.items()] if depth else None
    if isinstance(value, (list, tuple)):
        return [_state(part, depth - 1) for part in value] if depth else None
    if isinstance(value, set):
        return {id(part) for part in value}
    is_foreign = isinstance(value, (LayerView, type, types.FunctionType, types.ModuleType))
    room = type(value).__module__.split(".")[0]
    if depth and not is_foreign and hasattr(value, "__dict__") and room not in _LIBRARIES:
        return id(value), _state(vars(value), depth - 1)
    return id(value)
