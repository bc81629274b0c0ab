"""Layers without a rule, opened into the pieces of which their own `call` is made.

A subclassed layer is unknown only until its `call` is run on symbolic tensors: what it does with
them is a small network of Keras' layers and functions of `keras.ops`, whose weights are read live.
What a trace cannot hold (a branch on values, random draws, states kept between calls) stays
unknown. Nothing is believed: see `kerasar.causality.opened_check`.
"""

import dataclasses
import functools
from typing import Any

import keras

from kerasar.causality.layer_view import (
    CannotOpen,
    SubLayer,
    Trace,
    call_through_view,
    short_text,
)
from kerasar.causality.traced_nodes import called, nodes_to, settle_sizes
from kerasar.causality.traced_scans import trace_scan
from kerasar.keras_internals import (
    automatic_names_kept,
    call_takes,
    calling,
    cast_inputs,
    forget_calls,
    has_mask,
    made_by,
    nodes_of,
    replaces_methods,
    tracing_scans,
)
from kerasar.typing import Shape


@dataclasses.dataclass(frozen=True)
class TracedCall:
    """What a call does, as Keras' nodes between symbolic tensors.

    Attributes:
        inputs: the tensors that were given, in the order of `node.input_tensors`.
        outputs: the flattened outputs.
        nodes: from input to output; the operation of a called layer is a `SubLayer`.
        constants: symbolic tensors for weights and arrays, with what they stand for.
        single: ids of the tensors that were traced for one example, and hold any number.
    """

    inputs: list[Any]
    outputs: list[Any]
    nodes: list[Any]
    constants: list[tuple[Any, Any]] = dataclasses.field(default_factory=list)
    single: frozenset[int] = frozenset()


def trace_call(node: Any, shapes: list[Shape]) -> TracedCall:
    """Runs the `call` of a layer on symbolic tensors.

    Args:
        node: Keras' record of a use of the layer (or a `SubLayer`).
        shapes: of the tensors that it was given.

    Raises:
        CannotOpen: if that is not what the layer does, with the reason.
    """
    layer = called(node.operation)
    _check(layer, node)
    try:
        return _traced(layer, node, shapes)
    except CannotOpen as reason:
        raise CannotOpen(short_text(reason)) from reason
    except Exception:
        try:
            # What asks for the number of examples is given a single one, which broadcasts.
            return _traced(layer, node, shapes, of_one=True)
        except CannotOpen as reason:
            raise CannotOpen(short_text(reason)) from reason
        except Exception as error:
            raise CannotOpen(_reason(error)) from error


def trace_network(functional: Any, inputs: list[Any]) -> TracedCall:
    """A functional network on other symbolic inputs, such as of a certain length."""
    made = {id(old): new for old, new in zip(functional.inputs, inputs, strict=True)}
    with automatic_names_kept():
        for node in nodes_of(functional):
            args, kwargs = node.arguments.convert(lambda part: made.get(id(part), part))
            is_layer = isinstance(node.operation, keras.layers.Layer)
            called_with = SubLayer(node.operation, node.operation.name) if is_layer else None
            found = (called_with or node.operation).symbolic_call(*args, **kwargs)
            for old, new in zip(node.outputs, keras.tree.flatten(found), strict=True):
                made[id(old)] = new
    outputs = [made[id(tensor)] for tensor in functional.outputs]
    return TracedCall(inputs, outputs, nodes_to(outputs))


def _check(layer: Any, node: Any) -> None:
    """Raises CannotOpen for what Keras does around `call`, and a graph of pieces would not do."""
    if type(layer).__call__ not in (keras.layers.Layer.__call__, keras.Model.__call__):
        raise CannotOpen("its class overrides __call__")
    if replaces_methods(layer):
        raise CannotOpen("a method of this object was replaced by hand")
    if getattr(layer, "activity_regularizer", None) is not None:
        raise CannotOpen("it has an activity_regularizer")
    if getattr(layer, "quantization_mode", None) is not None:
        raise CannotOpen("it is quantized")
    if any(map(has_mask, node.input_tensors)):
        raise CannotOpen("Keras passes a mask along with its input")


def _traced(layer: Any, node: Any, shapes: list[Shape], of_one: bool = False) -> TracedCall:
    trace, fresh, single = Trace(), {}, set()
    is_nested = isinstance(node.operation, SubLayer)
    for tensor, shape in zip(node.input_tensors, shapes, strict=True):
        is_batch = of_one and len(shape) > 0 and shape[0] is None
        made = keras.KerasTensor((1, *shape[1:]) if is_batch else shape, tensor.dtype)
        fresh[id(tensor)] = made
        if is_batch:
            single.add(id(made))

    def given(part: Any) -> Any:
        # A variable that is passed on, such as a mask, is no constant.
        if isinstance(part, keras.Variable):
            return trace.stand_in(part)
        return fresh.get(id(part), part)

    arguments = node.arguments.convert(given)
    args, kwargs = arguments[0], dict(arguments[1])
    if kwargs.pop("training", None) is False and is_nested:
        raise CannotOpen("it is called with training=False inside of another layer")
    if kwargs.get("mask", ()) is None:
        del kwargs["mask"]
    with automatic_names_kept(), calling(layer, is_nested):
        args, kwargs = cast_inputs(layer, (args, kwargs))
        if call_takes(layer, "training"):
            # In training dropout is there; called with training=False, it hands its input on.
            kwargs["training"] = True
        with tracing_scans(functools.partial(trace_scan, trace)):
            result = call_through_view(trace, layer)(*args, **kwargs)
        outputs: list[Any] = []
        for part in keras.tree.flatten(result):
            tensor = part if isinstance(part, keras.KerasTensor) else trace.stand_in(part)
            if made_by(tensor) is None or any(tensor is other for other in outputs):
                tensor = SubLayer(keras.layers.Identity(dtype=tensor.dtype), "identity")(tensor)
            outputs.append(tensor)
    trace.check_unchanged()
    nodes = nodes_to(outputs)
    forget_calls(nodes)
    for made in nodes:
        if single.intersection(map(id, made.input_tensors)):
            single.update(id(tensor) for tensor in made.outputs if tensor.shape[:1] == (1,))
    settle_sizes(nodes, single)
    inputs = [fresh[id(tensor)] for tensor in node.input_tensors]
    return TracedCall(inputs, outputs, nodes, trace.constants, frozenset(single))


def _reason(error: Exception) -> str:
    text = short_text(error)
    numbers = ("boolean", "__bool__", "__index__", "__int__", "convert it to a float")
    if any(word in text for word in numbers):
        return "its call branches on values, or takes them as Python numbers"
    if "TensorFlow function" in text:
        return "its call uses TensorFlow's functions; those of keras.ops can be followed"
    if "None" in text:
        return f"its call needs sizes that are open ({text})"
    return f"its call cannot be followed ({type(error).__name__}: {text})"
