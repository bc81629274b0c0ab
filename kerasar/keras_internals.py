"""The private parts of Keras and TensorFlow that kerasar leans on: here, and nowhere else.

None of them has a public counterpart. When a version moves one, this is the file to change.
"""

import contextlib
import contextvars
import sys
from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf
from keras.src import backend
from keras.src.backend.common.dtypes import result_type
from tensorflow.python.eager import context

from kerasar.typing import Tensor

_keras_add = backend.numpy.add


def _add(x1: Any, x2: Any) -> Tensor:
    """`keras.ops.add`, but a tensor is a bias only if it is a vector along the last axis.

    Keras 3.15 adds whatever has a single size above 1 as a bias of the channels, if there are as
    many. With 8 channels and a batch of 8, `(8, 1, 8) + (8, 1, 1)` is wrong that way: each example
    gets the values of all others, in the network and above all in its step form.
    """
    if all(size == 1 for size in getattr(x2, "shape", ())[:-1]):
        return _keras_add(x1, x2)
    dtype = result_type(*(getattr(x, "dtype", type(x)) for x in (x1, x2)))
    return tf.add(*(backend.convert_to_tensor(x, dtype) for x in (x1, x2)))


backend.numpy.add = _add

_GetItem = keras.src.ops.numpy.GetItem
_keras_sliced_spec = _GetItem.compute_output_spec


def _sliced_spec(self: Any, x: Any, key: Any) -> Any:
    """Of `x[None]`, `x[...]` and `x[1:]` as of tensors: Keras 3.15 takes only tuples of these."""
    is_plain = isinstance(key, (int, tuple, list))
    return _keras_sliced_spec(self, x, key if is_plain else (key,))


_GetItem.compute_output_spec = _sliced_spec

# `array * x` as `x * array`: NumPy would take a symbolic tensor for an array, which has no values.
keras.KerasTensor.__array_ufunc__ = None


def functional_graph(model: Any) -> Any:
    """The functional model that a model is or (a built `keras.Sequential`) holds, else None.

    None too for a class with a `call` of its own: its graph is not what it computes.
    """
    if overrides_call(model):
        return None
    if isinstance(model, keras.Sequential):
        model = model._functional if model.built else None
    return model if hasattr(model, "_nodes_by_depth") else None


def overrides_call(model: Any) -> bool:
    """Whether a functional or sequential model has a `call` of its own, by its class or itself."""
    from keras.src.models.functional import Functional

    if not isinstance(model, (Functional, keras.Sequential)):
        return False
    base = keras.Sequential if isinstance(model, keras.Sequential) else Functional
    own = any(name in vars(model) for name in ("call", "__call__"))
    kind = type(model)
    return own or kind.call is not base.call or kind.__call__ is not base.__call__


def replaces_methods(layer: Any) -> bool:
    """Whether this object has another method than its class, put there by hand.

    Keras itself wraps `build` and `quantize` of every layer, and models keep their `loss`.
    """
    names = vars(layer).keys() - {"build", "quantize", "loss"}
    return any(callable(getattr(type(layer), name, None)) for name in names)


def paired_inputs(functional: Any, arguments: Any) -> list[Any] | None:
    """The tensors of a call in the order of an inner model's inputs, as Keras pairs them.

    None if the call does more than hand them over: other arguments, another rank, a cast.
    """
    given = list(arguments.args) or [arguments.kwargs.get("inputs")]
    extra = [name for name in arguments.kwargs if name not in ("inputs", "training", "mask")]
    settings = keras.tree.flatten([arguments.kwargs.get(name) for name in ("training", "mask")])
    if len(given) != 1 or extra or any(value is not None for value in settings):
        return None
    inputs, struct = given[0], functional._inputs_struct
    if isinstance(inputs, dict) and not isinstance(struct, dict):
        names = [tensor.name for tensor in keras.tree.flatten(struct)]
        if not set(names) <= set(inputs):
            return None
        inputs = [inputs[name] for name in names]
    flat = keras.tree.flatten(inputs)
    wanted = functional.inputs
    if len(flat) != len(wanted) or not all(map(_hands_over, flat, wanted)):
        return None
    return flat


def _hands_over(given: Any, wanted: Any) -> bool:
    if not isinstance(given, keras.KerasTensor) or len(given.shape) != len(wanted.shape):
        return False
    both_float = all(keras.backend.is_float_dtype(t.dtype) for t in (given, wanted))
    return both_float or given.dtype == wanted.dtype


def call_with(network: Any, flat: list[Tensor], training: bool | None = None) -> Tensor:
    """The one output of a functional network for its inputs as a list, whatever its structures."""
    functional = functional_graph(network)
    inputs = keras.tree.pack_sequence_as(functional._inputs_struct, flat)
    return keras.tree.flatten(network(inputs, training=training))[0]


def nodes_of(functional: Any) -> Iterator[Any]:
    """Keras' nodes of a functional model, each use of an operation, from input to output."""
    for depth in sorted(functional._nodes_by_depth, reverse=True):
        for node in functional._nodes_by_depth[depth]:
            if not node.is_input:
                yield node


