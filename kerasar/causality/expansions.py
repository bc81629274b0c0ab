"""Operations of `keras.ops` that are several in one, spelled out: each then shows what it sees."""

import dataclasses
import inspect
import math
from typing import Any

import keras
import numpy as np
from keras import ops

from kerasar.causality.graph import Graph, read_pieces
from kerasar.causality.node import Node
from kerasar.keras_internals import operation_classes
from kerasar.typing import Tensor


def _dot_product_attention(
    operation: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    bias: Tensor = None,
    mask: Tensor = None,
    scale: float | None = None,
) -> Tensor:
    """As `keras.ops.dot_product_attention` computes it on TensorFlow."""
    dtype = keras.backend.result_type(query.dtype, key.dtype, value.dtype)
    query, key, value = (_cast(part, dtype) for part in (query, key, value))
    groups = query.shape[2] // key.shape[2]
    if groups > 1 and key.shape[2] > 1:
        key, value = (ops.repeat(part, groups, axis=2) for part in (key, value))
    precise = keras.backend.result_type(dtype, "float32")
    scores = _cast(ops.einsum("btnh,bsnh->bnts", query, key), precise)
    scores = scores * (1.0 / math.sqrt(key.shape[-1]) if scale is None else scale)
    if bias is not None:
        scores = scores + _cast(bias, precise)
    if operation.is_causal:
        causal = np.tril(np.ones((1, 1, query.shape[1], key.shape[1]), bool))
        mask = causal if mask is None else ops.logical_and(mask, causal)
    if mask is not None:
        scores = ops.where(mask, scores, -0.7 * float(np.finfo(precise).max))
    weights = _cast(ops.softmax(scores, axis=-1), dtype)
    return ops.einsum("bnts,bsnh->btnh", weights, value)


def _cast(x: Tensor, dtype: str) -> Tensor:
    return x if keras.backend.standardize_dtype(x.dtype) == dtype else ops.cast(x, dtype)


def _triangle(operation: Any, x: Tensor) -> Tensor:
    keep = np.tril if type(operation) in operation_classes("Tril") else np.triu
    return ops.where(keep(np.ones(x.shape[-2:], bool), operation.k), x, ops.cast(0, x.dtype))


_EXPANSIONS = {
    **dict.fromkeys(operation_classes("DotProductAttention"), _dot_product_attention),
    **dict.fromkeys(operation_classes("Tril", "Triu"), _triangle),
}


def spell_out(graph: Graph) -> Graph:
    """The same graph with such operations as the several that they are short for."""
    if not any(type(node.operation) in _EXPANSIONS for node in graph.nodes):
        return graph
    nodes: list[Node] = []
    opened = dict(graph.opened)
    for node in graph.nodes:
        pieces = _pieces(node)
        nodes += pieces or [node]
        inside = {edge for piece in pieces for edge in piece.outputs}
        for layer, made in graph.opened.items():
            if node.outputs[0] in made:
                opened[layer] = opened[layer] | inside
    return dataclasses.replace(graph, nodes=tuple(nodes), opened=opened)


def _pieces(node: Node) -> list[Node]:
    """What an operation is short for; nothing for another one, or for sizes that are open."""
    operation = node.operation
    short_for: Any = _EXPANSIONS.get(type(operation))
    if short_for is None or getattr(operation, "attn_logits_soft_cap", None):
        return []
    if any(None in edge.shape[1:] for edge in node.inputs):
        return []
    edges = dict(node.slots)
    fresh = {key: keras.KerasTensor(edge.shape, edge.dtype) for key, edge in node.slots}
    args, kwargs = node.arguments.convert(lambda part: fresh.get(id(part), part))
    bound = inspect.signature(operation.call).bind(*args, **kwargs)
    made = short_for(operation, *bound.args, **bound.kwargs)
    function = keras.Function(list(fresh.values()), made)
    pieces = read_pieces(function, [edges[key] for key in fresh], f"{node.name}/")
    return [*pieces[:-1], dataclasses.replace(pieces[-1], outputs=node.outputs)]
