"""Layers that wrap another one."""

import dataclasses
from typing import Any

import keras

from kerasar.causality.node import Edge
from kerasar.causality.rules.activations import is_elementwise, is_over_channels
from kerasar.causality.rules.registry import Use, declaration, rule
from kerasar.keras_internals import functional_graph, is_of_keras, nested_layers, nodes_of
from kerasar.layers.protocol import (
    Declaration,
    MixesPositions,
    Pointwise,
    Taps,
)

L = keras.layers


@rule(L.TimeDistributed)
def _time_distributed(use: Use) -> Declaration | None:
    """The inner layer runs at each index of axis 1 by itself."""
    layer = use.operation.layer
    if use.position_rank == 1:
        return Pointwise(whole=()) if _is_plain(layer, use.rank - 1) else None
    if len(use.node.inputs) > 1:
        return None  # a mask
    # Along a row of an image the inner layer does what it does along a sequence.
    node = _inner(use)
    return _along_rows(declaration(node, 1, node.inputs)) if is_of_keras(layer) else None


@rule(L.SpectralNormalization)
def _spectral_normalization(use: Use) -> Declaration | None:
    """Training divides the kernel by its norm beforehand; else it is the inner layer."""
    if not is_of_keras(use.operation.layer):
        return None
    node = dataclasses.replace(use.node, operation=use.operation.layer)
    declared = declaration(node, use.position_rank, use.data_dependent)
    if use.node.inputs[0].dtype == use.node.outputs[0].dtype == use.operation.layer.compute_dtype:
        return declared
    return declared if isinstance(declared, (Pointwise, MixesPositions)) else None


def _is_plain(layer: Any, rank: int) -> bool:
    """Whether a layer is known to keep nothing from call to call and to keep examples apart."""
    for part in nested_layers(layer):
        if not is_of_keras(part) or type(part) is L.Lambda or getattr(part, "stateful", False):
            return False
        if isinstance(part, L.RNN) and not isinstance(part.cell, keras.layers.Layer):
            return False
        activation, axis = getattr(part, "activation", None), getattr(part, "axis", None)
        if not (is_elementwise(activation) or is_over_channels(activation)):
            return False
        axes = [axis] if isinstance(axis, int) else list(axis or ())
        if any(axis in (0, -rank) for axis in axes):
            return False  # over the batch
        inside = functional_graph(part)
        nodes = [] if inside is None else nodes_of(inside)
        if not all(isinstance(node.operation, keras.layers.Layer) for node in nodes):
            return False
    return True


def _inner(use: Use) -> Any:
    """The use of the inner layer on one row."""
    edges = [
        Edge((edge.shape[0], *edge.shape[2:]), edge.dtype, edge.name)
        for edge in (use.node.inputs[0], use.node.outputs[0])
    ]
    return dataclasses.replace(
        use.node,
        operation=use.operation.layer,
        inputs=(edges[0],),
        outputs=(edges[1],),
    )


def _along_rows(declared: Declaration | None) -> Declaration | None:
    """What is seen along a sequence, as seen along the columns of an image."""
    if isinstance(declared, Taps):
        change = declared.length_change
        return declared._replace(
            offsets=tuple((0, offset) for (offset,) in declared.offsets),
            length_change=None if change is None else (0, *change),
        )
    return declared