def takes_training(operation: Any) -> bool:
    """Whether calling the operation passes `training` on."""
    declared = getattr(operation, "takes_training", False)
    return declared or "training" in getattr(operation, "_call_context_args", {})


def is_of_keras(layer: Any) -> bool:
    """Whether a layer is of one of Keras' own classes, and its methods are the class's."""
    changed = overrides_call if isinstance(layer, keras.Model) else replaces_methods
    return type(layer).__module__.startswith("keras.") and not changed(layer)


def without_mask(tensor: Any) -> Any:
    """A tensor, rid of the mask that Keras hangs on it.

    Where a functional network hands a mask on, the mask is a tensor of its graph too.
    """
    from keras.src.backend.common.masking import set_keras_mask

    set_keras_mask(tensor, None)
    return tensor


def nested_layers(layer: keras.layers.Layer, include_self: bool = True) -> list[Any]:
    """All layers inside a layer or model, at any depth."""
    return list(layer._flatten_layers(include_self=include_self))


def operation_classes(*names: str) -> list[type]:
    """The operation classes behind functions of `keras.ops` and `keras.activations`, which are not
    public by name."""
    from keras.src.activations import activations
    from keras.src.ops import core, math, nn, numpy

    modules = (numpy, nn, core, math, activations)
    return [getattr(module, name) for name in names for module in modules if hasattr(module, name)]


def dynamic_update_slice(tensor: Tensor, update: Tensor, start: Tensor) -> Tensor:
    """The tensor with another slice at `start`, which XLA writes in place.

    A scatter would become a loop of its own under XLA.
    """
    from tensorflow.compiler.tf2xla.python import xla

    return xla.dynamic_update_slice(tensor, update, start)


def trainable_by_design(operations: Any) -> list[Any]:
    """The variables that layers made to be trained, frozen or not."""
    found = {}
    for operation in operations:
        if isinstance(operation, keras.layers.Layer):
            for layer in nested_layers(operation):
                found.update({id(variable): variable for variable in layer._trainable_variables})
    return list(found.values())


def saved_class(module: str, name: str) -> type | None:
    """The class of Keras that a saved configuration names; nothing is imported for it."""
    if module.split(".")[0] != "keras":
        return None
    found = vars(sys.modules[module]).get(name) if module in sys.modules else None
    return found if isinstance(found, type) else None


def planned_shape(initial_value: Any) -> tuple[int, ...] | None:
    """The shape that a variable of Keras' will have, from the function that makes its values.

    That function closes over the variable and its initializer.
    """
    for cell in getattr(initial_value, "__closure__", None) or ():
        if isinstance(cell.cell_contents, keras.Variable):
            return tuple(cell.cell_contents.shape)
    return None


# Layers whose `call` is traced.


def autocast(dtype: str | None) -> Any:
    """A scope in which weights of floating-point numbers are cast as they are read, or are not."""
    from keras.src.backend.common.variables import AutocastScope

    return AutocastScope(dtype)


@contextlib.contextmanager
def calling(layer: keras.layers.Layer, is_nested: bool) -> Iterator[None]:
    """The scopes in which Keras runs the `call` of a layer: of names, and of autocasting.

    Args:
        layer: the layer.
        is_nested: whether it is called by another layer, which has such a scope itself.
    """
    dtype = layer.compute_dtype
    if is_nested:
        is_cast = layer.autocast and keras.backend.is_float_dtype(dtype)
    else:
        is_cast = dtype != layer.variable_dtype
    with layer._open_name_scope(), autocast(dtype if is_cast else None):
        yield


def cast_inputs(layer: keras.layers.Layer, arguments: Any) -> Any:
    """Arguments of a call, cast as the layer casts them before its `call` gets them."""
    if not layer._convert_input_args:
        return arguments

    def cast(part: Any) -> Any:
        return layer.dtype_policy.convert_input(part, layer.autocast, layer.input_dtype)

    return keras.tree.map_structure(cast, arguments)


_scan_tracer: contextvars.ContextVar[Callable[..., Any] | None] = contextvars.ContextVar(
    "scan_tracer", default=None
)


@contextlib.contextmanager
def tracing_scans(trace: Callable[..., Any]) -> Iterator[None]:
    """A scope in which `keras.ops.scan` and `associative_scan` of symbolic tensors are traced so.

    Keras itself runs the function of a scan in a graph of TensorFlow to learn its shapes, where
    other symbolic tensors that it uses have no place.

    Args:
        trace: takes the operation, what Keras does with its arguments, and these; returns the
            symbolic outputs.
    """
    token = _scan_tracer.set(trace)
    try:
        yield
    finally:
        _scan_tracer.reset(token)


