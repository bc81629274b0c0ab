"""Scans in the `call` of a layer that is traced: their functions use its weights.

These are symbolic in a trace, and so are other tensors of the call that the function closes over.
So the function is recorded once, on symbolic tensors of one step.
"""

from collections.abc import Callable
from typing import Any

import keras
from keras import tree

from kerasar.causality.associative_scan import ASSOCIATIVE_SCANS
from kerasar.causality.layer_view import CannotOpen, Trace
from kerasar.causality.recorded_function import RecordedFunction
from kerasar.causality.scan_operations import LiftedScan
from kerasar.typing import Shape


def trace_scan(trace: Trace, operation: Any, record: Any, f: Any, *structures: Any) -> Any:
    """The symbolic outputs of a scan in the call of a layer.

    Args:
        trace: of the call.
        operation: Keras' operation.
        record: what Keras does with its arguments.
        f: the function.
        *structures: `init` and `xs`, or `elems`.
    """
    if type(operation) in ASSOCIATIVE_SCANS:
        return _associative_scan(trace, operation, record, f, *structures)
    return _scan(trace, operation, f, *structures)


def _scan(trace: Trace, operation: Any, f: Callable[..., Any], init: Any, xs: Any = None) -> Any:
    parts = tree.flatten(xs) if xs is not None else []
    if not parts:
        raise CannotOpen("its scan does not run over tensors (xs=None)")
    if operation.length not in (None, parts[0].shape[0]):
        raise CannotOpen("its scan has another length than the tensors that it runs over")
    init = tree.map_structure(_as_tensor, init)
    carry = tree.map_structure(lambda part: _symbol(part, tuple(part.shape)), init)
    x = tree.map_structure(lambda part: _symbol(part, tuple(part.shape[1:])), xs)
    function = RecordedFunction(f, [carry, x], lambda: trace.constants)
    if not isinstance(function.outputs, (tuple, list)) or len(function.outputs) != 2:
        raise CannotOpen("the function of its scan does not return a pair")
    counts = {len(tree.flatten(part)) for part in (init, *function.outputs)}
    if len(counts) > 1:
        raise CannotOpen("its scan stacks another number of tensors than its state has")
    return LiftedScan(operation)(function, init, xs, function.captures)


def _as_tensor(part: Any) -> Any:
    return part if hasattr(part, "shape") else keras.ops.convert_to_tensor(part)


def _symbol(part: Any, shape: Shape) -> keras.KerasTensor:
    """For a tensor of one step; it may hold any number of examples."""
    sizes = (None if shape[0] == 1 else shape[0], *shape[1:]) if shape else ()
    return keras.KerasTensor(sizes, keras.backend.standardize_dtype(part.dtype))


def _associative_scan(
    trace: Trace, operation: Any, record: Any, f: Callable[..., Any], elems: Any
) -> Any:
    sides = [
        tree.map_structure(lambda part: keras.KerasTensor(part.shape, part.dtype), elems)
        for _ in ("before", "after")
    ]
    function = RecordedFunction(f, sides, lambda: trace.constants)
    if function.is_closed:
        return record(f, elems)
    if function.captures:
        raise CannotOpen("the function of its associative scan uses other tensors than weights")
    return record(function, elems)
