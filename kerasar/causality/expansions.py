"""Operations of `keras.ops` that are several in one, spelled out: each then shows what it sees."""

import dataclasses
import inspect
import math
from typing import Any

import keras
import numpy as np
from keras import ops

from kerasar.causality.graph import Graph, read_pieces
from kerasar.causality.node import Edge, Node
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


class _Zeros(keras.KerasTensor):
    """A tensor of zeros."""


def _joined(operation: Any, parts: list[Tensor]) -> Tensor:
    """Parts behind each other as a sum: each with zeros in the place of the others."""
    rank, sizes = len(parts[0].shape), [part.shape[operation.axis] for part in parts]
    dtype = keras.backend.result_type(*(part.dtype for part in parts))
    total = None
    there = [number for number, part in enumerate(parts) if not isinstance(part, _Zeros)]
    for number in there or [0]:
        part, before, behind = parts[number], sizes[:number], sizes[number + 1 :]
        if None in before + behind:
            return None
        width = [(0, 0)] * rank
        width[operation.axis] = (sum(before), sum(behind))
        placed = ops.pad(_cast(part, dtype), width)
        if total is not None:
            placed = ops.logical_or(total, placed) if dtype == "bool" else total + placed
        total = placed
    return total


_ZEROS = frozenset(operation_classes("ZerosLike"))
_JOINING = frozenset([keras.layers.Concatenate, *operation_classes("Concatenate")])
_EXPANSIONS = {
    **dict.fromkeys(_JOINING, _joined),
    **dict.fromkeys(operation_classes("DotProductAttention"), _dot_product_attention),
    **dict.fromkeys(operation_classes("Tril", "Triu"), _triangle),
}


def spell_out(graph: Graph) -> Graph:
    """The same graph with such operations as the several that they are short for."""
    if not any(_is_short(node, graph.position_rank) for node in graph.nodes):
        return graph
    nodes: list[Node] = []
    opened = dict(graph.opened)
    zeros = {
        made for node in graph.nodes if type(node.operation) in _ZEROS for made in node.outputs
    }
    for node in graph.nodes:
        pieces = _pieces(node, zeros) if _is_short(node, graph.position_rank) else []
        nodes += pieces or [node]
        inside = {edge for piece in pieces for edge in piece.outputs}
        for layer, found in opened.items():
            if node.outputs[0] in found.made:
                opened[layer] = found._replace(made=found.made | inside)
    return dataclasses.replace(graph, nodes=tuple(nodes), opened=opened)


def _is_short(node: Node, position_rank: int) -> bool:
    """Whether an operation is spelled out; parts are joined as they are along channels."""
    operation = node.operation
    if type(operation) not in _JOINING:
        return type(operation) in _EXPANSIONS
    return 0 < operation.axis % len(node.outputs[0].shape) <= position_rank


def _pieces(node: Node, zeros: set[Edge]) -> list[Node]:
    """What an operation is short for; nothing for another one, or for sizes that are open."""
    operation = node.operation
    short_for: Any = _EXPANSIONS.get(type(operation))
    if short_for is None or getattr(operation, "attn_logits_soft_cap", None):
        return []
    joins = type(operation) in _JOINING
    if not joins and any(None in edge.shape[1:] for edge in node.inputs):
        return []
    edges = dict(node.slots)
    fresh = {
        key: (_Zeros if joins and edge in zeros else keras.KerasTensor)(edge.shape, edge.dtype)
        for key, edge in node.slots
    }
    args, kwargs = node.arguments.convert(lambda part: fresh.get(id(part), part))
    bound = inspect.signature(operation.call).bind(*args, **kwargs)
    made = short_for(operation, *bound.args, **bound.kwargs)
    if made is None:
        return []
    used = {key: t for key, t in fresh.items() if not isinstance(t, _Zeros)} or fresh
    function = keras.Function(list(used.values()), made)
    pieces = read_pieces(function, [edges[key] for key in used], f"{node.name}/")
    return [*pieces[:-1], dataclasses.replace(pieces[-1], outputs=node.outputs)]
