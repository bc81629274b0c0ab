"""Keras' nodes between symbolic tensors, as a trace leaves them."""

from typing import Any

import keras

from kerasar.causality.layer_view import CannotOpen, SubLayer
from kerasar.keras_internals import made_by


def called(operation: Any) -> Any:
    """The layer behind a node, also where it was called inside of another layer."""
    return operation.layer if isinstance(operation, SubLayer) else operation


def nodes_to(outputs: list[Any]) -> list[Any]:
    """Keras' nodes that lead to symbolic tensors, in an order in which they can be run."""
    found: dict[int, Any] = {}
    entered: set[int] = set()
    stack: list[tuple[Any, bool]] = [(made_by(tensor), False) for tensor in reversed(outputs)]
    while stack:
        node, is_ready = stack.pop()
        if is_ready:
            found[id(node)] = node
        elif node is not None and id(node) not in found:
            if id(node) in entered:  # Keras then takes a tensor for its own cause
                raise CannotOpen(f"its '{node.operation.name}' may hand on what it is given")
            entered.add(id(node))
            stack.append((node, True))
            stack += [(made_by(tensor), False) for tensor in reversed(node.input_tensors)]
    return list(found.values())


def settle_sizes(nodes: list[Any], single: set[int]) -> None:
    """Makes sizes that hold for the trace only (`newshape=(None, 4)`) ones that can be run."""
    for node in nodes:
        settings, made = vars(node.operation), node.outputs[0]
        if isinstance(node.operation, (keras.layers.Layer, SubLayer)):
            continue
        target = settings.get("newshape")
        if isinstance(target, (tuple, list)) and (None in target or id(made) in single):
            sizes = [*made.shape]
            if id(made) in single:
                sizes[0] = None
            if sizes.count(None) > 1:
                raise ValueError(f"it reshapes to {target}, with None where sizes are open")
            node.operation.newshape = tuple(-1 if size is None else size for size in sizes)
        for name in ("shape", "repeats"):
            sizes = settings.get(name)
            if isinstance(sizes, (tuple, list)) and None in sizes:
                raise ValueError(f"its {name} is {sizes}, with None where sizes are open")