def _let_scans_be_traced(kind: Any) -> None:
    usual = kind.symbolic_call

    def symbolic_call(self: Any, *args: Any, **kwargs: Any) -> Any:
        trace, record = _scan_tracer.get(), usual.__get__(self)
        return record(*args, **kwargs) if trace is None else trace(self, record, *args, **kwargs)

    kind.symbolic_call = symbolic_call


for _kind in operation_classes("Scan", "AssociativeScan"):
    _let_scans_be_traced(_kind)


def call_takes(layer: keras.layers.Layer, name: str) -> bool:
    """Whether the `call` of a layer has an argument of that name."""
    return name in layer.call_signature_parameters


def has_mask(tensor: Any) -> bool:
    """Whether Keras passes a mask along with a tensor."""
    return mask_of(tensor) is not None


def mask_of(tensor: Any) -> Any:
    """The mask that Keras passes along with a tensor; None if there is none."""
    return getattr(tensor, "_keras_mask", None)


def describe_call(layer: keras.layers.Layer, args: Any, kwargs: Any) -> Any:
    """The symbolic outputs of a layer, which itself keeps no record of the call."""
    copies: dict[int, Any] = {}

    def copy(part: Any) -> Any:
        if not isinstance(part, keras.KerasTensor):
            return part
        if id(part) not in copies:
            made = keras.KerasTensor(part.shape, part.dtype)
            if has_mask(part):
                made._keras_mask = mask_of(part)
            copies[id(part)] = made
        return copies[id(part)]

    args, kwargs = keras.tree.map_structure(copy, (args, kwargs))
    outputs = layer(*args, **kwargs)
    layer._inbound_nodes.pop()
    return outputs


def exact_outputs(layer: keras.layers.Layer, args: Any, kwargs: Any) -> Any:
    """The symbolic outputs of a layer as running it shows them, whatever it says of its shape."""
    from keras.src import backend

    return backend.compute_output_spec(layer, *args, **kwargs)


def made_by(tensor: Any) -> Any:
    """Keras' node that made a symbolic tensor; None for an input."""
    history = getattr(tensor, "_keras_history", None)
    if history is None or history.operation is None:
        return None
    return history.operation._inbound_nodes[history.node_index]


def forget_calls(nodes: list[Any]) -> None:
    """Takes calls back out of the records that layers keep of them."""
    for node in nodes:
        if isinstance(node.operation, keras.layers.Layer):
            node.operation._inbound_nodes.remove(node)
        for tensor in node.input_tensors:
            maker = tensor._keras_history.operation
            if isinstance(maker, keras.layers.Layer) and node in maker._outbound_nodes:
                maker._outbound_nodes.remove(node)


@contextlib.contextmanager
def automatic_names_kept() -> Iterator[None]:
    """A scope after which Keras numbers new layers as if nothing had been made in it."""
    from keras.src.backend.common.global_state import get_global_attribute, set_global_attribute

    counts = get_global_attribute("object_name_uids")
    before = None if counts is None else counts.copy()
    try:
        yield
    finally:
        set_global_attribute("object_name_uids", before)


@contextlib.contextmanager
def graphs_as_they_are() -> Iterator[None]:
    """TensorFlow runs graphs that are called here, on this thread, without rewriting them first.

    Rewriting takes longer than one run of a graph of a few steps, which is all that a check needs.
    """
    running = context.context()
    before = running.function_call_options
    config = running.config
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    running.function_call_options = context.FunctionCallOptions(before.executor_type, config)
    try:
        yield
    finally:
        running.function_call_options = before


def rate_schedule(optimizer: Any) -> Any:
    """The schedule of an optimizer's learning rate; None if that is a number."""
    rate = optimizer._learning_rate
    return rate if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule) else None


def begin_at_epoch(model: Any, epoch: int | None) -> None:
    """The epoch at which `fit` begins, after its callbacks' `on_train_begin`; None: as it is
    told."""
    model._initial_epoch = epoch


def global_random_state(make: bool) -> Any:
    """The variable of the seed generator that random operations without a seed share.

    Args:
        make: whether it is made if there is none; else None is returned.
    """
    from keras.src.backend.common.global_state import get_global_attribute
    from keras.src.random.seed_generator import GLOBAL_SEED_GENERATOR, global_seed_generator

    generator = get_global_attribute(GLOBAL_SEED_GENERATOR)
    if generator is None and make:
        generator = global_seed_generator()
    return None if generator is None else generator.state


def take_summed_gradients(optimizer: Any) -> None:
    """Lets an optimizer take gradients for sums over the replicas already.

    Keras 3.15 sums them after clipping, so that each replica's share would be clipped.
    """
    optimizer._all_reduce_sum_gradients = list


def reduces_along_rows(strategy: Any) -> bool:
    """Whether Keras takes logs of replicas for rows: with several workers it reduces an axis."""
    from keras.src.backend.tensorflow import trainer

    return bool(trainer._collective_all_reduce_multi_worker(strategy))


def strategy_of(optimizer: Any) -> Any:
    """The strategy of `tf.distribute` in whose scope an optimizer was made."""
    return optimizer._distribution_strategy
